//! JSON lines as rows: one object a line, its keys the columns.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::TableError;
use super::reader::{Row, Rows};
use super::records::MAX_ROW_BYTES;

/// More columns than this are no table: every line has keys of its own.
const MAX_COLUMNS: usize = 1000;

/// Reads JSON lines. Columns stand in the order in which their keys first occur; a key that a line lacks is an empty cell there.
///
/// # Errors
/// When the text is one JSON array.
pub(super) fn read_json_lines(name: &str, text: &[u8]) -> Result<Rows, TableError> {
    if text.trim_ascii_start().first() == Some(&b'[') {
        return Err(TableError::JsonArray { table: name.to_owned() });
    }
    let mut rows = Rows { has_names: true, ..Rows::default() };
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (index, bytes) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = index + 1;
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        match parse(bytes) {
            Err(reason) => rows.set_aside(line, reason),
            Ok(object) => {
                let new = object.keys().filter(|key| !places.contains_key(*key)).count();
                if places.len() + new > MAX_COLUMNS {
                    let reason = format!("its keys would make more than {MAX_COLUMNS} columns");
                    rows.set_aside(line, reason);
                    continue;
                }
                let mut cells = vec![String::new(); places.len() + new];
                for (key, value) in object {
                    let next = places.len();
                    let place = *places.entry(key).or_insert_with_key(|key| {
                        rows.columns.push(key.clone());
                        next
                    });
                    if let Some(cell) = cells.get_mut(place) {
                        *cell = to_text(value);
                    }
                }
                rows.rows.push(Row { line, cells });
            }
        }
    }
    for row in &mut rows.rows {
        row.cells.resize(places.len(), String::new());
    }
    Ok(rows)
}

fn parse(line: &[u8]) -> Result<Map<String, Value>, String> {
    if line.len() > MAX_ROW_BYTES {
        return Err(format!("the row is longer than {MAX_ROW_BYTES} bytes"));
    }
    let line =
        std::str::from_utf8(line).map_err(|error| format!("not UTF-8 (at byte {})", error.valid_up_to()))?;
    match serde_json::from_str(line) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("not a JSON object; expected {\"text\": …, \"label\": …}".to_owned()),
        Err(error) => Err(format!("not a JSON object: {}, column {}", category(&error), error.column())),
    }
}

fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        _ => "it is malformed",
    }
}

/// A value as a cell: text as it is, nothing as an empty cell, all else as JSON writes it.
fn to_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
