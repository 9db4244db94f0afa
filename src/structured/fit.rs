//! Doing a job: preflight, training, scoring what was held out.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tk_image::data::Level;
use tk_transfer::adapt::{AdaptError, Progress};
use tk_transfer::data::{Labelled, Quarantine};
use tk_transfer::fit::{self, Signals};

use super::prepare::prepare;
use super::run::{Gathered, Run};
use super::{Scored, Structured};
use crate::classify::division::{Part, Parts};
use crate::classify::fit::{announce, identity};
use crate::classify::preset::Method;
use crate::classify::telling::Telling;
use crate::classify::{Error, Event, Job, Look, Network, record};

/// Does a job.
///
/// # Errors
/// When settings do not fit together, the model or the data cannot be used, the audit finds a broken promise, or it is cancelled.
pub fn fit<T: Structured>(job: &Job<'_, T>, data: &T::Data) -> Result<Run<T>, Error> {
    let began = job.began.unwrap_or_else(Instant::now);
    let prepared = prepare(job, data)?;
    let (settings, machine, model) = (&prepared.settings, &prepared.machine, &prepared.model);
    let Method::Train { recipe, augment, .. } = &prepared.preset.method else {
        return Err(Error::usage(format!("{} learns by gradient descent alone", T::TASK)));
    };
    let look = |augment: Level| Look {
        model,
        augment,
        seed: prepared.seed(),
        pool: &machine.pool,
        batch: recipe.batch,
    };
    let mut quarantine = Quarantine::default();
    for (file, reason) in data.set_aside() {
        quarantine.add(file, reason);
    }
    let files = data.len() + quarantine.len();
    quarantine.check(prepared.max_bad, files)?;
    let mut parts = prepared.division.parts(data, settings.limit, prepared.seed())?;
    let stores = [T::store(), T::store()];
    // What cannot be learned from trains and compares nothing; held out, it is scored all the same where that can be.
    let unusable = T::unusable(&parts.training, &stores[0], &look(Level::None), job.cancel)?;
    leave_out(&mut parts.training, &unusable);
    for (position, reason) in unusable {
        quarantine.add(data.name(position), reason);
    }
    for (file, reason) in quarantine.iter() {
        (job.observe)(&Event::SetAside { file: file.to_owned(), reason: reason.to_owned() });
    }
    quarantine.check(prepared.max_bad, files)?;
    if parts.training.positions.is_empty() {
        return Err(Error::Misfit(format!("`{}` has no training {}", data.root().display(), T::SAMPLES)));
    }
    announce(job, &prepared, data, &parts)?;
    if let Some(folder) = &job.checkpoint {
        record::begin(folder, settings)?;
    }
    for text in T::remarks(&parts.training, model) {
        (job.observe)(&Event::Remark { text });
    }
    let Parts { training, validation, test, leaks } = parts;
    let mut compared = validation.clone();
    if let Some(part) = &mut compared {
        let unusable = T::unusable(part, &stores[1], &look(Level::None), job.cancel)?;
        leave_out(part, &unusable);
    }
    let source = T::source(&training, &stores[0], &look(*augment))?;
    let held = compared.as_ref().filter(|part| !part.positions.is_empty());
    let held = held.map(|part| T::source(part, &stores[1], &look(Level::None))).transpose()?;
    for text in source.remarks() {
        (job.observe)(&Event::Remark { text });
    }
    let load = began.elapsed().as_secs_f64();

    let task = T::task(model, machine);
    let run = fit::Run {
        machine,
        graph: model.graph(),
        model: model.name(),
        task: &*task,
        training: &*source,
        validation: held.as_ref().map(|held| &**held as &dyn fit::Source),
        recipe,
        identity: identity(&prepared)?,
        store: &job.cache,
        precision: prepared.precision(),
    };
    let training_began = Instant::now();
    let fitted = fitted(job, &run, model.parameters().clone())?;
    let train = training_began.elapsed().as_secs_f64();
    for (position, reason) in source.failed() {
        quarantine.add(data.name(position), reason);
    }
    quarantine.check(prepared.max_bad, files)?;

    let evaluating = Instant::now();
    let network = model.clone().with(model.graph().clone(), fitted.parameters.clone()).finished()?;
    let answering = T::model(network, machine)?;
    let mut score = |part: &Option<Part<'_, T::Data>>| -> Result<Option<T::Scored>, Error> {
        let Some(part) = part.as_ref().filter(|part| !part.positions.is_empty()) else { return Ok(None) };
        let (scored, aside) = T::evaluate(&answering, part.dataset, &part.positions, settings)?;
        quarantine.merge(aside);
        Ok(Some(scored))
    };
    let (scored, tested) = (score(&validation)?, score(&test)?);
    if let Some(text) = tested.as_ref().or(scored.as_ref()).and_then(Scored::remark) {
        (job.observe)(&Event::Remark { text: text.into() });
    }
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
    Run::new(&prepared, gathered, fitted, answering, scored, tested)
}

/// Takes samples out of a part.
fn leave_out<D>(part: &mut Part<'_, D>, samples: &[(usize, String)]) {
    let out: BTreeSet<usize> = samples.iter().map(|(position, _)| *position).collect();
    part.positions.retain(|position| !out.contains(position));
}

/// Trains, telling what happens and writing what it goes on from.
fn fitted<T: Structured>(
    job: &Job<'_, T>,
    run: &fit::Run<'_>,
    parameters: tk_engine::Parameters,
) -> Result<fit::Fitted, Error> {
    let telling = Telling::of(job);
    let said = Cell::new(None);
    let observe = |event: &fit::Event<'_>| {
        telling.progress(&match event {
            fit::Event::Precision(report) => Progress::Precision(report),
            event => Progress::Fit(event),
        });
        if let fit::Event::Epoch(records) = event
            && let Some(last) = records.last()
        {
            let remark = T::remark_of(last);
            if said.replace(remark) != remark
                && let Some(text) = remark
            {
                telling.event(&Event::Remark { text: text.into() });
            }
        }
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
