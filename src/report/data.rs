//! What a report is made of. Everything is optional in its way: what is absent or empty is left out of the page.

use std::collections::BTreeMap;

use tk_transfer::audit::AuditReport;
use tk_transfer::checkpoint::LoadReport;
use tk_transfer::data::Quarantined;
use tk_transfer::fit::Record;
use tk_transfer::metrics::{ClassScore, Confusion, Interval};

use super::Calibration;

/// A run, ready to be told.
#[derive(Clone, Debug, Default)]
pub struct ReportData {
    /// What was done to what, such as `ants-bees`.
    pub title: String,
    /// The command that made the run, ready to paste.
    pub command: String,
    /// The toolkit's version.
    pub version: String,
    /// The seed of every random choice.
    pub seed: u64,
    /// What a reader must know before believing the score, one sentence each.
    pub remarks: Vec<String>,
    /// The command that is worth trying next.
    pub next: Option<String>,
    /// Scores by which the run was steered.
    pub validation: Option<Scores>,
    /// Scores on data that chose nothing. Where they exist, they are the result.
    pub test: Option<Scores>,
    /// Recordings whose transcripts are wrong.
    pub heard: HeardPart,
    /// What was found in photographs: boxes, or the classes of pixels.
    pub found: Option<FoundPart>,
    /// Entities in tagged words.
    pub tagged: TaggedPart,
    /// The mistakes made with most confidence.
    pub mistakes: Gallery,
    /// Samples whose label is probably wrong, by out-of-fold probabilities.
    pub suspects: Gallery,
    /// One record for each epoch of fine-tuning.
    pub records: Vec<Record>,
    /// How the probe was chosen.
    pub probe: Option<ProbePart>,
    /// What was learned from.
    pub data: DataPart,
    /// What was adapted.
    pub model: Option<ModelPart>,
    /// What the audit found, one report for each phase.
    pub audits: Vec<AuditReport>,
    /// Resolved settings in the order in which they are to be read.
    pub settings: Vec<SettingGroup>,
    /// Seconds by what they were spent on; `total` is shown last.
    pub seconds: BTreeMap<String, f64>,
    /// Use of the prefix cache.
    pub cache: Option<CacheCount>,
}

/// How good predictions are on samples that did not train what predicted them.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    /// What was scored, such as `153 photographs held out` or `5 folds of 245 photographs`.
    pub scored_on: String,
    /// The name of the score that matters; the first of `metrics` where it is not among them.
    pub headline: String,
    /// Scores by their fixed names, 0 to 1 except losses.
    pub metrics: BTreeMap<String, f64>,
    /// The 95 % interval of each score that has one.
    pub intervals: BTreeMap<String, Interval>,
    /// True against predicted classes, in the order of [`DataPart::classes`]; none where a sample may have several.
    pub confusion: Option<Confusion>,
    /// The scores of each class, in the same order.
    pub per_class: Vec<ClassScore>,
    /// The average precision of each class where a sample may have several; none for a class that no sample has.
    pub average_precision: Vec<Option<f64>>,
    /// How far probabilities can be trusted.
    pub calibration: Option<Calibration>,
}

/// Some of a list of samples, as pictures.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    /// Those that are shown, worst first.
    pub pictures: Vec<Pictured>,
    /// How many there are in all.
    pub total: usize,
}

/// A sample with what was said of it.
#[derive(Clone, Debug, Default)]
pub struct Pictured {
    /// The file, relative to the data.
    pub file: String,
    /// A small JPEG without metadata; none where the file cannot be shown.
    pub jpeg: Option<Vec<u8>>,
    /// The sample itself, where it is text.
    pub text: Option<String>,
    /// The sample's sound as a WAV file, where it has one; the picture is its spectrogram then.
    pub sound: Option<Vec<u8>>,
    /// The class that the data give.
    pub label: String,
    /// The class that was predicted or is suggested.
    pub predicted: String,
    /// The probability of the predicted class.
    pub probability: f64,
    /// The probability of the class that the data give.
    pub label_probability: f64,
}

/// What was found in photographs beside what is there.
#[derive(Clone, Debug, Default)]
pub struct FoundPart {
    /// The names of the scores in `classes`.
    pub scores: Vec<String>,
    /// The scores of each class.
    pub classes: Vec<ClassScores>,
    /// Precision by recall of each class, where that is what is scored; points of recall and precision.
    pub curves: Vec<(String, Vec<(f64, f64)>)>,
    /// Mistakes by their kind, each with what it means.
    pub mistakes: Vec<(String, usize)>,
    /// Photographs with the most mistakes.
    pub worst: Vec<Shown>,
    /// Photographs with the fewest.
    pub best: Vec<Shown>,
}

impl FoundPart {
    /// The scores of each class, in a line.
    pub fn lines(&self) -> Vec<String> {
        let shown = |(title, score): (&String, &Option<f64>)| match score {
            Some(score) => format!("{title} {score:.3}"),
            None => format!("{title} none there"),
        };
        let line = |class: &ClassScores| {
            let scores: Vec<String> = self.scores.iter().zip(&class.values).map(shown).collect();
            format!("{}  {}", class.name, scores.join("  "))
        };
        self.classes.iter().map(line).collect()
    }
}

/// The scores of a class.
#[derive(Clone, Debug, Default)]
pub struct ClassScores {
    /// The class's name.
    pub name: String,
    /// Its scores, 0 to 1; none where there is nothing of it.
    pub values: Vec<Option<f64>>,
}

