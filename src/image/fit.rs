//! Doing a job: model, data, plan, adaptation, scores.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use tk_engine::Tensor;
use tk_engine::cpu::Machine;
use tk_image::classifier::{self as inner, HeadForm};
use tk_image::data::{Augment, Dataset, Level};
use tk_image::model::{Head as ModelHead, Model};
use tk_transfer::adapt::{
    self, Job, Outcome, Progress, Samples, Steering, Validation, adapt_by_probe, finetune,
};
use tk_transfer::data::{Digest, Limit, Quarantine};
use tk_transfer::freeze::FreezePlan;
use tk_transfer::probe::{Probe, ProbeKind};

use super::evaluate::{Scored, evaluate};
use super::event::Translator;
use super::outlook::{data_line, look};
use super::parts::{Choice, Division, Part, Parts};
use super::preset::{Method, Preset, mode_and_head};
use super::run::{Gathered, Run};
use super::settings::Provenance;
use super::sources::{Look, Shelf, set_aside};
use super::{Classifier, Classify, Error, Event, Head, HeadInit, Settings, record, resolve_model};

/// Everything that is decided before work begins.
pub(crate) struct Prepared {
    pub machine: Machine,
    pub model: Model,
    pub preset: Preset,
    pub plan: FreezePlan,
    pub division: Division,
    pub settings: Settings,
    pub max_bad: Limit,
}

impl Prepared {
    pub fn seed(&self) -> u64 {
        self.settings.seed.unwrap_or(0)
    }

    /// The model in one line.
    pub fn model_line(&self) -> String {
        let [height, width] = self.model.preprocess.input_size;
        let loaded =
            self.model.report.as_ref().map_or_else(|| "random weights".to_owned(), ToString::to_string);
        let (name, architecture) = (&self.model.name, self.model.architecture.name);
        format!("{name} ({architecture}, {width}×{height} pixels)   {loaded}")
    }
}

/// Opens the model and decides everything; the settings that come out say all of it.
pub(crate) fn prepare(job: &Classify<'_>, data: &Dataset) -> Result<Prepared, Error> {
    let mut settings = job.settings.clone();
    let (mode, head) = mode_and_head(&settings)?;
    let name = settings.model.get_or_insert_with(|| tk_image::model::EMBEDDED.to_owned()).clone();
    let classes = data.classes().len();
    let seed = settings.seed.unwrap_or(0);
    let mut model = Model::open(&resolve_model(&name)?, ModelHead::New { classes, seed })?;
    settings.model = Some(absolute_model(&name));
    if let Some(size) = settings.size {
        model.preprocess.input_size = [size, size];
        model.preprocess.check().map_err(|error| Error::usage(format!("--size {size}: {error}")))?;
    }
    settings.size = Some(model.preprocess.input_size[0]);
    let preset = Preset::resolve(&mut settings, &model.graph)?;
    if head == Head::Mlp && matches!(preset.method, Method::Train { .. }) {
        model = model.with_hidden_layer(settings.hidden.unwrap_or(1))?;
        model.parameters.initialise(&model.graph, seed);
    }
    let (freeze, batch_norm) = preset.freeze();
    let plan = freeze.resolve(&model.graph, &model.name, batch_norm)?;
    let division = Division::new(&settings, data, mode, matches!(preset.method, Method::Probe))?;
    division.record(&mut settings);
    for path in [&mut settings.val, &mut settings.test].into_iter().flatten() {
        if Path::new(path.as_str()).is_dir() && path != "data" && path != "none" {
            *path = absolute(path);
        }
    }
    settings.data = Some(absolute(&data.root().display().to_string()));
    let max_bad = settings.max_bad.as_deref().map_or(Ok(Limit::default()), str::parse);
    let max_bad =
        max_bad.map_err(|error: tk_transfer::data::DataError| Error::usage(format!("--max-bad: {error}")))?;
    let found = Provenance::new(hex(&data.digest()), model.digest.clone());
    if let Some(begun) = &settings.provenance {
        for (what, before, after) in
            [("data", &begun.data, &found.data), ("weights", &begun.weights, &found.weights)]
        {
            if before != after {
                return Err(Error::Changed { what, before: short(before), after: short(after) });
            }
        }
    }
    settings.provenance = Some(found);
    let machine = job.machine.clone().unwrap_or_else(|| Machine::new(0));
    Ok(Prepared { machine, model, preset, plan, division, settings, max_bad })
}

