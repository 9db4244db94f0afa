//! Texts as a modality of classification.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use tk_engine::cpu::{Machine, Pool};
use tk_text::data::{Dataset, Sentences, Tokens};
use tk_transfer::classification::HeadForm;
use tk_transfer::data::LabelKind;
use tk_transfer::earlier_head::EarlierHead;

use super::{Classifier, Encoder};
use crate::classify::{Error, Head, Loading, Look, Modality, ModeName, Part, Settings};
use crate::hub::{Hub, Repository};
use crate::report::{Note, Pictured};

/// Classification of texts.
pub enum Texts {}

/// Texts that are predicted at once.
const AT_ONCE: usize = 1024;

impl Modality for Texts {
    const DEFAULT: &'static str = tk_text::EMBEDDED;
    const TASK: &'static str = "text-classify";
    const SAMPLES: &'static str = "texts";
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
    ];
    const EXAMPLE: &'static str = "--text TEXT";

    type Dataset = Dataset;
    type Model = Encoder;
    type Store = OnceLock<Vec<Tokens>>;
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
    ) -> Result<Encoder, Error> {
        Encoder::open(settings, hub, mode, head, classes)
    }

    fn repository(model: &str) -> Option<Repository> {
        Repository::of_model(model)?.ok()
    }

    fn earlier_head(settings: &Settings, model: &Encoder) -> Result<Option<EarlierHead>, Error> {
        let folder = settings.model.as_deref().map(Path::new);
        let head = |folder| tk_text::classifier::Classifier::earlier_head(folder, &model.inner);
        Ok(folder.map(head).transpose()?.flatten())
    }

    fn store(_: bool) -> OnceLock<Vec<Tokens>> {
        OnceLock::new()
    }

    fn check(_: &Dataset, _: usize, _: &OnceLock<Vec<Tokens>>) -> Result<(), String> {
        Ok(())
    }

    fn source<'a>(
        part: &Part<'a, Dataset>,
        store: &'a OnceLock<Vec<Tokens>>,
        look: &Look<'a, Self::Model>,
    ) -> Result<Box<dyn Loading + 'a>, Error> {
        let texts: Vec<_> = part.positions.iter().map(|&position| text(part.dataset, position)).collect();
        let encoded = look.model.tokenizer.encode_all(&texts, look.pool)?;
        let tokens = store.get_or_init(|| {
            let mut tokens = vec![Tokens::default(); part.dataset.samples().len()];
            part.positions.iter().zip(encoded).for_each(|(&position, text)| tokens[position] = text);
            tokens
        });
        let layout = look.model.layout(look.batch);
        Ok(Box::new(Sentences::new(part.dataset, tokens, part.positions.clone(), layout)))
    }

    fn classifier(
        model: Encoder,
        classes: Vec<String>,
        head: HeadForm,
        machine: &Machine,
    ) -> Result<Classifier, Error> {
        let Encoder { inner, tokenizer, adapter, .. } = model;
        let tokenizer = Arc::unwrap_or_clone(tokenizer);
        Ok(Classifier::from_inner(
            tk_text::classifier::Classifier::new(inner, tokenizer, classes, head, machine)?
                .with_adapter(adapter),
        ))
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
            let texts: Vec<_> = samples.iter().map(|&sample| text(data, sample)).collect();
            for (&sample, guess) in samples.iter().zip(classifier.predict_all(&texts)?) {
                each(sample, Ok(guess.probabilities));
            }
        }
        Ok(())
    }

    fn picture(data: &Dataset, sample: usize) -> Pictured {
        let (first, second) = text(data, sample);
        let text = second.map_or_else(|| first.to_owned(), |second| format!("{first}\n{second}"));
        Pictured { text: Some(text), ..Pictured::default() }
    }

    fn notes(data: &Dataset) -> Vec<Note> {
        let report = data.report();
        let repeated = |across: bool| -> Vec<String> {
            let sets = report.duplicates.iter().filter(|set| set.crosses_sides() == across);
            sets.map(|set| set.ids.join(" = ")).collect()
        };
        let ignored = report.ignored.iter().map(|(path, reason)| format!("{path}: {reason}"));
        [
            (repeated(true), "texts in more than one split", "Scores on them are too good."),
            (repeated(false), "texts more than once in one split", "They count twice."),
            (ignored.collect(), "left out", "Because of where they stand."),
        ]
        .into_iter()
        .filter(|(items, ..)| !items.is_empty())
        .map(|(items, title, text)| Note {
            title: format!("{} {title}", items.len()),
            text: text.into(),
            items,
        })
        .collect()
    }

    fn card() -> [&'static str; 2] {
        [
            "library_name: transformers\npipeline_tag: text-classification",
            "`AutoModelForSequenceClassification.from_pretrained(\"FOLDER\")` after fine-tuning and \
             `SentenceTransformer(\"FOLDER\").encode(text)`, which gives the logits, in features mode",
        ]
    }
}

impl Loading for Sentences<'_> {
    fn remarks(&self) -> Vec<String> {
        let statistics = self.statistics();
        let tokens = statistics.tokens as f64 / statistics.texts.max(1) as f64;
        let percent = |share: f64| 100.0 * share;
        let mut remarks = vec![format!(
            "{tokens:.0} tokens a text, {:.1} % unknown, {:.1} % of the texts cut",
            percent(statistics.unknown_share()),
            percent(statistics.truncated_share())
        )];
        remarks.extend(statistics.warnings());
        remarks
    }
}

fn text(data: &Dataset, sample: usize) -> (&str, Option<&str>) {
    let sample = &data.samples()[sample];
    (&sample.text, sample.second.as_deref())
}
