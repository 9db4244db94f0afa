//! Files that name the classes, with the values or the colours that stand for them in masks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::SegmentError;
use super::value::hex;
use crate::data::display;

/// The files that are looked for, in this order.
const FILES: [&str; 10] = [
    "classes.txt",
    "labels.txt",
    "classes.csv",
    "codes.txt",
    "class_names.txt",
    "class_dict.csv",
    "_classes.csv",
    "labels.csv",
    "label_colors.txt",
    "labelmap.txt",
];

/// What labelme calls pixels that are not labelled; it stands in the first line for the value -1.
const NOT_LABELLED: &str = "__ignore__";

/// The classes by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassNames {
    /// Where they stand, as the user knows it.
    pub source: String,
    /// The names; a class is a place in them.
    pub names: Vec<String>,
    /// What stands for each class in masks.
    pub keys: Keys,
}

/// What stands for classes in masks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// The places of their names.
    Places,
    /// A value for each.
    Values(Vec<u16>),
    /// A colour for each.
    Colours(Vec<[u8; 3]>),
}

/// One line of a file.
#[derive(Debug, PartialEq)]
struct Line {
    name: String,
    value: Option<u16>,
    colour: Option<[u8; 3]>,
}

impl ClassNames {
    /// Those of the file that was named, else of one in the folders, the first of which is looked at first.
    ///
    /// # Errors
    /// The file cannot be read or names no classes.
    pub fn find(
        named: Option<&Path>,
        root: &Path,
        folders: &[PathBuf],
    ) -> Result<Option<Self>, SegmentError> {
        if let Some(path) = named {
            return Self::read(path, path.display().to_string()).map(Some);
        }
        for folder in folders {
            let found = FILES.iter().map(|name| folder.join(name)).find(|path| root.join(path).is_file());
            if let Some(path) = found {
                return Self::read(&root.join(&path), display(&path)).map(Some);
            }
        }
        Ok(None)
    }

    fn read(path: &Path, source: String) -> Result<Self, SegmentError> {
        let wrong = |reason: String| SegmentError::ClassFile { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|error| wrong(format!("it cannot be read: {error}")))?;
        let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes));
        let text = text.map_err(|_| wrong("it is no text in UTF-8".to_owned()))?;
        parse(text, source).map_err(wrong)
    }

    /// How many classes there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }
}

fn parse(text: &str, source: String) -> Result<ClassNames, String> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let mut lines =
        lines.filter(|(_, line)| !line.is_empty() && !line.starts_with("# ") && *line != NOT_LABELLED);
    let mut parsed: Vec<(usize, Line)> = Vec::new();
    if let Some((at, line)) = lines.next()
        && !is_header(line)
    {
        parsed.push((at, line_of(line).map_err(|reason| format!("line {at}: {reason}"))?));
    }
    for (at, line) in lines {
        parsed.push((at, line_of(line).map_err(|reason| format!("line {at}: {reason}"))?));
    }
    let Some((_, first)) = parsed.first() else {
        return Err("it is empty; write a name in each line, that of the value 0 first".to_owned());
    };
    let (has_value, has_colour) = (first.value.is_some(), first.colour.is_some());
    let (mut names, mut values, mut colours) = (Vec::new(), Vec::new(), Vec::new());
    let (mut by_name, mut by_value, mut by_colour) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (at, Line { name, value, colour }) in parsed {
        if (value.is_some(), colour.is_some()) != (has_value, has_colour) {
            return Err(format!("line {at} is of another form than the first; write all alike"));
        }
        let twice =
            |first: usize, what: String| format!("lines {first} and {at} both have {what}; change one");
        if let Some(first) = by_name.insert(name.clone(), at) {
            return Err(twice(first, format!("the name `{name}`")));
        }
        if let Some(first) = value.and_then(|value| by_value.insert(value, at)) {
            return Err(twice(first, format!("the value {}", value.unwrap_or_default())));
        }
        if let Some(first) = colour.and_then(|colour| by_colour.insert(colour, at)) {
            return Err(twice(first, format!("the colour {}", hex(colour.unwrap_or_default()))));
        }
        names.push(name);
        values.extend(value);
        colours.extend(colour);
    }
    if names.len() > usize::from(super::IGNORED) {
        return Err(format!("it names {}; at most {} are possible", names.len(), super::IGNORED));
    }
    // A colour says more than a number, which then is but the place.
    let keys = match (has_value, has_colour) {
        (_, true) => Keys::Colours(colours),
        (true, false) => {
            let mut order: Vec<(u16, String)> = values.into_iter().zip(names).collect();
            order.sort();
            (values, names) = order.into_iter().unzip();
            Keys::Values(values)
        }
        (false, false) => Keys::Places,
    };
    Ok(ClassNames { source, names, keys })
}

