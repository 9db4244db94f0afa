//! Comma-, semicolon- and tab-separated text as rows.

use std::borrow::Cow;

use super::TableError;
use super::dialect::guess_dialect;
use super::header::is_header;
use super::reader::{Row, Rows};
use super::records::Records;

/// Reads delimited text. `is_tabbed` says what the file's name says of the delimiter.
///
/// # Errors
/// When the header has another number of cells than the rows.
pub(super) fn read_delimited(name: &str, text: &[u8], is_tabbed: bool) -> Result<Rows, TableError> {
    let (dialect, width) = guess_dialect(text, is_tabbed);
    let mut rows = Rows::default();
    let mut records = Records::new(text, dialect);
    let mut odd_first_row = None;
    while let Some(record) = records.next() {
        let line = record.line;
        if let Some(flaw) = record.flaw {
            rows.set_aside(line, flaw.reason());
            continue;
        }
        let found = record.cells.len();
        if found != width {
            if line == 1 {
                odd_first_row = to_text(record.cells).ok();
            }
            rows.set_aside(line, format!("{found} cells; expected {width} as in most rows"));
            // Should a stray quote have joined lines, then only the one with the quote is lost.
            records.go_back_to_second_line();
            continue;
        }
        match to_text(record.cells) {
            Ok(cells) => rows.rows.push(Row { line, cells }),
            Err(reason) => rows.set_aside(line, reason),
        }
    }
    let first_rows: Vec<&[String]> = rows.rows.iter().map(|row| row.cells.as_slice()).collect();
    if let Some(first) = odd_first_row
        && is_header(&first, &first_rows)
    {
        return Err(TableError::HeaderWidth { table: name.to_owned(), expected: width, found: first.len() });
    }
    let numbers = (1..=width).map(|number| number.to_string());
    match first_rows.split_first() {
        Some((first, below)) if is_header(first, below) => {
            let header = rows.rows.remove(0).cells;
            let names = header.into_iter().map(|name| name.trim().to_owned()).zip(numbers);
            rows.columns = names.map(|(name, number)| if name.is_empty() { number } else { name }).collect();
            rows.has_names = true;
        }
        _ => rows.columns = numbers.collect(),
    }
    Ok(rows)
}

/// Cells as text.
fn to_text(cells: Vec<Cow<'_, [u8]>>) -> Result<Vec<String>, String> {
    let to_text = |(column, cell): (usize, Cow<'_, [u8]>)| {
        String::from_utf8(cell.into_owned()).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            format!("cell {} is not UTF-8 (at byte {at}); save the table as UTF-8", column + 1)
        })
    };
    cells.into_iter().enumerate().map(to_text).collect()
}
