//! Words of a text that nobody has split.

/// A word and where it stands, in characters (Unicode scalar values) of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word.
    pub text: String,
    /// Its first character.
    pub start: usize,
    /// The character behind it.
    pub end: usize,
}

/// Splits at white space, and takes punctuation off both ends of what is between; `@`, `#` and `$` before letters or digits stay with them.
pub fn split_words(text: &str) -> Vec<Word> {
    split_words_at(text, &[])
}

/// As [`split_words`], and at these characters too.
pub(super) fn split_words_at(text: &str, cuts: &[usize]) -> Vec<Word> {
    let characters: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut start = 0;
    for end in 0..=characters.len() {
        let is_end = end == characters.len() || characters[end].is_whitespace();
        if is_end || cuts.contains(&end) {
            pieces(&characters, start, end, &mut words);
            start = if is_end { end + 1 } else { end };
        }
    }
    words
}

/// The word between two places, and each sign of punctuation at its ends as a word.
fn pieces(characters: &[char], start: usize, end: usize, words: &mut Vec<Word>) {
    let is_sign = |at: usize| !characters[at].is_alphanumeric();
    let stays = |at: usize| {
        matches!(characters[at], '@' | '#' | '$') && at + 1 < end && characters[at + 1].is_alphanumeric()
    };
    let (mut first, mut last) = (start, end);
    while first < last && is_sign(first) && !stays(first) {
        first += 1;
    }
    while last > first && is_sign(last - 1) {
        last -= 1;
    }
    let word =
        |from: usize, to: usize| Word { text: characters[from..to].iter().collect(), start: from, end: to };
    words.extend((start..first).map(|at| word(at, at + 1)));
    words.extend((first < last).then(|| word(first, last)));
    words.extend((last..end).map(|at| word(at, at + 1)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_is_taken_off_the_ends() {
        let cases: [(&str, &[&str]); 5] = [
            ("\"Hello,\" said O'Neil.", &["\"", "Hello", ",", "\"", "said", "O'Neil", "."]),
            ("@user in #rome …", &["@user", "in", "#rome", "…"]),
            ("3.5 % (é)", &["3.5", "%", "(", "é", ")"]),
            ("  ", &[]),
            ("...", &[".", ".", "."]),
        ];
        for (text, expected) in cases {
            let words = split_words(text);
            let found: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            assert_eq!(found, expected, "{text}");
            for word in &words {
                let shown: String = text.chars().skip(word.start).take(word.end - word.start).collect();
                assert_eq!(shown, word.text);
            }
        }
        let cut: Vec<String> = split_words_at("Parisian", &[5]).into_iter().map(|word| word.text).collect();
        assert_eq!(cut, ["Paris", "ian"]);
    }
}
