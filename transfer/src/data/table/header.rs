//! Whether the first row of delimited text names the columns.

use std::collections::{BTreeMap, BTreeSet};

use super::names::is_usual;

/// Longer cells are no names.
const MAX_NAME_CHARACTERS: usize = 40;
const MAX_NAME_WORDS: usize = 4;

/// How many rows are compared with the first.
const COMPARED: usize = 1000;

/// Whether `first` names the columns of the rows below it.
///
/// It does when its cells are short, distinct and no numbers, none of them recurs below, and either one is a usual name or one
/// differs in kind from what stands below it: below are numbers, texts that are much longer, or a few values again and again.
pub(super) fn is_header(first: &[String], below: &[&[String]]) -> bool {
    let below = below.get(..COMPARED).unwrap_or(below);
    let named: Vec<(usize, &str)> = first
        .iter()
        .enumerate()
        .map(|(at, cell)| (at, cell.trim()))
        .filter(|(_, cell)| !cell.is_empty())
        .collect();
    let distinct: BTreeSet<&str> = named.iter().map(|&(_, cell)| cell).collect();
    let column = |at: usize| below.iter().filter_map(move |row| row.get(at)).map(|cell| cell.trim());
    // Columns may lack a name, as those of row numbers and those that a spreadsheet left empty, but few that are used do.
    let is_used = |at: usize| column(at).filter(|cell| !cell.is_empty()).count() * 2 > below.len();
    let nameless =
        first.iter().enumerate().filter(|&(at, cell)| cell.trim().is_empty() && is_used(at)).count();
    if named.len() <= nameless || distinct.len() < named.len() {
        return false;
    }
    if named.iter().any(|&(at, cell)| !is_name(cell) || column(at).any(|other| other == cell)) {
        return false;
    }
    named.iter().any(|(_, cell)| is_usual(cell))
        || named.iter().any(|&(at, cell)| differs_in_kind(cell, &column(at).collect::<Vec<_>>()))
}

/// Whether a cell is a number.
pub(super) fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok() || cell.replace(',', ".").parse::<f64>().is_ok()
}

fn is_name(cell: &str) -> bool {
    !is_number(cell)
        && cell.chars().count() <= MAX_NAME_CHARACTERS
        && cell.split_whitespace().count() <= MAX_NAME_WORDS
}

fn differs_in_kind(name: &str, below: &[&str]) -> bool {
    let filled: Vec<&str> = below.iter().copied().filter(|cell| !cell.is_empty()).collect();
    if filled.is_empty() {
        return false;
    }
    let numbers = filled.iter().filter(|cell| is_number(cell)).count();
    let mean_length = filled.iter().map(|cell| cell.len()).sum::<usize>() / filled.len();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    filled.iter().for_each(|cell| *counts.entry(cell).or_default() += 1);
    numbers * 20 >= filled.len() * 19
        || mean_length > 2 * name.len() + 10
        || (counts.len() > 1 && counts.values().all(|&count| count > 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_differ_from_what_they_head() {
        let cases: [(&str, bool); 16] = [
            ("text|label\ngood|pos\nbad|neg", true),
            ("Review Text|Stars\ngood|5\nbad|1", true),
            ("phrase|verdict\ngood film|pos\nbad film|neg\nworse|neg\nbest|pos", true),
            ("phrase|value\ngood|0.5\nbad|1", true),
            (
                "what they said|who\na quite long sentence that goes on and on and on|x\nanother of about that length, if not of a greater one|y",
                true,
            ),
            ("|text|label\n0|good|1", true),
            (
                "v1|v2||\nham|it is a quite long message|x|\nspam|and so is the next of them, is it not||\nham|so||",
                true,
            ),
            (
                "v1|||\nham|it is a quite long message|x|\nspam|and so is the next of them, is it not|y|",
                false,
            ),
            ("good film|pos\nbad film|neg\nfine film|pos", false),
            ("a stirring film|1\nanother one|0", false),
            ("y|n\ny|n", false),
            ("a sentence of six short words|pos\nb|neg\nc|neg", false),
            ("text|text\na|b", false),
            ("good|bad\nfine|poor", false),
            ("1|2\n3|4", false),
            ("|\na|b", false),
        ];
        for (table, expected) in cases {
            let rows: Vec<Vec<String>> =
                table.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect();
            let below: Vec<&[String]> = rows.iter().skip(1).map(Vec::as_slice).collect();
            assert_eq!(rows.first().is_some_and(|first| is_header(first, &below)), expected, "{table}");
        }
    }
}
