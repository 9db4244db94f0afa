//! Speech as a structured task.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use tk_audio::data::{Clip, Distortion, Looking, SpectrogramStore, Spoken, Utterances, WaveSettings, Waves};
use tk_audio::recognition::{CtcTask, EMBEDDED, Recognizer, misfit};
use tk_engine::cpu::Machine;
use tk_image::data::Level;
use tk_transfer::checkpoint::Precision;
use tk_transfer::data::{Quarantine, Split};
use tk_transfer::fit::Record;
use tk_transfer::task::Task;

use super::network::SpeechNetwork;
use super::open::open_model;
use super::words::read_words;
use super::{Scored, Speech, evaluate, show};
use crate::audio::oddities;
use crate::classify::{Aim, Defaults, Error, Loading, Look, ModeName, Network, Part, Settings, Summary};
use crate::hub::Hub;
use crate::report::{Note, ReportData};
use crate::structured::{Card, Structured};

/// Few recordings are passed over more often, until there are so many updates: with fewer, spelling does not begin.
const LEAST_UPDATES: usize = 300;

/// Longer utterances are not learned from, in seconds.
const LONGEST: f64 = 30.0;

/// What is frozen when nothing is said: the convolutions that make frames, as wav2vec 2.0 is fine-tuned.
const CONVOLUTIONS: &str = "features";

/// Decoded recordings are kept up to so many bytes.
const STORE_BYTES: usize = 2 << 30;

/// Recordings that are looked at for what is odd about them.
const REMARKED: usize = 32;

