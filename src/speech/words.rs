//! Tables of words and what they are written as.

use std::collections::BTreeMap;
use std::path::Path;

use crate::classify::Error;

/// A table of two columns: words as they stand in the data, and as they are to be written. A header is a pair like any other.
pub(super) fn read_words(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| Error::usage(format!("--words {shown}: {error}")))?;
    let mut words = BTreeMap::new();
    for (number, line) in
        text.trim_start_matches('\u{feff}').lines().enumerate().filter(|(_, line)| !line.trim().is_empty())
    {
        let pair = line.split_once(['\t', ',', ';']).or_else(|| line.trim().split_once(char::is_whitespace));
        let pair = pair.map(|(word, written)| (word.trim().to_owned(), written.trim().to_owned()));
        match pair.filter(|(word, written)| !word.is_empty() && !written.is_empty() && !word.contains(' ')) {
            Some((word, written)) => words.insert(word, written),
            None => {
                return Err(Error::usage(format!(
                    "--words {shown}, line {}: expected a word and what it is written as, such as 7,seven",
                    number + 1
                )));
            }
        };
    }
    Ok(words)
}
