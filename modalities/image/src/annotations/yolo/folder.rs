//! The pictures of YOLO's folders, and the file of labels of each: `labels` for `images` in its path, and `.txt` for its ending.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use tk_transfer::data::Split;

use super::description::Description;
use super::labels::{self, Shape};
use crate::annotations::AnnotationError;
use crate::annotations::listing::{Annotated, Listing, Marked};
use crate::annotations::parts::part_in_folders;
use crate::annotations::places::is_picture;
use crate::data::Tree;

/// The folders whose counterpart is `labels`.
const PICTURE_FOLDERS: [&str; 2] = ["images", "JPEGImages"];

/// Files that list the classes' names, one in a line.
const NAME_FILES: [&str; 4] = ["classes.txt", "obj.names", "classes.names", "data.names"];

/// Whether a tree without description has labels: a file where a picture's labels would be, whose lines are labels.
pub(in crate::annotations) fn has_labels(root: &Path, tree: &Tree) -> bool {
    let files: BTreeSet<&Path> = tree.files.iter().map(PathBuf::as_path).collect();
    let pictures = tree.files.iter().filter(|path| is_picture(path));
    let labelled = pictures.flat_map(|path| label_places(path)).filter(|path| files.contains(path.as_path()));
    // An empty file may be anything's; the first with a line decides.
    let texts = labelled.filter_map(|path| std::fs::read_to_string(root.join(path)).ok());
    let first = texts.into_iter().find(|text| !text.trim().is_empty());
    first.is_some_and(|text| is_labels(&text))
}

