//! Everything that is decided before anything is learned: data, model, plan.

use std::path::Path;

use tk_engine::cpu::Machine;
use tk_image::framing::{Framing, Input};
use tk_image::grafted::{Graft, Grafted, HeadChoice, is_grafted};
use tk_image::model::{EMBEDDED, Head as ModelHead, Model};
use tk_transfer::data::Labelled;
use tk_transfer::freeze::BatchNorm;

use super::{Dense, GraftedNetwork};
use crate::classify::division::{Choice, Division};
use crate::classify::fit::{Prepared, absolute_model, settle};
use crate::classify::outlook::{Outlook, look};
use crate::classify::preset::{Preset, Task};
use crate::classify::{Error, Head, Job, ModeName, Network, Settings};
use crate::hub::Hub;
use crate::image::{pinned, repository, resolve};

/// What is decided.
pub(super) type Made<T> = Prepared<GraftedNetwork<T>, <T as Dense>::Data>;

/// Opens the data that a job's settings name.
///
/// # Errors
/// When there are none, or they cannot be used.
pub fn open_data<T: Dense>(job: &Job<'_, T>) -> Result<T::Data, Error> {
    job.settings.check_task(T::TASK, T::FOREIGN)?;
    T::open_data(Path::new(job.settings.data.as_deref().unwrap_or_default()), &job.settings)
}

/// What would be done, and how long it may take. Writes nothing.
///
/// # Errors
/// As [`fit`](super::fit), as far as it can be told before.
pub fn outlook<T: Dense>(job: &Job<'_, T>, data: &T::Data) -> Result<Outlook, Error> {
    let prepared = prepare(job, data)?;
    let parts = prepared.division.parts(data, prepared.settings.limit, prepared.seed())?;
    look(&prepared, data, &parts)
}

/// Opens the model and decides everything; the settings that come out say all of it.
pub(super) fn prepare<T: Dense>(job: &Job<'_, T>, data: &T::Data) -> Result<Made<T>, Error> {
    let mut settings = job.settings.clone();
    settings.check_task(T::TASK, T::FOREIGN)?;
    let says_nothing = settings.freeze.is_none() && settings.unfreeze.is_none();
    let mode = *settings.mode.get_or_insert(ModeName::Partial);
    if mode == ModeName::Partial && says_nothing {
        settings.unfreeze = Some("last:2".into());
    }
    let model = open_model::<T>(&mut settings, &job.hub, data.classes(), mode)?;
    settings.model = settings.model.as_deref().map(|name| absolute_model(name, EMBEDDED));
    let model = GraftedNetwork::<T>::new(model);
    let task = Task { name: T::TASK, foreign: T::FOREIGN, aim: T::aim() };
    // Statistics of pictures few at a time are rough; a head that has none of its own must learn them.
    settings.batch_norm.get_or_insert(BatchNorm::Head);
    // There is one form of head here, whatever the mode; the settings of others stay unsaid.
    settings.head = Some(Head::Linear);
    let preset = Preset::resolve(&mut settings, &model.0.graph, model.defaults(mode), &task)?;
    (settings.head, settings.head_init, settings.balance, settings.label_smoothing) =
        (None, None, None, None);
    let (freeze, batch_norm) = preset.freeze();
    let plan = freeze.resolve(&model.0.graph, &model.0.name, batch_norm)?;
    data.columns().into_iter().for_each(|columns| settings.record_columns(columns));
    let division = Division::new(&settings, data, mode, false, T::open_data)?;
    let is_held = matches!(division.validation, Choice::Data | Choice::Share(_) | Choice::Folder(_));
    if !is_held && preset.recipe().is_some_and(|recipe| recipe.monitor.is_some()) {
        return Err(Error::usage_with(
            "`patience` and `monitor` compare epochs on validation samples, and there are none",
            "say --val 20%, or leave them out",
        ));
    }
    division.record(&mut settings);
    let repository = settings.model.as_deref().and_then(|name| repository(name).ok().flatten());
    let max_bad = settle(&mut settings, data, &model.0.digest, repository.as_ref())?;
    let machine = job.machine.clone().unwrap_or_else(|| Machine::new(0));
    Ok(Prepared { machine, model, preset, plan, division, settings, max_bad })
}

