//! Photographs as a modality of classification.

use std::path::Path;

use tk_engine::cpu::{Machine, Pool};
use tk_engine::{Graph, Parameters, Tensor};
use tk_image::architectures::FineTuning;
use tk_image::classifier as inner;
use tk_image::data::{
    self, Augment, Dataset, Level, Loader, LoaderOptions, Picture, PictureStore, Report as DataReport,
    thumbnail,
};
use tk_image::model::{EMBEDDED, Head as ModelHead, Model};
use tk_transfer::checkpoint::LoadReport;
use tk_transfer::classification::HeadForm;
use tk_transfer::data::LabelKind;
use tk_transfer::data::table::is_table;
use tk_transfer::earlier_head::EarlierHead;
use tk_transfer::fit::Schedule;
use tk_transfer::low_rank::LowRank;

use super::Classifier;
use super::model_name::{pinned, repository, resolve};
use crate::classify::{
    Defaults, Error, Head, HeadInit, Loading, Look, Modality, ModeName, Network, Part, Settings,
};
use crate::hub::{Hub, Repository};
use crate::report::{Note, Pictured};

/// Classification of photographs.
pub enum Photographs {}

/// Decoded photographs of one data set are kept up to so many bytes.
const STORE_BYTES: usize = 1 << 30;

/// Pictures that are predicted at once.
const AT_ONCE: usize = 32;

/// The longer side of a shown picture in pixels.
const THUMBNAIL: u32 = 160;

/// The peak learning rate of low-rank pairs for 32 samples; PEFT's examples on photographs have 5·10⁻³ for 128.
const LOW_RANK_RATE: f64 = 1.25e-3;

impl Modality for Photographs {
    const DEFAULT: &'static str = EMBEDDED;
    const TASK: &'static str = "image-classify";
    const SAMPLES: &'static str = "photographs";
    const FOREIGN: &'static [&'static str] =
        &["max-tokens", "max-seconds", "pooling", "words", "spelling", "vocabulary", "from-scratch"];
    const EXAMPLE: &'static str = "photo.jpg";

    type Dataset = Dataset;
    type Model = Model;
    type Store = PictureStore;
    type Classifier = Classifier;

    fn open_data(path: &Path, settings: &Settings) -> Result<Dataset, Error> {
        if path.is_file() && !is_table(path) {
            let shown = path.display().to_string();
            let word = if shown.contains(char::is_whitespace) { format!("'{shown}'") } else { shown.clone() };
            return Err(Error::usage_with(
                format!(
                    "`{shown}` is a file; training takes a folder per class, or a table (.csv, .tsv, .jsonl)"
                ),
                format!("to classify it: tk predict {EMBEDDED} {word}"),
            ));
        }
        Ok(Dataset::open_with(path, &settings.columns()?)?)
    }

    fn open_model(
        settings: &mut Settings,
        hub: &Hub,
        mode: ModeName,
        _: Head,
        classes: usize,
    ) -> Result<Model, Error> {
        let name = settings.model.get_or_insert_with(|| EMBEDDED.to_owned()).clone();
        let seed = settings.seed.unwrap_or(0);
        let mut model = Model::open(&resolve(&name, hub)?, ModelHead::New { classes, seed })?;
        settings.model = Some(pinned(&name, hub)?);
        if let Some(size) = settings.size {
            model = model
                .resized([size, size])
                .map_err(|error| Error::usage(format!("--size {size}: {error}")))?;
        }
        settings.size = Some(model.preprocess.input_size[0]);
        match mode {
            ModeName::Lora => {
                let (rank, alpha) = settings.low_rank()?;
                Ok(model.with_low_rank(rank, alpha, seed)?)
            }
            _ => Ok(model),
        }
    }

    fn repository(model: &str) -> Option<Repository> {
        repository(model).ok().flatten()
    }

    fn earlier_head(settings: &Settings, _: &Model) -> Result<Option<EarlierHead>, Error> {
        let folder = settings.model.as_deref().map(Path::new).filter(|path| path.is_dir());
        Ok(folder.map(inner::Classifier::earlier_head).transpose()?.flatten())
    }

    fn store(again: bool) -> PictureStore {
        PictureStore::new(if again { STORE_BYTES } else { 0 })
    }

    fn check(data: &Dataset, sample: usize, store: &PictureStore) -> Result<(), String> {
        let load = || data.load(&data.samples()[sample]);
        store.get(sample, load).map(|_| ()).map_err(|error| error.to_string())
    }

    fn source<'a>(
        part: &Part<'a, Dataset>,
        store: &'a PictureStore,
        look: &Look<'a, Self::Model>,
    ) -> Result<Box<dyn Loading + 'a>, Error> {
        Ok(Box::new(data::Photographs::new(
            part.dataset,
            part.positions.clone(),
            look.model.preprocess.clone(),
            Augment::from(look.augment),
            look.seed,
            store,
            look.pool.clone(),
        )))
    }

    fn classifier(
        model: Model,
        classes: Vec<String>,
        head: HeadForm,
        machine: &Machine,
    ) -> Result<Classifier, Error> {
        Ok(Classifier::from_inner(inner::Classifier::new(model, classes, head, machine)?))
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
        pool: &Pool,
        each: &mut dyn FnMut(usize, Result<Vec<f32>, String>),
    ) -> Result<(), Error> {
        let paths: Vec<_> = samples.iter().map(|&sample| data.path(&data.samples()[sample])).collect();
        let (mut known, mut pictures) = (Vec::new(), Vec::new());
        let mut flush = |known: &mut Vec<usize>, pictures: &mut Vec<Picture>| -> Result<(), Error> {
            for (sample, guess) in known.drain(..).zip(classifier.predict_all(pictures)?) {
                each(sample, Ok(guess.probabilities));
            }
            pictures.clear();
            Ok(())
        };
        let mut failed = Vec::new();
        let options = LoaderOptions::new(pool.threads());
        let loader =
            Loader::new((0..paths.len()).collect(), options, move |index| Picture::open(&paths[index]));
        for (index, picture) in loader {
            match picture {
                Ok(picture) => {
                    pictures.push(picture);
                    known.push(samples[index]);
                }
                Err(error) => failed.push((samples[index], error.reason.to_string())),
            }
            if pictures.len() == AT_ONCE {
                flush(&mut known, &mut pictures)?;
            }
        }
        flush(&mut known, &mut pictures)?;
        failed.into_iter().for_each(|(sample, reason)| each(sample, Err(reason)));
        Ok(())
    }

    fn picture(data: &Dataset, sample: usize) -> Pictured {
        let picture = data.samples().get(sample).and_then(|sample| data.load(sample).ok());
        let jpeg = picture.and_then(|picture| thumbnail(&picture, THUMBNAIL).ok());
        Pictured { jpeg, ..Pictured::default() }
    }

    fn notes(data: &Dataset) -> Vec<Note> {
        notes(data.report())
    }

    fn card() -> [&'static str; 2] {
        [
            "library_name: timm\npipeline_tag: image-classification",
            "`timm.create_model(\"local-dir:FOLDER\", pretrained=True)`",
        ]
    }
}