/// The pictures that a description names, of which `path` is the file. One that names classes only is of the pictures around it.
///
/// # Errors
/// It is no description, a part that it names is not there, or not one picture has labels.
pub(in crate::annotations) fn list_described(path: &Path) -> Result<Listing, AnnotationError> {
    let description = Description::read(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    if description.parts.is_empty() {
        // A relative path of one name lies in the folder that has none here.
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        return list_around(here, &Tree::walk(here)?, description.names);
    }
    let mut listing = Listing { divided_by: Some("description"), ..Listing::default() };
    let mut pictures: Vec<(PathBuf, Option<Split>)> = Vec::new();
    for (split, key, entries) in &description.parts {
        for entry in entries {
            let places = description.places_of(entry, folder);
            match places.iter().find(|place| place.exists()) {
                Some(place) => {
                    let found = pictures_at(place, folder, &mut listing)?;
                    pictures.extend(found.into_iter().map(|picture| (picture, Some(*split))));
                }
                // Roboflow names a folder of test pictures whether it exports some or not.
                None if *split == Split::Test => {
                    listing.notes.push(format!("`{key}: {entry}` of the description is not there: left out"));
                }
                None => {
                    let looked: Vec<String> =
                        places.iter().map(|place| format!("`{}`", place.display())).collect();
                    let (path, entry, looked) = (path.to_owned(), entry.clone(), looked.join(", "));
                    return Err(AnnotationError::MissingPart { path, key, entry, looked });
                }
            }
        }
    }
    let shape = if description.has_places { Shape::BoxAndPlaces } else { Shape::BoxOrOutline };
    listing.classes = description.names;
    add(path, &mut listing, pictures, shape)?;
    Ok(listing)
}

/// The pictures of a tree without description: those in `images`, or those in folders that have labels beside them.
///
/// # Errors
/// Not one picture has labels.
pub(in crate::annotations) fn list_folder(root: &Path, tree: &Tree) -> Result<Listing, AnnotationError> {
    list_around(root, tree, names_in(root, tree))
}

fn list_around(root: &Path, tree: &Tree, names: Vec<String>) -> Result<Listing, AnnotationError> {
    let mut listing =
        Listing { divided_by: Some("folder"), quarantine: tree.unreadable.clone(), ..Listing::default() };
    let files: BTreeSet<&Path> = tree.files.iter().map(PathBuf::as_path).collect();
    let pictures: Vec<&Path> = files.iter().copied().filter(|path| is_picture(path)).collect();
    let has_file = |path: &Path| label_places(path).iter().any(|label| files.contains(label.as_path()));
    let in_images: Vec<&Path> = pictures.iter().copied().filter(|path| counterpart(path).is_some()).collect();
    let chosen: Vec<&Path> = match in_images.iter().any(|path| has_file(path)) {
        true => in_images,
        false => {
            let labelled: BTreeSet<&Path> =
                pictures.iter().filter(|path| has_file(path)).filter_map(|path| path.parent()).collect();
            pictures
                .into_iter()
                .filter(|path| path.parent().is_some_and(|folder| labelled.contains(folder)))
                .collect()
        }
    };
    let split = |path: &Path| part_in_folders(path).map(|(_, split)| split);
    let pictures = chosen.into_iter().map(|path| (root.join(path), split(path))).collect();
    listing.classes = names;
    add(root, &mut listing, pictures, Shape::BoxOrOutline)?;
    Ok(listing)
}

/// The pictures below a folder, or those that a list names.
fn pictures_at(place: &Path, folder: &Path, listing: &mut Listing) -> Result<Vec<PathBuf>, AnnotationError> {
    let place = tidy(place);
    if place.is_dir() {
        let tree = Tree::walk(&place)?;
        listing.quarantine.merge(tree.unreadable);
        let pictures = tree.files.into_iter().filter(|path| is_picture(path));
        return Ok(pictures.map(|path| place.join(path)).collect());
    }
    if is_picture(&place) {
        return Ok(vec![place]);
    }
    let text = std::fs::read(&place)
        .map_err(|source| AnnotationError::Unreadable { path: place.clone(), source })?;
    let beside = place.parent().unwrap_or(Path::new("")).to_owned();
    let mut pictures = Vec::new();
    for line in String::from_utf8_lossy(&text).lines().map(str::trim).filter(|line| !line.is_empty()) {
        let name: PathBuf = Path::new(&line.replace('\\', "/")).components().collect();
        let places = [beside.join(&name), folder.join(&name)];
        match places.iter().find(|path| path.is_file()) {
            Some(path) => pictures.push(tidy(path)),
            None => {
                let list = place.file_name().map(|name| name.to_string_lossy().into_owned());
                let reason = format!("listed in `{}` but not found", list.unwrap_or_default());
                listing.quarantine.add(line, reason);
            }
        }
    }
    Ok(pictures)
}

/// A path that leads down only, where it can be told without following links.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        let is_below = tidy.components().next_back().is_some_and(|last| matches!(last, Component::Normal(_)));
        match part {
            Component::ParentDir if is_below && !tidy.is_symlink() => {
                tidy.pop();
            }
            part => tidy.push(part),
        }
    }
    tidy
}

/// Adds pictures with their labels.
fn add(
    root: &Path,
    listing: &mut Listing,
    pictures: Vec<(PathBuf, Option<Split>)>,
    shape: Shape,
) -> Result<(), AnnotationError> {
    let first = pictures.first().map(|(path, _)| path.clone());
    let (total, mut labelled, mut highest) = (pictures.len(), 0, None);
    // The pictures that a folder of labels is for.
    let mut folders: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for (path, split) in pictures {
        let places = label_places(&path);
        for label in &places {
            if let (Some(folder), Some(pictures)) = (label.parent(), path.parent()) {
                folders.entry(folder.to_owned()).or_default().insert(pictures.to_owned());
            }
        }
        let (source, boxes) = match places.iter().find(|label| label.is_file()) {
            None => (String::new(), Ok(Vec::new())),
            Some(label) => {
                labelled += 1;
                (label.display().to_string(), read_labels(label, shape, &listing.classes))
            }
        };
        match boxes {
            Ok(boxes) => {
                highest = highest.max(boxes.iter().map(|marked| marked.class).max());
                listing.pictures.push(Annotated { path, source, stated: None, boxes, split });
            }
            Err(reason) => listing.aside.push((path, reason)),
        }
    }
    if let Some(picture) = first.filter(|_| labelled == 0) {
        let label = label_places(&picture).first().map(|label| label.display().to_string());
        return Err(AnnotationError::NoLabels {
            path: root.to_owned(),
            pictures: total,
            picture: picture.display().to_string(),
            label: label.unwrap_or_default(),
        });
    }
    if listing.classes.is_empty() {
        listing.classes =
            (0..highest.map_or(0, |highest| highest + 1)).map(|class| class.to_string()).collect();
        let files = "data.yaml or classes.txt";
        listing.notes.push(format!("classes are called by their numbers; {files} would name them"));
    }
    let aside = &mut listing.aside;
    folders.iter().for_each(|(labels, pictures)| aside.extend(lonely(labels, pictures)));
    Ok(())
}

