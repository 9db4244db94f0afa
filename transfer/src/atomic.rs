//! Files that are either whole or not there.
//!
//! Everything that the toolkit leaves behind is written to a temporary file in the folder of its destination, synced and
//! renamed over it. A reader never sees half a file, a failed write keeps what stood there before, and nothing is left
//! over. Creating the folder is the caller's business.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file could not be written; what stood at `path` before still stands there.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{path}`: {source}{way_out}", path = path.display(), way_out = way_out(source))]
pub struct WriteError {
    /// The destination.
    pub path: PathBuf,
    /// What the system or the writer said.
    pub source: io::Error,
}

/// Writes `path` through `fill`, replacing a file of that name in one step.
///
/// # Errors
///
/// [`WriteError`] when the folder is missing or read-only, the disk is full, `path` is a folder, or `fill` itself fails.
/// The temporary file is then removed.
pub fn write_atomic(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    replace(path, fill).map_err(|source| WriteError { path: path.to_owned(), source })
}

/// Writes `bytes` to `path`, replacing a file of that name in one step.
///
/// # Errors
///
/// As [`write_atomic`].
pub fn write_bytes_atomic(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    write_atomic(path, |writer| writer.write_all(bytes))
}

fn replace(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut prefix = OsString::from(".");
    prefix.push(name);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".partial");
    // Without this the file would be private to its owner; the process's umask still applies.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder.tempfile_in(folder).map_err(without_temporary_path)?;

    let mut writer = BufWriter::with_capacity(1 << 20, temporary.as_file());
    fill(&mut writer)?;
    writer.flush()?;
    drop(writer);
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|failed| failed.error)?;
    // The rename itself lives in the folder. Some file systems cannot sync one; the data is safe without.
    if cfg!(unix)
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// `tempfile` puts the random name of the temporary file into its message, which helps nobody.
fn without_temporary_path(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(error.kind(), "no such folder"),
        io::ErrorKind::PermissionDenied => io::Error::new(error.kind(), "permission denied"),
        io::ErrorKind::ReadOnlyFilesystem => io::Error::new(error.kind(), "read-only file system"),
        io::ErrorKind::StorageFull => io::Error::new(error.kind(), "no space left on device"),
        _ => error,
    }
}

fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; create it first",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; choose a folder that may be written"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded => {
            "; free some space or write elsewhere"
        }
        io::ErrorKind::IsADirectory => "; choose a file name",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::fs;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_the_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        write_bytes_atomic(&path, b"first").unwrap();
        write_bytes_atomic(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    fn a_failure_keeps_the_old_file_and_leaves_no_debris() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        write_bytes_atomic(&path, b"old").unwrap();
        let error = write_atomic(&path, |writer| {
            writer.write_all(&vec![7; 3 << 20])?;
            Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device"))
        })
        .unwrap_err();
        assert!(
            error.to_string().ends_with("no space left on device; free some space or write elsewhere"),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    fn says_what_is_wrong_with_the_destination() {
        let folder = tempfile::tempdir().unwrap();
        let occupied = folder.path().join("occupied");
        fs::create_dir(&occupied).unwrap();
        fs::write(occupied.join("inside"), b"").unwrap();
        for (path, expected) in [
            (folder.path().join("absent/a.bin"), "no such folder; create it first"),
            (PathBuf::from("/"), "the path names no file"),
            (occupied, "directory"),
        ] {
            let error = write_bytes_atomic(&path, b"x").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(names(folder.path()), ["occupied"]);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_as_readable_as_any_other() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write_bytes_atomic(&ours, b"x").unwrap();
        fs::write(&plain, b"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
