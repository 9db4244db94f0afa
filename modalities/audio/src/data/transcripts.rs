//! Recordings with what is said in them: LibriSpeech's tree, Common Voice's tables, any table of paths and texts, or annotations of ELAN
//! and Praat beside recordings.

use std::path::{Component, Path, PathBuf};

use tk_transfer::data::listing::{
    Columns, Listed, Listing, ListingError, list_files, list_folder_of_tables, list_table,
};
use tk_transfer::data::table::{Inputs, Selector, Table, is_table};
use tk_transfer::data::{Quarantine, Split};
use walkdir::WalkDir;

use super::annotated;
use super::annotations::AnnotationError;
use super::dataset::{set_aside, walk};

/// Names of columns of what is said, the likeliest first.
const TEXTS: [&str; 6] =
    ["sentence", "text", "transcript", "transcription", "normalized_text", "raw_transcription"];

/// Common Voice's column of speakers, and the folder of what its tables name.
const SPEAKERS: &str = "client_id";
const CLIPS: &str = "clips";

/// How names of LibriSpeech's lists end, and those of the recordings beside them.
pub(super) const LIST: &str = ".trans.txt";
const ENDINGS: [&str; 4] = ["flac", "wav", "mp3", "ogg"];

/// Recordings with what is said in them. Opening lists them and does not read them.
#[derive(Clone, Debug)]
pub struct Transcripts {
    pub(super) folder: PathBuf,
    pub(super) utterances: Vec<Utterance>,
    pub(super) quarantine: Quarantine,
    pub(super) columns: Option<Columns>,
    pub(super) divided_by: Option<String>,
}

/// One recording, or a part of it, and what is said in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Utterance {
    /// The file, relative to the data set's folder or table, with `/` between parts.
    pub path: String,
    /// Which part of the file, from and to in seconds, where it is not the whole.
    pub part: Option<[f64; 2]>,
    /// What is said.
    pub text: String,
    /// The part of the data that its folder, table or row names, if they do.
    pub split: Option<Split>,
    /// The speaker, or another group that must not be divided.
    pub group: Option<String>,
}

/// Why a path holds no transcripts.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// Nothing is there.
    #[error("no such file or folder: `{}`", path.display())]
    NotFound {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// A file that is no table.
    #[error("`{}` is a file and no table; expected a folder, or a table (.csv, .tsv, .jsonl) of paths and texts", path.display())]
    NoTable {
        /// The file.
        path: PathBuf,
    },
    /// A folder in which nothing says what recordings say.
    #[error("`{}` holds no transcripts; expected tables called train, val and test, `*.trans.txt` lists beside the recordings, or --label name:REGEX", path.display())]
    NoTranscripts {
        /// The folder.
        path: PathBuf,
    },
    /// Several tiers might be what is said.
    #[error("annotations in `{}` have several tiers: {}; name the one that says what is said (--label TIER), or a type of tiers", path.display(), tiers.join(", "))]
    Tiers {
        /// The file or folder.
        path: PathBuf,
        /// The tiers with a text.
        tiers: Vec<String>,
    },
    /// No such tier.
    #[error("no tier or type of tiers `{tier}` in `{}`; there are {}", path.display(), tiers.join(", "))]
    NoTier {
        /// The file or folder.
        path: PathBuf,
        /// The tier that was asked for.
        tier: String,
        /// The tiers with a text.
        tiers: Vec<String>,
    },
    /// Annotations that cannot be read.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    /// All was set aside.
    #[error("no usable transcripts in `{}`{}; expected rows or lines with the path of a recording and a text", path.display(), set_aside(quarantine))]
    NoneUsable {
        /// The data set.
        path: PathBuf,
        /// What was set aside.
        quarantine: Quarantine,
    },
    /// Columns are not where they were looked for.
    #[error(transparent)]
    Listing(#[from] ListingError),
}

impl Transcripts {
    /// The transcripts at a path: a table, a folder with tables called `train`, `val` (`valid`, `dev`) and `test`, or a folder in which
    /// `*.trans.txt` lists lie beside the recordings that they name. Columns are guessed, and Common Voice's speakers are groups. Else
    /// an `.eaf` file of ELAN or a `.TextGrid` file of Praat, or a folder of them: each of their intervals is an utterance, of the only
    /// tier that there is.
    ///
    /// # Errors
    /// As [`Transcripts::open_with`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TranscriptError> {
        Self::list(path.as_ref(), None)
    }

    /// As [`Transcripts::open`], with what is known of a table's columns; the label is the text. Groups are only those that are named. Of
    /// annotations the label's column is a tier, or a type of tiers.
    ///
    /// # Errors
    /// There is no such path, a column is missing, or not one recording with a text is there.
    pub fn open_with(path: impl AsRef<Path>, columns: &Columns) -> Result<Self, TranscriptError> {
        Self::list(path.as_ref(), Some(columns))
    }

    fn list(root: &Path, columns: Option<&Columns>) -> Result<Self, TranscriptError> {
        let not_found = |_| TranscriptError::NotFound { path: root.to_owned() };
        if let Some(found) = annotated::list(root, columns)? {
            return Ok(found);
        }
        let (folder, listing) = match std::fs::metadata(root).map_err(not_found)?.is_dir() {
            true => (root.to_owned(), list_folder(root, columns)?),
            false if is_table(root) => {
                let folder = root.parent().unwrap_or(Path::new("")).to_owned();
                let listing = list_table(root, &known(columns, root), Inputs::Files)?;
                let listing = resolved(&folder, listing);
                (folder, listing)
            }
            false => return Err(TranscriptError::NoTable { path: root.to_owned() }),
        };
        let Listing { samples, quarantine, chosen, divided_by, .. } = listing;
        if samples.is_empty() {
            return Err(TranscriptError::NoneUsable { path: root.to_owned(), quarantine });
        }
        let utterance = |Listed { input: path, labels, split, group, .. }| Utterance {
            path,
            part: None,
            text: labels.into_iter().next().unwrap_or_default(),
            split,
            group,
        };
        let utterances = samples.into_iter().map(utterance).collect();
        Ok(Self { folder, utterances, quarantine, columns: chosen, divided_by })
    }

    /// The recordings in the order of their lists.
    pub fn utterances(&self) -> &[Utterance] {
        &self.utterances
    }

    /// Rows and lines without a text or a recording, with the reason.
    pub fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// The columns that were read, for other tables of the kind; `None` where none has a name.
    pub fn columns(&self) -> Option<&Columns> {
        self.columns.as_ref()
    }

    /// What recordings' paths are relative to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What says which part of the data a recording belongs to (`file`, `folder`, a column), if anything does.
    pub fn divided_by(&self) -> Option<&str> {
        self.divided_by.as_deref()
    }

    /// Where a recording lies.
    pub fn path(&self, utterance: &Utterance) -> PathBuf {
        self.folder.join(&utterance.path)
    }
}