/// A photograph with what was found drawn over it.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The file, relative to the data.
    pub file: String,
    /// A small JPEG without metadata.
    pub jpeg: Option<Vec<u8>>,
    /// What to say of it, in a few words.
    pub caption: String,
}

/// Recordings whose transcripts are wrong.
#[derive(Clone, Debug, Default)]
pub struct HeardPart {
    /// Those that are shown, most edits first.
    pub worst: Vec<Heard>,
    /// How many are wrong.
    pub wrong: usize,
    /// How many were heard.
    pub total: usize,
}

/// A recording with what was said and what was heard.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The file, relative to the data.
    pub file: String,
    /// Its text.
    pub said: String,
    /// What came out.
    pub heard: String,
    /// Words that were substituted, inserted and deleted.
    pub edits: [usize; 3],
    /// The beginning of the recording as a WAV file; of the worst ones alone, so that the page stays small.
    pub sound: Option<Vec<u8>>,
}

/// Entities that were told beside those that are there.
#[derive(Clone, Debug, Default)]
pub struct TaggedPart {
    /// What was taken for what and how often, most first; one of both may be nothing.
    pub confusions: Vec<(Option<String>, Option<String>, usize)>,
    /// Sentences with the most mistakes.
    pub worst: Vec<TaggedSentence>,
    /// Sentences with mistakes, and sentences in all.
    pub wrong: [usize; 2],
}

/// A sentence whose entities were not told right.
#[derive(Clone, Debug, Default)]
pub struct TaggedSentence {
    /// Where it stands in the data.
    pub name: String,
    /// Its words.
    pub text: String,
    /// Entities that are there and were not told, with their classes.
    pub missed: Vec<(String, String)>,
    /// Entities that were told and are not there, with their classes.
    pub invented: Vec<(String, String)>,
}

/// How a probe's strength was chosen.
#[derive(Clone, Debug, Default)]
pub struct ProbePart {
    /// What was fitted, such as `logistic regression`.
    pub kind: String,
    /// The strength that was chosen: the inverse of regularisation, scikit-learn's `C`.
    pub strength: f64,
    /// Every strength that was tried, weakest first.
    pub candidates: Vec<Candidate>,
}

/// A strength that was tried.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidate {
    /// The strength.
    pub strength: f64,
    /// The accuracy on each fold, 0 to 1.
    pub folds: Vec<f64>,
}

/// What a run learned from.
#[derive(Clone, Debug, Default)]
pub struct DataPart {
    /// What the data were taken for, in one line.
    pub summary: String,
    /// The names of the splits, such as `train` and `val`.
    pub splits: Vec<String>,
    /// Classes in the model's order.
    pub classes: Vec<ClassCount>,
    /// What is odd about the data: samples unlike the rest, duplicates, absent classes.
    pub notes: Vec<Note>,
    /// Samples that could not be used.
    pub quarantine: Vec<Quarantined>,
}

/// A class and its samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassCount {
    /// The class's name.
    pub name: String,
    /// Its samples in each of [`DataPart::splits`].
    pub samples: Vec<usize>,
}

/// Something odd about the data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// What, in a few words, such as `1 sample unlike the rest`.
    pub title: String,
    /// Why it matters and what was done.
    pub text: String,
    /// The samples or classes that are meant.
    pub items: Vec<String>,
}

/// What was adapted.
#[derive(Clone, Debug, Default)]
pub struct ModelPart {
    /// The pretrained model's name.
    pub name: String,
    /// Its architecture.
    pub architecture: String,
    /// What to know of it, such as that it is small.
    pub remark: Option<String>,
    /// Its parameters.
    pub parameters: ParameterCount,
    /// What became of its parameters when it was loaded.
    pub load: Option<LoadReport>,
    /// Its stages from input to output.
    pub stages: Vec<StagePart>,
    /// What frozen stages ran in, each in one line, where something else than f32 was asked for.
    pub precision: Vec<String>,
}

/// How many parameters a model has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParameterCount {
    /// All numbers.
    pub total: usize,
    /// Those that were trained.
    pub trained: usize,
    /// Those that were not.
    pub frozen: usize,
}

/// A stage of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagePart {
    /// Its name.
    pub name: String,
    /// What was done with it.
    pub role: StageRole,
    /// How many numbers its parameters have.
    pub parameters: usize,
}

/// What was done with a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageRole {
    /// It was frozen, ran once for each view of a sample, and its output was remembered.
    Cached,
    /// It was frozen and ran anew each time.
    Frozen,
    /// It was trained.
    Trained,
}

/// Settings that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingGroup {
    /// What they have in common.
    pub name: String,
    /// Names and values in the order in which they are to be read.
    pub entries: Vec<(String, String)>,
}

/// Use of the prefix cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCount {
    /// Results that were remembered.
    pub hits: u64,
    /// Results that were computed.
    pub misses: u64,
}

impl DataPart {
    /// The name of a class by its position; the position where there is no such class.
    pub(super) fn class(&self, index: usize) -> String {
        self.classes.get(index).map_or_else(|| format!("class {index}"), |class| class.name.clone())
    }
}

impl Scores {
    /// The name and value of the score that matters.
    pub(super) fn principal(&self) -> Option<(&str, f64)> {
        let entry = self.metrics.get_key_value(&self.headline).or_else(|| self.metrics.first_key_value());
        entry.map(|(name, &value)| (name.as_str(), value))
    }
}
