//! COCO's files as drawings of pictures: categories are classes in the order of their ids, behind the background.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::coding::{Coding, Rule};
use super::drawing::{Drawing, Drawn};
use super::error::{SegmentError, numbered};
use super::look::{Candidate, MaskSource};
use super::recognise::Found;
use super::{IGNORED, Layout, Looking, MaskKind};
use crate::annotations::CocoAnnotation;
use crate::annotations::coco::{AnnotatedFiles, AnnotatedPicture, PartFile};
use crate::annotations::listing::relate;
use crate::annotations::notes::Counted;
use crate::data::{Split, display};

/// What class 0 is called; a category of that name is none besides.
const BACKGROUND: &str = "background";

/// The pictures that files of a folder annotate.
///
/// # Errors
/// The files cannot be read or contradict each other, there are too many categories, or something was said that only masks have.
pub(super) fn list(folder: &Path, files: &[PartFile], looking: &Looking<'_>) -> Result<Found, SegmentError> {
    check_looking(looking)?;
    let AnnotatedFiles { categories, mut pictures, mut quarantine, mut notes } =
        AnnotatedFiles::read(folder, files)?;
    let home = folder;
    let folder = relate(home, pictures.iter_mut().map(|picture| &mut picture.path).collect());
    let mut classes = vec![BACKGROUND.to_owned()];
    let mut of_category: BTreeMap<i64, usize> = BTreeMap::new();
    for (id, name) in categories {
        if name.eq_ignore_ascii_case(BACKGROUND) {
            of_category.insert(id, 0);
        } else {
            of_category.insert(id, classes.len());
            classes.push(name);
        }
    }
    if classes.len() > usize::from(IGNORED) {
        let (path, found) = (home.to_owned(), classes.len());
        return Err(SegmentError::TooManyCategories { path, found });
    }
    let mut drawings: Vec<(PathBuf, Option<Split>, Drawing)> = Vec::with_capacity(pictures.len());
    for AnnotatedPicture { path, image, annotations, source, split } in pictures {
        let stated = image.stated();
        match annotations.into_iter().map(|annotation| drawn(annotation, &of_category)).collect() {
            Ok(objects) => drawings.push((path, split, Drawing { source, stated, objects })),
            Err(reason) => quarantine.add(display(&path), format!("annotated in `{source}`: {reason}")),
        }
    }
    // Train comes first, and what says no part last.
    drawings.sort_by_key(|(_, split, _)| (split.is_none(), *split));
    let mut kept: BTreeMap<PathBuf, (Option<Split>, Drawing)> = BTreeMap::new();
    let mut again = Counted::default();
    for (path, split, drawing) in drawings {
        match kept.get(&path) {
            None => {
                kept.insert(path, (split, drawing));
            }
            Some((_, first)) if first.stated == drawing.stated && first.objects == drawing.objects => {
                again.add(1, &display(&path));
            }
            Some((_, first)) => {
                let (first, second) = (&first.source, &drawing.source);
                let reason = match first == second {
                    true => format!("annotated twice and differently in `{first}`"),
                    false => format!("annotated differently in `{first}` and `{second}`"),
                };
                quarantine.add(display(&path), reason);
            }
        }
    }
    notes.extend(again.note(
        "picture is listed twice, and counts once, in its first part",
        "pictures are listed again, and count once, in their first part",
    ));
    kept.retain(|path, _| !quarantine.contains(&display(path)));
    let candidate = |(photograph, (split, drawing))| Candidate {
        photograph,
        mask: MaskSource::Drawn(Arc::new(drawing)),
        split,
    };
    let candidates = kept.into_iter().map(candidate).collect();
    let numbers = (0..).take(classes.len()).zip(0..).chain([(u16::from(IGNORED), IGNORED)]).collect();
    let known = format!("the classes are {}", numbered(&classes));
    let coding = Some(Coding { rule: Rule::Numbers(numbers), classes, known });
    let (layout, divided_by) = (Some(Layout::Coco), Some("file"));
    Ok(Found { folder, layout, candidates, names: None, coding, quarantine, notes, divided_by })
}

fn drawn(annotation: CocoAnnotation, classes: &BTreeMap<i64, usize>) -> Result<Drawn, String> {
    let (name, category) = (annotation.name(), annotation.category_id);
    let class = classes.get(&category).and_then(|&class| u8::try_from(class).ok());
    let class = class.ok_or_else(|| format!("{name} is of category {category}, which is not there"))?;
    let shape = annotation.segmentation.ok_or_else(|| format!("{name} has neither outlines nor runs"))?;
    Ok(Drawn { name, class, is_crowd: annotation.is_crowd, shape })
}

/// What is said of masks, and does not go with outlines.
fn check_looking(looking: &Looking<'_>) -> Result<(), SegmentError> {
    let wrong = |option: String, reason| Err(SegmentError::Option { option, reason });
    match (looking.classes, looking.masks, looking.ignore) {
        (Some(classes), _, _) => {
            wrong(format!("--classes {}", classes.display()), "the categories of COCO's file are the classes")
        }
        (None, MaskKind::Auto, None) => Ok(()),
        (None, MaskKind::Auto, Some(ignore)) => {
            wrong(format!("--ignore {ignore}"), "COCO's file has no values; what is ignored are its crowds")
        }
        (None, masks, _) => wrong(format!("--masks {masks}"), "COCO's file has outlines, and no masks"),
    }
}
