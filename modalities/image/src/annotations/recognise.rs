//! Which program's annotations lie at a path.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::coco::PartFile;
use super::listing::Listing;
use super::places::{is_mask, is_picture};
use super::{AnnotationError, coco, pascal, voc, yolo};
use crate::data::{Tree, display};

/// So many files of a kind are looked into before it is given up.
const MOST_LOOKED_INTO: usize = 50;

/// So many bytes at a file's beginning tell what it is.
const BEGINNING_BYTES: u64 = 4096;

/// How pictures are annotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnnotationFormat {
    /// COCO: one JSON file for many pictures.
    Coco,
    /// Pascal VOC: an XML file for each picture.
    Voc,
    /// YOLO: a text file of shares for each picture, and mostly `data.yaml`.
    Yolo,
    /// PASCAL Annotation Version 1.00: a text file of sentences for each picture.
    Pascal,
}

impl fmt::Display for AnnotationFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Coco => "COCO",
            Self::Voc => "Pascal VOC",
            Self::Yolo => "YOLO",
            Self::Pascal => "PASCAL 1.00",
        })
    }
}

/// The format of the annotations at a path, and what they list. Where a folder holds several formats, the first of COCO, YOLO's
/// `data.yaml`, Pascal VOC, PASCAL 1.00 and YOLO's labels is meant, and a note names the others.
///
/// # Errors
/// Nothing is there, no annotations are, or those that are cannot be read.
pub(super) fn list(root: &Path) -> Result<(AnnotationFormat, Listing), AnnotationError> {
    if root.is_file() {
        let ending = root.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        return match ending.as_deref() {
            Some("json") => Ok((AnnotationFormat::Coco, coco::list_file(root)?)),
            Some("yaml" | "yml") => Ok((AnnotationFormat::Yolo, yolo::list_described(root)?)),
            _ => Err(AnnotationError::NotAnnotations { path: root.to_owned() }),
        };
    }
    let tree = Tree::walk(root)?;
    let mut kinds = kinds_in(root, &tree)?.into_iter();
    let Some(kind) = kinds.next() else {
        let pictures = tree.files.iter().filter(|path| is_picture(path) && !is_mask(path)).count();
        return Err(AnnotationError::NothingFound { path: root.to_owned(), pictures });
    };
    let mut listing = match &kind {
        Kind::Coco { files, .. } => coco::list(root, files)?,
        Kind::Described(description) => yolo::list_described(&root.join(description))?,
        Kind::Voc(_) => voc::list(root, &tree),
        Kind::Pascal(_) => pascal::list(root, &tree),
        Kind::Labels => yolo::list_folder(root, &tree)?,
    };
    if let Kind::Coco { note, .. } = &kind {
        listing.notes.extend(note.clone());
    }
    for other in kinds.filter(|other| other.format() != kind.format()) {
        listing.notes.push(format!(
            "the folder also holds {} annotations{}: left out",
            other.format(),
            other.first().map_or_else(String::new, |file| format!(" (`{}`)", display(file)))
        ));
    }
    Ok((kind.format(), listing))
}

/// Annotations that a folder holds.
enum Kind {
    Coco { files: Vec<PartFile>, note: Option<String> },
    Described(PathBuf),
    Voc(PathBuf),
    Pascal(PathBuf),
    Labels,
}

impl Kind {
    fn format(&self) -> AnnotationFormat {
        match self {
            Self::Coco { .. } => AnnotationFormat::Coco,
            Self::Described(_) | Self::Labels => AnnotationFormat::Yolo,
            Self::Voc(_) => AnnotationFormat::Voc,
            Self::Pascal(_) => AnnotationFormat::Pascal,
        }
    }

    /// One of its files, relative to the folder.
    fn first(&self) -> Option<&Path> {
        match self {
            Self::Coco { files, .. } => files.first().map(|file| file.path.as_path()),
            Self::Described(file) | Self::Voc(file) | Self::Pascal(file) => Some(file),
            Self::Labels => None,
        }
    }
}

