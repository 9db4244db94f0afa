//! PASCAL Annotation Version 1.00, the text files of the challenge's first years and of Penn-Fudan.
//!
//! Corners are numbers of pixels from 1 on, both included: left is `Xmin - 1` and width is `Xmax - Xmin + 1`.

use std::path::Path;

use super::documents::{self, Document, Object, stated_size};
use super::listing::Listing;
use crate::data::Tree;

/// How the challenge's labels begin: `PAScarSide`.
const PREFIX: &str = "PAS";

/// How they go on after the thing itself, over and over.
const ENDINGS: [&str; 9] =
    ["Left", "Right", "Frontal", "Rear", "Side", "Walking", "Standing", "Trunc", "Difficult"];

/// Whether a file that begins so is an annotation.
pub(super) fn is_pascal(start: &[u8]) -> bool {
    String::from_utf8_lossy(start).contains("PASCAL Annotation")
}

/// The pictures that the text files of a tree annotate.
pub(super) fn list(root: &Path, tree: &Tree) -> Listing {
    let renamed = std::cell::RefCell::new(None);
    let mut listing = documents::list(root, tree, "txt", |bytes| {
        let (document, first) = read(bytes)?;
        let mut renamed = renamed.borrow_mut();
        if renamed.is_none() {
            *renamed = first;
        }
        Ok(document)
    });
    if let Some((from, to)) = renamed.into_inner() {
        listing.notes.push(format!("names of classes lose their poses, such as `{from}`, which is `{to}`"));
    }
    listing
}

/// A label as it is written, and the class that was made of it.
type Renamed = (String, String);

fn read(bytes: &[u8]) -> Result<(Option<Document>, Option<Renamed>), String> {
    if !is_pascal(bytes.get(..512).unwrap_or(bytes)) {
        return Ok((None, None));
    }
    let text = String::from_utf8_lossy(bytes);
    let (mut document, mut renamed, mut promised) = (Document::default(), None, None);
    for (line, number) in text.lines().zip(1..) {
        let Some((key, value)) = line.trim().split_once(" : ").filter(|_| !line.starts_with('#')) else {
            continue;
        };
        if key.starts_with("Image filename") {
            document.named = Some(value.trim().trim_matches('"').to_owned());
        } else if key.starts_with("Image size") {
            let sides: Vec<f64> = numbers(value);
            let [width, height, ..] = sides[..] else {
                return Err(format!("line {number} has no size; expected `WIDTH x HEIGHT x CHANNELS`"));
            };
            document.stated = stated_size(width, height);
        } else if key.starts_with("Objects with ground truth") {
            promised = numbers(value).first().map(|count| *count as usize);
        } else if key.starts_with("Bounding box for object") {
            let label = key.split('"').nth(1).map(str::trim).filter(|label| !label.is_empty());
            let label = label.ok_or_else(|| format!("the box in line {number} has no label in quotes"))?;
            let [left, top, right, bottom] = numbers(value)[..] else {
                return Err(format!("line {number} has no box; expected `(Xmin, Ymin) - (Xmax, Ymax)`"));
            };
            let (class, is_crowd) = class_of(label);
            if class != label && renamed.is_none() {
                renamed = Some((label.to_owned(), class.to_owned()));
            }
            let bounds = [left - 1.0, top - 1.0, right - left + 1.0, bottom - top + 1.0];
            document.objects.push(Object { label: class.to_owned(), bounds, is_crowd });
        }
    }
    let found = document.objects.len();
    match promised {
        Some(count) if count != found => Err(format!("it tells of {count} objects and has boxes of {found}")),
        _ => Ok((Some(document), renamed)),
    }
}

/// The class that a label means, and whether it is difficult.
fn class_of(label: &str) -> (&str, bool) {
    let Some(mut class) = label.strip_prefix(PREFIX).filter(|rest| !rest.is_empty()) else {
        return (label, false);
    };
    let mut is_difficult = false;
    while let Some((ending, rest)) =
        ENDINGS.iter().find_map(|ending| class.strip_suffix(ending).map(|rest| (*ending, rest)))
    {
        if rest.is_empty() {
            break;
        }
        is_difficult |= ending == "Difficult";
        class = rest;
    }
    (class, is_difficult)
}

