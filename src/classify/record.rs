//! What a run writes while it goes on: `run.toml`, `metrics.jsonl`, the state.

use std::path::{Path, PathBuf};

use tk_transfer::atomic::write_bytes_atomic;
use tk_transfer::fit::Record;

use super::{Error, Settings};

/// The file from which a killed run goes on.
pub(crate) fn state_path(folder: &Path) -> PathBuf {
    folder.join("state.safetensors")
}

/// Begins a run in a folder, or goes on with one that was begun with the same settings.
pub(crate) fn begin(folder: &Path, settings: &Settings) -> Result<(), Error> {
    make_folder(folder)?;
    check_same(folder, settings)?;
    write_settings(folder, settings, std::iter::empty())
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|error| Error::Folder {
        path: folder.to_owned(),
        reason: format!("the folder cannot be made: {error}; name another with --out"),
    })
}

/// Writes `run.toml`, with what was found as remarks.
pub(crate) fn write_settings(
    folder: &Path,
    settings: &Settings,
    remarks: impl Iterator<Item = String>,
) -> Result<(), Error> {
    let remarks: String = remarks.map(|remark| format!("# {remark}\n")).collect();
    let text = format!(
        "# What this run was asked to do, and what was decided where nothing was said. It is itself a configuration:\n\
         # tk {} --config run.toml\n{remarks}\n{}",
        settings.task.as_deref().unwrap_or_default(),
        settings.to_toml()?
    );
    Ok(write_bytes_atomic(&folder.join("run.toml"), text.as_bytes())?)
}

/// A run that has a state must have been asked for the same before: its `run.toml` stays as it is.
fn check_same(folder: &Path, settings: &Settings) -> Result<(), Error> {
    let path = folder.join("run.toml");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) if state_path(folder).exists() => text,
        _ => return Ok(()),
    };
    let (begun, now) =
        (Settings::from_toml(&text, &path.display().to_string())?.to_table()?, settings.to_table()?);
    let Some(key) = now.keys().chain(begun.keys()).find(|key| now.get(*key) != begun.get(*key)) else {
        return Ok(());
    };
    let shown =
        |table: &toml::Table| table.get(key).map_or_else(|| "not set".to_owned(), ToString::to_string);
    Err(Error::usage_with(
        format!(
            "the run in `{}` was begun with other settings: `{key}` was {}, now it is {}",
            folder.display(),
            shown(&begun),
            shown(&now)
        ),
        "say the same as before, or start anew with --force",
    ))
}

/// Writes `metrics.jsonl`: a line for each epoch.
pub(crate) fn write_metrics(folder: &Path, records: &[Record]) -> Result<(), Error> {
    write_lines(&folder.join("metrics.jsonl"), records)
}

/// Writes a line of JSON for each value.
pub(crate) fn write_lines(path: &Path, values: &[impl serde::Serialize]) -> Result<(), Error> {
    let mut text = String::new();
    for value in values {
        text.push_str(&serde_json::to_string(value).map_err(|error| not_json(&error, path))?);
        text.push('\n');
    }
    Ok(write_bytes_atomic(path, text.as_bytes())?)
}

/// Writes a value as readable JSON.
pub(crate) fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|error| not_json(&error, path))? + "\n";
    Ok(write_bytes_atomic(path, text.as_bytes())?)
}

pub(crate) fn not_json(error: &serde_json::Error, path: &Path) -> Error {
    Error::Folder { path: path.to_owned(), reason: format!("cannot be written as JSON: {error}") }
}
