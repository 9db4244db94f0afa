//! A folder: tables called `train`, `val` and `test`, or a folder of `.txt` files for each class, with or without such parts around.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tk_transfer::data::Split;
use tk_transfer::data::table::{MAX_ROW_BYTES, Selector, decode, is_table};
use walkdir::{DirEntry, WalkDir};

use crate::data::columns::Columns;
use crate::data::error::{DataError, list};
use crate::data::tables::{Found, FoundSample, read_table, read_tables};

/// The samples in a folder.
pub(super) fn read_folder(root: &Path, columns: &Columns) -> Result<Found, DataError> {
    let mut found = Found::default();
    let files = list_files(root, &mut found)?;
    let tables: Vec<&PathBuf> =
        files.iter().filter(|path| path.components().count() == 1 && is_table(path)).collect();
    let mut sides: BTreeMap<Split, PathBuf> = BTreeMap::new();
    for path in &tables {
        if let Some(side) = path.file_stem().and_then(|stem| stem.to_str()).and_then(Split::from_name)
            && let Some(other) = sides.insert(side, root.join(path))
        {
            let first = other.strip_prefix(root).map_or_else(|_| display(&other), display);
            return Err(DataError::TwoForOneSplit { first, second: display(path) });
        }
    }
    let texts: Vec<&PathBuf> = files.iter().filter(|path| has_ending(path, "txt")).collect();
    let read = match (sides.values().next(), tables.as_slice()) {
        (Some(_), _) if sides.contains_key(&Split::Train) => read_tables(&sides, columns)?,
        (Some(other), _) => {
            let found = other.strip_prefix(root).map_or_else(|_| display(other), display);
            return Err(DataError::NoTrain { path: root.to_owned(), found });
        }
        (None, [only]) => read_table(&root.join(only), columns)?,
        (None, []) if texts.is_empty() => return Err(DataError::NoTexts { path: root.to_owned() }),
        (None, []) => read_texts(root, &texts, columns)?,
        (None, several) => {
            let names: Vec<String> = several.iter().map(|path| display(path)).collect();
            let tables = list(names.iter().map(String::as_str));
            return Err(DataError::WhichTable { path: root.to_owned(), tables });
        }
    };
    found.quarantine.merge(read.quarantine);
    found.ignored.merge(read.ignored);
    Ok(Found { quarantine: found.quarantine, ignored: found.ignored, ..read })
}

/// Files below a folder in a fixed order, relative to it. Hidden ones are passed over.
fn list_files(root: &Path, found: &mut Found) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |path: &Path, reason: String| DataError::Unreadable { path: path.to_owned(), reason };
    std::fs::read_dir(root).map_err(|error| unreadable(root, error.to_string()))?;
    let is_shown =
        |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.');
    let walk = WalkDir::new(root).min_depth(1).follow_links(true).sort_by_file_name();
    let mut files = Vec::new();
    for entry in walk.into_iter().filter_entry(is_shown) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                if let Ok(relative) = entry.path().strip_prefix(root) {
                    files.push(relative.to_owned());
                }
            }
            Ok(_) => {}
            Err(error) => {
                let path = error.path().unwrap_or(root);
                let path = display(path.strip_prefix(root).unwrap_or(path));
                found.quarantine.add(path, format!("cannot be read: {error}"));
            }
        }
    }
    Ok(files)
}

/// Text files with the class of their folder, or what a selector makes of their path.
fn read_texts(root: &Path, files: &[&PathBuf], columns: &Columns) -> Result<Found, DataError> {
    for selector in [&columns.label, &columns.group].into_iter().flatten() {
        if let Some(column) = selector.column_name() {
            return Err(DataError::NoColumns { path: root.to_owned(), selector: column.to_owned() });
        }
    }
    let sides = side_folders(files, columns.label.is_some())?;
    let mut found = Found::default();
    if !sides.is_empty() {
        found.divided_by = Some("folder".to_owned());
        if !sides.values().any(|&side| side == Split::Train) {
            let found = sides.into_keys().collect::<Vec<_>>().join(", ");
            return Err(DataError::NoTrain { path: root.to_owned(), found });
        }
    }
    for path in files {
        let name = display(path);
        let mut folders: Vec<&str> = name.split('/').collect();
        folders.pop();
        let side = match folders.first() {
            Some(first) if !sides.is_empty() => match sides.get(*first) {
                Some(&side) => {
                    folders.remove(0);
                    Some(side)
                }
                None => {
                    found.ignored.add(name, "outside the folders train, val and test");
                    continue;
                }
            },
            _ => None,
        };
        let label = match (&columns.label, folders.first()) {
            (Some(label), _) => select(label, &name).map_err(|reason| format!("no label: {reason}")),
            (None, Some(class)) => Ok((*class).to_owned()),
            (None, None) => {
                found.ignored.add(name, "outside the class folders");
                continue;
            }
        };
        let group = columns.group.as_ref().map(|group| select(group, &name)).transpose();
        let sample = label.and_then(|label| {
            let group = group.map_err(|reason| format!("no group: {reason}"))?;
            let text = read_text(&root.join(path))?;
            Ok(FoundSample { name: name.clone(), text, second: None, label, side, group })
        });
        match sample {
            Ok(sample) => found.samples.push(sample),
            Err(reason) => found.quarantine.add(name, reason),
        }
    }
    Ok(found)
}

/// The first-level folders that are parts of the data: those called so, when one of them holds class folders (or when labels do not
/// come from folders).
fn side_folders(files: &[&PathBuf], is_label_selected: bool) -> Result<BTreeMap<String, Split>, DataError> {
    let named: BTreeSet<(String, Split)> = files
        .iter()
        .filter(|path| path.components().count() > 1)
        .filter_map(|path| path.components().next()?.as_os_str().to_str().map(str::to_owned))
        .filter_map(|name| Split::from_name(&name).map(|side| (name, side)))
        .collect();
    let is_deep = |path: &&PathBuf| {
        path.components().count() > 2
            && path
                .components()
                .next()
                .is_some_and(|first| named.iter().any(|(name, _)| first.as_os_str() == name.as_str()))
    };
    if !is_label_selected && !files.iter().any(is_deep) {
        return Ok(BTreeMap::new());
    }
    let mut seen: BTreeMap<Split, &str> = BTreeMap::new();
    for (name, side) in &named {
        if let Some(first) = seen.insert(*side, name) {
            return Err(DataError::TwoForOneSplit { first: first.to_owned(), second: name.clone() });
        }
    }
    Ok(named.into_iter().collect())
}

fn select(selector: &Selector, path: &str) -> Result<String, String> {
    selector.of_path(path).unwrap_or(Err("there are no columns".to_owned())).map(str::to_owned)
}

/// A file's text without the line ends behind it.
fn read_text(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if length > MAX_ROW_BYTES as u64 {
        return Err(format!("{length} bytes; a text has at most {MAX_ROW_BYTES}"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = String::from_utf8(decode(&bytes).into_owned());
    let text = text.map_err(|error| format!("not UTF-8 (at byte {})", error.utf8_error().valid_up_to()))?;
    if text.trim().is_empty() {
        return Err("the text is empty".to_owned());
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

/// A relative path as text with `/` between its parts.
fn display(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
