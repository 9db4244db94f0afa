//! Doing a job: model, data, plan, adaptation, scores.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use tk_engine::cpu::Machine;
use tk_engine::{Precision, Tensor};
use tk_image::data::Level;
use tk_transfer::adapt::{
    self, Outcome, Progress, Samples, Steering, Validation, adapt_by_contrast, adapt_by_probe, finetune,
};
use tk_transfer::classification::{HeadForm, with_hidden_layer};
use tk_transfer::data::{Digest, Labelled, Limit, Quarantine};
use tk_transfer::earlier_head::EarlierHead;
use tk_transfer::freeze::FreezePlan;
use tk_transfer::prefix::PrecisionChoice;
use tk_transfer::probe::{LinearLoss, Probe, ProbeKind};

use super::division::{Choice, Division, Part, Parts};
use super::evaluate::{Scored, evaluate};
use super::job::Job;
use super::modality::{Look, Modality, Network};
use super::outlook::{data_line, look};
use super::preset::{Method, Preset, Task, mode_and_head};
use super::run::{Gathered, Run};
use super::settings::Provenance;
use super::shelf::{Shelf, set_aside};
use super::telling::Telling;
use super::{Error, Event, Head, HeadInit, ModeName, Settings, record};
use crate::hub::Repository;

/// Everything that is decided before work begins.
pub(crate) struct Prepared<N, D> {
    pub machine: Machine,
    pub model: N,
    pub preset: Preset,
    pub plan: FreezePlan,
    pub division: Division<D>,
    pub settings: Settings,
    pub max_bad: Limit,
}

impl<N: Network, D> Prepared<N, D> {
    pub fn seed(&self) -> u64 {
        self.settings.seed.unwrap_or(0)
    }

    pub fn precision(&self) -> PrecisionChoice {
        self.settings.precision.unwrap_or_default()
    }

    /// The model in one line.
    pub fn model_line(&self) -> String {
        let model = &self.model;
        let loaded = model.report().map_or_else(|| "random weights".to_owned(), ToString::to_string);
        format!("{} ({}, {})   {loaded}", model.name(), model.architecture(), model.input())
    }
}

/// What is decided for a modality.
pub(crate) type Made<M> = Prepared<<M as Modality>::Model, <M as Modality>::Dataset>;

/// Opens the model and decides everything; the settings that come out say all of it.
pub(crate) fn prepare<M: Modality>(job: &Job<'_, M>, data: &M::Dataset) -> Result<Made<M>, Error> {
    let mut settings = job.settings.clone();
    settings.check_task(M::TASK, M::FOREIGN)?;
    let (mode, head) = mode_and_head(&settings)?;
    let classes = data.classes().len();
    let seed = settings.seed.unwrap_or(0);
    let mut model = M::open_model(&mut settings, &job.hub, mode, head, classes)?.with_kind(data.kind());
    settings.model = settings.model.as_deref().map(|name| absolute_model(name, M::DEFAULT));
    let mut defaults = model.defaults(mode);
    let earlier = earlier_head::<M>(&mut settings, &model, data.classes())?;
    if earlier.is_some() {
        defaults.head_init = HeadInit::Kept;
    }
    let preset = Preset::resolve(&mut settings, model.graph(), defaults, &Task::of::<M>(data.kind()))?;
    if let Method::Train { head_init, .. } = preset.method {
        if head == Head::Mlp {
            model = with_hidden_head(model, settings.hidden.unwrap_or(1), classes)?;
        }
        let (graph, mut parameters) = (model.graph().clone(), model.parameters().clone());
        parameters.initialise(&graph, seed);
        let kept = match earlier.filter(|_| head_init == HeadInit::Kept) {
            Some(earlier) => earlier.keep(&mut parameters, model.head(), data.classes())?,
            None => Vec::new(),
        };
        model = model.with(graph, parameters).with_kept(kept);
    }
    let (freeze, batch_norm) = preset.freeze();
    let plan = freeze.resolve(model.graph(), model.name(), batch_norm)?;
    // Before the division, which opens other tables alike.
    data.columns().into_iter().for_each(|columns| settings.record_columns(columns));
    let division =
        Division::new(&settings, data, mode, matches!(preset.method, Method::Probe), M::open_data)?;
    let is_held = matches!(division.validation, Choice::Data | Choice::Share(_) | Choice::Folder(_));
    if !is_held && preset.recipe().is_some_and(|recipe| recipe.monitor.is_some()) {
        return Err(Error::usage_with(
            "`patience` and `monitor` compare epochs on validation samples, and there are none",
            "say --val 20%, or leave them out",
        ));
    }
    division.record(&mut settings);
    let repository = settings.model.as_deref().and_then(M::repository);
    let max_bad = settle(&mut settings, data, model.digest(), repository.as_ref())?;
    let machine = job.machine.clone().unwrap_or_else(|| Machine::new(0));
    Ok(Prepared { machine, model, preset, plan, division, settings, max_bad })
}

