//! A folder: tables called `train`, `val` and `test`, or a folder of `.txt` files for each class, with or without such parts around.

use std::path::{Path, PathBuf};

use tk_transfer::data::listing::{Columns, Listing, list_files, list_folder_of_tables};
use tk_transfer::data::table::{Inputs, MAX_ROW_BYTES, decode};
use walkdir::{DirEntry, WalkDir};

use crate::data::error::DataError;

/// The samples in a folder.
pub(super) fn read_folder(root: &Path, columns: &Columns) -> Result<Listing, DataError> {
    let mut found = Listing::default();
    let files = walk(root, &mut found)?;
    let read = match list_folder_of_tables(root, columns, Inputs::Texts)? {
        Some(listing) => listing,
        None => {
            let texts: Vec<String> =
                files.iter().filter(|path| has_ending(path, "txt")).map(|path| display(path)).collect();
            if texts.is_empty() {
                return Err(DataError::NoTexts { path: root.to_owned() });
            }
            let mut listing = list_files(root, texts.iter().map(String::as_str), columns)?;
            read_texts(root, &mut listing);
            listing
        }
    };
    found.quarantine.merge(read.quarantine);
    found.ignored.merge(read.ignored);
    Ok(Listing { quarantine: found.quarantine, ignored: found.ignored, ..read })
}

/// Files below a folder in a fixed order, relative to it. Hidden ones are passed over.
fn walk(root: &Path, found: &mut Listing) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |path: &Path, reason: String| DataError::Unreadable { path: path.to_owned(), reason };
    std::fs::read_dir(root).map_err(|error| unreadable(root, error.to_string()))?;
    let is_shown =
        |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.');
    let walk = WalkDir::new(root).min_depth(1).follow_links(true).sort_by_file_name();
    let mut files = Vec::new();
    for entry in walk.into_iter().filter_entry(is_shown) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                if let Ok(relative) = entry.path().strip_prefix(root) {
                    files.push(relative.to_owned());
                }
            }
            Ok(_) => {}
            Err(error) => {
                let path = error.path().unwrap_or(root);
                let path = display(path.strip_prefix(root).unwrap_or(path));
                found.quarantine.add(path, format!("cannot be read: {error}"));
            }
        }
    }
    Ok(files)
}

/// Puts the text of each file in the place of its path; what cannot be read is set aside.
fn read_texts(root: &Path, listing: &mut Listing) {
    for mut sample in std::mem::take(&mut listing.samples) {
        match read_text(&root.join(&sample.input)) {
            Ok(text) => {
                sample.input = text;
                listing.samples.push(sample);
            }
            Err(reason) => listing.quarantine.add(sample.name, reason),
        }
    }
}

/// A file's text without the line ends behind it.
fn read_text(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if length > MAX_ROW_BYTES as u64 {
        return Err(format!("{length} bytes; a text has at most {MAX_ROW_BYTES}"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = String::from_utf8(decode(&bytes).into_owned());
    let text = text.map_err(|error| format!("not UTF-8 (at byte {})", error.utf8_error().valid_up_to()))?;
    if text.trim().is_empty() {
        return Err("the text is empty".to_owned());
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

/// A relative path as text with `/` between its parts.
fn display(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