/// The forms of a line: `name`; `value name` and `name value`; `name r g b`, `r g b name` and `value name r g b`, between which stand
/// commas, semicolons, tabs, or blanks; and `name:r,g,b::`, which is CVAT's.
fn line_of(line: &str) -> Result<Line, String> {
    if let Some((name, rest)) = line.split_once(':')
        && let Some(colour) = rest.split(':').next().and_then(|colour| colour_of(&fields(colour)))
    {
        return named(name, None, Some(colour));
    }
    let fields = fields(line);
    let number = |at: usize| fields.get(at).and_then(|field| field.trim_end_matches(':').parse().ok());
    let between = |from: usize, to: usize| fields.get(from..to).unwrap_or_default().join(" ");
    let count = fields.len();
    let last_colour = count.checked_sub(3).and_then(|from| colour_of(fields.get(from..)?));
    let first_colour = fields.get(..3).and_then(colour_of);
    match (count, number(0), last_colour, first_colour) {
        (4.., _, Some(colour), _) => match (number(0), count) {
            (Some(value), 5..) => named(&between(1, count - 3), Some(value), Some(colour)),
            _ => named(&between(0, count - 3), None, Some(colour)),
        },
        (4.., _, None, Some(colour)) => named(&between(3, count), None, Some(colour)),
        (2.., Some(value), ..) => named(&between(1, count), Some(value), None),
        (2, None, ..) if has_separator(line) => match number(1) {
            Some(value) => named(&between(0, 1), Some(value), None),
            None => Err(format!(
                "`{line}` has neither a value nor a colour; expected a name, or VALUE,NAME, or NAME,R,G,B"
            )),
        },
        (3.., ..) if has_separator(line) => {
            Err(format!("`{line}` is in none of the forms NAME, VALUE,NAME and NAME,R,G,B (0 to 255)"))
        }
        _ => named(line, None, None),
    }
}

fn named(name: &str, value: Option<u16>, colour: Option<[u8; 3]>) -> Result<Line, String> {
    let name = name.trim().trim_matches('"').trim();
    match name.is_empty() {
        true => Err("the name is missing".to_owned()),
        false => Ok(Line { name: name.to_owned(), value, colour }),
    }
}

fn has_separator(line: &str) -> bool {
    line.contains([',', ';', '\t'])
}

/// The fields of a line: between separators, or else between blanks.
fn fields(line: &str) -> Vec<&str> {
    match has_separator(line) {
        true => line.split([',', ';', '\t']).map(str::trim).flat_map(colour_in_one).collect(),
        false => line.split_whitespace().collect(),
    }
}

/// A field of three numbers and blanks is a colour's; others stay whole, for names hold blanks.
fn colour_in_one(field: &str) -> Vec<&str> {
    let parts: Vec<&str> = field.split_whitespace().collect();
    if colour_of(&parts).is_some() { parts } else { vec![field] }
}

fn colour_of(fields: &[&str]) -> Option<[u8; 3]> {
    match fields {
        [red, green, blue] => Some([red.parse().ok()?, green.parse().ok()?, blue.parse().ok()?]),
        _ => None,
    }
}

