//! Masks that number objects, which are all of one class: when masks are taken for such, and what they then stand for.

use std::collections::BTreeSet;

use super::coding::{Coding, Rule};
use super::error::SegmentError;
use super::names::{ClassNames, Keys};
use super::settle::{Known, Tally, USUALLY_IGNORED};

/// The most objects that one mask has, where all masks number objects: 1, 2 … without gaps, and not equally many in each. A file that
/// names more than one class besides background is against it.
pub(super) fn most_objects(tallies: &[&Tally], names: Option<&ClassNames>) -> Option<u16> {
    if names.is_some_and(|names| names.len() > 2 || names.keys != Keys::Places) {
        return None;
    }
    let mut counts: BTreeSet<u16> = BTreeSet::new();
    for tally in tallies {
        let mut numbers: BTreeSet<u16> = tally.keys().map(|value| value.number()).collect::<Option<_>>()?;
        numbers.remove(&0);
        if !numbers.contains(&(USUALLY_IGNORED - 1)) {
            numbers.remove(&USUALLY_IGNORED);
        }
        let last = numbers.last().copied().unwrap_or(0);
        if usize::from(last) != numbers.len() {
            return None;
        }
        counts.insert(last);
    }
    counts.remove(&0);
    counts.last().copied().filter(|_| counts.len() > 1)
}

/// Objects of one class; `most` when it was not said but found.
///
/// # Errors
/// The file of classes names more than background and one class.
pub(super) fn objects(
    all: &Tally,
    known: &Known<'_>,
    most: Option<u16>,
) -> Result<(Coding, Vec<String>), SegmentError> {
    let (background, object) = match known.names.map(|names| (names.names.as_slice(), names)) {
        None => ("background", "object"),
        Some(([only], _)) => ("background", only.as_str()),
        Some(([background, object], _)) => (background.as_str(), object.as_str()),
        Some((several, names)) => {
            return Err(SegmentError::ObjectsOfSeveralClasses {
                path: known.root.to_owned(),
                names: names.source.clone(),
                found: several.len(),
            });
        }
    };
    let numbers: BTreeSet<u16> = all.keys().filter_map(|value| value.number()).collect();
    // Where it is the only one, or the last of many, it is an object like others.
    let is_border = numbers.contains(&USUALLY_IGNORED)
        && !numbers.contains(&(USUALLY_IGNORED - 1))
        && all.keys().any(|value| !matches!(value.number(), Some(0 | USUALLY_IGNORED)));
    let ignored = known.ignore.map(u16::from).or(is_border.then_some(USUALLY_IGNORED));
    let classes = vec![background.to_owned(), object.to_owned()];
    let rule = Rule::Objects { ignored };
    let note = most.map(|most| {
        format!(
            "the masks number objects, up to {most} in a photograph: all are of one class, `{object}`; say --masks index if they are classes"
        )
    });
    let known = format!("0 is {background}, all else {object}");
    Ok((Coding { rule, classes, known }, note.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::super::value::Value;
    use super::*;

    /// Masks of grey values, each 100 times.
    fn grey(masks: &[&[u16]]) -> Vec<Tally> {
        masks.iter().map(|values| values.iter().map(|&value| (Value::Grey(value), 100)).collect()).collect()
    }

    fn names(names: &[&str]) -> ClassNames {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        ClassNames { source: "classes.txt".to_owned(), names, keys: Keys::Places }
    }

    #[test]
    fn objects_are_told_from_classes() {
        let two = names(&["background", "person"]);
        let three = names(&["background", "person", "dog"]);
        for (masks, names, most) in [
            (&[&[0, 1][..], &[0, 1, 2], &[0]][..], None, Some(2)),
            (&[&[0, 1, 2, 3], &[1]], None, Some(3)),
            (&[&[0, 1, 2, 255], &[0, 1]], None, Some(2)),
            (&[&[0, 1], &[0, 1, 2]], Some(&two), Some(2)),
            // Equally many in each, a gap, black and white: classes.
            (&[&[0, 1, 2], &[0, 1, 2]], None, None),
            (&[&[0, 1], &[0]], None, None),
            (&[&[0, 1], &[0, 2]], None, None),
            (&[&[0, 255], &[0]], None, None),
            (&[&[0, 1], &[0, 1, 2]], Some(&three), None),
        ] {
            let tallies = grey(masks);
            assert_eq!(most_objects(&tallies.iter().collect::<Vec<_>>(), names), most, "{masks:?}");
        }
        // All of 1 to 300 are objects, and so is 255 among them.
        let many: Vec<u16> = (0..=300).collect();
        assert_eq!(most_objects(&grey(&[&many, &[0, 1]]).iter().collect::<Vec<_>>(), None), Some(300));
        let colours = |last| [[0; 3], [1; 3], last].map(|colour| (Value::Colour(colour), 5));
        for (last, most) in [([2; 3], Some(2)), ([2, 2, 1], None)] {
            let tallies = [colours([0; 3]).into(), colours(last).into()];
            assert_eq!(most_objects(&tallies.iter().collect::<Vec<&Tally>>(), None), most, "{last:?}");
        }
    }
}
