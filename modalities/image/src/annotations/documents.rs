//! A file of annotations for each picture, as Pascal VOC and PASCAL 1.00 have it: the pictures are found, and labels become classes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::image_sets::ImageSets;
use super::listing::{Annotated, Listing, Marked, Place};
use super::notes::Counted;
use super::parts::part_in_folders;
use super::places::Places;
use crate::data::{Tree, display};

/// What one file says of its picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Document {
    /// The picture, as it is named: likely with folders of another machine.
    pub named: Option<String>,
    /// Width and height, where they are stated.
    pub stated: Option<[u32; 2]>,
    pub objects: Vec<Object>,
}

/// An object of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    pub label: String,
    /// Left, top, width and height in pixels.
    pub bounds: [f64; 4],
    pub is_crowd: bool,
}

/// A document; nothing where the file is of another kind; or why it is of no use.
pub(super) type Read = Result<Option<Document>, String>;

/// Reads each file of a tree that ends so, and lists the pictures that the documents among them annotate.
pub(super) fn list(root: &Path, tree: &Tree, ending: &str, read: impl Fn(&[u8]) -> Read) -> Listing {
    let places = Places::new(tree);
    let sets = ImageSets::read(root, tree);
    let mut listing = Listing { quarantine: tree.unreadable.clone(), ..Listing::default() };
    let mut found: Vec<(PathBuf, PathBuf, Document)> = Vec::new();
    let mut foreign = Counted::default();
    let has_ending =
        |path: &&PathBuf| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
    for path in tree.files.iter().filter(has_ending) {
        let bytes = std::fs::read(root.join(path)).map_err(|error| format!("cannot be read: {error}"));
        let document = match bytes.and_then(|bytes| read(&bytes)) {
            Ok(Some(document)) => Ok(document),
            Ok(None) => {
                // Lists of names and notes lie about as text; other XML is worth a word.
                foreign.add(usize::from(ending == "xml"), &display(path));
                continue;
            }
            Err(reason) => Err(format!("`{}`: {reason}", display(path))),
        };
        let named = document.as_ref().ok().and_then(|document| document.named.as_deref());
        match (places.find(path, named), document) {
            (Ok(picture), Ok(document)) => found.push((path.clone(), picture.to_owned(), document)),
            (Ok(picture), Err(reason)) => listing.aside.push((root.join(picture), reason)),
            (Err(reason), Ok(_)) | (Err(_), Err(reason)) => listing.quarantine.add(display(path), reason),
        }
    }
    let labels = found.iter().flat_map(|(_, _, document)| &document.objects).map(|object| &object.label);
    listing.classes = labels.collect::<BTreeSet<_>>().into_iter().cloned().collect();
    let places: BTreeMap<&str, usize> =
        listing.classes.iter().enumerate().map(|(class, name)| (name.as_str(), class)).collect();
    let mut unlisted = Counted::default();
    for (path, picture, document) in &found {
        // Every label is one of the classes, which were made of them.
        let marked = |object: &Object| {
            let (place, is_crowd) = (Place::Pixels(object.bounds), object.is_crowd);
            Some(Marked { class: *places.get(object.label.as_str())?, place, area: None, is_crowd })
        };
        let annotated = |split| Annotated {
            path: root.join(picture),
            source: display(path),
            stated: document.stated,
            boxes: document.objects.iter().filter_map(marked).collect(),
            split,
        };
        match sets.parts_of(path) {
            None => {
                let part = part_in_folders(path).or_else(|| part_in_folders(picture));
                listing.pictures.push(annotated(part.map(|(_, split)| split)));
            }
            Some([]) => unlisted.add(1, &display(path)),
            Some(parts) => listing.pictures.extend(parts.iter().map(|&split| annotated(Some(split)))),
        }
    }
    listing.divided_by = Some(if sets.is_empty() { "folder" } else { "ImageSets" });
    listing.quarantine.merge(sets.absent());
    listing.notes.extend(sets.notes());
    listing.notes.extend(unlisted.note(
        "annotated picture is in no list of ImageSets, and left out",
        "annotated pictures are in no list of ImageSets, and left out",
    ));
    listing.notes.extend(
        foreign
            .note("XML file holds no annotation of a picture", "XML files hold no annotation of a picture"),
    );
    listing
}

/// A width and height, unless one of them is 0, as some programs write what they do not know.
pub(super) fn stated_size(width: f64, height: f64) -> Option<[u32; 2]> {
    let is_size = |side: f64| side >= 1.0 && side <= f64::from(u32::MAX);
    (is_size(width) && is_size(height)).then_some([width as u32, height as u32])
}
