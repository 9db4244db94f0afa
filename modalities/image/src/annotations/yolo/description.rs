//! `data.yaml`: the classes' names, and where the pictures of each part lie, as Ultralytics writes and resolves it.

use std::path::{Path, PathBuf};

use tk_transfer::data::Split;
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::{Yaml, YamlLoader};

use crate::annotations::AnnotationError;
use crate::data::Tree;

/// More levels than this are no description.
const DEEPEST: usize = 32;

/// The keys of the parts; the first of each is Ultralytics' own.
const PARTS: [(Split, &str, &[&str]); 3] = [
    (Split::Train, "train", &["train"]),
    (Split::Validation, "val", &["val", "valid", "validation"]),
    (Split::Test, "test", &["test"]),
];

/// What a description says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Description {
    /// The classes' names; where only their number is given, their numbers.
    pub names: Vec<String>,
    /// The folder that the parts are relative to.
    pub path: Option<String>,
    /// The parts that are named, and where each lies.
    pub parts: Vec<(Split, &'static str, Vec<String>)>,
    /// Whether lines hold places behind their boxes.
    pub has_places: bool,
}

/// The descriptions of a tree, at most one folder deep: `data.yaml`, else `dataset.yaml`, else those that name classes and pictures.
pub(in crate::annotations) fn descriptions_in(root: &Path, tree: &Tree) -> Vec<PathBuf> {
    let is_yaml = |path: &&PathBuf| {
        path.components().count() <= 2
            && path.extension().is_some_and(|ending| {
                ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml")
            })
    };
    let files: Vec<PathBuf> = tree.files.iter().filter(is_yaml).cloned().collect();
    for stem in ["data", "dataset"] {
        let called = files
            .iter()
            .filter(|path| path.file_stem().is_some_and(|found| found.eq_ignore_ascii_case(stem)));
        let called: Vec<PathBuf> = called.cloned().collect();
        let is_at_root = |path: &&PathBuf| path.components().count() == 1;
        match called.iter().find(is_at_root) {
            Some(at_root) => return vec![at_root.clone()],
            None if !called.is_empty() => return called,
            None => {}
        }
    }
    let is_description = |path: &PathBuf| {
        let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        parse(&text).is_ok_and(|description| !description.parts.is_empty())
    };
    files.into_iter().filter(is_description).collect()
}

