//! From what all masks hold to what it stands for: classes by value or by colour. Classes without names are `found`, objects are `objects`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tk_transfer::data::listing::list_names;

use super::coding::{Coding, Rule};
use super::error::SegmentError;
use super::found::{found_colours, found_values};
use super::names::{ClassNames, Keys};
use super::objects::{most_objects, objects};
use super::value::{Value, hex};
use super::{IGNORED, MaskKind, voc};

/// How many pixels of a mask hold each value.
pub(super) type Tally = BTreeMap<Value, u64>;

/// The value that stands for no class where nothing else is said.
pub(super) const USUALLY_IGNORED: u16 = 255;

/// What is known of the masks of a data set, besides what they hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub root: &'a Path,
    /// The file of classes.
    pub names: Option<&'a ClassNames>,
    pub masks: MaskKind,
    /// The value that was said to stand for no class.
    pub ignore: Option<u8>,
    /// Whether the classes are Pascal VOC's where no file names them.
    pub is_voc: bool,
}

/// What the values of all masks stand for, and what a user should know of it.
///
/// # Errors
/// There are too few or too many classes, or the file of classes does not go with the masks.
pub(super) fn settle(tallies: &[&Tally], known: &Known<'_>) -> Result<(Coding, Vec<String>), SegmentError> {
    let mut all = Tally::new();
    for tally in tallies {
        tally.iter().for_each(|(&value, &count)| *all.entry(value).or_default() += count);
    }
    // One stray mask in colour among others is set aside, and does not decide for all.
    let is_coloured = |tally: &Tally| tally.keys().any(|value| value.is_colour_alone());
    let (coloured, plain): (Vec<&Tally>, Vec<&Tally>) =
        tallies.iter().copied().partition(|tally| is_coloured(tally));
    let drawn = plain.iter().filter(|tally| tally.keys().any(|value| value.number() != Some(0))).count();
    let are_coloured = !coloured.is_empty() && coloured.len() >= drawn;
    let by_colour = match known.masks {
        MaskKind::Palette => true,
        MaskKind::Index => false,
        MaskKind::Instances => return objects(&all, known, None),
        MaskKind::Auto => {
            if !known.is_voc
                && !are_coloured
                && let Some(most) = most_objects(&plain, known.names)
            {
                return objects(&all, known, Some(most));
            }
            are_coloured || known.names.is_some_and(|names| all_named(&all, names))
        }
    };
    let of_voc = (known.names.is_none() && known.is_voc).then(|| voc::class_names(by_colour));
    let names = known.names.or(of_voc.as_ref());
    let (coding, mut notes) = match (by_colour, names) {
        (true, Some(names)) => (named_colours(&all, names, known)?, Vec::new()),
        (true, None) => found_colours(&all, known)?,
        (false, Some(names)) => named_values(&all, names, known),
        (false, None) => found_values(&all, known)?,
    };
    match names {
        Some(_) if of_voc.is_some() => notes.insert(
            0,
            "no file names the classes: they are Pascal VOC's; name others with --classes FILE".to_owned(),
        ),
        Some(names) => notes.insert(0, format!("{} classes by the names of `{}`", names.len(), names.source)),
        None => {}
    }
    Ok((coding, notes))
}

/// Whether a file gives the colour of everything that masks hold.
fn all_named(all: &Tally, names: &ClassNames) -> bool {
    let Keys::Colours(colours) = &names.keys else { return false };
    all.keys().all(|value| value.colour().is_some_and(|colour| colours.contains(&colour)))
}

/// Classes of a file, each by its value.
fn named_values(all: &Tally, names: &ClassNames, known: &Known<'_>) -> (Coding, Vec<String>) {
    let mut notes = Vec::new();
    let numbers: BTreeSet<u16> = all.keys().filter_map(|value| value.number()).collect();
    let mut classes: BTreeMap<u16, u8> = match &names.keys {
        Keys::Values(values) => values.iter().copied().zip(0..).collect(),
        Keys::Places | Keys::Colours(_) => (0..).take(names.len()).zip(0..).collect(),
    };
    if let ([_, drawn], Keys::Places) = (names.names.as_slice(), &names.keys)
        && is_black_and_white(&numbers, known)
    {
        classes = [(0, 0), (USUALLY_IGNORED, 1)].into();
        notes.push(black_and_white(drawn));
    }
    match known.ignore {
        Some(ignored) => {
            classes.insert(u16::from(ignored), IGNORED);
        }
        None => {
            classes.entry(USUALLY_IGNORED).or_insert(IGNORED);
        }
    }
    let known = format!("`{}` names {}", names.source, names.in_words());
    (Coding { rule: Rule::Numbers(classes), classes: names.names.clone(), known }, notes)
}

