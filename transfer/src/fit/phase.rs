//! One phase: cut, compile, train, audit.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use tk_engine::cpu::Tape;
use tk_engine::random::Stream;
use tk_engine::{EngineError, Graph, Inference, Parameters, StepKey, Tensor, Training};

use super::state::Position;
use super::trainer::{Event, Fitted, Run, Signals};
use super::{
    Best, FitError, Groups, Mix, MovingAverage, Phase, Recipe, Record, Source, SourceError, State, View,
};
use crate::audit::Audit;
use crate::prefix::{Frozen, PrecisionReport, Prefix, Prefixed};
use crate::task::Batch;

/// Batches that are loaded ahead.
const AHEAD: usize = 3;

/// One phase in progress.
pub(super) struct PhaseRun<'a> {
    run: &'a Run<'a>,
    phase: &'a Phase,
    /// The part of the graph that trains.
    graph: Graph,
    prefix: Option<Prefix>,
    /// What the prefix runs in.
    precision: Option<PrecisionReport>,
    cut: Option<tk_engine::graph::Cut>,
    tape: Tape,
    groups: Groups,
    trained: Vec<String>,
    /// The stages that they are of.
    stages: Vec<String>,
    /// Trained parameters and running statistics that move.
    moving: Vec<String>,
    audit: Audit,
    average: Option<MovingAverage>,
    state: State,
    /// Epochs of earlier phases.
    epochs_before: usize,
}

impl<'a> PhaseRun<'a> {
    pub(super) fn new(
        run: &'a Run<'a>,
        parameters: &Parameters,
        mut state: State,
        resumed: bool,
        signals: &Signals<'_>,
    ) -> Result<Self, FitError> {
        let recipe = run.recipe;
        let phase = &recipe.phases[state.position.phase];
        let plan = phase.freeze.resolve(run.graph, run.model, phase.batch_norm)?;
        let (cut, prefix, precision) = match plan.boundary {
            None => (None, None, PrecisionReport::of_nothing(run.precision)),
            Some(boundary) => {
                let cut = run.graph.cut(boundary).map_err(EngineError::from)?;
                let (machine, store) = (run.machine, run.store);
                let frozen = Frozen { machine, graph: &cut.prefix, parameters, store };
                let until = &run.graph.stages()[boundary].name;
                let (prefix, precision) = frozen.compile(run.precision, until, run.training)?;
                (Some(cut), Some(prefix), precision)
            }
        };
        precision.iter().for_each(|report| (signals.observe)(&Event::Precision(report)));
        let graph = cut.as_ref().map_or(run.graph, |cut| &cut.suffix).clone();
        let groups = Groups::new(run.graph, recipe.layer_decay);
        let spec = plan.train_spec(
            run.graph,
            &graph,
            (recipe.optimizer.optimizer(), run.precision.of_training()),
            |parameter| groups.group(parameter),
        );
        let mut tape = Tape::new(run.machine, &graph, parameters, &spec)?;
        let named = |keep: &dyn Fn(usize) -> bool| -> Vec<String> {
            (0..graph.parameters().len())
                .filter(|&index| keep(index))
                .map(|index| graph.parameters()[index].name.clone())
                .collect()
        };
        let trained = named(&|index| spec.groups[index].is_some());
        let stages = graph.parameter_stages();
        let moving = named(&|index| {
            let is_statistic = !graph.parameters()[index].kind.is_trainable();
            spec.groups[index].is_some() || (is_statistic && spec.batch_statistics[stages[index]])
        });
        let stages: Vec<String> = plan
            .trained_stages(run.graph)
            .into_iter()
            .map(|stage| run.graph.stages()[stage].name.clone())
            .collect();
        let audit = match state.position.audit.take().filter(|_| resumed) {
            Some(audit) => audit,
            None => {
                // Of the whole graph: the masters of the prefix are frozen too.
                let mut audit = Audit::begin(run.graph, parameters, &trained, Vec::new())?;
                let specs = run.graph.parameters().iter();
                let still = specs.filter(|spec| !spec.kind.is_trainable() && !moving.contains(&spec.name));
                audit.watch(parameters, still.map(|spec| spec.name.clone()))?;
                audit
            }
        };
        if resumed && !state.snapshot.parameters.is_empty() {
            tape.restore(&state.snapshot)?;
        }
        let average = recipe
            .moving_average
            .map(|decay| MovingAverage::resumed(decay, std::mem::take(&mut state.average)));
        let epochs_before = state.position.records.len() - state.position.epoch;
        let steps = steps_of(&run.training.epoch(recipe.seed, 0), recipe);
        (signals.observe)(&Event::Phase {
            number: state.position.phase,
            phases: recipe.phases.len(),
            plan: &plan,
            stages: &stages,
            steps,
            epochs: phase.epochs,
            last_epoch: epochs_before + phase.epochs,
            fallbacks: tape.fallbacks().len(),
        });
        Ok(Self {
            run,
            phase,
            graph,
            prefix,
            precision,
            cut,
            tape,
            groups,
            trained,
            stages,
            moving,
            audit,
            average,
            state,
            epochs_before,
        })
    }

