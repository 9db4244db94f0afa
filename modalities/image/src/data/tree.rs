//! The folders and files below a root, in a fixed order.
//!
//! Hidden files and what operating systems leave behind are passed over. Links are followed, loops of links are cut.

use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::data::error::DataError;
use tk_transfer::data::Quarantine;

/// Folders and files, relative to the root, depth first and by name in byte order.
pub(crate) struct Tree {
    folders: Vec<PathBuf>,
    pub files: Vec<PathBuf>,
    /// What could not be listed, and links that lead back up.
    pub unreadable: Quarantine,
}

impl Tree {
    /// Everything below `root`.
    pub fn walk(root: &Path) -> Result<Self, DataError> {
        let path = root.to_owned();
        match std::fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(DataError::NotAFolder { path }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(DataError::NotFound { path });
            }
            Err(source) => return Err(DataError::Unreadable { path, source }),
        }
        // The walk would report this too, but as one unreadable folder among others.
        std::fs::read_dir(root).map_err(|source| DataError::Unreadable { path, source })?;

        let mut tree = Self { folders: Vec::new(), files: Vec::new(), unreadable: Quarantine::default() };
        let walk = WalkDir::new(root).min_depth(1).follow_links(true).sort_by_file_name();
        for entry in walk.into_iter().filter_entry(|entry| entry.depth() == 0 || !is_clutter(entry)) {
            match entry {
                Ok(entry) => {
                    let Ok(relative) = entry.path().strip_prefix(root) else { continue };
                    if entry.file_type().is_dir() {
                        tree.folders.push(relative.to_owned());
                    } else if entry.file_type().is_file() {
                        tree.files.push(relative.to_owned());
                    } else {
                        tree.unreadable.add(display(relative), "not a regular file");
                    }
                }
                Err(error) => {
                    let path = error.path().unwrap_or(root);
                    let path = display(path.strip_prefix(root).unwrap_or(path));
                    if let Some(ancestor) = error.loop_ancestor() {
                        let ancestor = ancestor.strip_prefix(root).unwrap_or(ancestor);
                        tree.unreadable.add(path, format!("a link back to `./{}`", display(ancestor)));
                    } else {
                        let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                        tree.unreadable.add(path, format!("cannot be read: {reason}"));
                    }
                }
            }
        }
        Ok(tree)
    }

    /// All folders, without the root.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().map(PathBuf::as_path)
    }

    /// The folders directly in a folder (the root's path is empty).
    pub fn children<'a>(&'a self, parent: &Path) -> impl Iterator<Item = &'a Path> {
        self.folders.iter().map(PathBuf::as_path).filter(move |path| path.parent() == Some(parent))
    }

    /// The files anywhere below a folder.
    pub fn files_in<'a>(&'a self, folder: &Path) -> impl Iterator<Item = &'a Path> {
        self.files.iter().map(PathBuf::as_path).filter(move |path| path.starts_with(folder))
    }
}

/// A relative path as text with `/` between its parts. What is not UTF-8 is replaced.
pub(crate) fn display(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Hidden, or left behind by an operating system.
fn is_clutter(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    name.starts_with('.') || ["Thumbs.db", "desktop.ini", "__MACOSX"].contains(&name.as_ref())
}