impl Description {
    /// What a file says.
    ///
    /// # Errors
    /// It cannot be read, is no YAML, or says neither what the classes are called nor how many there are.
    pub fn read(path: &Path) -> Result<Self, AnnotationError> {
        let text = std::fs::read(path)
            .map_err(|source| AnnotationError::Unreadable { path: path.to_owned(), source })?;
        let description = String::from_utf8(text)
            .map_err(|error| format!("not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
            .and_then(|text| parse(text.trim_start_matches('\u{feff}')));
        description.map_err(|reason| AnnotationError::Damaged {
            path: path.to_owned(),
            format: "description of YOLO data",
            reason,
        })
    }

    /// The places at which an entry of a part may be, the first that is there being meant: from `path`, else from the file's own folder; and
    /// without the step upwards that Roboflow writes too many.
    pub fn places_of(&self, entry: &str, folder: &Path) -> Vec<PathBuf> {
        let based = self.path.as_ref().map(|path| folder.join(path.trim()));
        let entry = entry.trim().replace('\\', "/");
        let lower = entry.strip_prefix("../").map(str::to_owned);
        let bases = based.iter().map(PathBuf::as_path).chain([folder]);
        let of_base =
            |base: &Path| [Some(&entry), lower.as_ref()].map(|entry| entry.map(|entry| base.join(entry)));
        bases.flat_map(of_base).flatten().collect()
    }
}

fn parse(text: &str) -> Result<Description, String> {
    check(text)?;
    let documents = YamlLoader::load_from_str(text).map_err(|error| format!("no YAML: {error}"))?;
    let Some(Yaml::Hash(_)) = documents.first() else {
        return Err("it is no list of keys; expected names, train and val".to_owned());
    };
    let top = documents.first().unwrap_or(&Yaml::BadValue);
    let count = match &top["nc"] {
        Yaml::BadValue | Yaml::Null => None,
        Yaml::Integer(count) => Some(usize::try_from(*count).map_err(|_| format!("nc is {count}"))?),
        other => return Err(format!("nc is {}; expected the number of classes", shown(other))),
    };
    let names = match (&top["names"], count) {
        (Yaml::BadValue | Yaml::Null, None) => {
            return Err("it has neither names nor nc; add the classes' names".to_owned());
        }
        (Yaml::BadValue | Yaml::Null, Some(count)) => (0..count).map(|class| class.to_string()).collect(),
        (Yaml::Array(names), _) => names.iter().map(name_of).collect::<Result<Vec<_>, _>>()?,
        (Yaml::Hash(names), _) => by_number(names)?,
        (other, _) => return Err(format!("names is {}; expected a list", shown(other))),
    };
    match count {
        Some(count) if count != names.len() => {
            return Err(format!("nc is {count}, and there are {} names; correct one of them", names.len()));
        }
        _ if names.is_empty() => return Err("it names no class".to_owned()),
        _ => {}
    }
    if let Some((at, name)) =
        names.iter().enumerate().find(|(at, name)| names.iter().take(*at).any(|other| other == *name))
    {
        return Err(format!("class {at} and one before it are both called `{name}`; rename one"));
    }
    let path = match &top["path"] {
        Yaml::BadValue | Yaml::Null => None,
        path => Some(name_of(path)?),
    };
    let mut parts = Vec::new();
    for (split, key, keys) in PARTS {
        let entries = keys.iter().find_map(|key| match &top[*key] {
            Yaml::BadValue | Yaml::Null => None,
            Yaml::Array(entries) => Some(entries.iter().map(name_of).collect::<Result<Vec<_>, _>>()),
            entry => Some(name_of(entry).map(|entry| vec![entry])),
        });
        if let Some(entries) = entries {
            parts.push((split, key, entries.map_err(|reason| format!("{key}: {reason}"))?));
        }
    }
    Ok(Description {
        names,
        path,
        parts,
        has_places: !matches!(&top["kpt_shape"], Yaml::BadValue | Yaml::Null),
    })
}

/// The reader goes down into levels, and copies what is referred to: neither may get out of hand.
fn check(text: &str) -> Result<(), String> {
    let mut parser = Parser::new_from_str(text);
    let mut depth = 0usize;
    loop {
        let (event, mark) = parser.next_token().map_err(|error| format!("no YAML: {error}"))?;
        match event {
            Event::StreamEnd => return Ok(()),
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => depth = depth.saturating_sub(1),
            Event::Alias(_) => {
                return Err(format!("line {} refers to another place; write it out", mark.line()));
            }
            _ => {}
        }
        if depth > DEEPEST {
            return Err(format!("line {} is {depth} levels deep", mark.line()));
        }
    }
}

/// Names by their numbers, which are 0 and on.
fn by_number(names: &yaml_rust2::yaml::Hash) -> Result<Vec<String>, String> {
    let mut found = std::collections::BTreeMap::new();
    for (number, name) in names {
        let class = match number {
            Yaml::Integer(class) => usize::try_from(*class).ok(),
            Yaml::String(class) => class.trim().parse().ok(),
            _ => None,
        };
        let class =
            class.ok_or_else(|| format!("names has {}; expected the number of a class", shown(number)))?;
        if let Some(first) = found.insert(class, name_of(name)?) {
            return Err(format!("names has {class} twice, the first `{first}`"));
        }
    }
    match found.keys().zip(0..).find(|(class, expected)| *class != expected) {
        Some((class, missing)) => {
            Err(format!("names has {class} but not {missing}; number the classes from 0 on"))
        }
        None => Ok(found.into_values().collect()),
    }
}

fn name_of(yaml: &Yaml) -> Result<String, String> {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Yaml::Integer(number) => Ok(number.to_string()),
        Yaml::Boolean(truth) => Ok(truth.to_string()),
        other => Err(format!("{} is no name", shown(other))),
    }
}

fn shown(yaml: &Yaml) -> String {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => format!("`{text}`"),
        Yaml::Integer(number) => number.to_string(),
        Yaml::Boolean(truth) => truth.to_string(),
        Yaml::Array(_) => "a list".to_owned(),
        Yaml::Hash(_) => "a list of keys".to_owned(),
        Yaml::Alias(_) | Yaml::Null | Yaml::BadValue => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_and_parts_are_read_in_every_form() {
        let (train, validation, test) = (Split::Train, Split::Validation, Split::Test);
        let entries = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>();
        for (text, names, path, parts) in [
            (
                "# a comment\npath: ../datasets/fox # root\ntrain: images/train\nval: images/val\ntest:\nnames:\n  0: fox\n  1: 'no'\n",
                &["fox", "no"][..],
                Some("../datasets/fox"),
                vec![
                    (train, "train", entries(&["images/train"])),
                    (validation, "val", entries(&["images/val"])),
                ],
            ),
            (
                "train: ../train/images\nvalid: [a, b]\ntest: test.txt\nnc: 2\nnames: ['fox', 12]\n",
                &["fox", "12"],
                None,
                vec![
                    (train, "train", entries(&["../train/images"])),
                    (validation, "val", entries(&["a", "b"])),
                    (test, "test", entries(&["test.txt"])),
                ],
            ),
            ("nc: 3", &["0", "1", "2"], None, vec![]),
            ("names: {1: b, 0: true}", &["true", "b"], None, vec![]),
        ] {
            let path = path.map(str::to_owned);
            let names = entries(names);
            let expected = Description { names, path, parts, has_places: false };
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
        assert!(parse("nc: 1\nkpt_shape: [17, 3]").unwrap().has_places);
    }

    #[test]
    fn what_contradicts_itself_is_named_in_one_line() {
        let deep = format!("names: {}{}", "[".repeat(50), "]".repeat(50));
        let deeper = format!("names:\n{}a", "- ".repeat(100_000));
        for (text, expected) in [
            ("names: [a", "no YAML: "),
            ("", "it is no list of keys"),
            ("- a\n- b", "it is no list of keys"),
            ("train: a", "it has neither names nor nc"),
            ("nc: 3\nnames: [a, b]", "nc is 3, and there are 2 names"),
            ("nc: many", "nc is `many`; expected the number of classes"),
            ("nc: -1", "nc is -1"),
            ("names: []", "it names no class"),
            ("names: fox", "names is `fox`; expected a list"),
            ("names: [a, [b]]", "a list is no name"),
            ("names: [a, '']", "`` is no name"),
            ("names: [a, b, a]", "class 2 and one before it are both called `a`"),
            ("names: {0: a, 2: b}", "names has 2 but not 1; number the classes from 0 on"),
            ("names: {fox: a}", "names has `fox`; expected the number of a class"),
            ("names: [a]\ntrain: {a: b}", "train: a list of keys is no name"),
            ("names: [&a x, *a]", "line 1 refers to another place"),
            (&deep, "line 1 is 33 levels deep"),
            (&deeper, "line 2 is 33 levels deep"),
        ] {
            let reason = parse(text).unwrap_err();
            assert!(reason.starts_with(expected) && !reason.contains('\n'), "{reason}");
        }
    }

    #[test]
    fn entries_are_resolved_from_the_path_and_from_the_folder() {
        let places = |path: Option<&str>, entry: &str| {
            let path = path.map(str::to_owned);
            let description = Description { names: Vec::new(), path, parts: Vec::new(), has_places: false };
            let places = description.places_of(entry, Path::new("/d"));
            places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(places(None, "images"), ["/d/images"]);
        assert_eq!(places(Some("fox"), "images\\a"), ["/d/fox/images/a", "/d/images/a"]);
        assert_eq!(places(None, "../train/images"), ["/d/../train/images", "/d/train/images"]);
        assert_eq!(places(Some("/x"), "/y"), ["/y", "/y"]);
    }
}
