//! `tk embed`: the features of photographs, for other tools.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tk_transfer::atomic::write_atomic;
use tk_transfer::checkpoint::{Precision, SaveTensor, save};

use super::arguments::Embed;
use super::{Failure, console, environment, inputs};

/// The formats that can be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Safetensors,
    Npy,
    Csv,
}

/// Runs the command.
pub fn run(arguments: Embed) -> Result<(), Failure> {
    let format = match arguments.out.extension().and_then(|ending| ending.to_str()) {
        Some("safetensors") => Format::Safetensors,
        Some("npy") => Format::Npy,
        Some("csv") => Format::Csv,
        _ => {
            let shown = arguments.out.display();
            return Err(Failure::usage(format!(
                "-o {shown}: expected a name ending in .safetensors, .npy or .csv"
            )));
        }
    };
    let machine = environment::machine(arguments.threads)?;
    let classifier = inputs::classifier(&arguments.model, &machine)?;
    let files = inputs::files(&arguments.inputs)?;
    let (mut names, mut rows, mut failed) = (Vec::new(), Vec::new(), 0);
    inputs::each_batch(&files, machine.pool.threads(), |files, pictures| {
        let (good, positions, bad) = inputs::readable(pictures);
        for (position, reason) in &bad {
            console::note(&format!("aside    {}: {reason}", shown(files, *position)));
        }
        failed += bad.len();
        names.extend(positions.iter().map(|&position| shown(files, position)));
        rows.extend(classifier.embed(&good)?);
        Ok(())
    })?;
    if rows.is_empty() {
        return Err(Failure::data(format!("none of the {} inputs can be read", files.len())));
    }
    write(&arguments.out, format, &names, &rows)?;
    let width = rows.first().map_or(0, Vec::len);
    console::note(&format!("features of {} photographs, {width} numbers each", rows.len()));
    console::line(&arguments.out.display().to_string())?;
    inputs::some_failed(failed, files.len())
}

fn shown(files: &[PathBuf], position: usize) -> String {
    files.get(position).map_or_else(String::new, |file| file.display().to_string())
}

/// Writes `[photographs, width]` numbers; safetensors and CSV also say which file each row is of, npy prints that order.
fn write(path: &Path, format: Format, names: &[String], rows: &[Vec<f32>]) -> Result<(), Failure> {
    let width = rows.first().map_or(0, Vec::len);
    let result = match format {
        Format::Safetensors => {
            let values = rows.concat();
            let tensor = SaveTensor { name: "features", shape: &[rows.len(), width], values: &values };
            let files = serde_json::to_string(names).map_err(|error| Failure::error(error.to_string()))?;
            let metadata = BTreeMap::from([("files".to_owned(), files)]);
            return save(path, &[tensor], Precision::F32, &metadata)
                .map_err(|error| Failure::error(error.to_string()));
        }
        Format::Npy => {
            for name in names {
                console::line(name)?;
            }
            write_atomic(path, |out| {
                out.write_all(&npy_header(rows.len(), width))?;
                rows.iter().flatten().try_for_each(|value| out.write_all(&value.to_le_bytes()))
            })
        }
        Format::Csv => write_atomic(path, |out| {
            let columns: String = (0..width).map(|column| format!(",f{column}")).collect();
            writeln!(out, "file{columns}")?;
            for (name, row) in names.iter().zip(rows) {
                let values: String = row.iter().map(|value| format!(",{value}")).collect();
                writeln!(out, "\"{}\"{values}", name.replace('"', "\"\""))?;
            }
            Ok(())
        }),
    };
    result.map_err(|error| Failure::error(error.to_string()))
}

/// The header of NumPy's format, version 1.0: magic, length, a description padded to a multiple of 64 bytes.
fn npy_header(rows: usize, columns: usize) -> Vec<u8> {
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let unpadded = 10 + text.len() + 1;
    text.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((text.len() as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_whole_blocks_and_say_their_length() {
        for (rows, columns) in [(1, 1), (153, 288), (100_000, 2048)] {
            let header = npy_header(rows, columns);
            assert_eq!(header.len() % 64, 0);
            assert_eq!(usize::from(u16::from_le_bytes([header[8], header[9]])), header.len() - 10);
            assert_eq!(header.last(), Some(&b'\n'));
        }
    }
}