/// Classes of a file, each by its colour.
fn named_colours(all: &Tally, names: &ClassNames, known: &Known<'_>) -> Result<Coding, SegmentError> {
    let Keys::Colours(colours) = &names.keys else {
        let colours: BTreeSet<String> = all.keys().filter_map(|value| value.colour()).map(hex).collect();
        return Err(SegmentError::NoColours {
            path: known.root.to_owned(),
            names: names.source.clone(),
            colours: list_names(colours.iter().map(String::as_str)),
        });
    };
    let mut classes: BTreeMap<[u8; 3], u8> = colours.iter().copied().zip(0..).collect();
    if known.is_voc {
        classes.entry(voc::BORDER).or_insert(IGNORED);
    }
    classes.extend(known.ignore.map(|ignored| ([ignored; 3], IGNORED)));
    let known = format!("`{}` names {}", names.source, names.in_words());
    Ok(Coding { rule: Rule::Colours(classes), classes: names.names.clone(), known })
}

/// Whether masks hold 0 and 255 alone: then 255 is no border but what is drawn, unless it was said to be ignored.
pub(super) fn is_black_and_white(numbers: &BTreeSet<u16>, known: &Known<'_>) -> bool {
    known.ignore.is_none()
        && numbers.contains(&USUALLY_IGNORED)
        && numbers.iter().all(|number| [0, USUALLY_IGNORED].contains(number))
}

