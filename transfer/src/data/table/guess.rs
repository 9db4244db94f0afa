//! What the columns of a table are for, when nobody says it.

use std::collections::BTreeSet;

use crate::data::Split;

use super::names::{INPUTS, LABELS, PAIRS, PATHS, SPLITS, normalise};
use super::reader::Table;

/// A column with more distinct values than this has no classes.
const MAX_CLASSES: usize = 1000;

/// What the input column of a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// Texts, alone or in pairs.
    Texts,
    /// Paths of files.
    Files,
}

impl Inputs {
    /// Many of them.
    pub fn name(self) -> &'static str {
        match self {
            Self::Texts => "texts",
            Self::Files => "paths of files",
        }
    }

    /// One of them.
    pub fn one(self) -> &'static str {
        match self {
            Self::Texts => "text",
            Self::Files => "path",
        }
    }
}

/// What the columns of a table seem to be for, as their positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// The column of texts; where there are paths only, that of paths.
    pub input: Option<usize>,
    /// The column that makes pairs of the texts.
    pub second_input: Option<usize>,
    /// The column of files.
    pub path: Option<usize>,
    /// The column of classes.
    pub label: Option<usize>,
    /// The column that says which rows train, validate and test.
    pub split: Option<usize>,
    /// One line that says so, such as ``input `text`, label `stars` (5 values)``.
    pub why: String,
}

/// Guesses what columns are for: by usual names, alone or as the last word of a longer name (`airline_sentiment`); else the label is the
/// column with the fewest values and the input the one with the longest texts.
/// Paths are known by their column's name or by file endings.
pub fn guess_columns(table: &Table, inputs: Inputs) -> Guess {
    let columns: Vec<Column> = (0..table.columns().len()).map(|at| Column::of(table, at)).collect();
    let named =
        |names: &[&str]| names.iter().find_map(|name| columns.iter().position(|column| column.name == *name));
    let split = named(&SPLITS).filter(|&at| columns.get(at).is_some_and(|column| column.names_sides));
    let path = named(&PATHS).or_else(|| columns.iter().position(|column| column.names_files));
    let pair = PAIRS.iter().find_map(|&(first, second)| named(&[first]).zip(named(&[second])));
    let pair = pair.filter(|_| inputs == Inputs::Texts);
    let named_label = named(&LABELS).filter(|&at| Some(at) != split);
    let named_input = match inputs {
        Inputs::Files => path,
        Inputs::Texts => pair.map(|(first, _)| first).or_else(|| named(&INPUTS)).or_else(|| {
            last_word_in(&columns, &INPUTS, |at, column| Some(at) != named_label && !column.has_classes())
        }),
    };
    let named_label = named_label.or_else(|| {
        last_word_in(&columns, &LABELS, |at, column| Some(at) != named_input && column.has_classes())
    });

    let taken = |at: usize| [split, path, named_input, pair.map(|(_, second)| second)].contains(&Some(at));
    let fewest_values = || {
        let longest = longest(&columns, |_| true);
        let candidates = columns.iter().enumerate().filter(|&(at, column)| {
            !taken(at)
                && (named_input.is_some() || Some(at) != longest || columns.len() == 1)
                && column.has_classes()
        });
        // Of equals the last: labels usually stand behind what they are for.
        candidates.rev().min_by_key(|(_, column)| column.values).map(|(at, _)| at)
    };
    let label = named_label.or_else(fewest_values);
    let longest_free = || longest(&columns, |at| !taken(at) && Some(at) != label);
    let input = match inputs {
        Inputs::Files => path,
        Inputs::Texts => named_input.or_else(longest_free).or(path),
    };
    let second_input = pair.map(|(_, second)| second);

    let mut guess = Guess { input, second_input, path, label, split, why: String::new() };
    let is_named = named_input.is_some() || path == input;
    let values = label.and_then(|at| columns.get(at)).map_or(0, |column| column.values);
    guess.why = guess.describe(table, is_named, values);
    guess
}

impl Guess {
    fn describe(&self, table: &Table, is_input_named: bool, values: usize) -> String {
        let name = |at: usize| table.columns().get(at).map_or("", String::as_str);
        let mut text = match (self.input, self.second_input) {
            (Some(first), Some(second)) => format!("input `{}` with `{}`", name(first), name(second)),
            (Some(first), None) if is_input_named => format!("input `{}`", name(first)),
            (Some(first), None) => format!("input `{}` (the longest texts)", name(first)),
            (None, _) => "no input column".to_owned(),
        };
        match self.label {
            Some(at) => {
                let more = if values > MAX_CLASSES { "more than " } else { "" };
                text.push_str(&format!(", label `{}` ({more}{} values)", name(at), values.min(MAX_CLASSES)));
            }
            None => text.push_str(", no label column"),
        }
        if let Some(at) = self.split {
            text.push_str(&format!(", split `{}`", name(at)));
        }
        text
    }
}

/// The first fitting column whose name ends in one of these words, the likeliest word first.
fn last_word_in(columns: &[Column], words: &[&str], fits: impl Fn(usize, &Column) -> bool) -> Option<usize> {
    words.iter().find_map(|word| {
        columns.iter().enumerate().position(|(at, column)| {
            column.name.strip_suffix(word).is_some_and(|start| start.ends_with('_')) && fits(at, column)
        })
    })
}

