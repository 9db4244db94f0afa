//! Recordings as a modality of classification.

use std::path::Path;

use tk_audio::data::{
    Clip, Dataset, Distortion, Hearing, Masks, Recordings as Source, SpectrogramStore, Views,
};
use tk_engine::cpu::{Machine, Pool};
use tk_image::data::Level;
use tk_transfer::classification::HeadForm;
use tk_transfer::data::LabelKind;
use tk_transfer::earlier_head::EarlierHead;

use super::{Classifier, SoundNetwork, oddities, portrait};
use crate::classify::{Error, Head, Loading, Look, Modality, ModeName, Part, Settings};
use crate::hub::{Hub, Repository};
use crate::report::{Note, Pictured};

/// Classification of recordings.
pub enum Recordings {}

/// SoundNetwork of one data set are kept up to so many bytes.
const STORE_BYTES: usize = 2 << 30;

/// Recordings that are predicted at once.
const AT_ONCE: usize = 16;

/// So much of each recording is decoded, in seconds, to see whether it can be.
const LOOKED_AT: f64 = 30.0;

/// Recordings that are looked at for what is odd about them.
const REMARKED: usize = 32;

impl Modality for Recordings {
    const DEFAULT: &'static str = tk_audio::model::EMBEDDED;
    const TASK: &'static str = "audio-classify";
    const SAMPLES: &'static str = "recordings";
    const FOREIGN: &'static [&'static str] =
        &["size", "max-tokens", "pooling", "batch-norm", "words", "spelling", "vocabulary", "from-scratch"];
    const EXAMPLE: &'static str = "recording.wav";

    type Dataset = Dataset;
    type Model = SoundNetwork;
    type Store = SpectrogramStore;
    type Classifier = Classifier;

    fn open_data(path: &Path, settings: &Settings) -> Result<Dataset, Error> {
        Ok(Dataset::open_with(path, &settings.columns()?)?)
    }

    fn open_model(
        settings: &mut Settings,
        hub: &Hub,
        mode: ModeName,
        head: Head,
        classes: usize,
    ) -> Result<SoundNetwork, Error> {
        SoundNetwork::open(settings, hub, mode, head, classes)
    }

    fn repository(model: &str) -> Option<Repository> {
        Repository::of_model(model)?.ok()
    }

    fn earlier_head(settings: &Settings, model: &SoundNetwork) -> Result<Option<EarlierHead>, Error> {
        let named = settings.model.as_deref().filter(|&name| name != Self::DEFAULT);
        let folder = named.map(Path::new).filter(|path| path.is_dir());
        let head = |folder| tk_audio::classifier::Classifier::earlier_head(folder, &model.inner);
        Ok(folder.map(head).transpose()?.flatten())
    }

    fn store(again: bool) -> SpectrogramStore {
        SpectrogramStore::new(if again { STORE_BYTES } else { 0 })
    }

    fn check(data: &Dataset, sample: usize, _: &SpectrogramStore) -> Result<(), String> {
        data.load(sample, LOOKED_AT).map(|_| ()).map_err(|error| error.to_string())
    }

    fn source<'a>(
        part: &Part<'a, Dataset>,
        store: &'a SpectrogramStore,
        look: &Look<'a, Self::Model>,
    ) -> Result<Box<dyn Loading + 'a>, Error> {
        let views =
            Views { distortion: distortion(look.augment), masks: masks(look.augment), seed: look.seed };
        let hearing = Hearing {
            extractor: look.model.extractor.clone(),
            architecture: look.model.inner.architecture.clone(),
            batch: look.batch,
            pool: look.pool.clone(),
        };
        Ok(Box::new(Source::new(part.dataset, part.positions.clone(), hearing, views, store)))
    }

    fn classifier(
        model: SoundNetwork,
        classes: Vec<String>,
        head: HeadForm,
        machine: &Machine,
    ) -> Result<Classifier, Error> {
        let inner = tk_audio::classifier::Classifier::new(model.inner, classes, head, machine)?;
        Ok(Classifier::from_inner(inner))
    }

    fn save(
        classifier: &Classifier,
        folder: &Path,
        fields: serde_json::Map<String, serde_json::Value>,
        card: &str,
    ) -> Result<(), Error> {
        Ok(classifier.inner().save(folder, fields, card)?)
    }

    fn classes(classifier: &Classifier) -> &[String] {
        classifier.classes()
    }

    fn kind(classifier: &Classifier) -> LabelKind {
        classifier.kind()
    }

    fn probabilities(
        classifier: &Classifier,
        data: &Dataset,
        samples: &[usize],
        _: &Pool,
        each: &mut dyn FnMut(usize, Result<Vec<f32>, String>),
    ) -> Result<(), Error> {
        for samples in samples.chunks(AT_ONCE) {
            let (mut known, mut clips): (Vec<usize>, Vec<Clip>) = (Vec::new(), Vec::new());
            for &sample in samples {
                match data.load(sample, classifier.seconds()) {
                    Ok(clip) => {
                        known.push(sample);
                        clips.push(clip);
                    }
                    Err(error) => each(sample, Err(error.to_string())),
                }
            }
            for (sample, guess) in known.into_iter().zip(classifier.predict_all(&clips)?) {
                each(sample, guess.map(|guess| guess.probabilities).map_err(|error| error.to_string()));
            }
        }
        Ok(())
    }

    fn picture(data: &Dataset, sample: usize) -> Pictured {
        let Ok(clip) = data.load(sample, portrait::SHOWN) else { return Pictured::default() };
        Pictured {
            jpeg: portrait::spectrogram(&clip),
            sound: portrait::sound(&clip, portrait::SHOWN),
            ..Pictured::default()
        }
    }

    fn notes(data: &Dataset) -> Vec<Note> {
        let report = data.report();
        let mut notes = Vec::new();
        if report.rates.len() > 1 {
            notes.push(Note {
                title: format!("{} rates", report.rates.len()),
                text: "A class that has a rate of its own can be told by it.".into(),
                items: report.rates.iter().map(|(rate, count)| format!("{rate} Hz: {count}")).collect(),
            });
        }
        let ignored: Vec<String> =
            report.ignored.iter().map(|(path, reason)| format!("{path}: {reason}")).collect();
        if !ignored.is_empty() {
            notes.push(Note {
                title: format!("{} left out", ignored.len()),
                text: "Because of where they stand.".into(),
                items: ignored,
            });
        }
        notes
    }

    fn card() -> [&'static str; 2] {
        [
            "library_name: transformers\npipeline_tag: audio-classification",
            "`AutoModelForAudioClassification.from_pretrained(\"FOLDER\")` with `AutoFeatureExtractor.from_pretrained(\"FOLDER\")`",
        ]
    }
}

/// How wide bands are masked: at most as wide as AST's authors masked them on 128 bins and 1,024 frames.
fn masks(level: Level) -> Masks {
    match level {
        Level::None => Masks::default(),
        Level::Light => Masks { bins: 12, frames: 48, shift: 10 },
        Level::Standard => Masks { bins: 24, frames: 96, shift: 10 },
        Level::Strong | Level::Trivial => Masks { bins: 48, frames: 192, shift: 20 },
    }
}

/// How far sounds are distorted: only where it is asked for strongly, since each distorted sound takes its decoding and its spectrogram.
fn distortion(level: Level) -> Distortion {
    match level {
        Level::None | Level::Light | Level::Standard => Distortion::default(),
        Level::Strong | Level::Trivial => {
            Distortion { length_percent: 10, gain_decibels: 6.0, noise_decibels: Some([10.0, 40.0]) }
        }
    }
}

impl Loading for Source<'_> {
    fn failed(&self) -> Vec<(usize, String)> {
        self.failed()
    }

    /// What is odd about some of the recordings, which are decoded for it.
    fn remarks(&self) -> Vec<String> {
        let (clips, looked_at) = self.some(REMARKED);
        oddities::lines(&clips, looked_at, self.rates().first().copied(), self.rate())
    }
}
