//! Everything that is decided before speech is learned: data, symbols, model, plan, and what cannot be learned from.

use std::collections::BTreeMap;
use std::path::Path;

use tk_audio::data::{Looking, Spoken, Utterances};
use tk_audio::recognition::{EMBEDDED, SpeechModel, Spelling, SymbolChoice, Vocabulary, misfit};
use tk_engine::cpu::Machine;
use tk_transfer::data::{Labelled, Quarantine, Split};

use super::network::SpeechNetwork;
use super::{Finetune, Speech};
use crate::classify::division::{Choice, Division, Part};
use crate::classify::fit::{Prepared, absolute_model, settle};
use crate::classify::outlook::{Outlook, look};
use crate::classify::preset::{Preset, Task};
use crate::classify::{Aim, Error, Head, ModeName, Settings};
use crate::hub::{self, Repository};

/// The name of the task on the command line and in `run.toml`.
pub(super) const TASK: &str = "speech-finetune";

/// Few recordings are passed over more often, until there are so many updates: with fewer, spelling does not begin.
const LEAST_UPDATES: usize = 300;

/// Keys of settings that only classification has, or only other modalities.
const FOREIGN: [&str; 11] = [
    "multi",
    "size",
    "max-tokens",
    "pooling",
    "batch-norm",
    "mixup",
    "balance",
    "head",
    "head-init",
    "hidden",
    "label-smoothing",
];

/// Longer utterances are not learned from, in seconds.
const LONGEST: f64 = 30.0;

/// What is frozen when nothing is said: the convolutions that make frames, as wav2vec 2.0 is fine-tuned.
const CONVOLUTIONS: &str = "features";

/// What is decided.
pub(super) type Made = Prepared<SpeechNetwork, Utterances>;

impl Speech {
    /// The name of the task on the command line and in `run.toml`.
    pub const TASK: &'static str = TASK;

    /// Opens data as settings say.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn open_data(path: &Path, settings: &Settings) -> Result<Utterances, Error> {
        let pool = &Machine::new(0).pool;
        let words = settings
            .words
            .as_deref()
            .map_or_else(|| Ok(BTreeMap::new()), |path| read_words(Path::new(path)))?;
        let longest = settings.max_seconds.unwrap_or(LONGEST);
        if !(longest > 0.0 && longest < 1e6) {
            return Err(Error::usage(format!("--max-seconds {longest}: expected a number above 0")));
        }
        let columns = settings.columns()?;
        Ok(Utterances::open(path, &Looking { columns: &columns, words: &words, longest, pool })?)
    }
}

impl Finetune<'_> {
    /// Opens the data that the settings name.
    ///
    /// # Errors
    /// When there are none, or they cannot be used.
    pub fn open_data(&self) -> Result<Utterances, Error> {
        self.settings.check_task(TASK, &FOREIGN)?;
        Speech::open_data(Path::new(self.settings.data.as_deref().unwrap_or_default()), &self.settings)
    }

    /// What would be done, and how long it may take. Writes nothing.
    ///
    /// # Errors
    /// As [`Finetune::fit`], as far as it can be told before.
    pub fn outlook(&self, data: &Utterances) -> Result<Outlook, Error> {
        let prepared = prepare(self, data)?;
        let parts = prepared.division.parts(data, prepared.settings.limit, prepared.seed())?;
        look(&prepared, data, &parts)
    }

    /// Does it.
    ///
    /// # Errors
    /// When settings do not fit together, the model or the data cannot be used, the audit finds a broken promise, or it is cancelled.
    pub fn fit(&self, data: &Utterances) -> Result<super::Run, Error> {
        super::fit::fit(self, data)
    }
}

/// Opens the model and decides everything; the settings that come out say all of it.
pub(super) fn prepare(job: &Finetune<'_>, data: &Utterances) -> Result<Made, Error> {
    let mut settings = job.settings.clone();
    settings.check_task(TASK, &FOREIGN)?;
    let says_nothing = settings.freeze.is_none() && settings.unfreeze.is_none();
    let mode = *settings.mode.get_or_insert(ModeName::Partial);
    if mode == ModeName::Partial && says_nothing {
        settings.freeze = Some(CONVOLUTIONS.into());
    }
    settings.spelling.get_or_insert_default();
    settings.max_seconds.get_or_insert(LONGEST);
    let model = open_model(&mut settings, job, data, mode)?;
    settings.model = settings.model.as_deref().map(|name| absolute_model(name, EMBEDDED));
    for path in [&mut settings.words, &mut settings.vocabulary].into_iter().flatten() {
        if Path::new(path.as_str()).is_file() {
            *path =
                std::path::absolute(&*path).map_or_else(|_| path.clone(), |path| path.display().to_string());
        }
    }
    let model = SpeechNetwork(model);
    let mut defaults = crate::classify::Network::defaults(&model, mode);
    let is_learnt = |sample: &&Spoken| sample.split.is_none_or(|split| split == Split::Train);
    let learnt = data.samples().iter().filter(is_learnt).count();
    let updates = learnt.div_ceil(settings.batch.unwrap_or(defaults.batch).max(1));
    // A phase of gradual unfreezing goes on from the one before.
    if mode != ModeName::Gradual {
        defaults.epochs = defaults.epochs.max(LEAST_UPDATES.div_ceil(updates.max(1)));
    }
    let task = Task { name: TASK, foreign: &FOREIGN, aim: Aim::Texts };
    // There is one head, whatever the mode; the settings of others stay unsaid.
    settings.head = Some(Head::Linear);
    let preset = Preset::resolve(&mut settings, &model.0.graph, defaults, &task)?;
    (settings.head, settings.head_init, settings.balance, settings.label_smoothing) =
        (None, None, None, None);
    let (freeze, batch_norm) = preset.freeze();
    let plan = freeze.resolve(&model.0.graph, &model.0.name, batch_norm)?;
    data.columns().into_iter().for_each(|columns| settings.record_columns(columns));
    let division = Division::new(&settings, data, mode, false, Speech::open_data)?;
    let is_held = matches!(division.validation, Choice::Data | Choice::Share(_) | Choice::Folder(_));
    if !is_held && preset.recipe().is_some_and(|recipe| recipe.monitor.is_some()) {
        return Err(Error::usage_with(
            "`patience` and `monitor` compare epochs on validation samples, and there are none",
            "say --val 20%, or leave them out",
        ));
    }
    division.record(&mut settings);
    let repository = settings.model.as_deref().and_then(Repository::of_model).transpose()?;
    let max_bad = settle(&mut settings, data, &model.0.digest, repository.as_ref())?;
    let machine = job.machine.clone().unwrap_or_else(|| Machine::new(0));
    Ok(Prepared { machine, model, preset, plan, division, settings, max_bad })
}