/// Writes down what was begun with: where data and model lie, and their digests, which a resumed run must find again. The limit of what
/// cannot be used comes back.
pub(crate) fn settle(
    settings: &mut Settings,
    data: &impl Labelled,
    weights: &str,
    repository: Option<&Repository>,
) -> Result<Limit, Error> {
    for path in [&mut settings.val, &mut settings.test].into_iter().flatten() {
        if Path::new(path.as_str()).exists() && path != "data" && path != "none" {
            *path = absolute(path);
        }
    }
    settings.data = Some(absolute(&data.root().display().to_string()));
    let max_bad = settings.max_bad.as_deref().map_or(Ok(Limit::default()), str::parse);
    let max_bad =
        max_bad.map_err(|error: tk_transfer::data::DataError| Error::usage(format!("--max-bad: {error}")))?;
    let found = Provenance::new(hex(&data.digest()), weights.to_owned(), repository);
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
    Ok(max_bad)
}

/// The head of the run that settings name as the model, where one that is trained can keep something of it. The width of a hidden layer
/// is taken over.
fn earlier_head<M: Modality>(
    settings: &mut Settings,
    model: &M::Model,
    classes: &[String],
) -> Result<Option<EarlierHead>, Error> {
    let (mode, head) = mode_and_head(settings)?;
    if mode == ModeName::Features && head != Head::Linear {
        return Ok(None);
    }
    let Some(earlier) = M::earlier_head(settings, model)? else { return Ok(None) };
    let fits = match (earlier.form, head) {
        (HeadForm::Linear, Head::Linear) => true,
        (HeadForm::Mlp { hidden }, Head::Mlp) => settings.hidden.is_none_or(|wanted| wanted == hidden),
        _ => false,
    };
    if !fits || earlier.shared(classes).is_empty() {
        return Ok(None);
    }
    if let HeadForm::Mlp { hidden } = earlier.form {
        settings.hidden = Some(hidden);
    }
    Ok(Some(earlier))
}

