//! A folder per class, with or without `train/`, `val/` and `test/` around them.
//!
//! Only names are looked at here. What is ambiguous is an error, not a guess.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tk_transfer::data::{LabelKind, Quarantine, Split};

use crate::data::error::DataError;
use crate::data::listed::{ClassFolder, ListedFile, Listing};
use crate::data::tree::{Tree, display};

/// Lists a data set's files by class and split.
pub(crate) fn list_folder(root: &Path, tree: Tree) -> Result<Listing, DataError> {
    let mut ignored = Quarantine::default();
    let splits = split_folders(&tree, &mut ignored)?;
    let found: Vec<(&Path, Option<Split>)> = if splits.is_empty() {
        tree.children(Path::new("")).map(|path| (path, None)).collect()
    } else {
        let children = |(folder, split): &(&Path, Split)| {
            let split = Some(*split);
            tree.children(folder).map(move |path| (path, split)).collect::<Vec<_>>()
        };
        splits.iter().flat_map(children).collect()
    };
    let mut names = Vec::with_capacity(found.len());
    for (path, _) in &found {
        names.push(name_of(path)?);
    }
    let classes: Vec<String> =
        names.iter().collect::<BTreeSet<_>>().into_iter().map(|name| (*name).to_owned()).collect();
    let mut folders: Vec<ClassFolder> = Vec::with_capacity(found.len());
    for ((path, split), name) in found.into_iter().zip(names) {
        let class = classes.partition_point(|class| class.as_str() < name);
        folders.push(ClassFolder { path: path.to_owned(), class, split });
    }
    check_classes(root, &tree, &classes, &folders)?;
    let (files, loose) = sort_files(&tree, &folders);
    for (first, others) in loose {
        let with = if others == 0 { String::new() } else { format!(", with {others} others beside it") };
        ignored.add(display(first), format!("outside the class folders{with}"));
    }
    let divided_by = folders.iter().any(|folder| folder.split.is_some()).then(|| "folder".to_owned());
    let quarantine = tree.unreadable;
    let kind = LabelKind::Single;
    Ok(Listing {
        classes,
        kind,
        folders,
        files,
        ignored,
        quarantine,
        columns: None,
        chosen: None,
        divided_by,
    })
}

/// The first-level folders that are splits, in path order; none when the first level is classes. Folders named like splits are splits
/// when at least one of them holds folders, for else they may be classes of vehicles or exams.
fn split_folders<'a>(tree: &'a Tree, ignored: &mut Quarantine) -> Result<Vec<(&'a Path, Split)>, DataError> {
    let named = |path: &'a Path| Some((path, Split::from_name(path.to_str()?)?));
    let named: Vec<(&Path, Split)> = tree.children(Path::new("")).filter_map(named).collect();
    let has_folders = |path: &Path| tree.children(path).next().is_some();
    let Some(&(first, _)) = named.iter().find(|(path, _)| has_folders(path)) else { return Ok(Vec::new()) };

    let mut splits: BTreeMap<Split, &Path> = BTreeMap::new();
    for &(path, split) in &named {
        if let Some(other) = splits.insert(split, path) {
            return Err(DataError::TwoFoldersForOneSplit { first: display(other), second: display(path) });
        }
        if has_folders(path) {
            continue;
        }
        if split != Split::Test {
            let classes = tree.children(first).map(name_of).map(|name| name.map(str::to_owned));
            let classes = classes.collect::<Result<_, _>>()?;
            return Err(DataError::SplitWithoutClasses { folder: display(path), classes });
        }
        // Competitions hand out their test photographs unlabelled.
        ignored.add(display(path), "without class folders there is nothing to score against");
    }
    for path in tree.children(Path::new("")).filter(|path| !named.iter().any(|(split, _)| split == path)) {
        if tree.files_in(path).any(looks_like_image) {
            return Err(DataError::ClassBesideSplit { folder: display(path), split: display(first) });
        }
        ignored.add(display(path), "neither a split (train, val, test) nor photographs");
    }
    Ok(named.into_iter().filter(|(path, _)| has_folders(path)).collect())
}

/// At least two classes, none of them only outside the training data.
fn check_classes(
    root: &Path,
    tree: &Tree,
    classes: &[String],
    folders: &[ClassFolder],
) -> Result<(), DataError> {
    let path = || root.to_owned();
    match (classes, tree.files.len()) {
        (_, 0) => {
            return Err(DataError::NoImages { path: path(), quarantine: tree.unreadable.clone() });
        }
        ([], files) => return Err(DataError::NoClassFolders { path: path(), files }),
        ([class], _) => {
            let is_deeper = tree.children(Path::new(class)).next().is_some();
            return Err(match folders {
                [ClassFolder { split: None, .. }] if is_deeper => {
                    DataError::OneFolderDeeper { path: path(), inner: class.clone() }
                }
                _ => DataError::OneClass { path: path(), class: class.clone() },
            });
        }
        _ => {}
    }
    let in_training: BTreeSet<usize> = folders
        .iter()
        .filter(|folder| folder.split == Some(Split::Train))
        .map(|folder| folder.class)
        .collect();
    if in_training.is_empty() {
        return Ok(());
    }
    match folders.iter().find(|folder| !in_training.contains(&folder.class)) {
        None => Ok(()),
        Some(folder) => Err(DataError::UnknownClass {
            folder: display(&folder.path),
            classes: in_training.iter().filter_map(|&class| classes.get(class).cloned()).collect(),
        }),
    }
}

/// Files in class folders; and of those outside, for each folder the first and how many others.
fn sort_files<'a>(tree: &'a Tree, folders: &[ClassFolder]) -> (Vec<ListedFile>, Vec<(&'a Path, usize)>) {
    let by_path: BTreeMap<&Path, &ClassFolder> =
        folders.iter().map(|folder| (folder.path.as_path(), folder)).collect();
    let mut files = Vec::new();
    let mut loose: BTreeMap<&Path, (&Path, usize)> = BTreeMap::new();
    for path in &tree.files {
        match path.ancestors().find_map(|ancestor| by_path.get(ancestor)) {
            Some(folder) => {
                let (class, split) = (folder.class, folder.split);
                files.push(ListedFile { path: path.clone(), classes: vec![class], split, group: None });
            }
            None => {
                let parent = path.parent().unwrap_or(Path::new(""));
                loose.entry(parent).and_modify(|(_, others)| *others += 1).or_insert((path, 0));
            }
        }
    }
    (files, loose.into_values().collect())
}

fn name_of(path: &Path) -> Result<&str, DataError> {
    path.file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| DataError::NameNotText { path: path.to_owned() })
}

/// Whether a file is called as files that can be decoded are.
pub(crate) fn looks_like_image(path: &Path) -> bool {
    const ENDINGS: [&str; 8] = ["jpg", "jpeg", "png", "gif", "bmp", "webp", "tif", "tiff"];
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}
