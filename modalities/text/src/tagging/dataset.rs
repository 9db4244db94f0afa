//! Sentences with tagged words, from files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tk_transfer::data::table::decode;
use tk_transfer::data::{Digest, LabelKind, Labelled, Quarantine, Split};
use tk_transfer::metrics::is_positional;

use super::error::TaggedError;
use super::sentence::{Raw, Sentence};
use super::{conll, jsonl};

/// The tag of words that are no part of an entity.
pub const OUTSIDE: &str = "O";

/// Endings of files of a word and its tag on each line, and of JSON on each line.
const LINES: [&str; 8] = ["conll", "tsv", "txt", "bio", "iob", "iob2", "conll03", "tags"];
const JSON: [&str; 3] = ["jsonl", "ndjson", "json"];

/// Longer words are worth a remark, in characters.
const LONG_WORD: usize = 200;

/// Sentences whose words have tags.
///
/// Tags are those of the training sentences, `O` first and then by class; where they say which word begins an entity, every class has a tag for
/// its first word and one for the others. A sentence of another part with a tag that no training sentence has is set aside.
#[derive(Clone, Debug)]
pub struct Tagged {
    root: PathBuf,
    tags: Vec<String>,
    sentences: Vec<Sentence>,
    quarantine: Quarantine,
    notes: Vec<String>,
}

/// A file, the part that its name stands for, and what it is called.
struct File {
    path: PathBuf,
    name: String,
    split: Option<Split>,
}

impl Tagged {
    /// The data set at a path: a file, or a folder of files, which are parts where they are called `train`, `dev` (`val`, `valid`) and `test`.
    ///
    /// # Errors
    /// There is no such path, it holds no sentences, or all words have one tag.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TaggedError> {
        let root = path.as_ref().to_owned();
        let mut quarantine = Quarantine::default();
        let mut read: Vec<(String, Option<Split>, Raw)> = Vec::new();
        for file in files(&root)? {
            match read_file(&file.path) {
                Ok(found) => read.extend(found.into_iter().map(|raw| {
                    let name = format!("{}:{}", file.name, raw.line);
                    (name, file.split, raw)
                })),
                Err(reason) => quarantine.add(file.name, reason),
            }
        }
        read.retain(|(name, _, raw)| match raw.problem.as_deref() {
            Some(problem) => {
                quarantine.add(name.clone(), problem.to_owned());
                false
            }
            None => true,
        });
        if read.is_empty() {
            return Err(TaggedError::NoSentences { path: root, quarantine });
        }
        let notes = notes(&read);
        let tags = settled(&read);
        if let [tag] = tags.as_slice() {
            return Err(TaggedError::OneTag { path: root, tag: tag.clone() });
        }
        let places: BTreeMap<&str, usize> =
            tags.iter().enumerate().map(|(place, tag)| (tag.as_str(), place)).collect();
        let mut sentences = Vec::with_capacity(read.len());
        for (name, split, raw) in read {
            match sentence(&name, split, raw, &places) {
                Ok(sentence) => sentences.push(sentence),
                Err(problem) => quarantine.add(name, problem),
            }
        }
        // In the order of parts, as tables are read.
        sentences.sort_by_key(|sentence| sentence.split);
        Ok(Self { root, tags, sentences, quarantine, notes })
    }

    /// All usable sentences: training, validation, test, each in the order of files and lines.
    pub fn sentences(&self) -> &[Sentence] {
        &self.sentences
    }

    /// The tags; those of a sentence are positions among them.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// The tags of a sentence, word by word.
    pub fn tags_of(&self, sentence: usize) -> Vec<&str> {
        self.sentences[sentence].tags.iter().map(|&tag| self.tags[tag].as_str()).collect()
    }

    /// What is odd about the data.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl Labelled for Tagged {
    fn root(&self) -> &Path {
        &self.root
    }

    fn classes(&self) -> &[String] {
        &self.tags
    }

    fn len(&self) -> usize {
        self.sentences.len()
    }

    /// A sentence has as many labels as different tags.
    fn kind(&self) -> LabelKind {
        LabelKind::Multi
    }

    fn labels_of(&self, sample: usize) -> &[usize] {
        &self.sentences[sample].kinds
    }

    fn name(&self, sample: usize) -> String {
        self.sentences[sample].name.clone()
    }

    fn content(&self, sample: usize) -> [u8; 32] {
        self.sentences[sample].digest
    }

    fn split_of(&self, sample: usize) -> Option<Split> {
        self.sentences[sample].split
    }

    /// A digest of all tags and of every sentence's name, words, tags and split.
    fn digest(&self) -> [u8; 32] {
        let mut text = format!("{:?}\n", self.tags);
        for Sentence { name, split, digest, .. } in &self.sentences {
            text.push_str(&format!("{name:?} {split:?} {digest:?}\n"));
        }
        *Digest::of(text.as_bytes()).bytes()
    }

    fn summary(&self) -> String {
        let words: usize = self.sentences.iter().map(|sentence| sentence.words.len()).sum();
        let classes: BTreeSet<&str> = self.tags.iter().filter_map(|tag| class(tag)).collect();
        let what = if classes.is_empty() {
            format!("tags {}", self.tags.join(", "))
        } else {
            format!("entities {}", classes.into_iter().collect::<Vec<_>>().join(", "))
        };
        format!("{} sentences of {words} words; {what}", self.sentences.len())
    }

    fn set_aside(&self) -> Vec<(String, String)> {
        self.quarantine.iter().map(|(name, reason)| (name.to_owned(), reason.to_owned())).collect()
    }
}