impl Loading for data::Photographs<'_> {
    fn failed(&self) -> Vec<(usize, String)> {
        self.failed()
    }
}

impl Network for Model {
    fn name(&self) -> &str {
        &self.name
    }

    fn architecture(&self) -> &str {
        self.architecture.name
    }

    fn input(&self) -> String {
        let [height, width] = self.preprocess.input_size;
        format!("{width}×{height} pixels")
    }

    fn graph(&self) -> &Graph {
        &self.graph
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn with(self, graph: Graph, parameters: Parameters) -> Self {
        Self { graph, parameters, ..self }
    }

    fn head(&self) -> &str {
        self.architecture.head
    }

    fn report(&self) -> Option<&LoadReport> {
        self.report.as_ref()
    }

    fn with_kept(mut self, classes: Vec<String>) -> Self {
        self.report.iter_mut().for_each(|report| report.kept.clone_from(&classes));
        self
    }

    fn with_kind(self, kind: LabelKind) -> Self {
        Self { kind, ..self }
    }

    fn digest(&self) -> &str {
        &self.digest
    }

    fn finished(self) -> Result<Self, Error> {
        Ok(self.merged()?)
    }

    fn low_rank(&self) -> Option<&LowRank> {
        self.low_rank.as_ref()
    }

    fn remark(&self) -> Option<&'static str> {
        (self.name == EMBEDDED)
            .then_some("The embedded default is small; larger published weights are usually better.")
    }

    fn defaults(&self, mode: ModeName) -> Defaults {
        defaults(mode, self.architecture.family.fine_tuning)
    }

    fn blank(&self, samples: usize) -> Vec<Tensor> {
        let [height, width] = self.preprocess.input_size.map(|side| side as usize);
        vec![Tensor::zeros(&[samples, height, width, 3])]
    }
}

/// How networks of a family are fine-tuned when nothing is said.
pub(crate) fn defaults(mode: ModeName, family: FineTuning) -> Defaults {
    let (epochs, augment) = match mode {
        ModeName::Features => (30, Level::None),
        ModeName::Partial => (12, Level::Light),
        ModeName::Full | ModeName::Lora => (15, Level::Standard),
        ModeName::Gradual => (2, Level::Standard),
        ModeName::Contrastive => (20, Level::Light),
    };
    let (learning_rate, layer_decay) = match mode {
        ModeName::Lora => (LOW_RANK_RATE, Some(1.0)),
        _ => (family.learning_rate, family.layer_decay),
    };
    Defaults {
        epochs,
        batch: 32,
        learning_rate,
        schedule: Schedule::OneCycle,
        warmup: 0.0,
        layer_decay,
        weight_decay: family.weight_decay,
        clip: None,
        head_init: HeadInit::Probe,
        augment,
    }
}

/// What is odd about the data.
fn notes(report: &DataReport) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut note = |title: String, text: &str, items: Vec<String>| {
        if !items.is_empty() {
            notes.push(Note { title, text: text.into(), items });
        }
    };
    let unlike: Vec<String> =
        report.unlike.iter().map(|(path, format)| format!("{path} ({})", format.name())).collect();
    note(format!("{} unlike the rest", unlike.len()), "Their format is rare here. They were kept.", unlike);
    for (groups, title, text) in [
        (
            &report.duplicates_across_splits,
            "identical in more than one split",
            "Scores on them are too good.",
        ),
        (
            &report.duplicates_across_classes,
            "identical under different classes",
            "At least one label is wrong.",
        ),
        (&report.duplicates_within_split, "identical within one split", "They count twice."),
    ] {
        let items: Vec<String> = groups.iter().map(|group| group.paths.join(" = ")).collect();
        note(format!("{} {title}", items.len()), text, items);
    }
    let absent: Vec<String> =
        report.absent.iter().map(|(class, split)| format!("{class} in {}", split.name())).collect();
    note(format!("{} classes absent from a split", absent.len()), "What is absent is not measured.", absent);
    let ignored: Vec<String> =
        report.ignored.iter().map(|(path, reason)| format!("{path}: {reason}")).collect();
    note(format!("{} left out", ignored.len()), "Because of where they stand.", ignored);
    notes
}
