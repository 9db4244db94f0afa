//! Files on their own: the label from the folder or the name, the part of the data from a folder called `train`, `val` or `test`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::data::Split;
use crate::data::table::Selector;

use super::error::ListingError;
use super::{Columns, Listed, Listing, Separator};

/// Labels files by their paths, which are relative to `root` with `/` between parts: by what the label's selector makes of them, else by
/// the folder they stand in.
///
/// # Errors
/// A column is asked for, two folders stand for one part of the data, or there are parts but none to train on.
pub fn list_files<'a>(
    root: &Path,
    files: impl IntoIterator<Item = &'a str>,
    columns: &Columns,
) -> Result<Listing, ListingError> {
    if let Some(column) = columns.column_name() {
        return Err(ListingError::NoColumns { path: root.to_owned(), selector: column.to_owned() });
    }
    let files: Vec<&str> = files.into_iter().collect();
    let separator = separator(root, &files, columns)?;
    let splits = split_folders(&files, columns.label.is_some())?;
    let mut listing = Listing { kind: columns.kind(), ..Listing::default() };
    if !splits.is_empty() {
        listing.divided_by = Some("folder".to_owned());
        if !splits.values().any(|&split| split == Split::Train) {
            let found = splits.into_keys().collect::<Vec<_>>().join(", ");
            return Err(ListingError::NoTrain { path: root.to_owned(), found });
        }
    }
    for name in files {
        let mut folders: Vec<&str> = name.split('/').collect();
        folders.pop();
        let split = match folders.first() {
            Some(first) if !splits.is_empty() => match splits.get(*first) {
                Some(&split) => {
                    folders.remove(0);
                    Some(split)
                }
                None => {
                    listing.ignored.add(name, "outside the folders train, val and test");
                    continue;
                }
            },
            _ => None,
        };
        let label = match (&columns.label, folders.first()) {
            (Some(label), _) => label.of_file(name).map_err(|reason| format!("no label: {reason}")),
            (None, Some(class)) => Ok((*class).to_owned()),
            (None, None) => {
                listing.ignored.add(name, "outside the class folders");
                continue;
            }
        };
        let sample = label.and_then(|label| {
            let group = columns.group_of_file(name)?;
            let name = name.to_owned();
            let labels = match &separator {
                Some(separator) => separator.split(&label),
                None => vec![label],
            };
            Ok(Listed { input: name.clone(), name, second: None, labels, split, group })
        });
        match sample {
            Ok(sample) => listing.samples.push(sample),
            Err(reason) => listing.quarantine.add(name, reason),
        }
    }
    Ok(listing)
}

/// What stands between the labels of a file's name, where there are several.
fn separator(root: &Path, files: &[&str], columns: &Columns) -> Result<Option<Separator>, ListingError> {
    match (&columns.several, &columns.label) {
        (None, _) => Ok(None),
        (Some(_), None) => Err(ListingError::SeveralOfFolder { path: root.to_owned() }),
        (Some(Some(separator)), Some(_)) => Ok(Some(separator.clone())),
        (Some(None), Some(label)) => {
            let found: Vec<String> = files.iter().filter_map(|file| label.of_file(file).ok()).collect();
            Ok(Some(Separator::guess(found.iter().map(String::as_str))))
        }
    }
}

/// The first-level folders that are parts of the data: those called so, when one of them holds class folders (or when labels do not
/// come from folders).
fn split_folders(files: &[&str], is_label_selected: bool) -> Result<BTreeMap<String, Split>, ListingError> {
    let first_folder = |path: &&str| path.split_once('/').map(|(first, _)| first.to_owned());
    let named: BTreeSet<(String, Split)> = files
        .iter()
        .filter_map(first_folder)
        .filter_map(|name| Split::from_name(&name).map(|split| (name, split)))
        .collect();
    let is_deep = |path: &&str| {
        let first = first_folder(path);
        path.split('/').count() > 2 && named.iter().any(|(name, _)| first.as_deref() == Some(name))
    };
    if !is_label_selected && !files.iter().any(is_deep) {
        return Ok(BTreeMap::new());
    }
    let mut seen: BTreeMap<Split, &str> = BTreeMap::new();
    for (name, split) in &named {
        if let Some(first) = seen.insert(*split, name) {
            return Err(ListingError::TwoForOneSplit { first: first.to_owned(), second: name.clone() });
        }
    }
    Ok(named.into_iter().collect())
}

impl Columns {
    /// The group of a file by its path, where groups are asked for.
    ///
    /// # Errors
    /// The reason, in one line: the file tells no group.
    pub fn group_of_file(&self, path: &str) -> Result<Option<String>, String> {
        let group = self.group.as_ref().map(|group| group.of_file(path)).transpose();
        group.map_err(|reason| format!("no group: {reason}"))
    }
}

impl Selector {
    fn of_file(&self, path: &str) -> Result<String, String> {
        self.of_path(path).unwrap_or_else(|| Err("there are no columns".to_owned())).map(str::to_owned)
    }
}
