//! Texts as they are named on the command line: said outright, files, tables, lines of standard input.

use std::io::BufRead;
use std::path::Path;

use tk_transfer::data::table::{Inputs, Table, decode, guess_columns, is_table};
use transferkit::classify::Settings;

use super::Failure;

/// A text with what it is called, or what is wrong with it.
pub struct Named {
    /// `FILE`, `FILE:LINE`, `-:LINE`, or `None` for a text that was said outright.
    pub name: Option<String>,
    /// The text, and the second one of a pair.
    pub text: Result<(String, Option<String>), String>,
}

/// The texts of inputs in their order. Columns of tables are those of the run, else guessed.
pub fn read(said: &[String], inputs: &[String], run: Option<&Settings>) -> Result<Vec<Named>, Failure> {
    let mut texts: Vec<Named> =
        said.iter().map(|text| Named { name: None, text: Ok((text.clone(), None)) }).collect();
    for input in inputs {
        let path = Path::new(input);
        if input == "-" {
            for (number, line) in std::io::stdin().lock().lines().enumerate() {
                let line = line.map_err(|error| Failure::error(format!("standard input: {error}")))?;
                texts.push(named(format!("-:{}", number + 1), (line, None)));
            }
        } else if is_table(path) {
            read_table(path, run, &mut texts)?;
        } else if path.is_dir() {
            return Err(Failure::usage(format!(
                "`{input}` is a folder; name tables, .txt files, or - for lines"
            )));
        } else if path.is_file() {
            let text = std::fs::read(path).map_err(|error| error.to_string()).and_then(|bytes| {
                String::from_utf8(decode(&bytes).into_owned())
                    .map_err(|_| "it is neither UTF-8 nor UTF-16".into())
            });
            texts.push(match text {
                Ok(text) => named(input.clone(), (text, None)),
                Err(reason) => Named { name: Some(input.clone()), text: Err(reason) },
            });
        } else {
            return Err(Failure::usage(format!("no such file: `{input}`"))
                .help("to say a text outright: --text \"TEXT\""));
        }
    }
    Ok(texts)
}

/// The rows of a table; those that cannot be used are named with the reason.
fn read_table(path: &Path, run: Option<&Settings>, texts: &mut Vec<Named>) -> Result<(), Failure> {
    let failed = |error: tk_transfer::data::table::TableError| {
        Failure::from(transferkit::classify::Error::from(error))
    };
    let table = Table::open(path).map_err(failed)?;
    let guess = guess_columns(&table, Inputs::Texts);
    // The columns are those that the run was trained on, where the table has them.
    let said: Vec<usize> = run
        .and_then(|run| run.input.as_deref())
        .into_iter()
        .flat_map(|input| input.split(','))
        .filter_map(|name| table.column(name.trim()).ok())
        .collect();
    let (first, second) = match said.as_slice() {
        [] => (guess.input, guess.second_input),
        [first, rest @ ..] => (Some(*first), rest.first().copied()),
    };
    let Some(first) = first else {
        return Err(Failure::data(format!("`{}`: no column looks like texts", path.display())));
    };
    for row in table.rows() {
        let text = row.cell(first).to_owned();
        texts.push(named(table.row_name(row), (text, second.map(|second| row.cell(second).to_owned()))));
    }
    let bad = table.quarantine().iter();
    texts.extend(
        bad.map(|(name, reason)| Named { name: Some(name.to_owned()), text: Err(reason.to_owned()) }),
    );
    Ok(())
}

fn named(name: String, (text, second): (String, Option<String>)) -> Named {
    let is_empty = text.trim().is_empty();
    Named {
        name: Some(name),
        text: if is_empty { Err("the text is empty".into()) } else { Ok((text, second)) },
    }
}
