//! Parts of the data: told from the names of files and folders, and whole or not at all.

use std::collections::BTreeSet;
use std::path::Path;

use tk_transfer::data::Split;

use super::AnnotationError;
use super::listing::{Annotated, Listing};
use super::notes::Counted;
use crate::data::display;

/// The names under which folders hold each part of the data.
pub(crate) fn names_of(part: Split) -> &'static [&'static str] {
    match part {
        Split::Train => &["train", "training"],
        Split::Validation => &["val", "valid", "validation", "dev"],
        Split::Test => &["test"],
    }
}

/// The part that a word stands for, such as `val2017`; `trainval` is train.
pub(crate) fn part_of(word: &str) -> Option<Split> {
    let word = word.trim_end_matches(|character: char| character.is_ascii_digit());
    if word.eq_ignore_ascii_case("trainval") { Some(Split::Train) } else { Split::from_name(word) }
}

/// The first folder of a path that is called as a part is, and the part.
pub(crate) fn part_in_folders(path: &Path) -> Option<(&str, Split)> {
    let folders = path.parent()?.components().filter_map(|part| part.as_os_str().to_str());
    folders.filter_map(|word| Some((word, part_of(word)?))).next()
}

/// The part that a file's name or a folder above it stands for, and the word that says so: `instances_val2017.json`, `valid/x.json`.
pub(crate) fn part_of_file(path: &Path) -> Option<(String, Split)> {
    let stem = path.file_stem()?.to_str()?;
    let words = stem.split(|character: char| !character.is_alphanumeric());
    let in_name = words.filter_map(|word| Some((word.to_owned(), part_of(word)?))).next_back();
    in_name.or_else(|| part_in_folders(path).map(|(word, part)| (word.to_owned(), part)))
}

/// Parts divide the data when there are several. Then samples outside of them are left out, and counted. Says whether they divide.
///
/// # Errors
/// There are several parts, but none is train.
pub(crate) fn settle_parts<T>(
    root: &Path,
    samples: &mut Vec<T>,
    part: impl Fn(&mut T) -> &mut Option<Split>,
    name: impl Fn(&T) -> String,
) -> Result<(bool, Counted), AnnotationError> {
    let found: BTreeSet<Option<Split>> = samples.iter_mut().map(|sample| *part(sample)).collect();
    let mut outside = Counted::default();
    if found.len() < 2 {
        samples.iter_mut().for_each(|sample| *part(sample) = None);
        return Ok((false, outside));
    }
    if !found.contains(&Some(Split::Train)) {
        let found: Vec<&str> = found.into_iter().flatten().map(Split::name).collect();
        return Err(AnnotationError::NoTrain { path: root.to_owned(), found: found.join(" and ") });
    }
    samples.retain_mut(|sample| {
        let is_inside = part(sample).is_some();
        if !is_inside {
            outside.add(1, &name(sample));
        }
        is_inside
    });
    Ok((true, outside))
}

impl Listing {
    /// Parts divide the data when there are several. Then pictures outside of them are left out, with a note.
    ///
    /// # Errors
    /// There are several parts, but none is train.
    pub fn settle_parts(&mut self, root: &Path) -> Result<(), AnnotationError> {
        let name = |picture: &Annotated| display(&picture.path);
        let (is_divided, outside) =
            settle_parts(root, &mut self.pictures, |picture| &mut picture.split, name)?;
        if !is_divided {
            self.divided_by = None;
        }
        self.notes.extend(outside.note(
            "picture is in none of the parts train, val and test, and left out",
            "pictures are in none of the parts train, val and test, and left out",
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_tell_parts() {
        for (path, expected) in [
            ("annotations/instances_train2017.json", Some(("train2017", Split::Train))),
            ("annotations/instances_val.json", Some(("val", Split::Validation))),
            ("valid/_annotations.coco.json", Some(("valid", Split::Validation))),
            ("train/test.json", Some(("test", Split::Test))),
            ("trainval.json", Some(("trainval", Split::Train))),
            ("a/annotations.json", None),
            ("testing/trained.json", None),
        ] {
            let found = part_of_file(Path::new(path));
            assert_eq!(found.as_ref().map(|(word, part)| (word.as_str(), *part)), expected, "{path}");
        }
        assert_eq!(part_in_folders(Path::new("images/val/train/a.jpg")), Some(("val", Split::Validation)));
        assert_eq!(part_in_folders(Path::new("train.jpg")), None);
        for part in [Split::Train, Split::Validation, Split::Test] {
            assert!(names_of(part).iter().all(|name| part_of(name) == Some(part)), "{part:?}");
        }
    }

    #[test]
    fn several_parts_divide_and_need_train() {
        let settle = |parts: &[Option<Split>]| {
            let picture = |(at, &split): (usize, &Option<Split>)| {
                let (path, source) = (at.to_string().into(), String::new());
                Annotated { path, source, stated: None, boxes: Vec::new(), split }
            };
            let pictures = parts.iter().enumerate().map(picture).collect();
            let mut listing = Listing { pictures, divided_by: Some("folder"), ..Listing::default() };
            listing.settle_parts(Path::new("d")).map(|()| {
                let parts = listing.pictures.iter().map(|picture| picture.split).collect();
                (parts, listing.divided_by, listing.notes)
            })
        };
        type Settled = (Vec<Option<Split>>, Option<&'static str>, Vec<String>);
        let (train, validation, test) = (Some(Split::Train), Some(Split::Validation), Some(Split::Test));
        let whole: Settled = (vec![None, None], None, vec![]);
        assert_eq!(settle(&[test, test]).unwrap(), whole);
        assert_eq!(settle(&[None, None]).unwrap(), whole);
        assert_eq!(settle(&[train, validation]).unwrap(), (vec![train, validation], Some("folder"), vec![]));
        let note = "1 picture is in none of the parts train, val and test, and left out (`1`)";
        assert_eq!(settle(&[train, None]).unwrap(), (vec![train], Some("folder"), vec![note.to_owned()]));
        let error = settle(&[validation, test]).unwrap_err().to_string();
        assert_eq!(error, "`d` holds val and test but nothing called train; add it, or name one part");
    }
}