/// Does a job.
pub(crate) fn fit<M: Modality>(job: &Job<'_, M>, data: &M::Dataset) -> Result<Run<M>, Error> {
    let began = job.began.unwrap_or_else(Instant::now);
    let prepared = prepare(job, data)?;
    let Prepared { machine, settings, .. } = &prepared;
    let seed = prepared.seed();
    let mut quarantine = Quarantine::default();
    for (file, reason) in data.set_aside() {
        quarantine.add(file.clone(), reason.clone());
        (job.observe)(&Event::SetAside { file, reason });
    }
    let files = data.len() + quarantine.len();
    quarantine.check(prepared.max_bad, files)?;
    let parts = prepared.division.parts(data, settings.limit, seed)?;
    if parts.training.positions.is_empty() {
        let (root, samples) = (data.root().display(), M::SAMPLES);
        return Err(Error::Misfit(format!("`{root}` has no training {samples}")));
    }
    announce(job, &prepared, data, &parts)?;
    if let Some(folder) = &job.checkpoint {
        record::begin(folder, settings)?;
    }
    let Parts { training, validation, test, leaks } = parts;
    let trains = !matches!(prepared.preset.method, Method::Probe);
    let shelf = |part| Shelf::<M>::new(part, trains);
    let (mut training, mut validation) = (shelf(training), validation.map(shelf));
    if trains {
        training.leave_out_unreadable(&machine.pool, job.cancel, &mut quarantine)?;
        if let Some(shelf) = &mut validation {
            shelf.leave_out_unreadable(&machine.pool, job.cancel, &mut quarantine)?;
        }
        quarantine.check(prepared.max_bad, files)?;
    }
    let load = began.elapsed().as_secs_f64();
    let (outcome, scored) = adapt(job, &prepared, &training, validation.as_ref(), &mut quarantine)?;
    quarantine.check(prepared.max_bad, files)?;
    let (model, head) = adapted::<M>(&prepared, &outcome)?;
    let classifier = M::classifier(model, data.classes().to_vec(), head, machine)?;
    let evaluating = Instant::now();
    let tested = match &test {
        None => None,
        Some(Part { dataset, positions }) => {
            let (scored, bad) = evaluate::<M>(&classifier, dataset, positions, &machine.pool)?;
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
        leaks,
        quarantine,
        seconds,
        began,
    };
    Run::new(&prepared, gathered, outcome, classifier, scored, tested)
}

/// Tells what the data, the model and the plan are.
pub(crate) fn announce<T, N: Network, D: Labelled>(
    job: &Job<'_, T>,
    prepared: &Prepared<N, D>,
    data: &D,
    parts: &Parts<'_, D>,
) -> Result<(), Error> {
    let count = |part: &Option<Part<'_, D>>| part.as_ref().map_or(0, |part| part.positions.len());
    (job.observe)(&Event::Data {
        summary: data_line(data, parts, &prepared.division.validation),
        train: parts.training.positions.len(),
        val: count(&parts.validation),
        test: count(&parts.test),
    });
    let model = &prepared.model;
    (job.observe)(&Event::Model {
        name: model.name().to_owned(),
        loaded: prepared.model_line(),
        input: model.input(),
    });
    let outlook = look(prepared, data, parts)?;
    let [parameters, trained] = outlook.parameters;
    (job.observe)(&Event::Plan { summary: outlook.plan, parameters, trained, seconds: outlook.seconds });
    Ok(())
}

/// Runs the pipeline that all modalities share.
fn adapt<M: Modality>(
    job: &Job<'_, M>,
    prepared: &Made<M>,
    training: &Shelf<'_, M>,
    validation: Option<&Shelf<'_, M>>,
    quarantine: &mut Quarantine,
) -> Result<(Outcome, Option<Scored>), Error> {
    let (model, machine) = (&prepared.model, &prepared.machine);
    let augment = match &prepared.preset.method {
        Method::Probe => Level::None,
        Method::Train { augment, .. } | Method::Contrast { augment, .. } => *augment,
    };
    let batch = prepared.preset.recipe().map_or(32, |recipe| recipe.batch);
    let look = Look { model, augment, seed: prepared.seed(), pool: &machine.pool, batch };
    let source = training.source(&look)?;
    let held = validation.map(|shelf| shelf.source(&look)).transpose()?;
    for text in source.remarks() {
        (job.observe)(&Event::Remark { text });
    }
    let groups = training.part().groups();
    let labels = training.part().labels();
    let held_labels = validation.map(|shelf| shelf.part().labels());
    let classes = training.part().dataset.classes();
    let graded = match (&prepared.division.validation, &held) {
        (Choice::Folds(folds), _) => Validation::Folds(*folds),
        (_, Some(source)) => {
            let labels = held_labels.as_ref().unwrap_or(&labels).view();
            Validation::Held(Samples { source: source.as_ref(), labels, groups: None })
        }
        _ => Validation::None,
    };
    let work = adapt::Job {
        machine,
        graph: model.graph(),
        parameters: model.parameters(),
        head: model.head(),
        model: model.name(),
        classes,
        training: Samples { source: source.as_ref(), labels: labels.view(), groups: groups.as_deref() },
        validation: graded,
        store: &job.cache,
        precision: prepared.precision(),
        balance: prepared.settings.balance.unwrap_or_default(),
        seed: prepared.seed(),
    };
    let telling = Telling::of(job);
    let observe = |progress: &Progress<'_>| telling.progress(progress);
    let steering = Steering {
        state: job.checkpoint.as_deref().map(record::state_path),
        every: job.every,
        cancel: job.cancel,
        observe: &observe,
    };
    let outcome = match &prepared.preset.method {
        Method::Probe => adapt_by_probe(&work, probe_kind(prepared), &steering),
        Method::Contrast { recipe, .. } => {
            adapt_by_contrast(&work, recipe, probe_kind(prepared), identity(prepared)?, &steering)
        }
        Method::Train { recipe, head_init, label_smoothing, .. } => {
            let start = match head_init {
                HeadInit::Probe => adapt::HeadInit::Probe,
                HeadInit::Random | HeadInit::Kept => adapt::HeadInit::Given,
            };
            finetune(&work, recipe, start, *label_smoothing, identity(prepared)?, &steering)
        }
    };
    telling.finish()?;
    let outcome = outcome?;
    set_aside(source.as_ref(), training.part(), quarantine);
    if let (Some(source), Some(shelf)) = (&held, validation) {
        set_aside(source.as_ref(), shelf.part(), quarantine);
    }
    let scored = match &outcome.evaluation {
        None => None,
        Some(evaluation) if evaluation.samples.is_empty() => None,
        Some(evaluation) => {
            let part = validation.map_or(training.part(), Shelf::part);
            let name = |&sample: &usize| part.dataset.name(part.positions[sample]);
            let files = evaluation.samples.iter().map(name).collect();
            Some(Scored::new::<M>(classes, files, evaluation.clone(), prepared.seed())?)
        }
    };
    Ok((outcome, scored))
}

/// The model with what was learned, and the form of its head.
fn adapted<M: Modality>(prepared: &Made<M>, outcome: &Outcome) -> Result<(M::Model, HeadForm), Error> {
    let model = prepared.model.clone();
    let graph = model.graph().clone();
    let mut model = model.with(graph, outcome.parameters.clone()).finished()?;
    if prepared.preset.head != Head::Mlp {
        return Ok((model, HeadForm::Linear));
    }
    let hidden = prepared.settings.hidden.unwrap_or(1);
    if let Some(Probe::Mlp(mlp)) = &outcome.probe {
        let head = model.head().to_owned();
        model = with_hidden_head(model, hidden, mlp.output.outputs())?;
        let mut parameters = model.parameters().clone();
        for (name, layer) in [("0", &mlp.hidden), ("2", &mlp.output)] {
            let shape = [layer.outputs(), layer.features()];
            parameters.set(&format!("{head}.{name}.weight"), Tensor::new(&shape, layer.weight().to_vec())?);
            parameters.set(&format!("{head}.{name}.bias"), Tensor::new(&shape[..1], layer.bias().to_vec())?);
        }
        let graph = model.graph().clone();
        model = model.with(graph, parameters);
    }
    Ok((model, HeadForm::Mlp { hidden }))
}

/// The model with a hidden layer in place of its linear head; the values are the caller's to set.
fn with_hidden_head<N: Network>(model: N, hidden: usize, classes: usize) -> Result<N, Error> {
    let mut parameters = model.parameters().clone();
    let graph = with_hidden_layer(model.graph(), &mut parameters, model.head(), hidden, classes)?;
    Ok(model.with(graph, parameters))
}

fn probe_kind<N, D>(prepared: &Prepared<N, D>) -> ProbeKind {
    match prepared.preset.head {
        Head::Mlp => ProbeKind::Hidden { hidden: prepared.settings.hidden.unwrap_or(1) },
        Head::Svm => ProbeKind::Linear { loss: LinearLoss::SquaredHinge },
        Head::Logreg | Head::Linear => ProbeKind::Linear { loss: LinearLoss::Softmax },
    }
}

/// What tells a run from others: a state of another run must not be gone on with.
pub(crate) fn identity<N: Network, D>(prepared: &Prepared<N, D>) -> Result<String, Error> {
    // Paths say where things lie, the digests within say what they are.
    let settings = Settings { data: None, model: None, ..prepared.settings.clone() };
    let isa = prepared.machine.isa;
    let mut text = format!("{}\n{}", settings.to_toml()?, isa.name());
    if prepared.precision() != PrecisionChoice::F32 {
        // What is taken, and how it adds, depends on these instructions.
        text.push_str(&format!("\n{:?}", Precision::ALL.map(|precision| isa.has(precision))));
    }
    Ok(Digest::of(text.as_bytes()).to_string())
}

/// A path that means the same from everywhere.
fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}

/// A model's name with its path, if it has one, made absolute.
pub(crate) fn absolute_model(name: &str, embedded: &str) -> String {
    if name == embedded {
        return name.to_owned();
    }
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
