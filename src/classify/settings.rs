//! What a run is asked to do, as data: flags, configuration files and `run.toml` are all this.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tk_audio::recognition::Spelling;
use tk_image::data::Level;
use tk_transfer::data::listing::{Columns, Separator, has_tables};
use tk_transfer::data::table::Selector;
use tk_transfer::fit::{Balance, OptimizerChoice, Schedule};
use tk_transfer::freeze::BatchNorm;
use tk_transfer::prefix::PrecisionChoice;

use super::{Error, Head, HeadInit, Metric, ModeName};
use crate::hub::Repository;

/// The version of `run.toml`; others are refused.
const FORMAT: u32 = 1;

/// The rank of low-rank pairs when nothing is said.
const RANK: usize = 8;

/// What they are scaled by, times the rank, when nothing is said.
const ALPHA: f64 = 16.0;

/// Settings; what is `None`, the preset decides. Unknown keys are errors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The task, such as `image-classify`.
    pub task: Option<String>,
    /// The folder or table of samples.
    pub data: Option<String>,
    /// The model: `small`, a name of the catalog, `hf:ORG/NAME`, `ARCHITECTURE=FILE`, or a folder.
    pub model: Option<String>,
    /// How much is adapted.
    pub mode: Option<ModeName>,
    /// The head.
    pub head: Option<Head>,
    /// How the head starts.
    pub head_init: Option<HeadInit>,
    /// Width of the hidden layer of an `mlp` head.
    pub hidden: Option<usize>,
    /// What trains besides the head.
    pub unfreeze: Option<String>,
    /// What stays frozen.
    pub freeze: Option<String>,
    /// What batch-norm does in stages that train.
    pub batch_norm: Option<BatchNorm>,
    /// Passes over the data.
    pub epochs: Option<usize>,
    /// The peak learning rate, that of the head.
    #[serde(rename = "lr")]
    pub learning_rate: Option<f64>,
    /// Weight decay of matrices and kernels.
    pub weight_decay: Option<f64>,
    /// How the learning rate changes.
    pub schedule: Option<Schedule>,
    /// The share of the steps over which the learning rate rises.
    pub warmup: Option<f64>,
    /// The factor of the learning rate from a stage to the one before it.
    pub layer_decay: Option<f64>,
    /// The optimizer.
    pub optimizer: Option<OptimizerChoice>,
    /// Gradients are scaled down to this norm.
    pub clip: Option<f64>,
    /// The part of each target that is spread over all classes.
    pub label_smoothing: Option<f64>,
    /// The decay of a moving average of the weights, which then is the result.
    pub moving_average: Option<f64>,
    /// Training ends after so many epochs without a better one.
    pub patience: Option<usize>,
    /// The score that says which epoch is the best, whose weights then are the result.
    pub monitor: Option<Metric>,
    /// Samples in a batch.
    pub batch: Option<usize>,
    /// Batches whose gradients are added up before an update.
    pub accumulate: Option<usize>,
    /// How strongly training pictures are varied.
    pub augment: Option<Level>,
    /// Samples are blended with others of their batch, by shares from a Beta distribution of this.
    pub mixup: Option<f64>,
    /// How many varied views of a picture there are; 0: a new one each epoch.
    pub views: Option<u64>,
    /// Side of the model's input in pixels; where pictures keep their shape, the shorter one.
    pub size: Option<u32>,
    /// The head that is grafted on a backbone's maps, such as `fcos` or `unet`.
    pub graft: Option<String>,
    /// What the values of masks are: `auto`, `index`, `palette` or `instances`.
    pub masks: Option<String>,
    /// A file of the classes' names.
    pub names: Option<String>,
    /// The value of masks that means no class.
    pub ignore: Option<u8>,
    /// The column of texts or paths; two, joined by a comma, make a pair of texts.
    pub input: Option<String>,
    /// The column of the label, or `name:REGEX`; several columns of 0 and 1, joined by commas, are classes of multi-label data.
    pub label: Option<String>,
    /// Cells hold several labels, with this between them; `auto`: whatever of `|`, `;`, `,` and the space is found.
    pub multi: Option<String>,
    /// The column that says train, val or test.
    pub split: Option<String>,
    /// What groups samples that must not be torn apart: a column, `name:REGEX` or `dir`.
    pub group: Option<String>,
    /// At most so many tokens of each text.
    pub max_tokens: Option<usize>,
    /// At most so many seconds of each recording, from its beginning.
    pub max_seconds: Option<f64>,
    /// A table of words and what they are written as in transcripts, such as `7` and `seven`.
    pub words: Option<String>,
    /// What is made of transcripts before they are learned from.
    pub spelling: Option<Spelling>,
    /// What frames spell: `auto`, `model`, `data`, or a file of symbols.
    pub vocabulary: Option<String>,
    /// Whether all values are random in place of the model's, to see what they are worth.
    pub from_scratch: Option<bool>,
    /// How a text's tokens become its features: `mean` or `cls`.
    pub pooling: Option<String>,
    /// The rank of low-rank pairs in lora mode.
    pub lora_rank: Option<usize>,
    /// Low-rank pairs are scaled by this over their rank.
    pub lora_alpha: Option<f64>,
    /// In how many bits convolutions and linear layers multiply.
    pub precision: Option<PrecisionChoice>,
    /// What is done about classes of different sizes.
    pub balance: Option<Balance>,
    /// At most so many samples of each part of the data.
    pub limit: Option<usize>,
    /// The seed of every random choice.
    pub seed: Option<u64>,
    /// Validation: `data`, a share such as `20%`, `5fold`, `none`, or a folder.
    pub val: Option<String>,
    /// Test: `data`, a share such as `10%`, `none`, or a folder.
    pub test: Option<String>,
    /// How many unusable files are borne: a share such as `5%`, or a number.
    pub max_bad: Option<String>,
    /// What a run was begun with. Only resuming looks at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