fn read_labels(label: &Path, shape: Shape, classes: &[String]) -> Result<Vec<Marked>, String> {
    let name = label.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let bytes =
        std::fs::read(label).map_err(|error| format!("its labels `{name}` cannot be read: {error}"))?;
    let boxes = labels::read(&String::from_utf8_lossy(&bytes), shape);
    let boxes = boxes.map_err(|reason| format!("in its labels `{name}` {reason}"))?;
    match boxes.iter().find(|marked| marked.class >= classes.len()) {
        Some(marked) if !classes.is_empty() => Err(format!(
            "its labels `{name}` hold class {}, and the last of the {} classes is {}",
            marked.class,
            classes.len(),
            classes.len() - 1
        )),
        _ => Ok(boxes),
    }
}

/// Files of labels without a picture, and why they are of no use.
fn lonely(labels: &Path, pictures: &BTreeSet<PathBuf>) -> Vec<(PathBuf, String)> {
    let files = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<BTreeSet<PathBuf>>()
    };
    let stems: BTreeSet<PathBuf> = pictures
        .iter()
        .flat_map(|folder| files(folder))
        .filter(|path| is_picture(path))
        .filter_map(|path| path.file_stem().map(PathBuf::from))
        .collect();
    let is_lonely = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "txt")
            && path.file_stem().is_some_and(|stem| !stems.contains(Path::new(stem)))
            && std::fs::read_to_string(path).is_ok_and(|text| !text.trim().is_empty() && is_labels(&text))
    };
    let reason = || "labels of a picture that is not there".to_owned();
    files(labels).into_iter().filter(is_lonely).map(|path| (path, reason())).collect()
}

/// Whether the first line is one of labels.
fn is_labels(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    labels::read(first, Shape::BoxAndPlaces).is_ok_and(|boxes| !boxes.is_empty())
}

/// The places where a picture's labels may be: in the counterpart of its folder, else beside it.
fn label_places(picture: &Path) -> Vec<PathBuf> {
    [counterpart(picture), Some(picture.to_owned())]
        .into_iter()
        .flatten()
        .map(|path| path.with_extension("txt"))
        .collect()
}

/// The path with `labels` in place of the last `images`.
fn counterpart(picture: &Path) -> Option<PathBuf> {
    let parts: Vec<Component<'_>> = picture.components().collect();
    let (_, folders) = parts.split_last()?;
    let is_images = |part: &Component<'_>| PICTURE_FOLDERS.iter().any(|name| part.as_os_str() == *name);
    let place = folders.iter().rposition(is_images)?;
    let swapped = |(at, part): (usize, &Component<'_>)| match at == place {
        true => PathBuf::from("labels"),
        false => PathBuf::from(part.as_os_str()),
    };
    Some(parts.iter().enumerate().map(swapped).collect())
}

/// The classes' names, where a file lists them; the one nearest to the root.
fn names_in(root: &Path, tree: &Tree) -> Vec<String> {
    let is_called_so =
        |path: &&PathBuf| path.file_name().is_some_and(|name| NAME_FILES.iter().any(|file| name == *file));
    let found = tree.files.iter().filter(is_called_so).min_by_key(|path| path.components().count());
    let text = found.and_then(|path| std::fs::read(root.join(path)).ok()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let name = |(line, class): (&str, usize)| match line.trim() {
        "" => class.to_string(),
        name => name.to_owned(),
    };
    text.trim_end().lines().zip(0..).map(name).collect()
}
