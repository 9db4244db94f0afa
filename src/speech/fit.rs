//! Doing a job: preflight, training, hearing what was held out.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Instant;

use tk_audio::data::{Clip, Distortion, SpectrogramStore, Utterances, WaveSettings, Waves};
use tk_audio::recognition::{CtcTask, Recognizer};
use tk_image::data::Level;
use tk_transfer::adapt::Progress;
use tk_transfer::data::{Labelled, Quarantine};
use tk_transfer::fit::{self, Signals};
use tk_transfer::task::Task;

use super::network::SpeechNetwork;
use super::prepare::{alignable, prepare};
use super::run::{Gathered, Run};
use super::{Finetune, Scored, evaluate};
use crate::audio::oddities;
use crate::classify::division::{Part, Parts};
use crate::classify::fit::{announce, identity};
use crate::classify::preset::Method;
use crate::classify::telling::Telling;
use crate::classify::{Error, Event, Network, record};

/// Decoded recordings are kept up to so many bytes.
const STORE_BYTES: usize = 2 << 30;

/// Recordings that are looked at for what is odd about them.
const REMARKED: usize = 32;

/// Does a job.
pub(super) fn fit(job: &Finetune<'_>, data: &Utterances) -> Result<Run, Error> {
    let began = job.began.unwrap_or_else(Instant::now);
    let prepared = prepare(job, data)?;
    let (settings, machine, model) = (&prepared.settings, &prepared.machine, &prepared.model.0);
    let spelling = settings.spelling.unwrap_or_default();
    let mut quarantine = Quarantine::default();
    for (file, reason) in data.set_aside() {
        quarantine.add(file, reason);
    }
    let files = data.len() + quarantine.len();
    let mut parts = prepared.division.parts(data, settings.limit, prepared.seed())?;
    let training = alignable(&parts.training, model, spelling, &mut quarantine);
    parts.training.positions = training.iter().map(|(position, _)| *position).collect();
    for (file, reason) in quarantine.iter() {
        (job.observe)(&Event::SetAside { file: file.to_owned(), reason: reason.to_owned() });
    }
    quarantine.check(prepared.max_bad, files)?;
    if training.is_empty() {
        let root = data.root().display();
        return Err(Error::Misfit(format!("`{root}` has no recordings to train on")));
    }
    announce(job, &prepared, data, &parts)?;
    if let Some(folder) = &job.checkpoint {
        record::begin(folder, settings)?;
    }
    let Method::Train { recipe, augment, .. } = &prepared.preset.method else {
        return Err(Error::usage("speech is learned by gradient descent alone"));
    };
    for text in remarks(&parts.training, model.front_end.sampling_rate) {
        (job.observe)(&Event::Remark { text });
    }
    let Parts { training: training_part, validation, test, leaks } = parts;
    let stores = [SpectrogramStore::new(STORE_BYTES), SpectrogramStore::new(STORE_BYTES)];
    let waves = |distortion| WaveSettings {
        distortion,
        seed: prepared.seed(),
        batch: recipe.batch,
        pool: machine.pool.clone(),
    };
    let source = Waves::new(data, training, model, waves(distortion(*augment)), &stores[0]);
    // What cannot be aligned is heard and scored in the end all the same.
    let held = validation.as_ref().map(|part| {
        let samples = alignable(part, model, spelling, &mut Quarantine::default());
        Waves::new(part.dataset, samples, model, waves(Distortion::default()), &stores[1])
    });
    let held = held.filter(|held| fit::Source::len(held) > 0);
    let load = began.elapsed().as_secs_f64();

    let task = CtcTask { vocabulary: model.vocabulary.clone(), machine: machine.clone() };
    let run = fit::Run {
        machine,
        graph: &model.graph,
        model: &model.name,
        task: &task as &dyn Task,
        training: &source,
        validation: held.as_ref().map(|held| held as &dyn fit::Source),
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
    let graph = model.graph.clone();
    let network = prepared.model.clone().with(graph, fitted.parameters.clone()).finished()?;
    let recognizer = Recognizer::new(SpeechNetwork::into_model(network), machine)?;
    let hear = |part: &Option<Part<'_, Utterances>>| -> Result<Option<(Scored, Quarantine)>, Error> {
        let part = part.as_ref().filter(|part| !part.positions.is_empty());
        part.map(|part| evaluate(&recognizer, part.dataset, &part.positions, spelling, prepared.seed()))
            .transpose()
    };
    let (validated, tested) = (hear(&validation)?, hear(&test)?);
    let mut scores = [validated, tested].map(|heard| {
        heard.map(|(scored, aside)| {
            quarantine.merge(aside);
            scored
        })
    });
    let (tested, scored) = (scores[1].take(), scores[0].take());
    if scored.as_ref().or(tested.as_ref()).is_some_and(Scored::is_silent) {
        let text = "nothing but blanks comes out: it has not learned to spell yet; train for more epochs, at a higher rate, or from a model that was fine-tuned for speech".into();
        (job.observe)(&Event::Remark { text });
    }
    let seconds = BTreeMap::from([
        ("load".to_owned(), load),
        ("train".to_owned(), train),
        ("evaluate".to_owned(), evaluating.elapsed().as_secs_f64()),
    ]);
    let gathered = Gathered {
        data,
        training: &training_part,
        validation: validation.as_ref(),
        test: test.as_ref(),
        leaks,
        quarantine,
        seconds,
        began,
    };
    Run::new(&prepared, gathered, fitted, recognizer, scored, tested)
}

/// Trains, telling what happens and writing what it goes on from.
fn fitted(
    job: &Finetune<'_>,
    run: &fit::Run<'_>,
    parameters: tk_engine::Parameters,
) -> Result<fit::Fitted, Error> {
    let telling = Telling::of(job);
    let is_silent = Cell::new(false);
    let observe = |event: &fit::Event<'_>| {
        telling.progress(&match event {
            fit::Event::Precision(report) => Progress::Precision(report),
            event => Progress::Fit(event),
        });
        if let fit::Event::Epoch(records) = event
            && let Some(last) = records.last()
        {
            let silent = last.validation.get("empty").is_some_and(|&share| share == 1.0);
            let was_silent = is_silent.replace(silent);
            if silent && !was_silent {
                let text = "nothing but blanks comes out so far, as in the beginning of most trainings from new symbols".into();
                telling.event(&Event::Remark { text });
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
    result.map_err(|error| Error::from(tk_transfer::adapt::AdaptError::from(error)))
}

/// How far training recordings are varied.
fn distortion(level: Level) -> Distortion {
    let of = |length_percent, gain_decibels, noise_decibels| Distortion {
        length_percent,
        gain_decibels,
        noise_decibels,
    };
    match level {
        Level::None => Distortion::default(),
        Level::Light => of(5, 3.0, None),
        Level::Standard => of(10, 6.0, Some([15.0, 40.0])),
        Level::Strong | Level::Trivial => of(15, 6.0, Some([5.0, 40.0])),
    }
}

/// What is odd about some of the recordings, which are decoded for it.
fn remarks(part: &Part<'_, Utterances>, rate: u32) -> Vec<String> {
    let step = part.positions.len().div_ceil(REMARKED).max(1);
    let looked_at: Vec<usize> = part.positions.iter().step_by(step).copied().collect();
    let load = |&position: &usize| part.dataset.load(position).and_then(|clip| clip.at_rate(rate)).ok();
    let clips: Vec<Clip> = looked_at.iter().filter_map(load).collect();
    oddities::lines(&clips, looked_at.len(), part.dataset.rates().keys().next().copied(), rate)
}
