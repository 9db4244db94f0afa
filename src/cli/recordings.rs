//! Recordings as they are named on the command line, decoded and handed on.

use std::path::PathBuf;

use tk_audio::data::is_recording;
use transferkit::audio::{Classifier, Clip};

use super::{Failure, console, inputs};

/// Recordings that are decoded and run at once.
const AT_ONCE: usize = 16;

/// The files that inputs name, in their order; folders are searched through.
pub fn files(named: &[String]) -> Result<Vec<PathBuf>, Failure> {
    inputs::files_of(named, "recordings", &is_recording)
}

/// Decodes so much of each file as a classifier looks at, and tells `each` what it says of it, or what is wrong with the file. What
/// is odd about a file that can be read, such as silence, is noted.
pub fn each<T>(
    files: &[PathBuf],
    classifier: &Classifier,
    answer: impl Fn(&[Clip]) -> Result<Vec<Result<T, String>>, Failure>,
    mut each: impl FnMut(&PathBuf, Result<T, String>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for files in files.chunks(AT_ONCE) {
        let opened: Vec<Result<Clip, String>> = files
            .iter()
            .map(|file| Clip::open_beginning(file, classifier.seconds()).map_err(|error| error.to_string()))
            .collect();
        for (file, opened) in files.iter().zip(&opened) {
            for remark in opened.iter().flat_map(|clip| clip.remarks()) {
                console::note(&format!("odd      {}: {remark}", file.display()));
            }
        }
        let clips: Vec<Clip> = opened.iter().flatten().cloned().collect();
        let mut answers = answer(&clips)?.into_iter();
        for (file, opened) in files.iter().zip(opened) {
            let said = match opened {
                Ok(_) => answers.next().unwrap_or_else(|| Err("no answer".into())),
                Err(reason) => Err(reason),
            };
            each(file, said)?;
        }
    }
    Ok(())
}