impl Structured for Speech {
    const TASK: &'static str = "speech-finetune";
    const FOREIGN: &'static [&'static str] = &[
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
    const DEFAULT: &'static str = EMBEDDED;
    const MODE: ModeName = ModeName::Partial;
    const SAMPLES: &'static str = "recordings";
    const EXAMPLE: &'static str = "recording.wav";
    const ANSWERS: &'static str = "heard";

    type Network = SpeechNetwork;
    type Data = Utterances;
    type Store = SpectrogramStore;
    type Model = Recognizer;
    type Scored = Scored;

    fn aim() -> Aim {
        Aim::Texts
    }

    fn open_data(path: &Path, settings: &Settings) -> Result<Utterances, Error> {
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

    fn notes(data: &Utterances) -> Vec<Note> {
        let rates = data.rates();
        if rates.len() < 2 {
            return Vec::new();
        }
        vec![Note {
            title: format!("{} rates", rates.len()),
            text: "All are brought to the model's.".into(),
            items: rates.iter().map(|(rate, count)| format!("{rate} Hz: {count}")).collect(),
        }]
    }

    fn settle(settings: &mut Settings, mode: ModeName) {
        if mode == ModeName::Partial && settings.freeze.is_none() && settings.unfreeze.is_none() {
            settings.freeze = Some(CONVOLUTIONS.into());
        }
        settings.spelling.get_or_insert_default();
        settings.max_seconds.get_or_insert(LONGEST);
    }

    fn open_model(
        settings: &mut Settings,
        hub: &Hub,
        data: &Utterances,
        mode: ModeName,
    ) -> Result<SpeechNetwork, Error> {
        let model = open_model(settings, hub, data, mode)?;
        Ok(SpeechNetwork { model, spelling: settings.spelling.unwrap_or_default() })
    }

    fn defaults(network: &SpeechNetwork, mode: ModeName, settings: &Settings, data: &Utterances) -> Defaults {
        let mut defaults = network.defaults(mode);
        let is_learnt = |sample: &&Spoken| sample.split.is_none_or(|split| split == Split::Train);
        let learnt = data.samples().iter().filter(is_learnt).count();
        let updates = learnt.div_ceil(settings.batch.unwrap_or(defaults.batch).max(1));
        // A phase of gradual unfreezing goes on from the one before.
        if mode != ModeName::Gradual {
            defaults.epochs = defaults.epochs.max(LEAST_UPDATES.div_ceil(updates.max(1)));
        }
        defaults
    }

    fn classes(network: &SpeechNetwork) -> &[String] {
        network.model.vocabulary.symbols()
    }

    fn store() -> SpectrogramStore {
        SpectrogramStore::new(STORE_BYTES)
    }

    fn unusable(
        part: &Part<'_, Utterances>,
        _: &SpectrogramStore,
        look: &Look<'_, SpeechNetwork>,
        _: &AtomicBool,
    ) -> Result<Vec<(usize, String)>, Error> {
        let symbols = |&position: &usize| Some((position, aligned(part, position, look.model).err()?));
        Ok(part.positions.iter().filter_map(symbols).collect())
    }

    fn source<'a>(
        part: &Part<'a, Utterances>,
        store: &'a SpectrogramStore,
        look: &Look<'a, SpeechNetwork>,
    ) -> Result<Box<dyn Loading + 'a>, Error> {
        let symbols = |&position: &usize| Some((position, aligned(part, position, look.model).ok()?));
        let samples = part.positions.iter().filter_map(symbols).collect();
        let settings = WaveSettings {
            distortion: distortion(look.augment),
            seed: look.seed,
            batch: look.batch,
            pool: look.pool.clone(),
        };
        Ok(Box::new(Waves::new(part.dataset, samples, &look.model.model, settings, store)))
    }

    /// What is odd about some of the recordings, which are decoded for it.
    fn remarks(part: &Part<'_, Utterances>, network: &SpeechNetwork) -> Vec<String> {
        let rate = network.model.front_end.sampling_rate;
        let step = part.positions.len().div_ceil(REMARKED).max(1);
        let looked_at: Vec<usize> = part.positions.iter().step_by(step).copied().collect();
        let load = |&position: &usize| part.dataset.load(position).and_then(|clip| clip.at_rate(rate)).ok();
        let clips: Vec<Clip> = looked_at.iter().filter_map(load).collect();
        oddities::lines(&clips, looked_at.len(), part.dataset.rates().keys().next().copied(), rate)
    }

    fn remark_of(epoch: &Record) -> Option<&'static str> {
        let is_silent = epoch.validation.get("empty").is_some_and(|&share| share == 1.0);
        is_silent.then_some(
            "nothing but blanks comes out so far, as in the beginning of most trainings from new symbols",
        )
    }

    fn task(network: &SpeechNetwork, machine: &Machine) -> Box<dyn Task> {
        Box::new(CtcTask { vocabulary: network.model.vocabulary.clone(), machine: machine.clone() })
    }

    fn model(network: SpeechNetwork, machine: &Machine) -> Result<Recognizer, Error> {
        Ok(Recognizer::new(network.model, machine)?)
    }

    fn evaluate(
        model: &Recognizer,
        data: &Utterances,
        positions: &[usize],
        settings: &Settings,
    ) -> Result<(Scored, Quarantine), Error> {
        let spelling = settings.spelling.unwrap_or_default();
        evaluate(model, data, positions, spelling, settings.seed.unwrap_or(0))
    }

    fn told(model: &Recognizer) -> &[String] {
        model.model().vocabulary.symbols()
    }

    fn save(
        model: &Recognizer,
        folder: &Path,
        fields: serde_json::Map<String, serde_json::Value>,
        card: &str,
    ) -> Result<(), Error> {
        Ok(model.save(folder, Precision::F32, fields, card)?)
    }

    fn show(scored: &Scored, part: &Part<'_, Utterances>, _: &[String], report: &mut ReportData) {
        report.heard = show::heard(scored, part);
    }

    fn card(_: &Summary) -> Card {
        Card {
            front: "library_name: transformers\npipeline_tag: automatic-speech-recognition".into(),
            title: "Speech recognition".into(),
            limits: "It spells what it hears, letter by letter, and knows no other symbols than those of `vocab.json`.",
            usage: "`tk predict FOLDER recording.wav`, or `AutoModelForCTC.from_pretrained(\"FOLDER\")` with \
                    `AutoProcessor.from_pretrained(\"FOLDER\")`.",
        }
    }
}

/// The symbols of a sample's text, if it can be aligned.
fn aligned(
    part: &Part<'_, Utterances>,
    position: usize,
    network: &SpeechNetwork,
) -> Result<Vec<u32>, String> {
    let SpeechNetwork { model, spelling } = network;
    let spoken = &part.dataset.samples()[position];
    let text = model.vocabulary.spell(&spoken.text, *spelling);
    let frames = model.frames(spoken.length_at(model.front_end.sampling_rate));
    misfit(&text, &model.vocabulary, frames).map_err(|reason| reason.to_string())
}

/// How far training recordings are varied.
fn distortion(level: Level) -> Distortion {
    let of = |length_percent, gain_decibels, noise_decibels| Distortion {
        length_percent,
        gain_decibels,
        noise_decibels,
    };
    match level {
        Level::None => Distortion::default(),
        Level::Light => of(5, 3.0, None),
        Level::Standard => of(10, 6.0, Some([15.0, 40.0])),
        Level::Strong | Level::Trivial => of(15, 6.0, Some([5.0, 40.0])),
    }
}

impl Loading for Waves<'_> {
    fn failed(&self) -> Vec<(usize, String)> {
        Waves::failed(self)
    }
}