/// The model that settings name: a network with its head, which is kept as far as it fits the classes, or a classifier, which gets one.
fn open_model<T: Dense>(
    settings: &mut Settings,
    hub: &Hub,
    classes: &[String],
    mode: ModeName,
) -> Result<Grafted<T::Head>, Error> {
    let name = settings.model.get_or_insert_with(|| EMBEDDED.to_owned()).clone();
    let seed = settings.seed.unwrap_or(0);
    let choice = HeadChoice::Classes { names: classes, seed };
    let whole = |text: &str| T::published().iter().find(|published| published.name == text);
    let file = name.split_once('=').and_then(|(text, file)| Some((whole(text)?, file)));
    let mut model = if let Some((published, file)) = file {
        said_head(settings, published.name)?;
        Grafted::published(published, Path::new(file), &choice)?
    } else if Path::new(&name).is_dir() && is_grafted::<T::Head>(Path::new(&name)) {
        said_head(settings, &name)?;
        Grafted::open(Path::new(&name), &choice)?
    } else {
        if whole(&name).is_some() {
            return Err(Error::usage_with(
                format!("`{name}` is known, but its weights are not here"),
                format!("give torchvision's checkpoint file: -m {name}=FILE.pth"),
            ));
        }
        let origin = resolve(&name, hub)?;
        settings.model = Some(pinned(&name, hub)?);
        let backbone = Model::open(&origin, ModelHead::New { classes: 1, seed })?;
        let channels = tk_image::backbone::maps(&backbone.graph)?.last().map_or(0, |map| map.channels);
        let said = settings.graft.get_or_insert_with(|| T::HEADS[0].to_owned());
        let head = T::head(said, channels)
            .ok_or_else(|| Error::usage(format!("--head {said}: expected {}", T::HEADS.join(", "))))?;
        let preprocess = &backbone.preprocess;
        let input = Input {
            framing: T::framing(&head, settings.size.unwrap_or(T::SIDE)),
            interpolation: preprocess.interpolation,
            is_aliased: false,
            mean: preprocess.mean,
            std: preprocess.std,
        };
        Grafted::on_backbone(backbone, head, input, classes, seed)?
    };
    settings.graft = Some(model.head.name().to_owned());
    if let Some(size) = settings.size {
        model.input.framing = match model.input.framing {
            Framing::Exact { .. } => Framing::Exact { height: size, width: size },
            Framing::Shorter { .. } => Framing::shorter(size),
        };
    }
    if let Some(problem) = model.input.framing.problem() {
        return Err(Error::usage(format!("--size: {problem}")));
    }
    let shapes: Vec<Vec<usize>> = model.blank(1).iter().map(|pixels| pixels.shape().to_vec()).collect();
    if let Err(error) = model.graph.infer(&shapes) {
        return Err(Error::usage(format!(
            "--size: pictures are too small for this head ({error}); take larger ones"
        )));
    }
    settings.size = Some(match model.input.framing {
        Framing::Exact { height, .. } => height,
        Framing::Shorter { least, .. } => least,
    });
    if settings.from_scratch == Some(true) {
        model = model.from_scratch(seed);
    }
    match mode {
        ModeName::Lora => {
            let (rank, alpha) = settings.low_rank()?;
            Ok(model.with_low_rank(rank, alpha, seed)?)
        }
        _ => Ok(model),
    }
}

/// Refuses a head beside a model that has its own.
fn said_head(settings: &Settings, name: &str) -> Result<(), Error> {
    // A resumed run says which head its model has.
    match &settings.graft {
        Some(head) if settings.provenance.is_none() => Err(Error::usage_with(
            format!("--head {head}: `{name}` has its own head"),
            "leave --head out, or name a backbone with -m",
        )),
        _ => Ok(()),
    }
}
