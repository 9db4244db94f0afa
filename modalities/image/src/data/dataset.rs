//! Photographs as samples with classes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tk_transfer::data::listing::Columns;
use tk_transfer::data::{LabelKind, Labelled, Quarantine, Split};

use crate::data::decode::{DecodeError, Format, Header, MAX_PIXELS, probe, read_file};
use crate::data::error::DataError;
use crate::data::listed::{Listing, list};
use crate::data::loader::{Loader, LoaderOptions};
use crate::data::picture::Picture;
use crate::data::report::Report;
use crate::data::tree::display;

/// Photographs in a folder per class, with or without `train/`, `val/` and `test/` around the class folders; or in a table of paths and
/// labels.
///
/// Opening reads every file once to take its digest and check its header; files that are no images are set aside, listed in the
/// report and are no samples. Damage that only decoding shows comes to light in [`Dataset::load`].
#[derive(Clone, Debug)]
pub struct Dataset {
    root: PathBuf,
    /// What the samples' paths are relative to: the root, or the folder of the root, which is a table.
    folder: PathBuf,
    classes: Vec<String>,
    kind: LabelKind,
    samples: Vec<Sample>,
    columns: Option<Columns>,
    report: Report,
}

/// One photograph of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The file, relative to the data set's folder or table.
    pub path: PathBuf,
    /// The indices of its classes in [`Dataset::classes`], ascending: one, or any number in multi-label data.
    pub classes: Vec<usize>,
    /// The part of the data that its folder or row names, if they do.
    pub split: Option<Split>,
    /// What must not be divided.
    pub group: Option<String>,
    /// The BLAKE3 digest of the file's bytes.
    pub digest: [u8; 32],
    /// The container format, told from the content.
    pub format: Format,
    /// The stored width in pixels, before EXIF orientation is applied.
    pub width: u32,
    /// The stored height in pixels, before EXIF orientation is applied.
    pub height: u32,
}

impl Sample {
    /// The path as text, with `/` between parts, as reports and the quarantine name it.
    pub fn name(&self) -> String {
        display(&self.path)
    }
}

impl Dataset {
    /// The data set at a path, checked on all processors: a folder per class, or a table (`.csv`, `.tsv`, `.jsonl`) whose columns are
    /// guessed and whose paths are relative to it.
    ///
    /// # Errors
    /// The path is neither, or it does not hold photographs of at least two classes, each with at least one that is usable.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::open_with(path, &Columns::default())
    }

    /// As [`Dataset::open`], with what is known of the columns. A folder may hold the table too: it is looked for when a column is named.
    /// Without a table, labels and groups are selected of the files' paths.
    ///
    /// # Errors
    /// As [`Dataset::open`]; or a column is missing.
    pub fn open_with(path: impl AsRef<Path>, columns: &Columns) -> Result<Self, DataError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self::open_on(path, columns, threads)
    }

    /// As [`Dataset::open_with`], on so many threads.
    ///
    /// # Errors
    /// As [`Dataset::open_with`].
    pub fn open_on(path: impl AsRef<Path>, columns: &Columns, threads: usize) -> Result<Self, DataError> {
        let root = path.as_ref().to_owned();
        let (folder, listing) = list(&root, columns)?;
        let paths: Vec<PathBuf> = listing.files.iter().map(|file| folder.join(&file.path)).collect();
        let inspected = Loader::new((0..paths.len()).collect(), LoaderOptions::new(threads), move |index| {
            paths.get(index).map_or(Err(DecodeError::Empty), |path| inspect(path))
        });
        let mut samples = Vec::with_capacity(listing.files.len());
        let mut quarantine = listing.quarantine.clone();
        for (file, (_, inspected)) in listing.files.iter().zip(inspected) {
            match inspected {
                Ok((digest, Header { format, width, height, .. })) => samples.push(Sample {
                    path: file.path.clone(),
                    classes: file.classes.clone(),
                    split: file.split,
                    group: file.group.clone(),
                    digest,
                    format,
                    width,
                    height,
                }),
                Err(error) => quarantine.add(display(&file.path), error),
            }
        }
        check_classes(&root, &listing, &samples, &quarantine)?;
        let (classes, columns, kind) = (listing.classes.clone(), listing.chosen.clone(), listing.kind);
        let report = Report::new(&samples, quarantine, listing);
        Ok(Self { root, folder, classes, kind, samples, columns, report })
    }

    /// All usable samples, ordered by path.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// What was found when the data set was opened.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Where a sample's file lies.
    pub fn path(&self, sample: &Sample) -> PathBuf {
        self.folder.join(&sample.path)
    }

    /// The decoded photograph of a sample.
    ///
    /// # Errors
    /// The file cannot be read any more or is damaged. The caller sets it aside: add [`Sample::name`] and the error to a
    /// [`Quarantine`].
    pub fn load(&self, sample: &Sample) -> Result<Picture, DecodeError> {
        Picture::from_bytes(&read_file(&self.path(sample))?)
    }
}

