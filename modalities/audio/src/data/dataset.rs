//! Recordings as samples with classes: a folder per class, file names, or a table of paths and labels.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tk_transfer::data::listing::{
    ClassCount, Columns, Listed, Listing, ListingError, list_files, list_folder_of_tables, list_table,
};
use tk_transfer::data::table::{Inputs, is_table};
use tk_transfer::data::{Digest, LabelKind, Labelled, Quarantine, Split};
use walkdir::{DirEntry, WalkDir};

use super::Clip;

/// How recordings' names end. What a file holds is told from its content.
pub(super) const ENDINGS: [&str; 9] = ["wav", "wave", "flac", "mp3", "ogg", "oga", "m4a", "mp4", "aac"];

/// So much of each recording is decoded when a data set is opened, in seconds, to see that it is one.
const LOOKED_AT: f64 = 0.05;

/// Recordings with classes.
///
/// Opening reads every file once to take its digest, and decodes its beginning. What is no recording is set aside and listed in the
/// report. Damage that only decoding shows comes to light in [`Dataset::load`].
#[derive(Clone, Debug)]
pub struct Dataset {
    root: PathBuf,
    /// What the samples' paths are relative to.
    folder: PathBuf,
    classes: Vec<String>,
    kind: LabelKind,
    samples: Vec<Sample>,
    columns: Option<Columns>,
    report: Report,
}

/// One recording of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The file, relative to the data set's folder or table, with `/` between parts.
    pub path: String,
    /// The indices of its classes in [`Dataset::classes`], ascending.
    pub classes: Vec<usize>,
    /// The part of the data that its folder or row names, if they do.
    pub split: Option<Split>,
    /// What must not be divided.
    pub group: Option<String>,
    /// The digest of the file's bytes.
    pub digest: Digest,
    /// Samples per second.
    pub rate: u32,
}

/// What was found when a data set was opened.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many samples there are.
    pub total: ClassCount,
    /// How many samples each class has.
    pub classes: Vec<ClassCount>,
    /// How many recordings have each rate.
    pub rates: BTreeMap<u32, usize>,
    /// What the columns are for, where there are columns.
    pub columns: Option<String>,
    /// What says which sample belongs to which part, if anything does.
    pub divided_by: Option<String>,
    /// What is no recording, with the reason.
    pub quarantine: Quarantine,
    /// What was left out because of where it stands.
    pub ignored: Quarantine,
}