/// What a run was begun with, so that a resumed one can tell whether it changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The version of the file.
    pub format: u32,
    /// The version of the program.
    pub version: String,
    /// The digest of the data, hexadecimal.
    pub data: String,
    /// The digest of the weights, hexadecimal.
    pub weights: String,
    /// The repository that the weights come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Its commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

impl Provenance {
    pub(crate) fn new(data: String, weights: String, repository: Option<&Repository>) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data,
            weights,
            repository: repository.map(|repository| repository.id().to_owned()),
            revision: repository.map(|repository| repository.revision().to_owned()),
        }
    }
}

impl Settings {
    /// Reads a configuration file's text; `name` stands for the file in messages.
    ///
    /// # Errors
    /// When it is not TOML, a key is unknown, or a value is none that the key takes.
    pub fn from_toml(text: &str, name: &str) -> Result<Self, Error> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| refused(&error, name))?;
        Self::from_table(table, name)
    }

    /// Settings from keys and values.
    ///
    /// # Errors
    /// As [`Settings::from_toml`].
    pub fn from_table(table: toml::Table, name: &str) -> Result<Self, Error> {
        let settings: Self = table.try_into().map_err(|error| refused(&error, name))?;
        if let Some(provenance) = settings.provenance.as_ref().filter(|found| found.format != FORMAT) {
            let found = provenance.format;
            return Err(Error::usage(format!("{name} has format {found}; this version reads {FORMAT}")));
        }
        Ok(settings)
    }

    /// The text of `run.toml`.
    ///
    /// # Errors
    /// When a value cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String, Error> {
        toml::to_string(self).map_err(|error| Error::usage(format!("settings: {error}")))
    }

    /// Checks that the settings are of a task: its name, if one is said, and no key that the task does not have.
    ///
    /// # Errors
    /// When they are not.
    pub(crate) fn check_task(&self, task: &str, foreign: &[&str]) -> Result<(), Error> {
        if let Some(found) = self.task.as_deref().filter(|found| *found != task) {
            return Err(Error::usage(format!("the settings are of task `{found}`; expected `{task}`")));
        }
        let table = self.to_table()?;
        match foreign.iter().find(|key| table.contains_key(**key)) {
            Some(key) => Err(Error::usage(format!("`{key}` is no setting of {task}"))),
            None => Ok(()),
        }
    }

    /// Rank and scale of low-rank pairs, written down where they were not said.
    ///
    /// # Errors
    /// When they are out of range.
    pub(crate) fn low_rank(&mut self) -> Result<(usize, f64), Error> {
        let rank = *self.lora_rank.get_or_insert(RANK);
        let alpha = *self.lora_alpha.get_or_insert(ALPHA);
        match rank > 0 && alpha.is_finite() && alpha > 0.0 {
            true => Ok((rank, alpha)),
            false => Err(Error::usage("`lora-rank` is at least 1, and `lora-alpha` above 0")),
        }
    }

    /// Where inputs, labels, splits and groups are found in tables and names of files.
    ///
    /// # Errors
    /// When more than two inputs are named, or a selector cannot be understood.
    pub(crate) fn columns(&self) -> Result<Columns, Error> {
        let mut columns = Columns::default();
        if let Some(input) = &self.input {
            let mut names = input.split(',').map(str::trim);
            if let Some(first) = names.next() {
                columns = columns.input(first);
            }
            if let Some(second) = names.next() {
                columns = columns.second_input(second);
            }
            if names.next().is_some() {
                return Err(Error::usage(format!("--input {input}: expected one column, or two for pairs")));
            }
        }
        match &self.label {
            Some(label) if label.contains(',') && !label.starts_with("name:") => {
                if self.multi.is_some() {
                    return Err(Error::usage_with(
                        format!(
                            "--label {label} names a column for each class, --multi a cell with several labels"
                        ),
                        "leave one of them out",
                    ));
                }
                columns = columns.marks(label.split(',').map(str::trim).filter(|name| !name.is_empty()));
            }
            Some(label) => columns = columns.label(label.parse()?),
            None => {}
        }
        match self.multi.as_deref() {
            None => {}
            Some("auto") => columns = columns.several(None),
            Some(separator) if !separator.is_empty() && separator.chars().count() <= 3 => {
                columns = columns.several(Some(Separator::new(separator)));
            }
            Some(other) => {
                return Err(Error::usage_with(
                    format!("--multi {other}: expected what stands between labels, one to three characters"),
                    "say DATA before --multi, or --multi=SEPARATOR",
                ));
            }
        }
        if let Some(split) = &self.split {
            columns = columns.split(split.as_str());
        }
        if let Some(group) = &self.group {
            columns = columns.group(group.parse()?);
        }
        Ok(columns)
    }

    /// Writes down which columns were read, so that other tables are read alike.
    pub(crate) fn record_columns(&mut self, columns: &Columns) {
        if let Some(inputs) = columns.inputs() {
            self.input.get_or_insert(inputs);
        }
        if let Some(label) = columns.labels() {
            self.label.get_or_insert(label);
        }
        if let Some(Some(separator)) = columns.separator() {
            self.multi = Some(separator.to_string());
        }
    }

    /// These settings for data beside those they were made for: where there are no tables, columns have no meaning.
    #[must_use]
    pub fn for_data(&self, path: &Path) -> Self {
        let mut settings = self.clone();
        if !has_tables(path) {
            let is_path = |written: &String| {
                written.parse::<Selector>().is_ok_and(|selector| selector.column_name().is_none())
            };
            (settings.input, settings.split) = (None, None);
            settings.label = settings.label.filter(is_path);
            settings.multi = settings.multi.filter(|_| settings.label.is_some());
            settings.group = settings.group.filter(is_path);
        }
        settings
    }

    /// The same as keys and values.
    ///
    /// # Errors
    /// As [`Settings::to_toml`].
    pub fn to_table(&self) -> Result<toml::Table, Error> {
        toml::Table::try_from(self).map_err(|error| Error::usage(format!("settings: {error}")))
    }

    /// These settings with what `over` says put over them.
    ///
    /// # Errors
    /// As [`Settings::to_toml`].
    pub fn overlaid(&self, over: &Self) -> Result<Self, Error> {
        let mut table = self.to_table()?;
        table.extend(over.to_table()?);
        Self::from_table(table, "settings")
    }
}