/// The class of a tag that says where in an entity its word stands.
fn class(tag: &str) -> Option<&str> {
    if is_positional(tag) { tag.split_once('-').map(|(_, class)| class) } else { None }
}

/// The files of a path.
fn files(root: &Path) -> Result<Vec<File>, TaggedError> {
    let metadata = std::fs::metadata(root).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => TaggedError::NotFound { path: root.to_owned() },
        _ => TaggedError::Unreadable { path: root.to_owned(), reason: error.to_string() },
    })?;
    let named =
        |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if metadata.is_file() {
        return Ok(vec![File { path: root.to_owned(), name: named(root), split: None }]);
    }
    let unreadable =
        |error: std::io::Error| TaggedError::Unreadable { path: root.to_owned(), reason: error.to_string() };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = named(&path);
        if path.is_file() && !name.starts_with('.') && (has_ending(&path, &LINES) || has_ending(&path, &JSON))
        {
            let split = path.file_stem().and_then(|stem| Split::from_name(&stem.to_string_lossy()));
            files.push(File { path, name, split });
        }
    }
    // Beside parts, other files are notes and word lists.
    if files.iter().any(|file| file.split == Some(Split::Train)) {
        files.retain(|file| file.split.is_some());
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    match files.is_empty() {
        true => Err(TaggedError::NoFiles { path: root.to_owned() }),
        false => Ok(files),
    }
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|found| endings.iter().any(|ending| found.eq_ignore_ascii_case(ending)))
}

fn read_file(path: &Path) -> Result<Vec<Raw>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = String::from_utf8(decode(&bytes).into_owned());
    let text = text.map_err(|error| format!("not UTF-8 (at byte {})", error.utf8_error().valid_up_to()))?;
    Ok(if has_ending(path, &JSON) { jsonl::read(&text) } else { conll::read(&text) })
}

/// The tags of training sentences in a fixed order: `O`, then class by class.
fn settled(read: &[(String, Option<Split>, Raw)]) -> Vec<String> {
    let is_learnt = |split: &Option<Split>| split.is_none_or(|split| split == Split::Train);
    let learnt = read.iter().filter(|(_, split, _)| is_learnt(split));
    let mut found: BTreeSet<&str> =
        learnt.flat_map(|(.., raw)| raw.words.iter().map(|(_, tag)| tag.as_str())).collect();
    let has_outside = found.remove(OUTSIDE);
    let both = |class: &str| [format!("B-{class}"), format!("I-{class}")];
    let mut tags: BTreeSet<(String, String)> = BTreeSet::new();
    for tag in found {
        let class = class(tag).unwrap_or_default().to_owned();
        if matches!(tag.split_once('-'), Some(("B" | "I", rest)) if rest == class) {
            tags.extend(both(&class).map(|tag| (class.clone(), tag)));
        }
        tags.insert((class, tag.to_owned()));
    }
    has_outside.then(|| OUTSIDE.to_owned()).into_iter().chain(tags.into_iter().map(|(_, tag)| tag)).collect()
}

fn sentence(
    name: &str,
    split: Option<Split>,
    raw: Raw,
    places: &BTreeMap<&str, usize>,
) -> Result<Sentence, String> {
    let mut tags = Vec::with_capacity(raw.words.len());
    for (word, tag) in &raw.words {
        let place = places.get(tag.as_str()).ok_or_else(|| {
            format!(
                "the tag `{}` of `{}` is in no training sentence",
                conll::shortened(tag),
                conll::shortened(word)
            )
        })?;
        tags.push(*place);
    }
    let kinds: BTreeSet<usize> = tags.iter().copied().collect();
    let content: Vec<u8> =
        raw.words.iter().flat_map(|(word, tag)| format!("{word}\t{tag}\n").into_bytes()).collect();
    Ok(Sentence {
        name: name.to_owned(),
        words: raw.words.into_iter().map(|(word, _)| word).collect(),
        tags,
        split,
        kinds: kinds.into_iter().collect(),
        digest: *Digest::of(&content).bytes(),
    })
}