fn open_model(
    settings: &mut Settings,
    job: &Finetune<'_>,
    data: &Utterances,
    mode: ModeName,
) -> Result<SpeechModel, Error> {
    let name = settings.model.get_or_insert_with(|| EMBEDDED.to_owned()).clone();
    let kinds = "a model for speech is `speech` (the embedded default), hf:ORG/NAME, or a folder as transformers writes it for Wav2Vec2ForCTC or HubertForCTC";
    let folder = hub::model_folder(&name, &job.hub, Some(EMBEDDED), kinds)?;
    if let Some(repository) = Repository::of_model(&name) {
        settings.model = Some(format!("{}{}", hub::PREFIX, hub::pinned(&job.hub, repository?)?));
    }
    let (seed, spelling) = (settings.seed.unwrap_or(0), settings.spelling.unwrap_or_default());
    let texts = || data.samples().iter().map(|spoken| spoken.text.as_str());
    let fits = |vocabulary: &Vocabulary| {
        texts().all(|text| vocabulary.encode(&vocabulary.spell(text, spelling)).is_ok())
    };
    let make = || of_texts(texts(), spelling);
    let given = match settings.vocabulary.get_or_insert_with(|| "auto".into()).as_str() {
        "auto" | "model" => None,
        "data" => Some(make()),
        file => Some(Vocabulary::read(Path::new(file))?),
    };
    let symbols = match (&given, settings.vocabulary.as_deref()) {
        (Some(vocabulary), _) => SymbolChoice::Given(vocabulary),
        (None, Some("model")) => SymbolChoice::Published,
        _ => SymbolChoice::Fitting(&fits, &make),
    };
    let mut model = SpeechModel::open(&folder, &symbols, seed)?;
    if settings.from_scratch == Some(true) {
        model = model.from_scratch(seed);
    }
    if mode == ModeName::Lora {
        let (rank, alpha) = settings.low_rank()?;
        model = model.with_low_rank(rank, alpha, seed)?;
    }
    Ok(model)
}

/// The characters of texts, as the spelling writes them.
fn of_texts<'a>(texts: impl Iterator<Item = &'a str>, spelling: Spelling) -> Vocabulary {
    let case = tk_audio::recognition::Case::Lower;
    let spelled: Vec<String> = texts.map(|text| spelling.apply(text, case, |_| false)).collect();
    Vocabulary::of_texts(spelled.iter().map(String::as_str))
}

/// The samples of a part that can be learned from, each with its symbols; the others are set aside with the reason.
pub(super) fn alignable(
    part: &Part<'_, Utterances>,
    model: &SpeechModel,
    spelling: Spelling,
    quarantine: &mut Quarantine,
) -> Vec<(usize, Vec<u32>)> {
    let mut kept = Vec::with_capacity(part.positions.len());
    for &position in &part.positions {
        let spoken = &part.dataset.samples()[position];
        let text = model.vocabulary.spell(&spoken.text, spelling);
        let frames = model.frames(spoken.length_at(model.front_end.sampling_rate));
        match misfit(&text, &model.vocabulary, frames) {
            Ok(symbols) => kept.push((position, symbols)),
            Err(reason) => quarantine.add(part.dataset.name(position), reason),
        }
    }
    kept
}

/// A table of two columns: words as they stand in the data, and as they are to be written. A header is a pair like any other.
fn read_words(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| Error::usage(format!("--words {shown}: {error}")))?;
    let mut words = BTreeMap::new();
    for (number, line) in
        text.trim_start_matches('\u{feff}').lines().enumerate().filter(|(_, line)| !line.trim().is_empty())
    {
        let pair = line.split_once(['\t', ',', ';']).or_else(|| line.trim().split_once(char::is_whitespace));
        let pair = pair.map(|(word, written)| (word.trim().to_owned(), written.trim().to_owned()));
        match pair.filter(|(word, written)| !word.is_empty() && !written.is_empty() && !word.contains(' ')) {
            Some((word, written)) => words.insert(word, written),
            None => {
                return Err(Error::usage(format!(
                    "--words {shown}, line {}: expected a word and what it is written as, such as 7,seven",
                    number + 1
                )));
            }
        };
    }
    Ok(words)
}
