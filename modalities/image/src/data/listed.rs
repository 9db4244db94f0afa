//! Which files a data set has, and the class of each: from folders, from a table, or from the files' names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tk_transfer::data::listing::{self, Columns, Listed, list_files, list_folder_of_tables, list_table};
use tk_transfer::data::table::{Inputs, is_table};
use tk_transfer::data::{LabelKind, Quarantine, Split};

use crate::data::error::DataError;
use crate::data::folder::list_folder;
use crate::data::tree::{Tree, display};

/// The files of a data set by name.
pub(crate) struct Listing {
    /// Class names, in the order of their numbers.
    pub classes: Vec<String>,
    /// Whether files have one class each, or any number.
    pub kind: LabelKind,
    /// The class folders, ordered by path; none when folders are no classes.
    pub folders: Vec<ClassFolder>,
    /// Files with their classes, ordered by path.
    pub files: Vec<ListedFile>,
    /// What was left out, with the reason.
    pub ignored: Quarantine,
    /// What could not be listed.
    pub quarantine: Quarantine,
    /// What the columns are for, where there are columns.
    pub columns: Option<String>,
    /// The same by name.
    pub chosen: Option<Columns>,
    /// What says which file belongs to which split, if anything does.
    pub divided_by: Option<String>,
}

pub(crate) struct ClassFolder {
    /// Relative to the data set.
    pub path: PathBuf,
    pub class: usize,
    pub split: Option<Split>,
}

pub(crate) struct ListedFile {
    /// Relative to the data set.
    pub path: PathBuf,
    /// Ascending.
    pub classes: Vec<usize>,
    pub split: Option<Split>,
    pub group: Option<String>,
}

/// Lists the photographs of a data set, and says which folder their paths are relative to. That is the table's own, when it is one.
pub(crate) fn list(root: &Path, columns: &Columns) -> Result<(PathBuf, Listing), DataError> {
    if root.is_file() && is_table(root) {
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        let listing = from_table(root, &folder, list_table(root, columns, Inputs::Files)?)?;
        return Ok((folder, listing));
    }
    let tree = Tree::walk(root)?;
    let listing = if columns.column_name().is_some() || columns.kind() == LabelKind::Multi {
        match list_folder_of_tables(root, columns, Inputs::Files)? {
            Some(listing) => from_table(root, root, listing)?,
            None => by_name(root, &tree, columns)?,
        }
    } else if columns.labels().is_some() {
        by_name(root, &tree, columns)?
    } else {
        let mut listing = list_folder(root, tree)?;
        group(&mut listing, columns);
        listing
    };
    Ok((root.to_owned(), listing))
}

/// The rows of tables, whose files are looked for from `folder`.
fn from_table(root: &Path, folder: &Path, mut rows: listing::Listing) -> Result<Listing, DataError> {
    rows.resolve_files(folder);
    settle(root, rows)
}

/// Files anywhere in a folder, labelled by what is selected of their paths.
fn by_name(root: &Path, tree: &Tree, columns: &Columns) -> Result<Listing, DataError> {
    let names: Vec<String> = tree.files.iter().map(|path| display(path)).collect();
    let mut listing = list_files(root, names.iter().map(String::as_str), columns)?;
    listing.quarantine.merge(tree.unreadable.clone());
    settle(root, listing)
}

/// Labels become numbers of classes.
fn settle(root: &Path, mut listing: listing::Listing) -> Result<Listing, DataError> {
    if listing.samples.is_empty() {
        return Err(DataError::NoImages { path: root.to_owned(), quarantine: listing.quarantine });
    }
    let classes = listing.settle_classes(root)?;
    let places: BTreeMap<&str, usize> =
        classes.iter().enumerate().map(|(place, class)| (class.as_str(), place)).collect();
    let file = |Listed { input, labels, split, group, .. }: Listed| {
        // Every label is one of the classes, which were made of them.
        let mut classes: Vec<usize> =
            labels.iter().filter_map(|label| places.get(label.as_str()).copied()).collect();
        classes.sort_unstable();
        ListedFile { path: PathBuf::from(input), classes, split, group }
    };
    let mut files: Vec<ListedFile> = listing.samples.into_iter().map(file).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let listing::Listing { quarantine, ignored, columns, chosen, divided_by, kind, .. } = listing;
    Ok(Listing {
        classes,
        kind,
        folders: Vec::new(),
        files,
        ignored,
        quarantine,
        columns,
        chosen,
        divided_by,
    })
}

/// The group of each file, where groups are asked for.
fn group(listing: &mut Listing, columns: &Columns) {
    let files = std::mem::take(&mut listing.files);
    for mut file in files {
        let name = display(&file.path);
        match columns.group_of_file(&name) {
            Ok(group) => {
                file.group = group;
                listing.files.push(file);
            }
            Err(reason) => listing.quarantine.add(name, reason),
        }
    }
}