/// What is odd about sentences, in a line each.
fn notes(read: &[(String, Option<Split>, Raw)]) -> Vec<String> {
    let mut notes = Vec::new();
    let begins_inside = |raw: &Raw| {
        let mut before = OUTSIDE;
        raw.words
            .iter()
            .filter(|(_, tag)| {
                let is_odd = tag.starts_with("I-") && class(tag) != class(before);
                before = tag;
                is_odd
            })
            .count()
    };
    let odd: Vec<(&String, usize)> = read
        .iter()
        .map(|(name, _, raw)| (name, begins_inside(raw)))
        .filter(|(_, count)| *count > 0)
        .collect();
    if let Some((first, _)) = odd.first() {
        let count: usize = odd.iter().map(|(_, count)| count).sum();
        notes.push(format!(
            "{count} entities begin with I- and not with B- (the first at {first}): each counts as an entity, and is learned as it stands"
        ));
    }
    let long = read.iter().flat_map(|(name, _, raw)| {
        raw.words.iter().map(move |(word, _)| (name, word)).filter(|(_, word)| word.len() > LONG_WORD)
    });
    let long: Vec<_> = long.collect();
    if let Some((name, word)) = long.iter().max_by_key(|(_, word)| word.len()) {
        let (letters, shown) = (word.chars().count(), conll::shortened(word));
        let count = long.len();
        notes.push(format!(
            "{count} words have more than {LONG_WORD} characters (at {name} `{shown}` has {letters}): the model sees their beginnings"
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn tags_are_those_of_training_sentences() {
        let place = folder(&[
            ("train.conll", "Ann\tB-per\n.\tO\n\nBonn\tI-loc\n\nbroken\n"),
            ("dev.conll", "Rome\tB-loc\n\nACME\tB-org\n"),
            ("notes.txt", "not tagged\n"),
        ]);
        let data = Tagged::open(place.path()).unwrap();
        assert_eq!(data.tags(), ["O", "B-loc", "I-loc", "B-per", "I-per"]);
        assert_eq!(data.tags_of(0), ["B-per", "O"]);
        let names: Vec<_> = (0..data.len()).map(|at| (data.name(at), data.split_of(at))).collect();
        let (train, val) = (Some(Split::Train), Some(Split::Validation));
        assert_eq!(
            names,
            [("train.conll:1".into(), train), ("train.conll:4".into(), train), ("dev.conll:1".into(), val)]
        );
        let aside: Vec<String> =
            data.set_aside().into_iter().map(|(name, reason)| format!("{name} {reason}")).collect();
        assert_eq!(
            aside,
            [
                "dev.conll:3 the tag `B-org` of `ACME` is in no training sentence",
                "train.conll:6 line 6: expected a word and its tag, found `broken`"
            ]
        );
        assert!(data.notes()[0].starts_with("1 entities begin with I-"), "{:?}", data.notes());
        assert_eq!(data.summary(), "3 sentences of 4 words; entities loc, per");
        assert_eq!(data.labels_of(0), [0, 3]);
    }

    #[test]
    fn one_file_has_no_parts_and_long_words_are_said() {
        let word = "x".repeat(5000);
        let place =
            folder(&[("a.jsonl", &format!(r#"{{"tokens": ["{word}", "b"], "tags": ["NOUN", "VERB"]}}"#))]);
        let data = Tagged::open(place.path().join("a.jsonl")).unwrap();
        assert_eq!((data.tags(), data.split_of(0)), (&["NOUN".to_owned(), "VERB".to_owned()][..], None));
        assert!(data.notes()[0].contains("has 5000"), "{:?}", data.notes());
        assert!(data.summary().ends_with("tags NOUN, VERB"));
    }

    #[test]
    fn what_is_no_data_says_why() {
        for (files, expected) in [
            (&[("a.csv", "x")][..], "holds no tagged words"),
            (&[("train.txt", "a\n")][..], "no usable sentence"),
            (&[("train.txt", "a O\nb O\n")][..], "every word has the tag `O`"),
        ] {
            let error = Tagged::open(folder(files).path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(matches!(Tagged::open("/nowhere/at/all"), Err(TaggedError::NotFound { .. })));
    }
}