/// One line from what the parser says, which may be several with a picture of the place.
fn refused(error: &toml::de::Error, name: &str) -> Error {
    let message = error.message().lines().next().unwrap_or_default();
    let place = error.to_string().lines().rev().find_map(|line| line.strip_prefix("in ").map(str::to_owned));
    Error::usage(match place {
        Some(place) => format!("{name}: {place}: {message}"),
        None => format!("{name}: {message}"),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_laid_over() {
        let text =
            "data = \"d\"\nmode = \"full\"\nlr = 0.001\nschedule = \"one-cycle\"\nbatch-norm = \"train\"\n";
        let settings = Settings::from_toml(text, "f.toml").unwrap();
        assert_eq!(settings.schedule, Some(Schedule::OneCycle));
        assert_eq!(Settings::from_toml(&settings.to_toml().unwrap(), "again").unwrap(), settings);
        let over = Settings { mode: Some(ModeName::Partial), seed: Some(3), ..Settings::default() };
        let both = settings.overlaid(&over).unwrap();
        assert_eq!(
            (both.mode, both.seed, both.learning_rate),
            (Some(ModeName::Partial), Some(3), Some(0.001))
        );
    }

    #[test]
    fn settings_of_another_task_are_refused() {
        for (text, expected) in [
            ("task = \"text-classify\"", "expected `image-classify`"),
            ("input = \"a\"", "`input` is no setting"),
        ] {
            let error = Settings::from_toml(text, "f.toml").unwrap().check_task("image-classify", &["input"]);
            assert!(error.unwrap_err().to_string().contains(expected));
        }
    }

    #[test]
    fn what_is_unknown_is_refused_in_one_line() {
        for (text, expected) in [
            ("epoch = 3", "unknown field `epoch`"),
            ("mode = \"ful\"", "unknown variant `ful`"),
            ("epochs = \"three\"", "invalid type"),
            ("mode =", "f.toml"),
            ("precision = \"f16\"", "unknown variant `f16`, expected one of `f32`, `bf16`, `int8`, `auto`"),
            ("[provenance]\nformat = 9\nversion = \"\"\ndata = \"\"\nweights = \"\"", "format 9"),
        ] {
            let error = Settings::from_toml(text, "f.toml").unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }
}
