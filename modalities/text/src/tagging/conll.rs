//! A word and its tag on each line, sentences apart by empty lines: CoNLL-2003's form, with tabs or spaces between columns.
//!
//! The word is the first column, the tag the last. What is between is passed over; so are `-DOCSTART-` lines, and lines of a file with tabs that
//! begin with `#` and have none.

use super::sentence::Raw;

/// CoNLL-2003's mark of a document's beginning.
const DOCUMENT: &str = "-DOCSTART-";

/// The sentences of a file's text.
pub(super) fn read(text: &str) -> Vec<Raw> {
    let has_tabs = text.contains('\t');
    let (mut sentences, mut open) = (Vec::new(), Raw::default());
    let mut close = |open: &mut Raw| {
        let sentence = std::mem::take(open);
        if !sentence.words.is_empty() || sentence.problem.is_some() {
            sentences.push(sentence);
        }
    };
    for (number, line) in text.lines().enumerate() {
        if line.trim_matches(is_blank).is_empty() {
            close(&mut open);
            continue;
        }
        if line.starts_with(DOCUMENT) || (has_tabs && line.starts_with('#') && !line.contains('\t')) {
            continue;
        }
        if open.line == 0 {
            open.line = number + 1;
        }
        match columns(line, has_tabs) {
            Ok((word, tag)) => open.words.push((word.to_owned(), tag.to_owned())),
            Err(problem) => {
                open.problem.get_or_insert_with(|| format!("line {}: {problem}", number + 1));
            }
        }
    }
    close(&mut open);
    sentences
}

/// White space, and the marks of byte order that some editors leave.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\u{feff}'
}

/// The first and the last column of a line.
fn columns(line: &str, has_tabs: bool) -> Result<(&str, &str), String> {
    let (word, tag) = if has_tabs {
        let word = line.split('\t').next().unwrap_or_default();
        (word, line.rsplit('\t').next().filter(|_| line.contains('\t')))
    } else {
        let word = line.split_whitespace().next().unwrap_or_default();
        (word, line.split_whitespace().skip(1).last())
    };
    let (word, tag) = (word.trim(), tag.unwrap_or_default().trim());
    match (word.is_empty(), tag.is_empty()) {
        (_, true) => Err(format!("expected a word and its tag, found `{}`", shortened(line.trim()))),
        (true, _) => Err(format!("the tag `{}` has no word", shortened(tag))),
        _ if tag.contains(char::is_whitespace) => {
            Err(format!("expected a tag without spaces, found `{}`", shortened(tag)))
        }
        _ => Ok((word, tag)),
    }
}

/// The beginning of what is too long for a message.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_apart_by_empty_lines() {
        let text = "-DOCSTART- -X- O\n\nEU NNP B-ORG\nrejects VBZ O\n \u{feff}\nPeter NNP B-PER\r\n";
        let found = read(text);
        let words = |sentence: &Raw| {
            sentence.words.iter().map(|(word, tag)| format!("{word}/{tag}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found.iter().map(words).collect::<Vec<_>>(), ["EU/B-ORG rejects/O", "Peter/B-PER"]);
        assert_eq!(found.iter().map(|sentence| sentence.line).collect::<Vec<_>>(), [3, 6]);
        // With tabs, a word may hold spaces, and lines without one are comments or broken.
        let found = read("# id 1\n# \tO\nNew York\tB-LOC\n\nlonely\nnext\tO\n\n\tO\n\nx\tB loc\n");
        assert_eq!(words(&found[0]), "#/O New York/B-LOC");
        let problems: Vec<_> = found[1..].iter().filter_map(|raw| raw.problem.clone()).collect();
        assert_eq!(
            problems,
            [
                "line 5: expected a word and its tag, found `lonely`",
                "line 8: the tag `O` has no word",
                "line 10: expected a tag without spaces, found `B loc`"
            ]
        );
    }
}
