//! Tagging as a structured task.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use tk_engine::cpu::Machine;
use tk_text::tagging::{Tagged, TaggedWindows, Tagger, TaggingTask, Windows};
use tk_transfer::data::{Labelled, Quarantine};
use tk_transfer::task::Task;

use super::{Scored, Tags, score};
use crate::classify::{Aim, Error, Loading, Look, ModeName, Part, Settings, Summary};
use crate::hub::Hub;
use crate::report::{Note, ReportData};
use crate::structured::{Card, Structured};
use crate::text::Encoder;

/// The windows of each sentence of the data; of those that are not in the part, none.
type Store = OnceLock<Arc<Vec<Windows>>>;

impl Structured for Tags {
    const TASK: &'static str = "text-tag";
    const FOREIGN: &'static [&'static str] = &[
        "size",
        "max-seconds",
        "augment",
        "mixup",
        "views",
        "batch-norm",
        "words",
        "spelling",
        "vocabulary",
        "from-scratch",
        "graft",
        "masks",
        "names",
        "ignore",
        "input",
        "label",
        "multi",
        "split",
        "group",
        "pooling",
        "balance",
        "head",
        "head-init",
        "hidden",
        "label-smoothing",
    ];
    const DEFAULT: &'static str = tk_text::EMBEDDED;
    const MODE: ModeName = ModeName::Full;
    const SAMPLES: &'static str = "sentences";
    const EXAMPLE: &'static str = "--text TEXT";
    const ANSWERS: &'static str = "tagged";

    type Network = Encoder;
    type Data = Tagged;
    type Store = Store;
    type Model = Tagger;
    type Scored = Scored;

    fn aim() -> Aim {
        Aim::Tags
    }

    fn open_data(path: &Path, _: &Settings) -> Result<Tagged, Error> {
        Ok(Tagged::open(path)?)
    }

    fn notes(data: &Tagged) -> Vec<Note> {
        data.notes().iter().map(|note| Note { title: note.clone(), ..Note::default() }).collect()
    }

    fn settle(_: &mut Settings, _: ModeName) {}

    fn open_model(
        settings: &mut Settings,
        hub: &Hub,
        data: &Tagged,
        mode: ModeName,
    ) -> Result<Encoder, Error> {
        Encoder::for_tags(settings, hub, mode, data.tags())
    }

    fn classes(network: &Encoder) -> &[String] {
        network.inner.labels.as_deref().unwrap_or_default()
    }

    fn store() -> Store {
        OnceLock::new()
    }

    fn unusable(
        part: &Part<'_, Tagged>,
        store: &Store,
        look: &Look<'_, Encoder>,
        _: &AtomicBool,
    ) -> Result<Vec<(usize, String)>, Error> {
        let windows = windows(part, store, look)?;
        let has_none = |position: &&usize| windows[**position].windows.is_empty();
        let reason = |&position: &usize| (position, "no word of it has a token of this model".to_owned());
        Ok(part.positions.iter().filter(has_none).map(reason).collect())
    }

    fn source<'a>(
        part: &Part<'a, Tagged>,
        store: &'a Store,
        look: &Look<'a, Encoder>,
    ) -> Result<Box<dyn Loading + 'a>, Error> {
        let windows = windows(part, store, look)?;
        let layout = look.model.layout(look.batch);
        Ok(Box::new(TaggedWindows::new(part.dataset, windows, &part.positions, layout)))
    }

    fn task(network: &Encoder, machine: &Machine) -> Box<dyn Task> {
        Box::new(TaggingTask { tags: Self::classes(network).to_vec(), machine: machine.clone() })
    }

    fn model(network: Encoder, machine: &Machine) -> Result<Tagger, Error> {
        let Encoder { inner, tokenizer, adapter, .. } = network;
        let tags = inner.labels.clone().unwrap_or_default();
        let tagger = Tagger::new(inner, Arc::unwrap_or_clone(tokenizer), tags, machine)?;
        Ok(tagger.with_adapter(adapter))
    }

    fn evaluate(
        model: &Tagger,
        data: &Tagged,
        positions: &[usize],
        settings: &Settings,
    ) -> Result<(Scored, Quarantine), Error> {
        let scored = score::evaluate(model, data, positions, settings.seed.unwrap_or(0))?;
        Ok((scored, Quarantine::default()))
    }

    /// What the data ask for and the model cannot tell counts as mistakes; nothing in common is an error.
    fn check(model: &Tagger, data: &Tagged) -> Result<(), Error> {
        let entities = |tag: &&String| tag.as_str() != "O";
        if data.tags().iter().filter(entities).any(|tag| model.tags().contains(tag)) {
            return Ok(());
        }
        Err(Error::Misfit(format!(
            "`{}` has the tags {}, and the model knows {}",
            data.root().display(),
            data.tags().join(", "),
            model.tags().join(", ")
        )))
    }

    fn told(model: &Tagger) -> &[String] {
        model.tags()
    }

    fn save(
        model: &Tagger,
        folder: &Path,
        fields: serde_json::Map<String, serde_json::Value>,
        card: &str,
    ) -> Result<(), Error> {
        Ok(model.save(folder, fields, card)?)
    }

    fn show(scored: &Scored, _: &Part<'_, Tagged>, _: &[String], report: &mut ReportData) {
        report.found = Some(scored.classes());
        report.tagged = scored.mistakes();
    }

    fn card(summary: &Summary) -> Card {
        Card {
            front: "library_name: transformers\npipeline_tag: token-classification".into(),
            title: format!("Tagger of {}", summary.classes.join(", ")),
            limits: "It knows the tags above and nothing else.",
            usage: "`tk predict FOLDER --text TEXT`, or `AutoModelForTokenClassification.from_pretrained(\"FOLDER\")`.",
        }
    }
}

/// The windows of a part's sentences, cut once.
fn windows(
    part: &Part<'_, Tagged>,
    store: &Store,
    look: &Look<'_, Encoder>,
) -> Result<Arc<Vec<Windows>>, Error> {
    if let Some(windows) = store.get() {
        return Ok(windows.clone());
    }
    let words =
        |&position: &usize| part.dataset.sentences()[position].words.iter().map(String::as_str).collect();
    let sentences: Vec<Vec<&str>> = part.positions.iter().map(words).collect();
    let cut = Windows::of_all(&look.model.tokenizer, &sentences, look.pool)?;
    let mut windows = vec![Windows::default(); part.dataset.len()];
    part.positions.iter().zip(cut).for_each(|(&position, cut)| windows[position] = cut);
    Ok(store.get_or_init(|| Arc::new(windows)).clone())
}

impl Loading for TaggedWindows<'_> {
    fn remarks(&self) -> Vec<String> {
        TaggedWindows::remarks(self)
    }
}