/// Whether a line says what stands in the columns.
fn is_header(line: &str) -> bool {
    const WORDS: [&str; 17] = [
        "name",
        "names",
        "class",
        "classes",
        "label",
        "id",
        "index",
        "value",
        "pixel value",
        "color_rgb",
        "color",
        "colour",
        "r",
        "g",
        "b",
        "parts",
        "actions",
    ];
    let line = line.trim_start_matches('#').to_lowercase();
    let fields: Vec<&str> = line.split([',', ';', '\t', ':']).map(str::trim).collect();
    let known =
        fields.iter().filter(|field| WORDS.contains(field) || ["red", "green", "blue"].contains(field));
    fields.len() > 1 && known.count() == fields.len()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn lines_are_read_in_every_form() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let colours = Keys::Colours(vec![[0, 0, 0], [128, 64, 1]]);
        let (plain, two) = (["background", "traffic light"], ["sky", "tree top"]);
        for (text, expected, keys) in [
            ("background\ntraffic light\n", &plain[..], Keys::Places),
            ("__ignore__\r\nbackground\r\n\r\n traffic light \r\n", &plain, Keys::Places),
            ("0 background\n1 traffic light", &plain, Keys::Values(vec![0, 1])),
            ("1: traffic light\n0: background", &plain, Keys::Values(vec![0, 1])),
            ("7,traffic light\n0,background", &plain, Keys::Values(vec![0, 7])),
            ("background,0\ntraffic light,300", &plain, Keys::Values(vec![0, 300])),
            ("Pixel Value, Class\n0, background\n1, traffic light", &plain, Keys::Values(vec![0, 1])),
            ("name,r,g,b\nsky,0,0,0\ntree top,128,64,1", &two, colours.clone()),
            ("sky 0 0 0\ntree top 128 64 1", &two, colours.clone()),
            ("0 0 0\tsky\n128 64 1\t\ttree top", &two, colours.clone()),
            ("0,sky,0,0,0\n1,\"tree top\",128,64,1", &two, colours.clone()),
            ("# label:color_rgb:parts:actions\nsky:0,0,0::\ntree top:128,64,1::", &two, colours),
            ("# names\nsky", &two[..1], Keys::Places),
            ("name", &["name"], Keys::Places),
        ] {
            let found = parse(text, "f".to_owned()).unwrap();
            assert_eq!((found.names, found.keys), (names(expected), keys), "{text}");
        }
    }

    #[test]
    fn what_is_no_list_of_classes_is_told() {
        let many: String = (0..256).map(|class| format!("class{class}\n")).collect();
        for (text, expected) in [
            ("\n\n", "it is empty; write a name in each line, that of the value 0 first"),
            ("a\nb\na", "lines 1 and 3 both have the name `a`; change one"),
            ("0 a\n0 b", "lines 1 and 2 both have the value 0; change one"),
            ("a,1,2,3\n\nb,1,2,3", "lines 1 and 3 both have the colour #010203; change one"),
            ("a\n1,b", "line 2 is of another form than the first; write all alike"),
            (
                "a,1,2,3\nb,1,2,256",
                "line 2: `b,1,2,256` is in none of the forms NAME, VALUE,NAME and NAME,R,G,B (0 to 255)",
            ),
            (
                "a,b",
                "line 1: `a,b` has neither a value nor a colour; expected a name, or VALUE,NAME, or NAME,R,G,B",
            ),
            (",1,2,3", "line 1: the name is missing"),
            (&many, "it names 256; at most 255 are possible"),
        ] {
            assert_eq!(parse(text, "f".to_owned()).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn the_named_file_comes_before_those_that_are_found() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("train")).unwrap();
        for (name, text) in
            [("train/classes.txt", "a"), ("codes.txt", "b"), ("labels.txt", "c"), ("mine", "d")]
        {
            std::fs::write(root.path().join(name), text).unwrap();
        }
        let mine = root.path().join("mine");
        let folders = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        for (named, looked, expected) in [
            (None, &["", "train"][..], Some(("labels.txt", "c"))),
            (None, &["train", ""], Some(("train/classes.txt", "a"))),
            (None, &["val"], None),
            (Some(mine.as_path()), &["train"], Some((mine.to_str().unwrap(), "d"))),
        ] {
            let found = ClassNames::find(named, root.path(), &folders(looked)).unwrap();
            let found = found.as_ref().map(|found| (found.source.as_str(), found.names[0].as_str()));
            assert_eq!(found, expected, "{named:?} {looked:?}");
        }
        std::fs::write(root.path().join("bad"), [b'a', 0xFF]).unwrap();
        for (name, expected) in
            [("bad", "no list of classes: it is no text in UTF-8"), ("gone", "it cannot be read: ")]
        {
            let error =
                ClassNames::find(Some(&root.path().join(name)), root.path(), &[]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
