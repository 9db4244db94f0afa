//! A table: named columns of text, and rows that know their line.

use std::path::{Path, PathBuf};

use super::delimited::read_delimited;
use super::encoding::decode;
use super::error::TableError;
use super::json_lines::read_json_lines;
use crate::checkpoint::nearest;
use crate::data::Quarantine;

/// The largest file that is read.
pub const MAX_FILE_BYTES: u64 = 4 << 30;

/// How files of tables end.
pub const TABLE_ENDINGS: [&str; 4] = ["csv", "tsv", "jsonl", "json"];

/// Named columns of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    name: String,
    path: PathBuf,
    columns: Vec<String>,
    has_names: bool,
    rows: Vec<Row>,
    quarantine: Quarantine,
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line on which it starts, from 1.
    pub line: usize,
    /// A cell for each column.
    pub cells: Vec<String>,
}

/// What a format's reader finds.
#[derive(Default)]
pub(super) struct Rows {
    pub columns: Vec<String>,
    pub has_names: bool,
    pub rows: Vec<Row>,
    /// Lines that are no rows, with the reason.
    pub bad: Vec<(usize, String)>,
}

impl Rows {
    pub fn set_aside(&mut self, line: usize, reason: impl Into<String>) {
        self.bad.push((line, reason.into()));
    }
}

/// Whether a file is a table by its name.
pub fn is_table(path: &Path) -> bool {
    ending(path).is_some()
}

impl Table {
    /// Reads `.csv`, `.tsv`, `.jsonl` or `.json` (lines). The delimiter among `,` `;` and tab, quoting, encoding (UTF-8, UTF-16) and
    /// whether the first row names the columns are told from the content; columns without names are called `1`, `2`, ….
    ///
    /// Rows that cannot be used are in [`Table::quarantine`]: text that is not UTF-8, another number of cells than most rows, more than
    /// [`MAX_ROW_BYTES`](super::MAX_ROW_BYTES), a line that is no JSON object.
    ///
    /// # Errors
    /// The file cannot be read, is larger than [`MAX_FILE_BYTES`], no table by its name, or has no usable row.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TableError> {
        let path = path.as_ref();
        let unreadable = |source| TableError::Unreadable { path: path.to_owned(), source };
        if !is_table(path) {
            return Err(TableError::UnknownEnding { path: path.to_owned() });
        }
        let found = std::fs::metadata(path).map_err(unreadable)?.len();
        if found > MAX_FILE_BYTES {
            return Err(TableError::TooLarge { path: path.to_owned(), found, limit: MAX_FILE_BYTES });
        }
        Self::read(path, &std::fs::read(path).map_err(unreadable)?)
    }

    /// The table in bytes that were read from a file of this path.
    ///
    /// # Errors
    /// As [`Table::open`].
    pub fn read(path: &Path, bytes: &[u8]) -> Result<Self, TableError> {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let ending = ending(path).ok_or_else(|| TableError::UnknownEnding { path: path.to_owned() })?;
        let text = decode(bytes);
        if text.trim_ascii().is_empty() {
            return Err(TableError::Empty { table: name });
        }
        let Rows { columns, has_names, rows, bad } = match ending {
            "json" | "jsonl" => read_json_lines(&name, &text)?,
            _ => read_delimited(&name, &text, ending == "tsv")?,
        };
        if rows.is_empty() {
            let found = match bad.as_slice() {
                [] => "it has a header only".to_owned(),
                [(line, reason), ..] => {
                    format!("{} lines set aside, the first {name}:{line}: {reason}", bad.len())
                }
            };
            return Err(TableError::NoUsableRow { table: name, found });
        }
        let mut quarantine = Quarantine::default();
        bad.into_iter().for_each(|(line, reason)| quarantine.add(format!("{name}:{line}"), reason));
        Ok(Self { name, path: path.to_owned(), columns, has_names, rows, quarantine })
    }

    /// The file's name without its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The columns' names; `1`, `2`, … when the file gives none.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Whether the file names its columns.
    pub fn has_names(&self) -> bool {
        self.has_names
    }

    /// The usable rows, in their order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The lines that are no rows, as `FILE:LINE`, with the reason.
    pub fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// A row's name, `FILE:LINE`.
    pub fn row_name(&self, row: &Row) -> String {
        format!("{}:{}", self.name, row.line)
    }

    /// The column of a name: as written, else whatever the case of its letters, else its number from 1.
    ///
    /// # Errors
    /// There is none, or several that differ in case only.
    pub fn column(&self, wanted: &str) -> Result<usize, TableError> {
        let exact = self.columns.iter().position(|name| name == wanted);
        let folded = wanted.trim().to_lowercase();
        let mut alike = self.columns.iter().enumerate().filter(|(_, name)| name.to_lowercase() == folded);
        let alike = match (alike.next(), alike.next()) {
            (Some((at, _)), None) => Some(at),
            _ => None,
        };
        let number =
            wanted.trim().parse::<usize>().ok().filter(|number| (1..=self.columns.len()).contains(number));
        exact.or(alike).or(number.map(|number| number - 1)).ok_or_else(|| TableError::NoColumn {
            table: self.name.clone(),
            wanted: wanted.to_owned(),
            columns: list(&self.columns)
                + if self.has_names { "" } else { " (the first row does not look like names)" },
            nearest: nearest(&folded, self.columns.iter().map(String::as_str)).map(str::to_owned),
        })
    }
}

