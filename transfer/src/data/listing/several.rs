//! Cells that hold several labels.

use std::fmt;

/// What stands between labels when nothing is said, the most telling first: the first that a label's cell has.
const USUAL: [&str; 4] = ["|", ";", ",", " "];

/// What stands between the labels of a cell. JSON arrays of texts are read too, whatever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Separator(String);

impl Separator {
    /// A separator as it is written.
    pub fn new(written: impl Into<String>) -> Self {
        Self(written.into())
    }

    /// The first of `|`, `;`, `,` and the space that one of the cells has; a comma when none has any.
    pub fn guess<'a>(cells: impl Iterator<Item = &'a str> + Clone) -> Self {
        let plain = cells.filter(|cell| array(cell).is_none());
        let is_there = |separator: &&&str| plain.clone().any(|cell| cell.trim().contains(**separator));
        Self((*USUAL.iter().find(is_there).unwrap_or(&",")).to_owned())
    }

    /// The labels of a cell, each once, without white space around them. An empty cell has none.
    pub fn split(&self, cell: &str) -> Vec<String> {
        let found = array(cell).unwrap_or_else(|| cell.split(self.0.as_str()).map(str::to_owned).collect());
        let mut labels: Vec<String> = Vec::new();
        for label in found.iter().map(|label| label.trim()).filter(|label| !label.is_empty()) {
            if !labels.iter().any(|known| known == label) {
                labels.push(label.to_owned());
            }
        }
        labels
    }
}

impl fmt::Display for Separator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What is in a JSON array of texts and numbers.
fn array(cell: &str) -> Option<Vec<String>> {
    let values: Vec<serde_json::Value> = Some(cell.trim())
        .filter(|cell| cell.starts_with('['))
        .and_then(|cell| serde_json::from_str(cell).ok())?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    values.into_iter().map(text).collect()
}

/// Whether a cell of a column of 0 and 1 marks its row.
///
/// # Errors
/// The reason, in one line: it is neither.
pub(super) fn is_marked(column: &str, cell: &str) -> Result<bool, String> {
    match cell.trim() {
        "1" | "1.0" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "0.0" | "false" | "False" | "FALSE" => Ok(false),
        other => Err(format!("`{column}` is `{other}`; expected 0 or 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_split_once_for_each_label() {
        for (separator, cell, expected) in [
            ("|", " cat | dog|cat|", vec!["cat", "dog"]),
            (",", "", vec![]),
            (" ", "a  b", vec!["a", "b"]),
            (",", r#"["hot, dog", "cat", 3]"#, vec!["hot, dog", "cat", "3"]),
            ("|", "[draft", vec!["[draft"]),
        ] {
            assert_eq!(Separator::new(separator).split(cell), expected, "{cell}");
        }
    }

    #[test]
    fn the_separator_is_the_most_telling_one_that_is_there() {
        for (cells, expected) in [
            (&["red fox, hare", "owl"][..], ","),
            (&["a,b|c", "d"], "|"),
            (&["fox hare", "owl "], " "),
            (&["owl", "[\"a\", \"b\"]"], ","),
        ] {
            assert_eq!(Separator::guess(cells.iter().copied()).to_string(), expected, "{cells:?}");
        }
    }

    #[test]
    fn marks_are_zero_or_one() {
        assert_eq!((is_marked("a", " 1 "), is_marked("a", "0.0")), (Ok(true), Ok(false)));
        assert_eq!(is_marked("a", "2"), Err("`a` is `2`; expected 0 or 1".to_owned()));
        assert!(is_marked("a", "").is_err());
    }
}