pub(super) fn black_and_white(class: &str) -> String {
    format!("the masks hold 0 and 255 alone: 255 is `{class}`; say --ignore 255 if it stands for nothing")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Masks of grey values, each 100 times.
    fn grey(masks: &[&[u16]]) -> Vec<Tally> {
        masks.iter().map(|values| values.iter().map(|&value| (Value::Grey(value), 100)).collect()).collect()
    }

    fn coloured(masks: &[&[[u8; 3]]]) -> Vec<Tally> {
        masks
            .iter()
            .map(|colours| colours.iter().map(|&colour| (Value::Colour(colour), 100)).collect())
            .collect()
    }

    fn names(names: &[&str], keys: Keys) -> ClassNames {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        ClassNames { source: "classes.txt".to_owned(), names, keys }
    }

    fn known(masks: MaskKind) -> Known<'static> {
        Known { root: Path::new("d"), names: None, masks, ignore: None, is_voc: false }
    }

    fn settled(tallies: &[Tally], known: &Known<'_>) -> Result<(Coding, Vec<String>), String> {
        settle(&tallies.iter().collect::<Vec<_>>(), known).map_err(|error| error.to_string())
    }

    /// The classes, and which of some values stands for which.
    fn told(coding: &Coding, values: &[u16]) -> String {
        let class = |&value: &u16| match coding.rule.class_of(Value::Grey(value)) {
            None => format!("{value}?"),
            Some(IGNORED) => format!("{value}-"),
            Some(class) => format!("{value}={class}"),
        };
        format!(
            "{} {} {}",
            coding.rule.layout(),
            coding.classes.join(","),
            values.iter().map(class).collect::<Vec<_>>().join(" ")
        )
    }

    #[test]
    fn values_become_classes() {
        let auto = known(MaskKind::Auto);
        let two = names(&["void", "road"], Keys::Places);
        let keyed = names(&["sky", "sea"], Keys::Values(vec![0, 300]));
        let all = [0, 1, 2, 7, 255, 300];
        for (masks, known, expected) in [
            (
                &[&[0, 7][..], &[2, 255]][..],
                auto,
                "images and index masks background,class_2,class_7 0=0 1? 2=1 7=2 255- 300?",
            ),
            (&[&[1, 2], &[2]], auto, "images and index masks class_1,class_2 0? 1=0 2=1 7? 255- 300?"),
            (&[&[0, 255]], auto, "images and index masks background,object 0=0 1? 2? 7? 255=1 300?"),
            (
                &[&[0, 7, 255]],
                Known { ignore: Some(7), ..auto },
                "images and index masks background,class_255 0=0 1? 2? 7- 255=1 300?",
            ),
            (
                &[&[0, 1], &[0, 1, 2]],
                auto,
                "images and instance masks background,object 0=0 1=1 2=1 7=1 255=1 300=1",
            ),
            (
                &[&[0, 1], &[0, 1, 2]],
                known(MaskKind::Index),
                "images and index masks background,class_1,class_2 0=0 1=1 2=2 7? 255- 300?",
            ),
            (
                &[&[0, 1], &[0, 1, 2]],
                Known { names: Some(&two), ..auto },
                "images and instance masks void,road 0=0 1=1 2=1 7=1 255=1 300=1",
            ),
            (
                &[&[0, 1]],
                Known { names: Some(&two), ..auto },
                "images and index masks void,road 0=0 1=1 2? 7? 255- 300?",
            ),
            (
                &[&[0, 255]],
                Known { names: Some(&two), ..auto },
                "images and index masks void,road 0=0 1? 2? 7? 255=1 300?",
            ),
            (
                &[&[0, 300]],
                Known { names: Some(&keyed), ignore: Some(2), ..auto },
                "images and index masks sky,sea 0=0 1? 2- 7? 255? 300=1",
            ),
            (
                &[&[0, 7, 255]],
                known(MaskKind::Instances),
                "images and instance masks background,object 0=0 1=1 2=1 7=1 255- 300=1",
            ),
            (
                &[&[0, 255]],
                known(MaskKind::Instances),
                "images and instance masks background,object 0=0 1=1 2=1 7=1 255=1 300=1",
            ),
            (
                &[&[0, 7]],
                known(MaskKind::Palette),
                "images and palette masks background,class_1 0=0 1? 2? 7=1 255? 300?",
            ),
            (&[&[0, 15, 255]], Known { is_voc: true, ..auto }, ""),
        ] {
            let (coding, _) = settled(&grey(masks), &known).unwrap();
            if known.is_voc {
                assert_eq!((coding.classes.len(), coding.classes[15].as_str()), (21, "person"));
                assert_eq!(coding.rule.class_of(Value::Grey(255)), Some(IGNORED));
                continue;
            }
            assert_eq!(told(&coding, &all), expected, "{masks:?}");
        }
    }

    #[test]
    fn colours_become_classes() {
        let auto = known(MaskKind::Auto);
        let (black, red, blue, white) = ([0; 3], [128, 0, 0], [0, 0, 9], [255; 3]);
        let masks = coloured(&[&[black, red], &[white, blue]]);
        let (coding, notes) = settled(&masks, &auto).unwrap();
        assert_eq!(coding.classes, ["background", "class_1", "class_2", "class_3"]);
        let classes =
            [black, blue, red, white, [1; 3]].map(|colour| coding.rule.class_of(Value::Colour(colour)));
        assert_eq!(classes, [Some(0), Some(1), Some(2), Some(3), None]);
        assert_eq!(
            notes,
            [
                "classes found by colour: `#000000 background`, `#000009 class_1`, `#800000 class_2`, `#ffffff class_3`; name them with NAME,R,G,B in classes.txt"
            ]
        );
        let (coding, _) = settled(&masks, &Known { ignore: Some(255), ..auto }).unwrap();
        assert_eq!((coding.classes.len(), coding.rule.class_of(Value::Colour(white))), (3, Some(IGNORED)));
        // Grey throughout: values.
        let (coding, _) = settled(&coloured(&[&[black, [1; 3]], &[[3; 3], white]]), &auto).unwrap();
        assert_eq!(told(&coding, &[1, 255]), "images and index masks background,class_1,class_3 1=1 255-");
        // Named: in the order of the file.
        let named = names(&["wine", "night"], Keys::Colours(vec![red, black]));
        let (coding, _) = settled(&masks, &Known { names: Some(&named), ..auto }).unwrap();
        let classes = [red, black, blue].map(|colour| coding.rule.class_of(Value::Colour(colour)));
        assert_eq!((coding.classes, classes), (named.names.clone(), [Some(0), Some(1), None]));
        // A palette counts where the file names all its colours, else the index does.
        let named = Known { names: Some(&named), ..auto };
        for (colour, expected) in [(black, Some(1)), (blue, Some(0))] {
            let tally: Tally = [(Value::Indexed(0, colour), 5)].into();
            let (coding, _) = settled(&[tally], &named).unwrap();
            assert_eq!(coding.rule.class_of(Value::Indexed(0, colour)), expected, "{colour:?}");
        }
        // One in colour among more that are not is a stray.
        let mut stray = grey(&[&[0, 3], &[3], &[0]]);
        stray.extend(coloured(&[&[black, red]]));
        let (coding, _) = settled(&stray, &auto).unwrap();
        assert_eq!(told(&coding, &[3]), "images and index masks background,class_3 3=1");
        assert_eq!(coding.rule.class_of(Value::Colour(red)), None);
        // Pascal VOC in colour has its own, and a border.
        let (coding, _) = settled(&masks, &Known { is_voc: true, ..auto }).unwrap();
        let classes = [black, red, voc::BORDER].map(|colour| coding.rule.class_of(Value::Colour(colour)));
        assert_eq!(classes, [Some(0), Some(1), Some(IGNORED)]);
        let palette: Tally = [(Value::Indexed(200, red), 9)].into();
        let by_colour = Known { is_voc: true, ..known(MaskKind::Palette) };
        let (coding, _) = settled(&[palette], &by_colour).unwrap();
        assert_eq!(coding.rule.class_of(Value::Indexed(200, red)), Some(1));
    }

    #[test]
    fn what_cannot_be_classes_is_told() {
        let auto = known(MaskKind::Auto);
        let three = names(&["a", "b", "c"], Keys::Places);
        let many: Vec<u16> = (0..300).collect();
        let coloured = coloured(&[&[[0; 3], [9, 0, 0]]]);
        for (tallies, known, expected) in [
            (
                &grey(&[&many]),
                auto,
                "299 values in the masks of `d`, at most 255 are classes; say --masks instances",
            ),
            (
                &coloured,
                Known { names: Some(&three), ..auto },
                "the masks of `d` are in colour, and `classes.txt` does not say the colours; write NAME,R,G,B in each line; the colours are `#000000`, `#090000`",
            ),
            (
                &coloured,
                Known { names: Some(&three), masks: MaskKind::Instances, ..auto },
                "the masks of `d` number objects, which are of one class, and `classes.txt` names 3; name background and that class, or say --masks index",
            ),
        ] {
            let error = settled(tallies, &known).map(|(coding, _)| coding.classes).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn guesses_are_told() {
        let two = names(&["background", "person"], Keys::Places);
        let auto = known(MaskKind::Auto);
        let smooth: Vec<u16> = (1..=10).collect();
        let mut smoothed = grey(&[&[0, 200]]);
        smoothed[0].values_mut().for_each(|count| *count = 10_000_000);
        smoothed.extend(grey(&[&smooth]));
        for (tallies, known, expected) in [
            (
                grey(&[&[0, 3]]),
                auto,
                &["classes found by value: `0 background`, `3 class_3`; 255 is ignored"][..],
            ),
            (
                grey(&[&[0, 255]]),
                auto,
                &[
                    "the masks hold 0 and 255 alone: 255 is `object`; say --ignore 255 if it stands for nothing",
                    "classes found by value: `0 background`, `255 object`",
                ],
            ),
            (
                grey(&[&[0, 1]]),
                Known { names: Some(&two), ..auto },
                &["2 classes by the names of `classes.txt`"],
            ),
            (
                grey(&[&[0, 1, 2, 3], &[0, 1]]),
                Known { names: Some(&two), ..auto },
                &[
                    "the masks number objects, up to 3 in a photograph: all are of one class, `person`; say --masks index if they are classes",
                ],
            ),
            (
                smoothed,
                auto,
                &[
                    "classes found by value: `0 background`, `1 class_1`, `2 class_2`, `3 class_3`, `4 class_4`, `5 class_5`, `6 class_6`, `7 class_7`, `8 class_8`, `9 class_9` and 2 more; 255 is ignored",
                    "10 of 12 classes have less than 0.01 % of the pixels each, as masks have that were scaled with smoothing",
                ],
            ),
        ] {
            let (_, notes) = settled(&tallies, &known).unwrap();
            assert_eq!(notes, expected);
        }
    }
}