impl Labelled for Dataset {
    fn root(&self) -> &Path {
        &self.root
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn kind(&self) -> LabelKind {
        self.kind
    }

    fn labels_of(&self, sample: usize) -> &[usize] {
        &self.samples[sample].classes
    }

    fn name(&self, sample: usize) -> String {
        self.samples[sample].name()
    }

    fn content(&self, sample: usize) -> [u8; 32] {
        self.samples[sample].digest
    }

    fn split_of(&self, sample: usize) -> Option<Split> {
        self.samples[sample].split
    }

    fn group(&self, sample: usize) -> Option<&str> {
        self.samples[sample].group.as_deref()
    }

    /// A BLAKE3 digest of every sample's path, classes, split, group and content.
    fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for sample in &self.samples {
            add(sample.name().as_bytes());
            sample.classes.iter().for_each(|&class| add(self.classes[class].as_bytes()));
            add(sample.split.map_or("", Split::name).as_bytes());
            add(&sample.digest);
            if let Some(group) = &sample.group {
                add(group.as_bytes());
            }
        }
        *hasher.finalize().as_bytes()
    }

    fn columns(&self) -> Option<&Columns> {
        self.columns.as_ref()
    }

    fn summary(&self) -> String {
        self.report.summary()
    }

    fn set_aside(&self) -> Vec<(String, String)> {
        self.report.quarantine.iter().map(|(file, reason)| (file.to_owned(), reason.to_owned())).collect()
    }
}

/// The digest of a file's bytes and what its header says.
pub(crate) fn inspect(path: &Path) -> Result<([u8; 32], Header), DecodeError> {
    let bytes = read_file(path)?;
    let header = probe(&bytes, MAX_PIXELS)?;
    Ok((*blake3::hash(&bytes).as_bytes(), header))
}

/// Every class, and every class folder, must have something usable.
fn check_classes(
    root: &Path,
    listing: &Listing,
    samples: &[Sample],
    quarantine: &Quarantine,
) -> Result<(), DataError> {
    if samples.is_empty() {
        return Err(DataError::NoImages { path: root.to_owned(), quarantine: quarantine.clone() });
    }
    let mut counts: BTreeMap<(usize, Option<Split>), usize> = BTreeMap::new();
    for sample in samples {
        for &class in &sample.classes {
            *counts.entry((class, sample.split)).or_default() += 1;
        }
    }
    for folder in &listing.folders {
        if !counts.contains_key(&(folder.class, folder.split)) {
            let mut within = Quarantine::default();
            for (path, reason) in
                quarantine.iter().filter(|(path, _)| Path::new(path).starts_with(&folder.path))
            {
                within.add(path, reason);
            }
            let class = format!("class folder `{}`", display(&folder.path));
            return Err(DataError::EmptyClass { class, quarantine: within });
        }
    }
    let found: BTreeSet<usize> = samples.iter().flat_map(|sample| sample.classes.clone()).collect();
    if listing.kind == LabelKind::Single
        && let Some(class) = (0..listing.classes.len()).find(|class| !found.contains(class))
    {
        let class = format!("class `{}` of `{}`", listing.classes[class], root.display());
        return Err(DataError::EmptyClass { class, quarantine: quarantine.clone() });
    }
    Ok(())
}