    pub(super) fn train(&mut self, signals: &Signals<'_>) -> Result<(), FitError> {
        let mut written = Instant::now();
        let monitor = self.run.recipe.monitor.as_ref();
        let patience = monitor.and_then(|monitor| monitor.patience);
        let is_spent = |position: &Position| patience.is_some_and(|patience| position.stale >= patience);
        while self.state.position.epoch < self.phase.epochs && !is_spent(&self.state.position) {
            self.epoch(signals, &mut written)?;
        }
        if let Some(best) = &self.state.position.best {
            let is_early = self.state.position.epoch < self.phase.epochs;
            (signals.observe)(&Event::Best { best, patience: patience.filter(|_| is_early) });
        }
        Ok(())
    }

    fn epoch(&mut self, signals: &Signals<'_>, written: &mut Instant) -> Result<(), FitError> {
        let recipe = self.run.recipe;
        let number = (self.epochs_before + self.state.position.epoch) as u64;
        let order = self.run.training.epoch(recipe.seed, number);
        let steps = steps_of(&order, recipe);
        let view = View::Augmented(recipe.views.map_or(number, |views| number % views.max(1)));
        let chunks: Vec<&[usize]> =
            order.chunks(recipe.batch * recipe.accumulate).skip(self.state.position.step).collect();
        // Taken out while the loader borrows them and the rest of the phase changes.
        let (run, cut, prefix) = (self.run, self.cut.take(), self.prefix.take());
        let prefixed = match (&cut, &prefix) {
            (Some(cut), Some(prefix)) => Some(Prefixed::new(run.training, prefix, cut)),
            _ => None,
        };
        let source: &dyn Source = prefixed.as_ref().map_or(run.training, |prefixed| prefixed);
        let began = Instant::now();
        let spent = self.state.position.seconds;
        let result = std::thread::scope(|scope| {
            let (send, receive) = sync_channel(AHEAD);
            scope.spawn(move || {
                for chunk in chunks {
                    let parts: Result<Vec<Batch>, SourceError> =
                        chunk.chunks(recipe.batch).map(|samples| source.load(samples, view)).collect();
                    // The receiver is gone when the fit has stopped.
                    if send.send(parts).is_err() {
                        break;
                    }
                }
            });
            for parts in receive {
                let (loss, samples) = self.update(&parts?, steps)?;
                let position = &mut self.state.position;
                position.seconds = spent + began.elapsed().as_secs_f64();
                (signals.observe)(&Event::Step {
                    epoch: number as usize + 1,
                    step: position.step,
                    loss,
                    samples,
                });
                let stop = signals.cancel.load(Ordering::Relaxed);
                if stop || (written.elapsed() >= signals.every && position.step < steps) {
                    self.write(signals)?;
                    *written = Instant::now();
                }
                if stop {
                    return Err(FitError::Interrupted { updates: self.state.position.updates });
                }
            }
            Ok(())
        });
        (self.cut, self.prefix) = (cut, prefix);
        result?;
        let validation = self.evaluate()?;
        self.compare(&validation, number as usize + 1)?;
        let position = &mut self.state.position;
        let progress = (position.epoch + 1) * steps;
        let rate = self.phase.schedule.factor(progress - 1, self.phase.epochs * steps, self.warmup(steps));
        let position = &mut self.state.position;
        position.records.push(Record {
            phase: position.phase,
            epoch: number as usize + 1,
            step: position.updates,
            loss: position.loss_sum / position.loss_count.max(1) as f64,
            learning_rate: self.phase.learning_rate * rate,
            validation,
            seconds: position.seconds,
        });
        (position.epoch, position.step) = (position.epoch + 1, 0);
        (position.loss_sum, position.loss_count, position.seconds) = (0.0, 0, 0.0);
        (signals.observe)(&Event::Epoch(&self.state.position.records));
        if written.elapsed() >= signals.every {
            self.write(signals)?;
            *written = Instant::now();
        }
        Ok(())
    }

