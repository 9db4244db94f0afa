//! How a text is written before it becomes symbols: its case, its punctuation, its spaces.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is made of texts before they are learned from or compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spelling {
    /// In the vocabulary's case, lower where it has both; punctuation that is no symbol is left out, apostrophes within words stay.
    #[default]
    Plain,
    /// As it stands, apart from spaces.
    Exact,
}

/// The case of a vocabulary's letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Small ones only, or letters without case.
    Lower,
    /// Capitals only.
    Upper,
    /// Both.
    Mixed,
}

impl Case {
    /// The case of symbols.
    pub fn of<'a>(symbols: impl Iterator<Item = &'a str> + Clone) -> Self {
        let has = |is: fn(char) -> bool| symbols.clone().any(|symbol| symbol.chars().any(is));
        match (has(char::is_uppercase), has(char::is_lowercase)) {
            (true, false) => Self::Upper,
            (true, true) => Self::Mixed,
            _ => Self::Lower,
        }
    }

    /// A text in this case; where there are both it stays.
    pub fn apply(self, text: &str) -> String {
        match self {
            Self::Lower => text.to_lowercase(),
            Self::Upper => text.to_uppercase(),
            Self::Mixed => text.to_owned(),
        }
    }
}

impl Spelling {
    /// A text as it is learned from: spaces are single and none stands at the ends. `keeps` says which punctuation is written.
    pub fn apply(self, text: &str, case: Case, keeps: impl Fn(char) -> bool) -> String {
        let text = match self {
            Self::Exact => text.to_owned(),
            Self::Plain => plain(&case.apply(text), keeps),
        };
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Typographic apostrophes become plain ones; other punctuation that is not kept parts words.
fn plain(text: &str, keeps: impl Fn(char) -> bool) -> String {
    let characters: Vec<char> =
        text.chars().map(|c| if matches!(c, '’' | '‘' | 'ʼ') { '\'' } else { c }).collect();
    let is_letter =
        |at: Option<usize>| at.and_then(|at| characters.get(at)).is_some_and(|c| c.is_alphabetic());
    let within_word = |at: usize| is_letter(at.checked_sub(1)) && is_letter(Some(at + 1));
    let write = |(at, &c): (usize, &char)| match c {
        _ if c.is_alphanumeric() || c.is_whitespace() || keeps(c) => c,
        '\'' if within_word(at) => c,
        _ if is_mark(c) => c,
        _ => ' ',
    };
    characters.iter().enumerate().map(write).collect()
}

/// Whether a character belongs to the letter before it: a combining mark, or a sign of a script whose letters carry signs.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{900}'..='\u{903}' | '\u{93a}'..='\u{94f}' | '\u{951}'..='\u{957}'
        | '\u{962}'..='\u{963}' | '\u{981}'..='\u{983}' | '\u{9bc}'..='\u{9cd}' | '\u{e31}' | '\u{e34}'..='\u{e3a}'
        | '\u{e47}'..='\u{e4e}' | '\u{200c}'..='\u{200d}')
}

/// Replaces whole words of a text, such as `7` by `seven`.
pub(crate) fn replace_words(text: &str, words: &BTreeMap<String, String>) -> String {
    if words.is_empty() {
        return text.to_owned();
    }
    let replaced = text.split_whitespace().map(|word| words.get(word).map_or(word, String::as_str));
    replaced.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_texts_keep_letters_and_what_is_within_words() {
        for (text, expected) in [
            ("  Hello,\tWORLD! ", "hello world"),
            ("Don’t — 'quote' rock-n-roll", "don't quote rock n roll"),
            ("Größe 42", "größe 42"),
            ("नमस्ते।", "नमस्ते"),
            ("…", ""),
        ] {
            assert_eq!(Spelling::Plain.apply(text, Case::Lower, |_| false), expected);
        }
        assert_eq!(Spelling::Plain.apply("a-b, c", Case::Upper, |c| c == '-'), "A-B C");
        assert_eq!(Spelling::Exact.apply(" A,  b ", Case::Lower, |_| false), "A, b");
    }

    #[test]
    fn the_case_is_that_of_the_symbols() {
        for (symbols, expected) in [
            (&["A", "'"][..], Case::Upper),
            (&["a"], Case::Lower),
            (&["a", "B"], Case::Mixed),
            (&["字"], Case::Lower),
        ] {
            assert_eq!(Case::of(symbols.iter().copied()), expected);
        }
    }

    #[test]
    fn whole_words_are_replaced() {
        let words = BTreeMap::from([("7".to_owned(), "seven".to_owned())]);
        assert_eq!(replace_words("7 77 7", &words), "seven 77 seven");
    }
}
