//! Photographs as they are named on the command line: files, folders, a list on standard input.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use transferkit::image::{Error, Picture};

use super::Failure;
use super::weights::Located;

/// Photographs that are decoded and run at once.
const AT_ONCE: usize = 32;

/// Endings of files that are taken from folders. Files that are named themselves may be called anything.
const ENDINGS: [&str; 9] = ["jpg", "jpeg", "png", "gif", "bmp", "webp", "tif", "tiff", "jfif"];

/// The photographs that inputs name.
pub fn files(inputs: &[String]) -> Result<Vec<PathBuf>, Failure> {
    files_of(inputs, "photographs", &|path| {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
    })
}

/// The files that inputs name, in their order; folders are searched through for what the samples are by their names, in the order of names.
pub fn files_of(
    inputs: &[String],
    samples: &str,
    is_sample: &dyn Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for input in inputs {
        if input == "-" {
            for line in std::io::stdin().lock().lines() {
                let line = line.map_err(|error| Failure::error(format!("standard input: {error}")))?;
                if !line.trim().is_empty() {
                    files.push(PathBuf::from(line.trim_end_matches('\r')));
                }
            }
        } else if Path::new(input).is_dir() {
            let before = files.len();
            for entry in walkdir::WalkDir::new(input).sort_by_file_name() {
                let entry = entry.map_err(|error| Failure::data(format!("`{input}`: {error}")))?;
                if entry.file_type().is_file() && is_sample(entry.path()) {
                    files.push(entry.into_path());
                }
            }
            if files.len() == before {
                return Err(Failure::data(format!(
                    "no {samples} in `{input}`, by the endings of their names"
                )));
            }
        } else {
            files.push(input.into());
        }
    }
    Ok(files)
}

/// Decodes files and hands them on in their order, some at once: each with its picture, or what is wrong with it.
pub fn each_batch(
    files: &[PathBuf],
    threads: usize,
    mut work: impl FnMut(&[PathBuf], Vec<Result<Picture, String>>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for files in files.chunks(AT_ONCE) {
        let share = files.len().div_ceil(threads.max(1));
        let open = |files: &[PathBuf]| -> Vec<Result<Picture, String>> {
            files.iter().map(|file| Picture::open(file).map_err(|error| error.reason.to_string())).collect()
        };
        let pictures = std::thread::scope(|scope| {
            let workers: Vec<_> = files.chunks(share).map(|part| scope.spawn(move || open(part))).collect();
            workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>()
        });
        let pictures = pictures.map_err(|_| Failure::error("a decoder ended unexpectedly"))?;
        work(files, pictures.into_iter().flatten().collect())?;
    }
    Ok(())
}

/// Separates pictures from what could not be read; the positions of the pictures come with them.
pub fn readable(pictures: Vec<Result<Picture, String>>) -> (Vec<Picture>, Vec<usize>, Vec<(usize, String)>) {
    let (mut good, mut positions, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for (position, picture) in pictures.into_iter().enumerate() {
        match picture {
            Ok(picture) => {
                good.push(picture);
                positions.push(position);
            }
            Err(reason) => bad.push((position, reason)),
        }
    }
    (good, positions, bad)
}

/// The failure at the end when some inputs could not be read.
pub fn some_failed(failed: usize, all: usize) -> Result<(), Failure> {
    match failed {
        0 => Ok(()),
        _ => {
            Err(Failure::data(format!("{failed} of {all} inputs could not be read; the others were written")))
        }
    }
}

/// Opens a classifier; a name that means nothing is a usage error.
pub fn classifier(
    model: &Located,
    machine: &transferkit::Machine,
) -> Result<transferkit::image::Classifier, Failure> {
    let opened = transferkit::image::Classifier::open(&model.name, &model.hub, machine);
    opened.map_err(|error: Error| Failure::from(error))
}