/// The numbers of a text, whatever stands between them.
fn numbers(text: &str) -> Vec<f64> {
    let is_part = |character: char| character.is_ascii_digit() || character == '.';
    // A minus stands between corners too, and is a sign only directly before a digit.
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        let is_negative = rest.get(..start).is_some_and(|before| before.ends_with('-'));
        let from = rest.get(start..).unwrap_or_default();
        let end = from.find(|character| !is_part(character)).unwrap_or(from.len());
        let (number, after) = from.split_at(end);
        if let Ok(number) = number.parse::<f64>() {
            found.push(if is_negative { -number } else { number });
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const TEXT: &str = r#"# Compatible with PASCAL Annotation Version 1.00
Image filename : "Db/PNGImages/a.png"
Image size (X x Y x C) : 559 x 536 x 3
Database : "The Database : of streets"
Objects with ground truth : 2 { "PASpersonWalking" "PAScarRearTruncDifficult" }
# Top left pixel co-ordinates : (1, 1)
Original label for object 1 "PASpersonWalking" : "Db"
Bounding box for object 1 "PASpersonWalking" (Xmin, Ymin) - (Xmax, Ymax) : (160, 182) - (302, 431)
Pixel mask for object 1 "PASpersonWalking" : "Db/a_mask.png"

Bounding box for object 2 "PAScarRearTruncDifficult" (Xmin, Ymin) - (Xmax, Ymax) : (-3, 1) - (1, 1)
"#;

    #[test]
    fn corners_include_their_pixels() {
        let (document, renamed) = read(TEXT.replace('\n', "\r\n").as_bytes()).unwrap();
        let object = |label: &str, bounds, is_crowd| Object { label: label.into(), bounds, is_crowd };
        let expected = Document {
            named: Some("Db/PNGImages/a.png".into()),
            stated: Some([559, 536]),
            objects: vec![
                object("person", [159.0, 181.0, 143.0, 250.0], false),
                object("car", [-4.0, 0.0, 5.0, 1.0], true),
            ],
        };
        assert_eq!(document, Some(expected));
        assert_eq!(renamed, Some(("PASpersonWalking".into(), "person".into())));
        assert_eq!(read(b"a list\nof names : many\n").unwrap(), (None, None));
    }

    #[test]
    fn labels_lose_what_is_not_the_thing() {
        for (label, expected) in [
            ("PASperson", ("person", false)),
            ("PASpersonStanding", ("person", false)),
            ("PASbicycleSide", ("bicycle", false)),
            ("PAScarFrontalTruncDifficult", ("car", true)),
            ("PASmotorbikeRightDifficult", ("motorbike", true)),
            ("PASSide", ("Side", false)),
            ("PAS", ("PAS", false)),
            ("carSide", ("carSide", false)),
        ] {
            assert_eq!(class_of(label), expected, "{label}");
        }
    }

    #[test]
    fn what_is_missing_is_named_in_one_line() {
        for (from, to, expected) in [
            ("truth : 2", "truth : 3", "it tells of 3 objects and has boxes of 2"),
            ("(160, 182)", "(160)", "line 8 has no box; expected `(Xmin, Ymin) - (Xmax, Ymax)`"),
            ("559 x 536 x 3", "unknown", "line 3 has no size; expected `WIDTH x HEIGHT x CHANNELS`"),
            ("object 1 \"PASpersonWalking\" (X", "object 1 (X", "the box in line 8 has no label in quotes"),
        ] {
            let text = TEXT.replace(from, to);
            assert_ne!(text, TEXT, "{from}");
            assert_eq!(read(text.as_bytes()).unwrap_err(), expected);
        }
    }
}
