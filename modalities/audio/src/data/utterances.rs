//! Recordings with what is said in them, looked at: digests, lengths, texts as they are to be learned.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tk_engine::cpu::Pool;
use tk_transfer::data::listing::{ClassCount, Columns};
use tk_transfer::data::{Digest, LabelKind, Labelled, Quarantine, Split};

use super::{Clip, DecodeError, TranscriptError, Transcripts, Utterance};
use crate::recognition::replace_words;

/// Recordings with what is said in them.
///
/// Opening reads every file once: for its digest, and to see how long it is. What is no recording, or longer than wanted, is set aside.
#[derive(Clone, Debug)]
pub struct Utterances {
    root: PathBuf,
    classes: Vec<String>,
    folder: PathBuf,
    samples: Vec<Spoken>,
    columns: Option<Columns>,
    quarantine: Quarantine,
    divided_by: Option<String>,
    rates: BTreeMap<u32, usize>,
}

/// One recording and what is said in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    /// The file, relative to the data set's folder or table, with `/` between parts.
    pub path: String,
    /// The part of the file, from and to in seconds, where it is not the whole.
    pub part: Option<[f64; 2]>,
    /// What is said.
    pub text: String,
    /// The part of the data that its folder, table or row names, if they do.
    pub split: Option<Split>,
    /// The speaker, or another group that must not be divided.
    pub group: Option<String>,
    /// The digest of the file's bytes and of which part is meant.
    pub digest: Digest,
    /// Samples per second.
    pub rate: u32,
    /// Samples at that rate.
    pub length: usize,
}

impl Spoken {
    /// How long it is.
    pub fn seconds(&self) -> f64 {
        self.length as f64 / f64::from(self.rate)
    }

    /// How many samples it has at another rate.
    pub fn length_at(&self, rate: u32) -> usize {
        (self.length as u64 * u64::from(rate)).div_ceil(u64::from(self.rate)) as usize
    }
}

/// How recordings are looked at.
#[derive(Clone, Debug)]
pub struct Looking<'a> {
    /// What is known of tables' columns; the label is the text.
    pub columns: &'a Columns,
    /// Words that are replaced, such as `7` by `seven`.
    pub words: &'a BTreeMap<String, String>,
    /// Longer recordings are set aside, in seconds.
    pub longest: f64,
    /// The threads that look.
    pub pool: &'a Pool,
}

impl Utterances {
    /// The recordings at a path; see [`Transcripts`] for what that may be.
    ///
    /// # Errors
    /// There is no such path, a column is missing, or not one recording with a text is there.
    pub fn open(path: &Path, looking: &Looking<'_>) -> Result<Self, TranscriptError> {
        let says_nothing = looking.columns.column_name().is_none() && looking.columns.labels().is_none();
        let transcripts = match says_nothing {
            true => Transcripts::open(path)?,
            false => Transcripts::open_with(path, looking.columns)?,
        };
        let mut quarantine = transcripts.quarantine().clone();
        let listed = transcripts.utterances();
        let mut looked: Vec<Option<Looked>> = vec![None; listed.len()];
        looking.pool.for_each_chunk(&mut looked, 1, |at, into| {
            into[0] = Some(inspect(&transcripts.path(&listed[at]), listed[at].part, looking.longest));
        });
        let mut samples = Vec::with_capacity(listed.len());
        for (utterance, looked) in listed.iter().zip(looked.into_iter().flatten()) {
            let Utterance { path, part, text, split, group } = utterance.clone();
            match looked {
                Err(reason) => quarantine.add(named(&path, part), reason),
                Ok((digest, rate, length)) => {
                    let text = replace_words(&text, looking.words);
                    samples.push(Spoken { path, part, text, split, group, digest, rate, length });
                }
            }
        }
        if samples.is_empty() {
            return Err(TranscriptError::NoneUsable { path: path.to_owned(), quarantine });
        }
        samples.sort_by(|a, b| {
            a.path.cmp(&b.path).then(a.part.partial_cmp(&b.part).unwrap_or(std::cmp::Ordering::Equal))
        });
        let mut rates: BTreeMap<u32, usize> = BTreeMap::new();
        samples.iter().for_each(|sample| *rates.entry(sample.rate).or_default() += 1);
        Ok(Self {
            root: path.to_owned(),
            classes: vec!["utterances".to_owned()],
            folder: transcripts.folder().to_owned(),
            samples,
            columns: transcripts.columns().cloned(),
            quarantine,
            divided_by: transcripts.divided_by().map(str::to_owned),
            rates,
        })
    }

