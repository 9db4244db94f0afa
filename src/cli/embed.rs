//! `tk embed`: the features of samples, for other tools.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tk_transfer::atomic::write_atomic;
use tk_transfer::checkpoint::{Precision, SaveTensor, save};

use transferkit::Machine;
use transferkit::audio;
use transferkit::text::{self, Text};

use super::arguments::Embed;
use super::kind::{self, Kind};
use super::texts::{self, Named};
use super::weights::{self, Located};
use super::{Failure, console, environment, inputs, recordings, run_folder};

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
    let model = weights::locate(&arguments.model, &arguments.network)?;
    let Features { names, rows, failed, seconds } = match kind::of(&model.folder) {
        Kind::Photographs => photographs(&arguments, &model, &machine)?,
        Kind::Texts => sentences(&arguments, &model.folder, &machine)?,
        Kind::Recordings => sounds(&arguments, &model.folder, &machine)?,
        Kind::Objects | Kind::Pixels => {
            return Err(Failure::usage(format!(
                "`{}` has maps of features, and none of a whole photograph",
                arguments.model
            ))
            .help("embed with the backbone that it was made of"));
        }
        Kind::Tags => {
            return Err(Failure::usage(format!(
                "`{}` tags words, and its features are one for each token",
                arguments.model
            ))
            .help("embed with the encoder that it was made of"));
        }
        Kind::Speech => {
            return Err(Failure::usage(format!(
                "`{}` transcribes, and its features are one for each frame",
                arguments.model
            ))
            .help("tk predict says what it hears"));
        }
    };
    if rows.is_empty() {
        return Err(Failure::data(format!("none of the {failed} inputs can be read")));
    }
    write(&arguments.out, format, &names, &rows)?;
    let width = rows.first().map_or(0, Vec::len);
    console::note(&format!("features of {} samples, {width} numbers each, in {seconds:.2} s", rows.len()));
    console::line(&arguments.out.display().to_string())?;
    inputs::some_failed(failed, rows.len() + failed)
}

/// Names and features of what could be read, how much could not, and the seconds it took once the model was open.
struct Features {
    names: Vec<String>,
    rows: Vec<Vec<f32>>,
    failed: usize,
    seconds: f64,
}

fn sounds(arguments: &Embed, folder: &Path, machine: &Machine) -> Result<Features, Failure> {
    let classifier = audio::Classifier::load_on(folder, machine)?;
    let began = Instant::now();
    let files = recordings::files(&arguments.inputs)?;
    let (mut names, mut rows, mut failed) = (Vec::new(), Vec::new(), 0);
    let answer = |clips: &[audio::Clip]| -> Result<Vec<Result<Vec<f32>, String>>, Failure> {
        let answers = classifier.embed(clips)?.into_iter();
        Ok(answers.map(|answer| answer.map_err(|error| error.to_string())).collect())
    };
    recordings::each(&files, &classifier, answer, |file, features| {
        match features {
            Ok(features) => {
                names.push(file.display().to_string());
                rows.push(features);
            }
            Err(reason) => {
                console::note(&format!("aside    {}: {reason}", file.display()));
                failed += 1;
            }
        }
        Ok(())
    })?;
    Ok(Features { names, rows, failed, seconds: began.elapsed().as_secs_f64() })
}

fn photographs(arguments: &Embed, model: &Located, machine: &Machine) -> Result<Features, Failure> {
    let classifier = inputs::classifier(model, machine)?;
    let began = Instant::now();
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
    Ok(Features { names, rows, failed, seconds: began.elapsed().as_secs_f64() })
}

/// A run's features, or the sentence embeddings of a published encoder.
fn sentences(arguments: &Embed, folder: &Path, machine: &Machine) -> Result<Features, Failure> {
    let (mut names, mut good, mut failed) = (Vec::new(), Vec::new(), 0);
    let settings = if run_folder::holds_run(folder) { Some(run_folder::settings(folder)?) } else { None };
    for Named { name, text } in texts::read(&[], &arguments.inputs, settings.as_ref())? {
        let name = name.unwrap_or_default();
        match text {
            Ok(text) => {
                names.push(name);
                good.push(text);
            }
            Err(reason) => {
                console::note(&format!("aside    {name}: {reason}"));
                failed += 1;
            }
        }
    }
    let good: Vec<Text<'_>> =
        good.iter().map(|(first, second)| (first.as_str(), second.as_deref())).collect();
    let began;
    let rows = match settings {
        Some(_) => {
            let classifier = text::Classifier::load_on(folder, machine)?;
            began = Instant::now();
            classifier.embed(&good)?
        }
        None => {
            let embedder = text::Embedder::open(folder, machine)?;
            began = Instant::now();
            embedder.embed(&good)?
        }
    };
    Ok(Features { names, rows, failed, seconds: began.elapsed().as_secs_f64() })
}

fn shown(files: &[PathBuf], position: usize) -> String {
    files.get(position).map_or_else(String::new, |file| file.display().to_string())
}

/// Writes `[samples, width]` numbers; safetensors and CSV also say which file each row is of, npy prints that order.
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