    fn warmup(&self, steps: usize) -> usize {
        (self.phase.warmup * (self.phase.epochs * steps) as f64).round() as usize
    }

    /// One update from the batches that are accumulated for it; returns the mean loss and the count of samples.
    fn update(&mut self, parts: &[Batch], steps: usize) -> Result<(f64, usize), FitError> {
        let recipe = self.run.recipe;
        let samples: usize = parts.iter().map(|batch| batch.samples.len()).sum();
        let at = self.state.position.epoch * steps + self.state.position.step;
        self.state.position.step += 1;
        if samples == 0 {
            return Ok((0.0, 0));
        }
        let mut loss = 0.0;
        for (part, batch) in parts.iter().enumerate().filter(|(_, batch)| !batch.samples.is_empty()) {
            let mixed;
            let (inputs, targets) = match recipe.mixup {
                None => (&batch.inputs, &batch.targets),
                Some(alpha) => {
                    let name = ["mixup".into(), self.state.position.updates.into(), part.into()];
                    let mix = Mix::draw(alpha, batch.samples.len(), Stream::new(recipe.seed, &name));
                    let inputs =
                        batch.inputs.iter().map(|input| mix.rows(input)).collect::<Result<_, _>>()?;
                    mixed = (inputs, self.run.task.mixed(&batch.targets, &mix)?);
                    (&mixed.0, &mixed.1)
                }
            };
            let identities = batch.samples.iter().map(|&sample| self.run.training.identity(sample)).collect();
            let key = StepKey { seed: recipe.seed, step: self.state.position.updates, samples: identities };
            let outputs = self.tape.forward(inputs, &key)?;
            let value = self.run.task.loss(&outputs, targets, samples as f64)?;
            self.tape.backward(&value.gradients)?;
            loss += value.value;
        }
        let norms = self.tape.gradient_norms()?;
        let named = self
            .graph
            .parameters()
            .iter()
            .zip(&norms)
            .filter_map(|(spec, norm)| norm.map(|norm| (spec.name.as_str(), norm)));
        self.audit.step(loss, named)?;
        let total = norms.iter().flatten().map(|norm| norm * norm).sum::<f64>().sqrt();
        let scale = recipe.clip.map_or(1.0, |limit| (limit / (total + 1e-6)).min(1.0));
        let rate = self.phase.schedule.factor(at, self.phase.epochs * steps, self.warmup(steps));
        let rates = self.groups.rates(self.phase.learning_rate * rate, recipe.weight_decay);
        self.tape.update(&rates, scale)?;
        let position = &mut self.state.position;
        position.updates += 1;
        position.loss_sum += loss * samples as f64;
        position.loss_count += samples;
        if let Some(average) = &mut self.average {
            average.follow(&self.tape.parameters()?, &self.moving, position.updates)?;
        }
        Ok((loss, samples))
    }