    /// All usable recordings, ordered by path.
    pub fn samples(&self) -> &[Spoken] {
        &self.samples
    }

    /// How many recordings have each rate in Hz.
    pub fn rates(&self) -> &BTreeMap<u32, usize> {
        &self.rates
    }

    /// Where a recording lies.
    pub fn path(&self, sample: usize) -> PathBuf {
        self.folder.join(&self.samples[sample].path)
    }

    /// A recording at the rate that it has.
    ///
    /// # Errors
    /// The file cannot be read any more, or is damaged.
    pub fn load(&self, sample: usize) -> Result<Clip, DecodeError> {
        let spoken = &self.samples[sample];
        match spoken.part {
            Some([from, to]) => Clip::open_part(self.path(sample), from, to),
            // A little more than its length, so that rounding cuts nothing off.
            None => Clip::open_beginning(self.path(sample), spoken.seconds() + 1e-3),
        }
    }

    /// Seconds of sound in all.
    pub fn seconds(&self) -> f64 {
        self.samples.iter().map(Spoken::seconds).sum()
    }
}

/// As data that can be divided: all of one class.
impl Labelled for Utterances {
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
        LabelKind::Single
    }

    fn labels_of(&self, _: usize) -> &[usize] {
        &[0]
    }

    fn name(&self, sample: usize) -> String {
        let Spoken { path, part, .. } = &self.samples[sample];
        named(path, *part)
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

    /// A digest of every sample's path, content, text, group and split.
    fn digest(&self) -> [u8; 32] {
        let mut text = String::new();
        for Spoken { path, part, text: said, split, group, digest, .. } in &self.samples {
            text.push_str(&format!("{path:?} {part:?} {said:?} {split:?} {group:?} {digest}\n"));
        }
        *Digest::of(text.as_bytes()).bytes()
    }

    fn columns(&self) -> Option<&Columns> {
        self.columns.as_ref()
    }

    /// One line, such as `3000 recordings, 22 min; 8000 Hz`.
    fn summary(&self) -> String {
        let total = ClassCount::total("recordings", self.samples.iter().map(|sample| sample.split));
        let mut text = ClassCount::summary(&total, &[], self.divided_by.as_deref());
        let rates: Vec<String> = self.rates.keys().map(|rate| format!("{rate} Hz")).collect();
        text.push_str(&format!(", {:.1} min; {}", self.seconds() / 60.0, rates.join(", ")));
        if !self.quarantine.is_empty() {
            text.push_str(&format!("; {} set aside: listed", self.quarantine.len()));
        }
        text
    }

    fn set_aside(&self) -> Vec<(String, String)> {
        self.quarantine.iter().map(|(file, reason)| (file.to_owned(), reason.to_owned())).collect()
    }
}

/// What a recording is called, or a part of one, such as `talk.wav[1.500-3.250]`.
fn named(path: &str, part: Option<[f64; 2]>) -> String {
    part.map_or_else(|| path.to_owned(), |[from, to]| format!("{path}[{from:.3}-{to:.3}]"))
}

/// A digest, a rate and a count of samples, or why there are none.
type Looked = Result<(Digest, u32, usize), String>;

/// The digest of a file's bytes and of which part is meant, its rate, and how many samples it has.
fn inspect(path: &Path, part: Option<[f64; 2]>, longest: f64) -> Looked {
    let clip = match part {
        Some([from, to]) => Clip::open_part(path, from, to.min(from + longest + 0.1)),
        None => Clip::open_beginning(path, longest + 0.1),
    };
    let clip = clip.map_err(|error| error.to_string())?;
    if clip.seconds() > longest {
        return Err(format!("longer than {longest} seconds; cut it into utterances, or say --max-seconds"));
    }
    let digest = match part {
        // Of what is heard: a long file has many parts, and would be read for each.
        Some(part) => {
            let heard: Vec<u8> = clip.values().iter().flat_map(|sample| sample.to_le_bytes()).collect();
            Digest::of(&[format!("{part:?}").as_bytes(), &heard].concat())
        }
        None => Digest::of(&std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?),
    };
    Ok((digest, clip.rate(), clip.values().len()))
}