/// Does a job.
pub(crate) fn fit(job: &Classify<'_>, data: &Dataset) -> Result<Run, Error> {
    let began = job.began.unwrap_or_else(Instant::now);
    let prepared = prepare(job, data)?;
    let Prepared { machine, settings, .. } = &prepared;
    let seed = prepared.seed();
    let mut quarantine = Quarantine::default();
    for (file, reason) in data.report().quarantine.iter() {
        quarantine.add(file, reason);
        (job.observe)(&Event::SetAside { file: file.to_owned(), reason: reason.to_owned() });
    }
    let files = data.samples().len() + quarantine.len();
    quarantine.check(prepared.max_bad, files)?;
    let parts = prepared.division.parts(data, settings.limit, seed)?;
    if parts.training.positions.is_empty() {
        return Err(Error::Misfit(format!("`{}` has no training photographs", data.root().display())));
    }
    announce(job, &prepared, data, &parts)?;
    if let Some(folder) = &job.checkpoint {
        record::make_folder(folder)?;
        record::check_same(folder, settings)?;
        record::write_settings(folder, settings)?;
    }
    let Parts { training, validation, test, repeated } = parts;
    let (mut training, mut validation) = (Shelf::new(training), validation.map(Shelf::new));
    if matches!(prepared.preset.method, Method::Train { .. }) {
        training.leave_out_unreadable(&machine.pool, job.cancel, &mut quarantine)?;
        if let Some(shelf) = &mut validation {
            shelf.leave_out_unreadable(&machine.pool, job.cancel, &mut quarantine)?;
        }
        quarantine.check(prepared.max_bad, files)?;
    }
    let load = began.elapsed().as_secs_f64();
    let (outcome, scored) = adapt(job, &prepared, &training, validation.as_ref(), &mut quarantine)?;
    quarantine.check(prepared.max_bad, files)?;
    let (model, head) = adapted(&prepared, &outcome)?;
    let classifier = inner::Classifier::new(model, data.classes().to_vec(), head, machine)?;
    let classifier = Classifier::from_inner(classifier);
    let evaluating = Instant::now();
    let tested = match &test {
        None => None,
        Some(Part { dataset, positions }) => {
            let (scored, bad) = evaluate(&classifier, dataset, positions, &machine.pool)?;
            quarantine.merge(bad);
            Some(scored)
        }
    };
    let mut seconds: BTreeMap<String, f64> = outcome.seconds.clone();
    seconds.insert("load".into(), load);
    *seconds.entry("evaluate".into()).or_default() += evaluating.elapsed().as_secs_f64();
    for name in ["features", "train"] {
        seconds.entry(name.into()).or_default();
    }
    let gathered = Gathered {
        data,
        training: training.part(),
        validation: validation.as_ref().map(Shelf::part),
        test: test.as_ref(),
        repeated,
        quarantine,
        seconds,
        began,
    };
    Run::new(&prepared, gathered, outcome, classifier, scored, tested)
}

/// Tells what the data, the model and the plan are.
fn announce(job: &Classify<'_>, prepared: &Prepared, data: &Dataset, parts: &Parts<'_>) -> Result<(), Error> {
    let count = |part: &Option<Part<'_>>| part.as_ref().map_or(0, |part| part.positions.len());
    (job.observe)(&Event::Data {
        summary: data_line(data, parts, &prepared.division.validation),
        train: parts.training.positions.len(),
        val: count(&parts.validation),
        test: count(&parts.test),
    });
    let model = &prepared.model;
    (job.observe)(&Event::Model {
        name: model.name.clone(),
        loaded: prepared.model_line(),
        input: model.preprocess.input_size,
    });
    let outlook = look(prepared, data, parts)?;
    let [parameters, trained] = outlook.parameters;
    (job.observe)(&Event::Plan { summary: outlook.plan, parameters, trained, seconds: outlook.seconds });
    Ok(())
}

