//! A line for each sample: JSON on standard output, or a file of JSON lines or of CSV, written aside and named when it is whole.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::NamedTempFile;

use super::{Failure, console};

/// Where lines go.
pub enum Lines {
    Standard,
    Jsonl(BufWriter<NamedTempFile>, PathBuf),
    Csv(BufWriter<NamedTempFile>, PathBuf),
}

impl Lines {
    /// Standard output, or a file of the form that its ending says; `header` is the first line of CSV.
    pub fn open(path: Option<&Path>, header: &str) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::Standard) };
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let is_csv = match ending.as_deref() {
            Some("csv") => true,
            Some("jsonl") => false,
            _ => {
                let shown = path.display();
                return Err(Failure::usage(format!("-o {shown}: expected a name ending in .jsonl or .csv")));
            }
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
        let mut file = BufWriter::new(file.map_err(|error| unwritable(path, &error))?);
        if !is_csv {
            return Ok(Self::Jsonl(file, path.to_owned()));
        }
        writeln!(file, "{header}").map_err(|error| unwritable(path, &error))?;
        Ok(Self::Csv(file, path.to_owned()))
    }

    /// Writes what is said of a sample: an object, or lines of CSV.
    pub fn write(
        &mut self,
        object: impl FnOnce() -> Value,
        lines: impl FnOnce() -> Vec<String>,
    ) -> Result<(), Failure> {
        match self {
            Self::Standard => console::json(&object()),
            Self::Jsonl(out, path) => writeln!(out, "{}", object()).map_err(|error| unwritable(path, &error)),
            Self::Csv(out, path) => lines()
                .into_iter()
                .try_for_each(|line| writeln!(out, "{line}").map_err(|error| unwritable(path, &error))),
        }
    }

    /// Gives the file its name.
    pub fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Standard => Ok(()),
            Self::Jsonl(out, path) | Self::Csv(out, path) => {
                let file = out.into_inner().map_err(|error| unwritable(&path, error.error()))?;
                file.as_file().sync_all().map_err(|error| unwritable(&path, &error))?;
                file.persist(&path).map_err(|error| unwritable(&path, &error.error)).map(|_| ())
            }
        }
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::error(format!("cannot write `{}`: {error}", path.display()))
}

/// A field of a CSV line, quoted where it must be (RFC 4180).
pub fn field(text: &str) -> String {
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