/// Why a path is no data set of recordings.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Nothing is there.
    #[error("no such file or folder: `{}`", path.display())]
    NotFound {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// A file that is no table, likely a single recording.
    #[error("`{0}` is a file, neither a folder of recordings nor a table (.csv, .tsv, .jsonl); to classify it use `tk predict MODEL {0}`", path.display())]
    NotAFolder {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// Samples or their labels are not where they were looked for.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// Nothing that can be used.
    #[error("no usable recordings in `{}`{}; expected WAV, FLAC, MP3, Ogg or M4A files in a folder per class, with --label name:REGEX, or in a table of paths and labels", path.display(), set_aside(quarantine))]
    NoRecordings {
        /// The data set.
        path: PathBuf,
        /// What was set aside.
        quarantine: Quarantine,
    },
}

/// What an error says of samples that were set aside.
pub(super) fn set_aside(quarantine: &Quarantine) -> String {
    match quarantine.iter().next() {
        None => String::new(),
        Some((id, reason)) => format!(" ({} set aside, the first `{id}`: {reason})", quarantine.len()),
    }
}

/// Whether a file is a recording by its name.
pub fn is_recording(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

impl Dataset {
    /// The data set at a path: a folder per class, or a table whose columns are guessed and whose paths are relative to it.
    ///
    /// # Errors
    /// As [`Dataset::open_with`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::open_with(path, &Columns::default())
    }

    /// As [`Dataset::open`], with what is known of the columns. A folder may hold the table too: it is looked for when a column is named,
    /// or labels are several. Without a table, labels and groups are selected of the files' paths.
    ///
    /// # Errors
    /// There is no such path, it holds no recordings, a column is missing, or there are too few classes.
    pub fn open_with(path: impl AsRef<Path>, columns: &Columns) -> Result<Self, DataError> {
        let root = path.as_ref().to_owned();
        let (folder, mut listing) = list(&root, columns)?;
        let mut found = Vec::new();
        for listed in std::mem::take(&mut listing.samples) {
            match inspect(&folder.join(&listed.input)) {
                Ok(seen) => {
                    found.push(seen);
                    listing.samples.push(listed);
                }
                Err(reason) => listing.quarantine.add(listed.input, reason),
            }
        }
        if listing.samples.is_empty() {
            return Err(DataError::NoRecordings { path: root, quarantine: listing.quarantine });
        }
        let classes = listing.settle_classes(&root)?;
        let places: BTreeMap<&str, usize> =
            classes.iter().enumerate().map(|(place, class)| (class.as_str(), place)).collect();
        let sample = |(listed, (digest, rate)): (Listed, (Digest, u32))| {
            let Listed { input, labels, split, group, .. } = listed;
            let mut classes: Vec<usize> =
                labels.iter().filter_map(|label| places.get(label.as_str()).copied()).collect();
            classes.sort_unstable();
            Sample { path: input, classes, split, group, digest, rate }
        };
        let mut samples: Vec<Sample> =
            std::mem::take(&mut listing.samples).into_iter().zip(found).map(sample).collect();
        samples.sort_by(|a, b| a.path.cmp(&b.path));
        let (kind, columns) = (listing.kind, listing.chosen.take());
        let report = Report::new(&classes, &samples, listing);
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
    pub fn path(&self, sample: usize) -> PathBuf {
        self.folder.join(&self.samples[sample].path)
    }

    /// The first seconds of a sample.
    ///
    /// # Errors
    /// The file cannot be read any more, or is damaged. The caller sets it aside.
    pub fn load(&self, sample: usize, seconds: f64) -> Result<Clip, super::DecodeError> {
        Clip::open_beginning(self.path(sample), seconds)
    }
}

impl Report {
    fn new(classes: &[String], samples: &[Sample], listing: Listing) -> Self {
        let labels = |sample: &Sample| {
            let split = sample.split;
            sample.classes.clone().into_iter().map(move |class| (class, split))
        };
        let mut rates: BTreeMap<u32, usize> = BTreeMap::new();
        samples.iter().for_each(|sample| *rates.entry(sample.rate).or_default() += 1);
        Self {
            total: ClassCount::total("recordings", samples.iter().map(|sample| sample.split)),
            classes: ClassCount::of(classes, samples.iter().flat_map(labels)),
            rates,
            columns: listing.columns,
            divided_by: listing.divided_by,
            quarantine: listing.quarantine,
            ignored: listing.ignored,
        }
    }

    /// One line, such as `3000 recordings, 0 300, 1 300; 8000 Hz`.
    pub fn summary(&self) -> String {
        let mut text = ClassCount::summary(&self.total, &self.classes, self.divided_by.as_deref());
        let rates: Vec<String> = self.rates.keys().map(|rate| format!("{rate} Hz")).collect();
        text.push_str(&format!("; {}", rates.join(", ")));
        if !self.quarantine.is_empty() {
            text.push_str(&format!("; {} set aside: listed", self.quarantine.len()));
        }
        if let Some(columns) = &self.columns {
            text.push_str(&format!("; {columns}"));
        }
        text
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
        self.samples[sample].path.clone()
    }

    fn content(&self, sample: usize) -> [u8; 32] {
        *self.samples[sample].digest.bytes()
    }

    fn split_of(&self, sample: usize) -> Option<Split> {
        self.samples[sample].split
    }

    fn group(&self, sample: usize) -> Option<&str> {
        self.samples[sample].group.as_deref()
    }

    /// A digest of all classes and of every sample's path, content, classes, group and split.
    fn digest(&self) -> [u8; 32] {
        let mut text = format!("{:?}\n", self.classes);
        for Sample { path, classes, split, group, digest, .. } in &self.samples {
            text.push_str(&format!("{path:?} {classes:?} {split:?} {group:?} {digest}\n"));
        }
        *Digest::of(text.as_bytes()).bytes()
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

/// Lists the recordings of a data set, and says which folder their paths are relative to. That is the table's own, when it is one.
fn list(root: &Path, columns: &Columns) -> Result<(PathBuf, Listing), DataError> {
    match std::fs::metadata(root) {
        Err(_) => return Err(DataError::NotFound { path: root.to_owned() }),
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) if is_table(root) => {
            let folder = root.parent().unwrap_or(Path::new("")).to_owned();
            let mut listing = list_table(root, columns, Inputs::Files)?;
            listing.resolve_files(&folder);
            return Ok((folder, listing));
        }
        Ok(_) => return Err(DataError::NotAFolder { path: root.to_owned() }),
    }
    if (columns.column_name().is_some() || columns.kind() == LabelKind::Multi)
        && let Some(mut listing) = list_folder_of_tables(root, columns, Inputs::Files)?
    {
        listing.resolve_files(root);
        return Ok((root.to_owned(), listing));
    }
    let mut unreadable = Quarantine::default();
    let files = walk(root, &mut unreadable);
    let mut listing = list_files(root, files.iter().map(String::as_str), columns)?;
    listing.quarantine.merge(unreadable);
    Ok((root.to_owned(), listing))
}

/// The recordings below a folder by name, relative to it, in a fixed order. Hidden ones are passed over.
pub(super) fn walk(root: &Path, unreadable: &mut Quarantine) -> Vec<String> {
    let is_shown =
        |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.');
    let shown = |path: &Path| {
        let parts = path.strip_prefix(root).unwrap_or(path).components();
        parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
    };
    let mut files = Vec::new();
    for entry in WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter().filter_entry(is_shown)
    {
        match entry {
            Ok(entry) if entry.file_type().is_file() && is_recording(entry.path()) => {
                files.push(shown(entry.path()));
            }
            Ok(_) => {}
            Err(error) => {
                let path = error.path().map_or_else(String::new, shown);
                unreadable.add(path, format!("cannot be read: {}", error.to_string().replace('\n', " ")));
            }
        }
    }
    files
}

/// The digest of a file's bytes, and its rate.
fn inspect(path: &Path) -> Result<(Digest, u32), String> {
    let clip = Clip::open_beginning(path, LOOKED_AT).map_err(|error| error.to_string())?;
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    Ok((Digest::of(&bytes), clip.rate()))
}