/// Runs the pipeline that all modalities share.
fn adapt(
    job: &Classify<'_>,
    prepared: &Prepared,
    training: &Shelf<'_>,
    validation: Option<&Shelf<'_>>,
    quarantine: &mut Quarantine,
) -> Result<(Outcome, Option<Scored>), Error> {
    let (model, machine) = (&prepared.model, &prepared.machine);
    let augment = match &prepared.preset.method {
        Method::Probe => Level::None,
        Method::Train { augment, .. } => *augment,
    };
    let pixels = Look {
        preprocess: &model.preprocess,
        augment: Augment::from(augment),
        seed: prepared.seed(),
        pool: &machine.pool,
    };
    let source = training.photographs(&pixels);
    let held = validation.map(|shelf| shelf.photographs(&pixels));
    let labels = training.part().labels();
    let held_labels = validation.map(|shelf| shelf.part().labels()).unwrap_or_default();
    let classes = training.part().dataset.classes();
    let graded = match (&prepared.division.validation, &held) {
        (Choice::Folds(folds), _) => Validation::Folds(*folds),
        (_, Some(source)) => Validation::Held(Samples { source, labels: &held_labels, groups: None }),
        _ => Validation::None,
    };
    let work = Job {
        machine,
        graph: &model.graph,
        parameters: &model.parameters,
        head: model.architecture.head,
        model: &model.name,
        classes,
        training: Samples { source: &source, labels: &labels, groups: None },
        validation: graded,
        store: &job.cache,
        seed: prepared.seed(),
    };
    let translator = Translator::default();
    let trouble: RefCell<Option<Error>> = RefCell::new(None);
    let observe = |progress: &Progress<'_>| {
        if let (Progress::Fit(tk_transfer::fit::Event::Epoch(records)), Some(folder)) =
            (progress, &job.checkpoint)
            && let Err(error) = record::write_metrics(folder, records)
        {
            trouble.borrow_mut().get_or_insert(error);
        }
        if let Some(event) = translator.event(progress) {
            (job.observe)(&event);
        }
    };
    let steering = Steering {
        state: job.checkpoint.as_deref().map(record::state_path),
        every: job.every,
        cancel: job.cancel,
        observe: &observe,
    };
    let outcome = match &prepared.preset.method {
        Method::Probe => adapt_by_probe(&work, probe_kind(prepared), &steering),
        Method::Train { recipe, head_init, label_smoothing, .. } => {
            let start = match head_init {
                HeadInit::Probe => adapt::HeadInit::Probe,
                HeadInit::Random => adapt::HeadInit::Given,
            };
            finetune(&work, recipe, start, *label_smoothing, identity(prepared)?, &steering)
        }
    };
    if let Some(error) = trouble.into_inner() {
        return Err(error);
    }
    let outcome = outcome?;
    set_aside(&source, training.part(), quarantine);
    if let (Some(source), Some(shelf)) = (&held, validation) {
        set_aside(source, shelf.part(), quarantine);
    }
    let scored = match &outcome.evaluation {
        None => None,
        Some(evaluation) if evaluation.samples.is_empty() => None,
        Some(evaluation) => {
            let part = validation.map_or(training.part(), Shelf::part);
            let name = |&sample: &usize| part.dataset.samples()[part.positions[sample]].name();
            let files = evaluation.samples.iter().map(name).collect();
            Some(Scored::new(classes, files, evaluation.clone(), prepared.seed())?)
        }
    };
    Ok((outcome, scored))
}

/// The model with what was learned, and the form of its head.
fn adapted(prepared: &Prepared, outcome: &Outcome) -> Result<(Model, HeadForm), Error> {
    let mut model = prepared.model.clone();
    model.parameters = outcome.parameters.clone();
    if prepared.preset.head != Head::Mlp {
        return Ok((model, HeadForm::Linear));
    }
    let hidden = prepared.settings.hidden.unwrap_or(1);
    if let Some(Probe::Mlp(mlp)) = &outcome.probe {
        let head = model.architecture.head;
        model = model.with_hidden_layer(hidden)?;
        for (name, layer) in [("0", &mlp.hidden), ("2", &mlp.output)] {
            let shape = [layer.outputs(), layer.features()];
            model
                .parameters
                .set(&format!("{head}.{name}.weight"), Tensor::new(&shape, layer.weight().to_vec())?);
            model
                .parameters
                .set(&format!("{head}.{name}.bias"), Tensor::new(&shape[..1], layer.bias().to_vec())?);
        }
    }
    Ok((model, HeadForm::Mlp { hidden }))
}

fn probe_kind(prepared: &Prepared) -> ProbeKind {
    match prepared.preset.head {
        Head::Mlp => ProbeKind::Hidden { hidden: prepared.settings.hidden.unwrap_or(1) },
        Head::Logreg | Head::Linear => ProbeKind::Logistic,
    }
}

/// What tells a run from others: a state of another run must not be gone on with.
fn identity(prepared: &Prepared) -> Result<String, Error> {
    // Paths say where things lie, the digests within say what they are.
    let settings = Settings { data: None, model: None, ..prepared.settings.clone() };
    let text = format!("{}\n{}", settings.to_toml()?, prepared.machine.isa.name());
    Ok(Digest::of(text.as_bytes()).to_string())
}

/// A path that means the same from everywhere.
fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}

/// A model's name with its path, if it has one, made absolute.
fn absolute_model(name: &str) -> String {
    match name.split_once('=') {
        Some((architecture, file)) if !Path::new(name).exists() => {
            format!("{architecture}={}", absolute(file))
        }
        _ if Path::new(name).exists() => absolute(name),
        _ => name.to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Enough of a digest to tell two apart.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}
