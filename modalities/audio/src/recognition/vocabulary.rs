//! The symbols that frames spell: `vocab.json` and what stands beside it, as transformers' `Wav2Vec2CTCTokenizer` has them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tk_transfer::atomic::{WriteError, write_bytes_atomic};

use super::{Case, Spelling};

/// The symbols of a new vocabulary that spell nothing, before the letters.
const SPECIAL: [&str; 4] = ["<pad>", "<s>", "</s>", "<unk>"];

/// What stands for the space between words.
const SPACE: &str = "|";

/// Symbols by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    symbols: Vec<String>,
    blank: u32,
    space: Option<u32>,
    /// Those that spell nothing: the blank, and what only marks texts.
    silent: BTreeSet<u32>,
    numbers: BTreeMap<char, u32>,
}

/// A vocabulary that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    /// The file cannot be read.
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is no vocabulary.
    #[error("`{}`: {reason}; expected an object of symbols and their numbers from 0 on, or a symbol on each line", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Vocabulary {
    /// Symbols in the order of their numbers, and what the blank is called; those between angle brackets or square ones spell nothing.
    /// `None` where the blank is missing, or a symbol comes twice.
    pub fn new(symbols: Vec<String>, blank: &str, space: &str) -> Option<Self> {
        let place = |name: &str| symbols.iter().position(|symbol| symbol == name).map(|at| at as u32);
        let blank = place(blank)?;
        let is_silent = |symbol: &str| {
            let within = |open, close| symbol.starts_with(open) && symbol.ends_with(close);
            symbol.chars().count() > 2 && (within('<', '>') || within('[', ']'))
        };
        let mut silent: BTreeSet<u32> = BTreeSet::from([blank]);
        silent.extend((0u32..).zip(&symbols).filter(|(_, symbol)| is_silent(symbol)).map(|(at, _)| at));
        let space = place(space).or_else(|| place(" ")).filter(|space| !silent.contains(space));
        let mut numbers = BTreeMap::new();
        for (at, symbol) in (0u32..).zip(&symbols) {
            let mut characters = symbol.chars();
            if let (Some(only), None) = (characters.next(), characters.next())
                && !silent.contains(&at)
                && Some(at) != space
            {
                numbers.insert(only, at);
            }
        }
        if let Some(space) = space {
            numbers.insert(' ', space);
        }
        let distinct: BTreeSet<&String> = symbols.iter().collect();
        let is_whole = distinct.len() == symbols.len();
        is_whole.then_some(Self { symbols, blank, space, silent, numbers })
    }

    /// The symbols of texts that are spelled already: `<pad>` (the blank), `<s>`, `</s>`, `<unk>`, `|` for the space, and all their
    /// characters in order.
    pub fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let characters: BTreeSet<char> =
            texts.into_iter().flat_map(str::chars).filter(|&c| c != ' ').collect();
        let special = SPECIAL.iter().chain(&[SPACE]).map(|&symbol| symbol.to_owned());
        let letters = characters.into_iter().map(String::from).filter(|letter| letter != SPACE);
        let symbols: Vec<String> = special.chain(letters).collect();
        // The blank is there, and a set has nothing twice.
        Self::new(symbols, SPECIAL[0], SPACE).unwrap_or_else(|| Self {
            symbols: Vec::new(),
            blank: 0,
            space: None,
            silent: BTreeSet::new(),
            numbers: BTreeMap::new(),
        })
    }

    /// A vocabulary that somebody wrote: `vocab.json`, or a symbol on each line, to which the special ones are added.
    ///
    /// # Errors
    /// When the file cannot be read, or is none.
    pub fn read(path: &Path) -> Result<Self, VocabularyError> {
        let text = read(path)?;
        let fail = |reason: &str| VocabularyError::Form { path: path.to_owned(), reason: reason.to_owned() };
        if text.trim_start().starts_with('{') {
            let symbols = numbered(path, &text)?;
            let blank =
                ["<pad>", "[PAD]", "<blank>"].into_iter().find(|name| symbols.iter().any(|s| s == name));
            let blank = blank.ok_or_else(|| fail("it has no blank, `<pad>` or `[PAD]`"))?;
            return Self::new(symbols, blank, SPACE).ok_or_else(|| fail("a symbol comes twice"));
        }
        let lines: Vec<&str> =
            text.lines().map(|line| line.trim_end_matches('\r')).filter(|l| !l.is_empty()).collect();
        if let Some(long) = lines.iter().find(|line| line.chars().count() > 1 && !SPECIAL.contains(line)) {
            return Err(fail(&format!("`{long}` has more than one character")));
        }
        let letters = lines.into_iter().filter(|line| !SPECIAL.contains(line));
        match letters.clone().next() {
            None => Err(fail("it has no symbols")),
            Some(_) => Ok(Self::of_texts(letters)),
        }
    }

    /// The vocabulary of a folder that transformers wrote, for a layer of so many symbols; `None` where it has none.
    ///
    /// # Errors
    /// When its files contradict themselves.
    pub fn of_folder(folder: &Path, size: usize) -> Result<Option<Self>, VocabularyError> {
        let path = folder.join("vocab.json");
        if !path.is_file() {
            return Ok(None);
        }
        let optional = |name: &str| read(&folder.join(name)).unwrap_or_default();
        Self::from_json(
            &path,
            &read(&path)?,
            &optional("added_tokens.json"),
            &optional("tokenizer_config.json"),
            size,
        )
        .map(Some)
    }

    /// As [`Vocabulary::of_folder`], of the files' texts; those that are not there are empty. `path` is for messages.
    ///
    /// # Errors
    /// As [`Vocabulary::of_folder`].
    pub fn from_json(
        path: &Path,
        vocabulary: &str,
        added: &str,
        tokenizer: &str,
        size: usize,
    ) -> Result<Self, VocabularyError> {
        let fail = |reason: String| VocabularyError::Form { path: path.to_owned(), reason };
        let mut numbers: Map<String, Value> =
            serde_json::from_str(vocabulary).map_err(|error| fail(error.to_string()))?;
        if !added.is_empty() {
            let added: Map<String, Value> =
                serde_json::from_str(added).map_err(|error| fail(error.to_string()))?;
            numbers.extend(added);
        }
        if let Some((name, _)) = numbers.iter().find(|(_, number)| number.is_object()) {
            return Err(fail(format!("it holds vocabularies of several languages, such as `{name}`")));
        }
        let mut symbols =
            in_order(&numbers).ok_or_else(|| fail("its numbers are not 0, 1, 2 and so on".into()))?;
        if symbols.len() > size {
            return Err(fail(format!("{} symbols for a layer of {size}", symbols.len())));
        }
        symbols.extend((symbols.len()..size).map(|number| format!("<unused {number}>")));
        let settings: Value = serde_json::from_str(tokenizer).unwrap_or_default();
        let named = |key: &str, otherwise: &str| {
            let value = &settings[key];
            let text = value.as_str().or_else(|| value["content"].as_str());
            text.unwrap_or(otherwise).to_owned()
        };
        let blank = named("pad_token", SPECIAL[0]);
        Self::new(symbols, &blank, &named("word_delimiter_token", SPACE))
            .ok_or_else(|| fail(format!("it has no `{blank}`, the blank, or a symbol twice")))
    }

    /// Writes `vocab.json`, `tokenizer_config.json` and `special_tokens_map.json`, as transformers reads them.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), VocabularyError> {
        let numbers: Map<String, Value> =
            self.symbols.iter().enumerate().map(|(number, symbol)| (symbol.clone(), json!(number))).collect();
        let name = |wanted: &str| self.symbols.iter().find(|symbol| *symbol == wanted);
        let mut tokens =
            Map::from_iter([("pad_token".to_owned(), json!(self.symbols.get(self.blank as usize)))]);
        for (key, symbol) in [("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")] {
            tokens.extend(name(symbol).map(|symbol| (key.to_owned(), json!(symbol))));
        }
        if name("<unk>").is_none() {
            // What cannot be spelled is left out, as silence is.
            tokens.insert("unk_token".into(), json!(self.symbols.get(self.blank as usize)));
        }
        let mut settings = tokens.clone();
        settings.extend([
            ("tokenizer_class".to_owned(), json!("Wav2Vec2CTCTokenizer")),
            ("do_lower_case".to_owned(), json!(false)),
            ("replace_word_delimiter_char".to_owned(), json!(" ")),
            (
                "word_delimiter_token".to_owned(),
                json!(self.space.and_then(|at| self.symbols.get(at as usize))),
            ),
        ]);
        for (file, fields) in [
            ("vocab.json", numbers),
            ("tokenizer_config.json", settings),
            ("special_tokens_map.json", tokens),
        ] {
            let text = format!("{:#}\n", Value::Object(fields));
            write_bytes_atomic(&folder.join(file), text.as_bytes())?;
        }
        Ok(())
    }

    /// The symbols in the order of their numbers.
    pub fn symbols(&self) -> &[String] {
        &self.symbols
    }

    /// The count of symbols.
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// The number of the symbol that spells nothing.
    pub fn blank(&self) -> u32 {
        self.blank
    }

    /// The number of the space between words.
    pub fn space(&self) -> Option<u32> {
        self.space
    }

    /// The case of its letters.
    pub fn case(&self) -> Case {
        let spoken = |at: u32| !self.silent.contains(&at);
        Case::of((0u32..).zip(&self.symbols).filter(|(at, _)| spoken(*at)).map(|(_, symbol)| symbol.as_str()))
    }

    /// A text as this vocabulary writes it.
    pub fn spell(&self, text: &str, spelling: Spelling) -> String {
        spelling.apply(text, self.case(), |c| self.numbers.contains_key(&c))
    }

    /// The numbers of a text that is spelled already.
    ///
    /// # Errors
    /// The characters that are no symbols, each once.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Vec<char>> {
        let mut unknown: Vec<char> = text.chars().filter(|c| !self.numbers.contains_key(c)).collect();
        if unknown.is_empty() {
            return Ok(text.chars().filter_map(|c| self.numbers.get(&c).copied()).collect());
        }
        unknown.sort_unstable();
        unknown.dedup();
        Err(unknown)
    }

    /// What numbers spell; those that spell nothing are left out.
    pub fn decode(&self, numbers: impl IntoIterator<Item = u32>) -> String {
        let text: String = numbers.into_iter().map(|number| self.written(number)).collect();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// What one number writes: a space for the space, nothing for what spells nothing.
    pub fn written(&self, number: u32) -> &str {
        match self.symbols.get(number as usize) {
            Some(_) if Some(number) == self.space => " ",
            Some(symbol) if !self.silent.contains(&number) => symbol,
            _ => "",
        }
    }

    /// Names by which symbols of two vocabularies are the same: letters whatever their case, blanks and spaces whatever they are called.
    pub fn shared_names(&self) -> Vec<String> {
        let name = |(number, symbol): (u32, &String)| match number {
            _ if number == self.blank => "<blank>".to_owned(),
            _ if Some(number) == self.space => "<space>".to_owned(),
            _ => symbol.to_lowercase(),
        };
        (0u32..).zip(&self.symbols).map(name).collect()
    }
}

