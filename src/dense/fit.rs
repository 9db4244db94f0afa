//! Doing a job: training, and scoring what was held out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tk_engine::cpu::Pool;
use tk_image::data::{Level, PictureStore};
use tk_image::framing::{Marked, Variation, Viewing, Views};
use tk_image::grafted::Runner;
use tk_transfer::adapt::{AdaptError, Progress};
use tk_transfer::data::{Labelled, Quarantine};
use tk_transfer::fit::{self, Signals, Source};

use super::Dense;
use super::prepare::prepare;
use super::run::{Gathered, Run};
use crate::classify::division::{Part, Parts};
use crate::classify::fit::{announce, identity};
use crate::classify::preset::Method;
use crate::classify::telling::Telling;
use crate::classify::{Error, Event, Job, Network, record};

/// Decoded pictures are kept up to so many bytes.
const STORE_BYTES: usize = 1 << 30;

/// Does a job.
///
/// # Errors
/// When settings do not fit together, the model or the data cannot be used, the audit finds a broken promise, or it is cancelled.
pub fn fit<T: Dense>(job: &Job<'_, T>, data: &T::Data) -> Result<Run<T>, Error> {
    let began = job.began.unwrap_or_else(Instant::now);
    let prepared = prepare(job, data)?;
    let (settings, machine, model) = (&prepared.settings, &prepared.machine, &prepared.model.0);
    let mut quarantine = Quarantine::default();
    for (file, reason) in data.set_aside() {
        quarantine.add(file.clone(), reason.clone());
        (job.observe)(&Event::SetAside { file, reason });
    }
    let files = data.len() + quarantine.len();
    quarantine.check(prepared.max_bad, files)?;
    let Parts { mut training, mut validation, test, leaks } =
        prepared.division.parts(data, settings.limit, prepared.seed())?;
    let stores = [PictureStore::new(STORE_BYTES), PictureStore::new(STORE_BYTES)];
    leave_out(&mut training, &stores[0], (&machine.pool, job.cancel), &mut quarantine)?;
    if let Some(part) = &mut validation {
        leave_out(part, &stores[1], (&machine.pool, job.cancel), &mut quarantine)?;
    }
    quarantine.check(prepared.max_bad, files)?;
    if training.positions.is_empty() {
        return Err(Error::Misfit(format!("`{}` has no training photographs", data.root().display())));
    }
    let parts = Parts { training, validation, test, leaks };
    announce(job, &prepared, data, &parts)?;
    if let Some(folder) = &job.checkpoint {
        record::begin(folder, settings)?;
    }
    for note in T::notes(data) {
        (job.observe)(&Event::Remark { text: note.title });
    }
    let Method::Train { recipe, augment, .. } = &prepared.preset.method else {
        return Err(Error::usage("heads on maps are learned by gradient descent alone"));
    };
    let Parts { training, validation, test, leaks } = parts;
    let viewing = |level: Level| Viewing {
        input: model.input.clone(),
        variation: Variation::from(level),
        seed: prepared.seed(),
        batch: recipe.batch,
        pool: machine.pool.clone(),
    };
    let source = Views::new(data, training.positions.clone(), viewing(*augment), &stores[0]);
    let held = validation
        .as_ref()
        .map(|part| Views::new(part.dataset, part.positions.clone(), viewing(Level::None), &stores[1]));
    let held = held.filter(|held| !held.is_empty());
    let load = began.elapsed().as_secs_f64();

    let task = T::task(&model.head, model.labels.len(), machine);
    let run = fit::Run {
        machine,
        graph: &model.graph,
        model: &model.name,
        task: &*task,
        training: &source,
        validation: held.as_ref().map(|held| held as &dyn Source),
        recipe,
        identity: identity(&prepared)?,
        store: &job.cache,
        precision: prepared.precision(),
    };
    let training_began = Instant::now();
    let fitted = fitted(job, &run, model.parameters.clone())?;
    let train = training_began.elapsed().as_secs_f64();
    for (position, reason) in source.failed() {
        quarantine.add(data.name(position), reason);
    }
    quarantine.check(prepared.max_bad, files)?;

    let evaluating = Instant::now();
    let network = prepared.model.clone().with(model.graph.clone(), fitted.parameters.clone()).finished()?;
    let runner = Runner::new(network.0, machine)?;
    let mut score = |part: &Option<Part<'_, T::Data>>| -> Result<Option<T::Scored>, Error> {
        let Some(part) = part.as_ref().filter(|part| !part.positions.is_empty()) else { return Ok(None) };
        let (scored, aside) = T::evaluate(&runner, part.dataset, &part.positions, prepared.seed())?;
        quarantine.merge(aside);
        Ok(Some(scored))
    };
    let (scored, tested) = (score(&validation)?, score(&test)?);
    let seconds = BTreeMap::from([
        ("load".to_owned(), load),
        ("train".to_owned(), train),
        ("evaluate".to_owned(), evaluating.elapsed().as_secs_f64()),
    ]);
    let gathered = Gathered {
        data,
        training: &training,
        validation: validation.as_ref(),
        test: test.as_ref(),
        leaks,
        quarantine,
        seconds,
        began,
    };
    Run::new(&prepared, gathered, fitted, runner, scored, tested)
}

/// Decodes everything once and leaves out what cannot be read, so that every epoch sees the same samples.
fn leave_out<D: Labelled + Marked>(
    part: &mut Part<'_, D>,
    store: &PictureStore,
    (pool, cancel): (&Pool, &AtomicBool),
    quarantine: &mut Quarantine,
) -> Result<(), Error> {
    let failed = Mutex::new(Vec::new());
    let (data, positions) = (part.dataset, &part.positions);
    pool.for_each(positions.len(), |index| {
        let position = positions[index];
        if !cancel.load(Ordering::Relaxed)
            && let Err(error) = store.get(position, || data.picture(position))
        {
            failed.lock().unwrap_or_else(PoisonError::into_inner).push((position, error.to_string()));
        }
    });
    if cancel.load(Ordering::Relaxed) {
        return Err(AdaptError::Interrupted.into());
    }
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort();
    part.positions.retain(|position| !failed.iter().any(|(failed, _)| failed == position));
    for (position, reason) in failed {
        quarantine.add(data.name(position), reason);
    }
    Ok(())
}

/// Trains, telling what happens and writing what it goes on from.
fn fitted<T: Dense>(
    job: &Job<'_, T>,
    run: &fit::Run<'_>,
    parameters: tk_engine::Parameters,
) -> Result<fit::Fitted, Error> {
    let telling = Telling::of(job);
    let observe = |event: &fit::Event<'_>| {
        telling.progress(&match event {
            fit::Event::Precision(report) => Progress::Precision(report),
            event => Progress::Fit(event),
        });
    };
    let signals = Signals {
        state: job.checkpoint.as_deref().map(record::state_path),
        every: job.every,
        cancel: job.cancel,
        observe: &observe,
    };
    let result = fit::fit(run, parameters, &signals);
    telling.finish()?;
    result.map_err(|error| Error::from(AdaptError::from(error)))
}