/// What the guess looks at in a column.
struct Column {
    name: String,
    /// Distinct values that are not empty, at most one more than [`MAX_CLASSES`].
    values: usize,
    rows: usize,
    /// Rows in which it is not empty.
    filled: usize,
    /// Bytes of all its cells.
    bytes: usize,
    /// Whether all values are names of parts of a data set.
    names_sides: bool,
    /// Whether nearly all values end as names of files do.
    names_files: bool,
}

impl Column {
    fn of(table: &Table, at: usize) -> Self {
        let cells = || table.rows().iter().map(|row| row.cell(at).trim()).filter(|cell| !cell.is_empty());
        let mut values = BTreeSet::new();
        for cell in cells() {
            values.insert(cell);
            if values.len() > MAX_CLASSES {
                break;
            }
        }
        Self {
            name: table.columns().get(at).map_or_else(String::new, |name| normalise(name)),
            values: values.len(),
            rows: table.rows().len(),
            filled: cells().count(),
            bytes: cells().map(str::len).sum(),
            names_files: {
                let files = cells().filter(|cell| ends_like_file(cell)).count();
                files > 0 && files * 10 >= cells().count() * 9
            },
            names_sides: !values.is_empty() && values.iter().all(|value| Split::from_name(value).is_some()),
        }
    }

    /// Whether values recur, as classes do and texts and numbers of rows do not, and most rows have one, as they do not of remarks.
    fn has_classes(&self) -> bool {
        (2..=MAX_CLASSES).contains(&self.values)
            && self.values * 2 <= self.filled + 1
            && self.filled * 2 > self.rows
    }
}

/// Whether a cell ends in a dot and a file's ending: two to five letters or digits, not digits alone.
fn ends_like_file(cell: &str) -> bool {
    cell.rsplit_once('.').is_some_and(|(stem, ending)| {
        !stem.is_empty()
            && (2..=5).contains(&ending.len())
            && ending.chars().all(|letter| letter.is_ascii_alphanumeric())
            && ending.chars().any(|letter| letter.is_ascii_alphabetic())
    })
}

/// The column with the longest texts among some.
fn longest(columns: &[Column], among: impl Fn(usize) -> bool) -> Option<usize> {
    let candidates = columns.iter().enumerate().filter(|&(at, _)| among(at));
    candidates.rev().max_by_key(|(_, column)| column.bytes).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::path::Path;

    use super::*;

    #[test]
    fn columns_are_guessed_by_name_then_by_what_they_hold() {
        let cases: [(&str, &str); 13] = [
            ("text,label\ngood,1\nbad,0\n", "input `text`, label `label` (2 values)"),
            ("id,Review,stars\n1,good,5\n2,bad,1\n3,bad,1\n", "input `Review`, label `stars` (2 values)"),
            (
                "a fine film,1\na bad film,0\nwell,1\nno,0\n",
                "input `1` (the longest texts), label `2` (2 values)",
            ),
            (
                "0,a fine film\n1,a bad film\n0,well\n1,no\n",
                "input `2` (the longest texts), label `1` (2 values)",
            ),
            (
                "premise,hypothesis,label\na,b,x\nc,d,y\n",
                "input `premise` with `hypothesis`, label `label` (2 values)",
            ),
            (
                "text,part,label\na,train,x\nb,dev,y\nc,test,x\n",
                "input `text`, label `label` (2 values), split `part`",
            ),
            ("text,part,label\na,left,x\nb,right,y\n", "input `text`, label `label` (2 values)"),
            ("path,class\na/1.jpg,a\nb/2.jpg,b\n", "input `path`, label `class` (2 values)"),
            ("text,n\na,10\nb,11\nc,12\n", "input `text`, no label column"),
            ("text\na\nb\n", "input `text`, no label column"),
            // The formats of CoLA, of AG News, and of a well-known table of tweets.
            (
                "gj04,1,,a fine one\ngj05,0,*,one a fine\ncl95,1,,a good one\ncl95,1,,well\nx,0,*,no\nx,1,,yes\n",
                "input `4` (the longest texts), label `2` (2 values)",
            ),
            (
                "Class Index,Title,Description\n3,a,long\n3,b,longer\n1,c,short\n1,d,none\n",
                "input `Description`, label `Class Index` (2 values)",
            ),
            (
                "tweet_id,airline,airline_sentiment,tweet_text\n1,x,good,a\n2,x,bad,b\n3,y,good,c\n4,y,bad,d\n5,y,so,e\n6,x,so,f\n",
                "input `tweet_text`, label `airline_sentiment` (3 values)",
            ),
        ];
        for (text, expected) in cases {
            let table = Table::read(Path::new("a.csv"), text.as_bytes()).unwrap();
            assert_eq!(guess_columns(&table, Inputs::Texts).why, expected, "{text}");
        }
    }

    #[test]
    fn files_are_guessed_by_name_or_ending() {
        let cases = [
            (
                "image,caption,class,set\na/1,one,x,train\nb/2,two,y,val\nb/3,three,y,val\n",
                "input `image`, label `class` (2 values), split `set`",
            ),
            (
                "1.jpg,golden retriever\n2.png,golden retriever\n3.jpg,persian cat\n4.jpg,persian cat\n",
                "input `1`, label `2` (2 values)",
            ),
            ("what,n\nwell,1\nno,2\nyes,1\n", "no input column, label `n` (2 values)"),
        ];
        for (text, expected) in cases {
            let table = Table::read(Path::new("a.csv"), text.as_bytes()).unwrap();
            assert_eq!(guess_columns(&table, Inputs::Files).why, expected, "{text}");
        }
    }
}