/// The rows of a folder's tables, or the lines of the lists below it.
fn list_folder(root: &Path, columns: Option<&Columns>) -> Result<Listing, TranscriptError> {
    if let Some(columns) =
        columns.filter(|columns| columns.labels().is_some() && columns.column_name().is_none())
    {
        // The files' own names or folders say it.
        let mut unreadable = Quarantine::default();
        let files = walk(root, &mut unreadable);
        let mut listing = list_files(root, files.iter().map(String::as_str), columns)?;
        listing.quarantine.merge(unreadable);
        return Ok(listing);
    }
    let first = ["train.tsv", "train.csv", "train.jsonl"].map(|name| root.join(name));
    let first = first.into_iter().find(|path| path.is_file()).unwrap_or_default();
    if let Some(listing) = list_folder_of_tables(root, &known(columns, &first), Inputs::Files)? {
        return Ok(resolved(root, listing));
    }
    let mut listing = Listing::default();
    let mut lists = 0;
    for entry in WalkDir::new(root).follow_links(true).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_name().to_string_lossy().ends_with(LIST) => {
                lists += 1;
                read_list(root, entry.path(), &mut listing);
            }
            Ok(_) => {}
            Err(error) => {
                let path = error.path().map_or_else(String::new, |path| relative(root, path));
                let reason = format!("cannot be read: {}", error.to_string().replace('\n', " "));
                listing.quarantine.add(path, reason);
            }
        }
    }
    match lists {
        0 => Err(TranscriptError::NoTranscripts { path: root.to_owned() }),
        _ => Ok(listing),
    }
}

/// The columns, with that of texts by its usual names, and with Common Voice's speakers where nothing was said.
fn known(columns: Option<&Columns>, table: &Path) -> Columns {
    let mut known = columns.cloned().unwrap_or_default();
    let Ok(table) = Table::open(table) else { return known };
    if known.labels().is_none()
        && let Some(name) = TEXTS.into_iter().find(|name| table.column(name).is_ok())
    {
        known = known.label(Selector::column(name));
    }
    match columns.is_none() && table.column(SPEAKERS).is_ok() {
        true => known.group(Selector::column(SPEAKERS)),
        false => known,
    }
}

/// The rows whose files are there, beside the table or in Common Voice's folder.
fn resolved(folder: &Path, mut listing: Listing) -> Listing {
    for row in &mut listing.samples {
        let in_clips = format!("{CLIPS}/{}", row.input.trim());
        if !folder.join(row.input.trim()).is_file() && folder.join(&in_clips).is_file() {
            row.input = in_clips;
        }
    }
    listing.resolve_files(folder);
    listing
}

/// Adds the lines of one list, each the name of a recording and what is said in it: `84-121123-0000 GO DO YOU HEAR`.
fn read_list(root: &Path, list: &Path, listing: &mut Listing) {
    let name = relative(root, list);
    let text = match std::fs::read_to_string(list) {
        Ok(text) => text,
        Err(error) => return listing.quarantine.add(name, format!("cannot be read: {error}")),
    };
    let folder = list.parent().unwrap_or(root);
    let split = folder.strip_prefix(root).ok().and_then(split_of).or_else(|| split_of(root));
    if split.is_some() {
        listing.divided_by = Some("folder".to_owned());
    }
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row = format!("{name}:{}", index + 1);
        let (id, said) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        if said.is_empty() {
            listing.quarantine.add(row, "no text: the line has nothing behind the recording's name");
            continue;
        }
        let mut recordings = ENDINGS.iter().map(|ending| folder.join(format!("{id}.{ending}")));
        let Some(recording) = recordings.find(|path| path.is_file()) else {
            listing.quarantine.add(row, format!("no such recording: `{id}` with .{}", ENDINGS.join(", .")));
            continue;
        };
        listing.samples.push(Listed {
            name: row,
            input: relative(root, &recording),
            second: None,
            labels: vec![said.trim().to_owned()],
            split,
            group: id.split_once('-').map(|(speaker, _)| speaker.to_owned()),
        });
    }
}

/// The part of the data that a folder such as `train-clean-100` or `dev-other` stands for; of nested ones the innermost.
pub(super) fn split_of(path: &Path) -> Option<Split> {
    path.components().rev().find_map(|part| match part {
        Component::Normal(name) => Split::from_name(name.to_string_lossy().split('-').next()?),
        _ => None,
    })
}

/// A path below a folder, relative to it, with `/` between parts.
pub(super) fn relative(root: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap_or(path).components();
    parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