fn read(path: &Path) -> Result<String, VocabularyError> {
    std::fs::read_to_string(path)
        .map_err(|error| VocabularyError::Unreadable { path: path.to_owned(), reason: error.to_string() })
}

fn numbered(path: &Path, text: &str) -> Result<Vec<String>, VocabularyError> {
    let fail = |reason: String| VocabularyError::Form { path: path.to_owned(), reason };
    let numbers: Map<String, Value> = serde_json::from_str(text).map_err(|error| fail(error.to_string()))?;
    in_order(&numbers).ok_or_else(|| fail("its numbers are not 0, 1, 2 and so on".into()))
}

/// Symbols in the order of their numbers, where those are 0, 1, 2 and so on.
fn in_order(numbers: &Map<String, Value>) -> Option<Vec<String>> {
    let mut symbols: Vec<Option<String>> = vec![None; numbers.len()];
    for (symbol, number) in numbers {
        let place = symbols.get_mut(usize::try_from(number.as_u64()?).ok()?)?;
        *place = Some(symbol.clone());
    }
    symbols.into_iter().collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn texts_become_numbers_and_back() {
        let vocabulary = Vocabulary::of_texts(["zero one", "don't"]);
        assert_eq!(vocabulary.symbols()[..6], ["<pad>", "<s>", "</s>", "<unk>", "|", "'"]);
        let numbers = vocabulary.encode("one zero").unwrap();
        assert_eq!(vocabulary.decode(numbers.iter().copied()), "one zero");
        assert_eq!(vocabulary.encode("oxy").unwrap_err(), ['x', 'y']);
        assert_eq!(vocabulary.decode([0, 4, numbers[0], 0, 2, 4]), "o");
        assert_eq!(vocabulary.spell("ONE-Zero!", Spelling::Plain), "one zero");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let vocabulary = Vocabulary::of_texts(["abc d"]);
        vocabulary.save(folder.path()).unwrap();
        let size = vocabulary.len();
        assert_eq!(Vocabulary::of_folder(folder.path(), size).unwrap().unwrap(), vocabulary);
        assert_eq!(Vocabulary::read(&folder.path().join("vocab.json")).unwrap(), vocabulary);
        let more = Vocabulary::of_folder(folder.path(), size + 1).unwrap().unwrap();
        assert_eq!((more.len(), more.written(size as u32)), (size + 1, ""));
        assert!(Vocabulary::of_folder(folder.path(), size - 1).is_err());
        let lines = folder.path().join("letters.txt");
        std::fs::write(&lines, "a\nb\nc\nd\n").unwrap();
        assert_eq!(Vocabulary::read(&lines).unwrap(), vocabulary);
    }

    #[test]
    fn published_vocabularies_are_read() {
        let symbols = r#"{"[PAD]": 2, "|": 1, "A": 0}"#;
        let settings = r#"{"pad_token": {"content": "[PAD]"}, "word_delimiter_token": "|"}"#;
        let vocabulary = Vocabulary::from_json(Path::new("v"), symbols, "", settings, 3).unwrap();
        assert_eq!((vocabulary.blank(), vocabulary.space(), vocabulary.case()), (2, Some(1), Case::Upper));
        assert_eq!(vocabulary.spell("a a", Spelling::Plain), "A A");
        assert_eq!(vocabulary.shared_names(), ["a", "<space>", "<blank>"]);
    }

    #[test]
    fn what_is_no_vocabulary_is_said() {
        for (text, settings, expected) in [
            (r#"{"a": 0, "b": 5}"#, "", "not 0, 1, 2"),
            (r#"{"eng": {"a": 0}}"#, "", "several languages"),
            (r#"{"a": 0}"#, "", "no `<pad>`"),
            ("{", "", "EOF"),
        ] {
            let error =
                Vocabulary::from_json(Path::new("v.json"), text, "", settings, 9).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }
}
