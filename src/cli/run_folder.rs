//! Where a run goes: its name, and what happens when something is there already.

use std::path::{Path, PathBuf};

use transferkit::classify::Settings;

use super::Failure;

/// What to do with a folder that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is taken for granted: an error.
    Refuse,
    /// Go on with it.
    Resume,
    /// Put a new run in its place.
    Replace,
}

/// The name of a run: `runs/DATA-WORK`, with a number where that is taken.
pub fn default_name(data: &str, work: &str) -> PathBuf {
    let stem = format!("{}-{work}", plain(data));
    let name = |number: usize| match number {
        1 => Path::new("runs").join(&stem),
        _ => Path::new("runs").join(format!("{stem}-{number}")),
    };
    // There are fewer runs than numbers.
    (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0))
}

/// The last part of a path, or the architecture of ARCHITECTURE=FILE, in letters that every file system takes.
pub fn plain(name: &str) -> String {
    let name = name.split_once('=').map_or(name, |(architecture, _)| architecture);
    let last =
        Path::new(name).file_name().map_or_else(|| "data".into(), |last| last.to_string_lossy().into_owned());
    last.chars().map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
}

/// The task of the run in a folder.
pub fn task(folder: &Path) -> Result<String, Failure> {
    Ok(settings(folder)?.task.unwrap_or_default())
}

/// What the run in a folder was asked to do.
pub fn settings(folder: &Path) -> Result<Settings, Failure> {
    let shown = folder.display();
    let text = std::fs::read_to_string(folder.join("run.toml"))
        .map_err(|error| Failure::error(format!("`{shown}` is no run's folder: run.toml: {error}")))?;
    Ok(Settings::from_toml(&text, &format!("{shown}/run.toml"))?)
}

/// Whether a folder holds a run.
pub fn holds_run(folder: &Path) -> bool {
    folder.join("run.toml").is_file()
}

/// Whether a folder holds a complete run.
pub fn is_complete(folder: &Path) -> bool {
    folder.join("summary.json").is_file()
}

/// Checks that a run may go to a folder. Changes nothing.
pub fn check(folder: &Path, existing: Existing) -> Result<(), Failure> {
    let is_empty = std::fs::read_dir(folder).map_or(!folder.exists(), |mut entries| entries.next().is_none());
    if is_empty {
        return Ok(());
    }
    let shown = folder.display();
    match existing {
        Existing::Refuse if holds_run(folder) => {
            Err(Failure::usage(format!("`{shown}` holds a run already"))
                .help("--resume goes on with it, --force replaces it; or name another folder with --out"))
        }
        Existing::Refuse | Existing::Replace | Existing::Resume if !holds_run(folder) => {
            Err(Failure::usage(format!("`{shown}` is there already and holds no run"))
                .help("name another folder with --out"))
        }
        _ => Ok(()),
    }
}

/// Removes the run in a folder that [`check`] has passed.
pub fn remove(folder: &Path) -> Result<(), Failure> {
    if !holds_run(folder) {
        return Ok(());
    }
    std::fs::remove_dir_all(folder)
        .map_err(|error| Failure::error(format!("`{}` cannot be removed: {error}", folder.display())))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_are_plain() {
        for (data, model, expected) in [
            ("../shared/ants-bees", "small", "runs/ants-bees-image-classify-small-full"),
            ("d/", "resnet50=w/a.pth", "runs/d-image-classify-resnet50-full"),
            ("my photos", "./a b/run", "runs/my_photos-image-classify-run-full"),
        ] {
            let work = format!("image-classify-{}-full", plain(model));
            assert_eq!(default_name(data, &work), PathBuf::from(expected));
        }
    }

    #[test]
    fn only_runs_are_replaced() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("r");
        assert!(check(&folder, Existing::Refuse).is_ok());
        std::fs::create_dir(&folder).unwrap();
        assert!(check(&folder, Existing::Refuse).is_ok());
        std::fs::write(folder.join("thesis.txt"), "x").unwrap();
        for existing in [Existing::Refuse, Existing::Resume, Existing::Replace] {
            assert_eq!(check(&folder, existing).unwrap_err().code, 2, "{existing:?}");
        }
        std::fs::write(folder.join("run.toml"), "").unwrap();
        assert_eq!(check(&folder, Existing::Refuse).unwrap_err().code, 2);
        assert!(check(&folder, Existing::Resume).is_ok() && check(&folder, Existing::Replace).is_ok());
        remove(&folder).unwrap();
        assert!(!folder.exists());
    }
}
