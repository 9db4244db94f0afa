//! Annotations beside recordings: ELAN's `.eaf` and Praat's `.TextGrid`, as intervals of time with a text.

mod elan;
mod error;
mod text_grid;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use error::AnnotationError;

use super::dataset::ENDINGS;

/// What a file of annotations says of one recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotations {
    /// The recording: the one that the file names, if it lies beside it, else one that is called as the file is.
    pub recording: Option<PathBuf>,
    /// Intervals with a text, by tier in the order of the file, and by time.
    pub intervals: Vec<Interval>,
    /// Annotations that cannot be used, with the reason.
    pub set_aside: Vec<(String, String)>,
}

/// A stretch of a recording, and what is said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// The tier that it stands on.
    pub tier: String,
    /// What ELAN calls the tier's type, which tiers of several speakers may share.
    pub tier_type: Option<String>,
    /// Who speaks, where the tier says so.
    pub speaker: Option<String>,
    /// Where it begins, in seconds.
    pub start: f64,
    /// Where it ends, in seconds; after the beginning.
    pub end: f64,
    /// What is said, without space around it; never empty.
    pub text: String,
}

/// Whether a file holds annotations by its name.
pub fn is_annotated(path: &Path) -> bool {
    Form::of(path).is_some()
}

#[derive(Clone, Copy)]
enum Form {
    Elan,
    TextGrid,
}

impl Form {
    fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_string_lossy().to_ascii_lowercase();
        match ending.as_str() {
            "eaf" => Some(Self::Elan),
            "textgrid" => Some(Self::TextGrid),
            _ => None,
        }
    }
}

impl Annotations {
    /// Reads a file, ELAN's or Praat's by its ending.
    ///
    /// # Errors
    /// When it cannot be read, or contradicts its own format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, AnnotationError> {
        let path = path.as_ref();
        let fail = |problem: String| AnnotationError::Malformed { path: path.to_owned(), problem };
        let bytes = std::fs::read(path).map_err(|error| AnnotationError::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let text = String::from_utf8(tk_transfer::data::table::decode(&bytes).into_owned())
            .map_err(|_| fail("it is neither UTF-8 nor UTF-16; save it as UTF-8".into()))?;
        let (mut read, media) = match Form::of(path) {
            Some(Form::Elan) => elan::read(&text).map_err(fail)?,
            Some(Form::TextGrid) => (text_grid::read(&text).map_err(fail)?, Vec::new()),
            None => return Err(fail("its name ends in neither .eaf nor .TextGrid".into())),
        };
        read.recording = recording(path, &media);
        Ok(read)
    }

    /// The names of tiers with intervals, in the order of the file.
    pub fn tiers(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        self.intervals
            .iter()
            .map(|interval| interval.tier.as_str())
            .filter(|tier| seen.insert(*tier))
            .collect()
    }
}

/// The first of the named recordings that lies beside the file, else the one with the file's name.
fn recording(path: &Path, media: &[String]) -> Option<PathBuf> {
    // Whole paths are those of the machine where it was annotated.
    let named =
        media.iter().filter_map(|name| name.rsplit(['/', '\\']).next()).map(|name| path.with_file_name(name));
    let alike = ENDINGS
        .iter()
        .flat_map(|ending| [path.with_extension(ending), path.with_extension(ending.to_ascii_uppercase())]);
    named.chain(alike).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_recording_is_the_one_that_is_named_or_the_one_that_is_called_alike() {
        let folder = tempfile::tempdir().unwrap();
        let (eaf, other, alike) =
            (folder.path().join("a.eaf"), folder.path().join("b c.wav"), folder.path().join("a.flac"));
        let named = ["C:\\field\\b c.wav".to_owned(), "gone.wav".to_owned()];
        assert_eq!(recording(&eaf, &named), None);
        std::fs::write(&alike, "").unwrap();
        assert_eq!(recording(&eaf, &named), Some(alike));
        std::fs::write(&other, "").unwrap();
        assert_eq!(recording(&eaf, &named), Some(other));
    }
}