impl Row {
    /// The cell of a column; empty where there is none.
    pub fn cell(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }
}

/// The file's ending in lower case, if it is a table's.
fn ending(path: &Path) -> Option<&'static str> {
    let ending = path.extension()?.to_str()?;
    TABLE_ENDINGS.into_iter().find(|known| known.eq_ignore_ascii_case(ending))
}

/// Names in back quotes; of many, the first twenty.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn read(name: &str, text: &[u8]) -> Table {
        Table::read(Path::new(name), text).unwrap()
    }

    fn rows(table: &Table) -> Vec<(usize, String)> {
        table.rows().iter().map(|row| (row.line, row.cells.join("|"))).collect()
    }

    #[test]
    fn every_format_gives_the_same_table() {
        let expected = [(2, "good, really|1".to_owned()), (3, "bad|0".to_owned())];
        for (name, text) in [
            ("a.csv", "text,label\n\"good, really\",1\nbad,0\n"),
            ("a.CSV", "text;label\r\ngood, really;1\r\nbad;0"),
            ("a.tsv", "text\tlabel\ngood, really\t1\nbad\t0\n"),
            ("a.jsonl", "\n{\"text\": \"good, really\", \"label\": 1}\n{\"label\": 0, \"text\": \"bad\"}\n"),
        ] {
            let table = read(name, text.as_bytes());
            assert_eq!(
                (table.columns().join("|").as_str(), table.has_names()),
                ("text|label", true),
                "{text}"
            );
            assert_eq!(rows(&table), expected, "{text}");
            assert!(table.quarantine().is_empty(), "{text}");
        }
        let table = read("a.tsv", b"good \"film\t1\nbad\t0\n");
        assert_eq!((table.columns().join("|").as_str(), table.has_names()), ("1|2", false));
        assert_eq!(rows(&table), [(1, "good \"film|1".to_owned()), (2, "bad|0".to_owned())]);
    }

    #[test]
    fn bad_lines_cost_themselves_only() {
        let long = "y".repeat(10 << 20);
        let good = "a \"fine\" film,1\n".repeat(50);
        let text = format!("text,label\n{good}\"open,0\nb,0\nc\n{long},0\nd,0,1\n\n");
        let mut text = text.into_bytes();
        text.extend(b"\xe9,1\nlast,1\n");
        let table = read("x.csv", &text);
        assert_eq!(table.rows().len(), 53);
        assert_eq!(table.rows().last().unwrap(), &Row { line: 59, cells: vec!["last".into(), "1".into()] });
        let bad: Vec<&str> = table.quarantine().iter().map(|(name, _)| name).collect();
        assert_eq!(bad, ["x.csv:54", "x.csv:55", "x.csv:56", "x.csv:58"]);

        let text =
            format!("{{\"a\": 1}}\n[1]\n{{\"a\": \n3\n{{\"b\": {{\"c\": null}}, \"a\": null}}\n\"{long}\"\n");
        let table = read("x.jsonl", text.as_bytes());
        assert_eq!(table.columns(), ["a", "b"]);
        assert_eq!(rows(&table), [(1, "1|".to_owned()), (5, "|{\"c\":null}".to_owned())]);
        let bad: Vec<(&str, &str)> = table.quarantine().iter().collect();
        assert_eq!(bad.len(), 4);
        assert_eq!(bad[1], ("x.jsonl:3", "not a JSON object: it ends too early, column 6"));
    }

    #[test]
    fn what_is_no_table_is_an_error_with_the_way_out() {
        for (name, text, expected) in [
            ("a.csv", "", "`a.csv` is empty"),
            ("a.csv", " \n\n", "`a.csv` is empty"),
            ("a.jsonl", "1\n2\n", "2 lines set aside, the first a.jsonl:1: not a JSON object"),
            ("a.json", "[{\"text\": 1}]", "is one JSON array; expected one object on each line"),
            ("a.xlsx", "x", "expected a file that ends in .csv, .tsv"),
            (
                "a.csv",
                "text,label\n1,a,x\n2,b,y\n3,c,x\n",
                "the header of `a.csv` has 2 cells, most rows have 3",
            ),
        ] {
            let error = Table::read(Path::new(name), text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = Table::open("no/such.csv").unwrap_err().to_string();
        assert!(error.starts_with("`no/such.csv` cannot be read"), "{error}");
    }

    #[test]
    fn nothing_that_a_file_holds_is_a_panic() {
        let pieces: [&[u8]; 18] = [
            b"\"",
            b"\"\"",
            b",",
            b";",
            b"\t",
            b"\n",
            b"\r",
            b"\r\n",
            b"a",
            b"1",
            b"\xff",
            b"\0",
            b"{\"a\":1}",
            b"{",
            b"[",
            b"\\",
            b"text",
            "\u{e9}".as_bytes(),
        ];
        let mut stream = tk_engine::random::Stream::new(1, &["tables".into()]);
        let (mut tables, mut rows) = (0, 0);
        for _ in 0..3000 {
            let bytes: Vec<u8> =
                (0..stream.below(60)).flat_map(|_| pieces[stream.below(pieces.len())].to_vec()).collect();
            for name in ["a.csv", "a.tsv", "a.jsonl"] {
                let Ok(table) = Table::read(Path::new(name), &bytes) else { continue };
                tables += 1;
                for row in table.rows() {
                    rows += 1;
                    assert_eq!(row.cells.len(), table.columns().len());
                    assert!(!table.quarantine().contains(&table.row_name(row)));
                }
                crate::data::table::guess_columns(&table, crate::data::table::Inputs::Texts);
            }
        }
        assert!(tables > 2000 && rows > tables, "{tables} {rows}");
    }

    #[test]
    fn columns_are_found_by_name_or_number() {
        let table = read("a.csv", b"text,Label,label\na,b,1\n");
        for (wanted, expected) in [("text", 0), ("TEXT", 0), ("label", 2), ("Label", 1), ("2", 1)] {
            assert_eq!(table.column(wanted).unwrap(), expected, "{wanted}");
        }
        let error = table.column("words").unwrap_err().to_string();
        assert_eq!(error, "`a.csv` has no column `words`; its columns are `text`, `Label`, `label`");
        let error = table.column("labels").unwrap_err().to_string();
        assert!(error.ends_with("did you mean `label`?"), "{error}");
        let error = read("a.csv", b"a,1\nb,0\n").column("text").unwrap_err().to_string();
        assert!(
            error.ends_with("its columns are `1`, `2` (the first row does not look like names)"),
            "{error}"
        );
        for wanted in ["LABEL", "0", "4", ""] {
            assert!(table.column(wanted).is_err(), "{wanted}");
        }
    }
}