/// What a folder holds, the most telling first.
fn kinds_in(root: &Path, tree: &Tree) -> Result<Vec<Kind>, AnnotationError> {
    let mut kinds = Vec::new();
    let (files, note) = coco::files_in(root, tree)?;
    if !files.is_empty() {
        kinds.push(Kind::Coco { files, note });
    }
    let descriptions = yolo::descriptions_in(root, tree);
    match descriptions.as_slice() {
        [] => {}
        [only] => kinds.push(Kind::Described(only.clone())),
        several if kinds.is_empty() => {
            let files = several.iter().map(|path| display(path)).collect();
            return Err(AnnotationError::WhichFile { path: root.to_owned(), files });
        }
        [first, ..] => kinds.push(Kind::Described(first.clone())),
    }
    kinds.extend(first_such(root, tree, "xml", voc::is_voc).map(Kind::Voc));
    kinds.extend(first_such(root, tree, "txt", pascal::is_pascal).map(Kind::Pascal));
    if descriptions.is_empty() && yolo::has_labels(root, tree) {
        kinds.push(Kind::Labels);
    }
    Ok(kinds)
}

/// The first file with an ending that begins as it should.
fn first_such(root: &Path, tree: &Tree, ending: &str, is_so: impl Fn(&[u8]) -> bool) -> Option<PathBuf> {
    let has_ending =
        |path: &&PathBuf| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
    let files = tree.files.iter().filter(has_ending).take(MOST_LOOKED_INTO);
    files.into_iter().find(|path| is_so(&beginning(&root.join(path)))).cloned()
}

/// The first bytes of a file; none when it cannot be read.
fn beginning(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(BEGINNING_BYTES).read_to_end(&mut bytes));
    if read.is_ok() { bytes } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_lies_in_a_folder_is_told_by_names_and_content() {
        let coco = r#"{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}"#;
        let pascal = "# Compatible with PASCAL Annotation Version 1.00\n";
        let (yaml, voc, labels) = ("names: [a]\ntrain: images", "<annotation/>", "0 .5 .5 1 1\n");
        for (files, expected) in [
            (
                &[("a.json", coco), ("a.jpg", ""), ("a.xml", voc)][..],
                &["COCO a.json", "Pascal VOC a.xml"][..],
            ),
            (&[("data.yaml", yaml), ("images/a.jpg", ""), ("labels/a.txt", labels)], &["YOLO data.yaml"]),
            (&[("fox.yaml", yaml), ("ci.yaml", "jobs: []")], &["YOLO fox.yaml"]),
            (&[("ci.yaml", "jobs: []")], &[]),
            (&[("images/a.jpg", ""), ("labels/a.txt", labels)], &["YOLO"]),
            (&[("train/images/a.jpg", ""), ("train/labels/a.txt", labels)], &["YOLO"]),
            (&[("obj/a.jpg", ""), ("obj/a.txt", labels)], &["YOLO"]),
            // A description of a picture is no label.
            (&[("a.jpg", ""), ("a.txt", "a fox in the snow")], &[]),
            (&[("annotations/a.xml", voc), ("pom.xml", "<project/>")], &["Pascal VOC annotations/a.xml"]),
            (&[("pom.xml", "<project/>"), ("a.jpg", "")], &[]),
            (&[("annotations/a.txt", pascal), ("a.txt", "note")], &["PASCAL 1.00 annotations/a.txt"]),
        ] {
            let root = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            let tree = Tree::walk(root.path()).unwrap();
            let kinds = kinds_in(root.path(), &tree).unwrap();
            let name = |kind: &Kind| match kind.first() {
                Some(file) => format!("{} {}", kind.format(), display(file)),
                None => kind.format().to_string(),
            };
            assert_eq!(kinds.iter().map(name).collect::<Vec<_>>(), expected, "{files:?}");
        }
    }
}
