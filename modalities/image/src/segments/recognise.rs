//! Which layout a path has: told from what is there.

use std::path::{Path, PathBuf};

use super::coding::Coding;
use super::error::SegmentError;
use super::look::{Candidate, MaskSource};
use super::names::ClassNames;
use super::pairs::{self, Pair, Pairs};
use super::{Layout, Looking, coco, voc};
use crate::annotations::coco::{PartFile, files_in as coco_files_in};
use crate::annotations::parts::settle_parts;
use crate::data::{Quarantine, Tree, display, looks_like_image};

/// What a path holds, before files are looked at.
#[derive(Debug)]
pub(super) struct Found {
    /// What paths are relative to.
    pub folder: PathBuf,
    /// The layout, where the values of masks do not say it.
    pub layout: Option<Layout>,
    /// By path.
    pub candidates: Vec<Candidate>,
    /// The file of classes.
    pub names: Option<ClassNames>,
    /// What values stand for, where that is known.
    pub coding: Option<Coding>,
    pub quarantine: Quarantine,
    pub notes: Vec<String>,
    /// What says which part of the data a photograph is of.
    pub divided_by: Option<&'static str>,
}

/// The photographs with masks at a path.
///
/// # Errors
/// There are none, or what is known does not go with them.
pub(super) fn recognise(root: &Path, looking: &Looking<'_>) -> Result<Found, SegmentError> {
    if root.is_file() {
        if !root.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
            return Err(SegmentError::NotAFolder { path: root.to_owned() });
        }
        let (folder, file) = PartFile::of(root);
        return settled(root, coco::list(&folder, &[file], looking)?);
    }
    let tree = Tree::walk(root)?;
    if let Some(pairs) = voc::list(root, &tree) {
        return settled(root, of_pairs(root, pairs, Some(Layout::PascalVoc), looking)?);
    }
    let pairs = pairs::list(&tree);
    if pairs.as_ref().is_none_or(|pairs| pairs.pairs.is_empty()) {
        let (files, note) = coco_files_in(root, &tree)?;
        if !files.is_empty() {
            let mut found = coco::list(root, &files, looking)?;
            found.notes.extend(note);
            return settled(root, found);
        }
    }
    match pairs {
        Some(pairs) => settled(root, of_pairs(root, pairs, None, looking)?),
        None => {
            let pictures = tree.files.iter().filter(|path| looks_like_image(path)).count();
            Err(SegmentError::NoMasks { path: root.to_owned(), pictures })
        }
    }
}

/// Parts divide the data, or there are none.
fn settled(root: &Path, mut found: Found) -> Result<Found, SegmentError> {
    let name = |candidate: &Candidate| display(&candidate.photograph);
    let (is_divided, outside) =
        settle_parts(root, &mut found.candidates, |candidate| &mut candidate.split, name)?;
    if !is_divided {
        found.divided_by = None;
    }
    found.notes.extend(outside.note(
        "photograph is in none of the parts train, val and test, and left out",
        "photographs are in none of the parts train, val and test, and left out",
    ));
    Ok(found)
}

fn of_pairs(
    root: &Path,
    pairs: Pairs,
    layout: Option<Layout>,
    looking: &Looking<'_>,
) -> Result<Found, SegmentError> {
    let Pairs { pairs, quarantine, notes, divided_by, names_in } = pairs;
    let names = ClassNames::find(looking.classes, root, &names_in)?;
    let candidate =
        |Pair { photograph, mask, split }| Candidate { photograph, mask: MaskSource::File(mask), split };
    let mut candidates: Vec<Candidate> = pairs.into_iter().map(candidate).collect();
    candidates.sort_by(|a, b| a.photograph.cmp(&b.photograph));
    let folder = root.to_owned();
    Ok(Found { folder, layout, candidates, names, coding: None, quarantine, notes, divided_by })
}
