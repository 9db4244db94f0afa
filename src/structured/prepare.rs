//! Everything that is decided before anything is learned: data, model, plan.

use std::path::Path;

use tk_engine::cpu::Machine;
use tk_transfer::data::Labelled;

use super::Structured;
use crate::classify::division::{Choice, Division};
use crate::classify::fit::{Prepared, absolute_model, settle};
use crate::classify::outlook::{Outlook, look};
use crate::classify::preset::{Preset, Task};
use crate::classify::{Error, Head, Job, Network};

/// What is decided.
pub(super) type Made<T> = Prepared<<T as Structured>::Network, <T as Structured>::Data>;

/// Opens the data that a job's settings name.
///
/// # Errors
/// When there are none, or they cannot be used.
pub fn open_data<T: Structured>(job: &Job<'_, T>) -> Result<T::Data, Error> {
    job.settings.check_task(T::TASK, T::FOREIGN)?;
    T::open_data(Path::new(job.settings.data.as_deref().unwrap_or_default()), &job.settings)
}

/// What would be done, and how long it may take. Writes nothing.
///
/// # Errors
/// As [`fit`](super::fit()), as far as it can be told before.
pub fn outlook<T: Structured>(job: &Job<'_, T>, data: &T::Data) -> Result<Outlook, Error> {
    let prepared = prepare(job, data)?;
    let parts = prepared.division.parts(data, prepared.settings.limit, prepared.seed())?;
    look(&prepared, data, &parts)
}

/// Opens the model and decides everything; the settings that come out say all of it.
pub(super) fn prepare<T: Structured>(job: &Job<'_, T>, data: &T::Data) -> Result<Made<T>, Error> {
    let mut settings = job.settings.clone();
    settings.check_task(T::TASK, T::FOREIGN)?;
    let mode = *settings.mode.get_or_insert(T::MODE);
    T::settle(&mut settings, mode);
    let model = T::open_model(&mut settings, &job.hub, data, mode)?;
    settings.model = settings.model.as_deref().map(|name| absolute_model(name, T::DEFAULT));
    let defaults = T::defaults(&model, mode, &settings, data);
    let task = Task { name: T::TASK, foreign: T::FOREIGN, aim: T::aim() };
    // There is one form of head here, whatever the mode; the settings of others stay unsaid.
    settings.head = Some(Head::Linear);
    let preset = Preset::resolve(&mut settings, model.graph(), defaults, &task)?;
    (settings.head, settings.head_init, settings.balance, settings.label_smoothing) =
        (None, None, None, None);
    let (freeze, batch_norm) = preset.freeze();
    let plan = freeze.resolve(model.graph(), model.name(), batch_norm)?;
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
    let repository = settings.model.as_deref().and_then(T::repository);
    let max_bad = settle(&mut settings, data, model.digest(), repository.as_ref())?;
    let machine = job.machine.clone().unwrap_or_else(|| Machine::new(0));
    Ok(Prepared { machine, model, preset, plan, division, settings, max_bad })
}
