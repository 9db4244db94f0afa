//! Where a sample's label or group is taken from: a column, its file's name, or its folder.

use std::fmt;
use std::str::FromStr;

use regex::Regex;

use super::error::TableError;
use super::reader::{Row, Table};

/// Says where a label or a group is found. Written as a column's name or number, `name:REGEX` (what group 1 of the expression
/// matches in the file's name; in the whole path when the expression has a `/`), or `dir` (the folder of the file).
#[derive(Clone, Debug)]
pub struct Selector {
    written: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Column,
    Name(Regex),
    Folder,
}

impl Selector {
    /// The column of this name or number, whatever it is called.
    pub fn column(name: impl Into<String>) -> Self {
        Self { written: name.into(), kind: Kind::Column }
    }

    /// The name of the column it means, if it means one.
    pub fn column_name(&self) -> Option<&str> {
        matches!(self.kind, Kind::Column).then_some(self.written.as_str())
    }

    /// What is selected of a file, its path relative to the data and with `/` between parts. `None` when it means a column.
    ///
    /// # Errors
    /// The reason, in one line: the expression does not match, or the file is in no folder.
    pub fn of_path<'a>(&self, path: &'a str) -> Option<Result<&'a str, String>> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        match &self.kind {
            Kind::Column => None,
            Kind::Folder if folder.is_empty() => Some(Err(format!("`{path}` stands in no folder"))),
            Kind::Folder => Some(Ok(folder)),
            Kind::Name(expression) => {
                let among = if expression.as_str().contains('/') { path } else { name };
                let found = expression.captures(among).and_then(|captures| captures.get(1));
                Some(match found.map(|found| found.as_str()).filter(|found| !found.is_empty()) {
                    Some(found) => Ok(found),
                    None => Err(format!("`{self}` finds nothing in `{among}`")),
                })
            }
        }
    }

    /// What it selects of a table's rows: the column to read, and how. `paths` is the column of files, if there is one.
    ///
    /// # Errors
    /// There is no such column, or no column of files where one is needed.
    pub fn bind(&self, table: &Table, paths: Option<usize>) -> Result<BoundSelector<'_>, TableError> {
        let column = match self.kind {
            Kind::Column => table.column(&self.written)?,
            Kind::Name(_) | Kind::Folder => paths.ok_or_else(|| TableError::NoPaths {
                selector: self.written.clone(),
                table: table.name().to_owned(),
            })?,
        };
        Ok(BoundSelector { selector: self, column })
    }
}

/// A selector and the column of a table that it reads.
#[derive(Clone, Copy, Debug)]
pub struct BoundSelector<'a> {
    selector: &'a Selector,
    column: usize,
}

impl BoundSelector<'_> {
    /// The column that is read.
    pub fn column(&self) -> usize {
        self.column
    }

    /// Whether it takes cells as they are, and not a part of the path in them.
    pub fn takes_cell(&self) -> bool {
        self.selector.column_name().is_some()
    }

    /// What is selected of a row, without white space around it.
    ///
    /// # Errors
    /// The reason, in one line: the cell is empty, or the expression does not match it.
    pub fn of_row<'a>(&self, row: &'a Row) -> Result<&'a str, String> {
        let cell = row.cell(self.column).trim();
        match self.selector.of_path(cell) {
            Some(selected) => selected,
            None if cell.is_empty() => Err("the cell is empty".to_owned()),
            None => Ok(cell),
        }
    }
}

impl FromStr for Selector {
    type Err = TableError;

    fn from_str(written: &str) -> Result<Self, TableError> {
        let error =
            |reason: &str| TableError::Selector { selector: written.to_owned(), reason: reason.to_owned() };
        let kind = match written.strip_prefix("name:") {
            None if written.trim().is_empty() => return Err(error("nothing is selected")),
            None if written == "dir" => Kind::Folder,
            None => Kind::Column,
            Some(expression) => {
                let expression = Regex::new(expression).map_err(|reason| {
                    // The last line says what is wrong; those before draw where.
                    error(reason.to_string().lines().last().unwrap_or_default().trim_start_matches("error: "))
                })?;
                if expression.captures_len() < 2 {
                    return Err(error("the expression has no group in parentheses"));
                }
                Kind::Name(expression)
            }
        };
        Ok(Self { written: written.to_owned(), kind })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::path::Path;

    use super::*;

    #[test]
    fn files_are_selected_by_name_and_folder() {
        let cases = [
            ("dir", "a/b/c.jpg", Ok("a/b")),
            ("dir", "c.jpg", Err("`c.jpg` stands in no folder")),
            (r"name:_(\w+)_", "x_1/3_theo_7.wav", Ok("theo")),
            (r"name:_(\w+)_", "x_y_z/theo.wav", Err(r"`name:_(\w+)_` finds nothing in `theo.wav`")),
            ("name:site([0-9]+)/", "site12/a.jpg", Ok("12")),
        ];
        for (selector, path, expected) in cases {
            let selected = selector.parse::<Selector>().unwrap().of_path(path).unwrap();
            assert_eq!(selected, expected.map_err(str::to_owned), "{selector} {path}");
        }
        assert!("dir".parse::<Selector>().unwrap().column_name().is_none());
        assert!("user".parse::<Selector>().unwrap().of_path("a/b").is_none());
    }

    #[test]
    fn rows_are_selected_by_column_and_by_their_file() {
        let table = Table::read(Path::new("a.csv"), b"path,user\nx/1_a.jpg, anna \ny/2_b.jpg,\n").unwrap();
        for (selector, expected) in [
            ("user", ["anna", "the cell is empty"]),
            ("dir", ["x", "y"]),
            ("name:_(.)", ["a", "b"]),
            ("2", ["anna", "the cell is empty"]),
        ] {
            let selector: Selector = selector.parse().unwrap();
            let bound = selector.bind(&table, Some(0)).unwrap();
            let found = table.rows().iter().map(|row| bound.of_row(row).map_or_else(|e| e, str::to_owned));
            assert_eq!(found.collect::<Vec<_>>(), expected, "{selector}");
        }
        let error = |text: &str| match text.parse::<Selector>() {
            Err(error) => error.to_string(),
            Ok(selector) => selector.bind(&table, None).unwrap_err().to_string(),
        };
        for (selector, expected) in [
            ("users", "did you mean `user`?"),
            ("dir", "no column of paths"),
            ("name:a", "no group in parentheses"),
            ("name:(", "unclosed group"),
            (" ", "nothing is selected"),
        ] {
            assert!(error(selector).contains(expected), "{selector}: {}", error(selector));
        }
    }
}