    /// The scores on validation samples, with averaged weights where there are any.
    fn evaluate(&mut self) -> Result<BTreeMap<String, f64>, FitError> {
        let Some(validation) = self.run.validation else { return Ok(BTreeMap::new()) };
        let own = match &self.average {
            None => None,
            Some(average) => {
                let own = self.tape.save()?;
                let mut averaged = own.clone();
                averaged.parameters.extend(average.values().clone());
                self.tape.restore(&averaged)?;
                Some(own)
            }
        };
        let prefixed = match (&self.cut, &self.prefix) {
            (Some(cut), Some(prefix)) => Some(Prefixed::new(validation, prefix, cut)),
            _ => None,
        };
        let source: &dyn Source = prefixed.as_ref().map_or(validation, |prefixed| prefixed);
        let mut meter = self.run.task.meter();
        let all: Vec<usize> = (0..source.len()).collect();
        for samples in all.chunks(self.run.recipe.batch.max(16)) {
            let batch = source.load(samples, View::Plain)?;
            if !batch.samples.is_empty() {
                meter.add(&self.tape.run(&batch.inputs)?, &batch.targets)?;
            }
        }
        if let Some(own) = own {
            self.tape.restore(&own)?;
        }
        Ok(meter.scores())
    }

    /// Keeps what an epoch left when it is the best so far.
    fn compare(&mut self, scores: &BTreeMap<String, f64>, epoch: usize) -> Result<(), FitError> {
        let Some(monitor) = &self.run.recipe.monitor else { return Ok(()) };
        let metric = monitor.metric.clone();
        let Some(&value) = scores.get(&metric) else {
            return Err(FitError::NotScored { metric, known: scores.keys().cloned().collect() });
        };
        if !monitor.improves(value, self.state.position.best.as_ref()) {
            self.state.position.stale += 1;
            return Ok(());
        }
        self.state.best = self.left()?;
        self.state.position.best = Some(Best { metric, epoch, value });
        self.state.position.stale = 0;
        Ok(())
    }

    /// The values that training moves, averaged where they are.
    fn left(&self) -> Result<BTreeMap<String, Tensor>, FitError> {
        let now = self.tape.parameters()?;
        let averaged = |name: &String| self.average.as_ref().and_then(|average| average.values().get(name));
        let value = |name| averaged(name).map_or_else(|| now.get(name), Ok);
        self.moving.iter().map(|name| Ok((name.clone(), value(name)?.clone()))).collect()
    }

    fn write(&mut self, signals: &Signals<'_>) -> Result<(), FitError> {
        let Some(path) = &signals.state else { return Ok(()) };
        self.state.snapshot = self.tape.save()?;
        self.state.position.audit = Some(self.audit.clone());
        if let Some(average) = &self.average {
            self.state.average = average.values().clone();
        }
        self.state.write(path)
    }

    /// Ends the phase: checks what was frozen, and settles what was trained.
    pub(super) fn finish(mut self, fitted: &mut Fitted) -> Result<State, FitError> {
        // Where no epoch of the phase was better than an earlier phase's best, everything stays as it was.
        let left = match self.run.recipe.monitor {
            Some(_) => std::mem::take(&mut self.state.best),
            None => self.left()?,
        };
        let mut state = self.state;
        let after = self.tape.parameters()?;
        let mut whole = fitted.parameters.clone();
        after.iter().for_each(|(name, tensor)| whole.set(name, tensor.clone()));
        let mut report = self.audit.end(&whole, self.trained)?;
        report.stages = self.stages;
        if let Some(prefix) = &self.prefix {
            report.prefix = prefix.audit()?;
            let (hits, misses) = prefix.counts();
            fitted.cache = (fitted.cache.0 + hits, fitted.cache.1 + misses);
        }
        for (name, value) in left {
            fitted.parameters.set(&name, value.clone());
            state.settled.insert(name, value);
        }
        state.snapshot = Default::default();
        state.average.clear();
        let position = &mut state.position;
        position.reports.push(report);
        position.precisions.extend(self.precision);
        position.audit = None;
        (position.phase, position.epoch, position.step, position.stale) = (position.phase + 1, 0, 0, 0);
        Ok(state)
    }
}

fn steps_of(order: &[usize], recipe: &Recipe) -> usize {
    order.len().div_ceil(recipe.batch * recipe.accumulate)
}
