//! The fit loop over a small network: equal runs are equal, stopped runs go on to the same bytes, prefixes are computed once.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tk_engine::cpu::Machine;
use tk_engine::graph::{Activation, Conv2d, Op};
use tk_engine::random::Stream;
use tk_engine::{Graph, GraphBuilder, Parameters, Tensor};
use tk_transfer::classification::Classification;
use tk_transfer::fit::{
    Event, FitError, Fitted, Goal, Monitor, OptimizerChoice, Phase, Recipe, Record, Run, Schedule, Signals,
    Source, SourceError, View, fit,
};
use tk_transfer::freeze::{BatchNorm, Freeze};
use tk_transfer::prefix::{PrecisionChoice, PrefixStore};
use tk_transfer::task::Batch;

const SIDE: usize = 8;
const SAMPLES: usize = 48;

/// Pictures that are brighter on the left or on the right, with noise of their own in each view.
struct Gradients {
    loads: AtomicUsize,
}

impl Gradients {
    fn new() -> Self {
        Self { loads: AtomicUsize::new(0) }
    }
}

impl Source for Gradients {
    fn len(&self) -> usize {
        SAMPLES
    }

    fn identity(&self, sample: usize) -> u64 {
        1000 + sample as u64
    }

    fn cache_key(&self, sample: usize, view: View) -> Option<String> {
        Some(format!("{sample}-{view:?}"))
    }

    fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError> {
        self.loads.fetch_add(samples.len(), Ordering::Relaxed);
        let mut pixels = Vec::new();
        for &sample in samples {
            let view = match view {
                View::Plain => 0,
                View::Augmented(number) => number + 1,
            };
            let mut stream = Stream::new(5, &["pixels".into(), sample.into(), view.into()]);
            for at in 0..SIDE * SIDE * 3 {
                let column = (at / 3 % SIDE) as f64 / SIDE as f64 - 0.5;
                let sign = if sample % 2 == 0 { 1.0 } else { -1.0 };
                pixels.push((sign * column + 0.3 * stream.normal()) as f32);
            }
        }
        let inputs = vec![Tensor::new(&[samples.len(), SIDE, SIDE, 3], pixels).map_err(SourceError::new)?];
        Ok(Batch { inputs, targets: self.targets(samples, view)?, samples: samples.to_vec() })
    }

    fn targets(&self, samples: &[usize], _: View) -> Result<Vec<Tensor>, SourceError> {
        let classes = samples.iter().map(|&sample| (sample % 2) as f32).collect();
        Ok(vec![Tensor::new(&[samples.len()], classes).map_err(SourceError::new)?])
    }
}

fn graph() -> Graph {
    let mut b = GraphBuilder::new();
    b.begin_stage("stem");
    let mut x = b.input("pixels", 4, Some(3));
    x = b.conv2d("conv1", x, Conv2d::same(16, 3));
    x = b.batch_norm("bn1", x, 1e-5);
    x = b.activation("relu1", x, Activation::Relu);
    b.end_stage(x);
    b.begin_stage("layer1");
    x = b.conv2d("conv2", x, Conv2d::same(12, 3).stride(2));
    x = b.batch_norm("bn2", x, 1e-5);
    x = b.activation("relu2", x, Activation::Relu);
    x = b.add("dropped", Op::Dropout { rate: 0.1 }, &[x]);
    b.end_stage(x);
    b.begin_stage("pool");
    x = b.add("pool", Op::GlobalAveragePool, &[x]);
    b.end_stage(x);
    b.begin_stage("head");
    x = b.linear("fc", x, 2);
    b.end_stage(x);
    b.finish(&[("logits", x)]).unwrap()
}

fn recipe(phases: &[Freeze], views: Option<u64>) -> Recipe {
    let phase = |freeze: &Freeze| Phase {
        freeze: freeze.clone(),
        batch_norm: BatchNorm::Train,
        epochs: 4,
        learning_rate: 0.01,
        schedule: Schedule::OneCycle,
        warmup: 0.0,
    };
    Recipe {
        phases: phases.iter().map(phase).collect(),
        batch: 10,
        accumulate: 1,
        optimizer: OptimizerChoice::AdamW,
        weight_decay: 0.01,
        layer_decay: 0.5,
        clip: Some(1.0),
        moving_average: Some(0.9),
        monitor: None,
        mixup: None,
        views,
        seed: 3,
    }
}

struct Bench {
    source: Gradients,
    store: PrefixStore,
    recipe: Recipe,
    threads: usize,
    precision: PrecisionChoice,
    state: Option<PathBuf>,
    /// Stop after this many updates.
    stop: Option<usize>,
}

impl Bench {
    fn new(phases: &[Freeze], views: Option<u64>) -> Self {
        Self {
            source: Gradients::new(),
            store: PrefixStore::none(),
            recipe: recipe(phases, views),
            threads: 2,
            precision: PrecisionChoice::F32,
            state: None,
            stop: None,
        }
    }

    fn run(&self) -> Result<Fitted, FitError> {
        let (machine, graph) = (Machine::new(self.threads), graph());
        let task = Classification {
            classes: 2,
            label_smoothing: 0.1,
            class_weights: Vec::new(),
            machine: machine.clone(),
        };
        let run = Run {
            machine: &machine,
            graph: &graph,
            model: "tiny",
            task: &task,
            training: &self.source,
            validation: Some(&self.source),
            recipe: &self.recipe,
            identity: "test".into(),
            store: &self.store,
            precision: self.precision,
        };
        let (cancel, steps, events) =
            (AtomicBool::new(false), Cell::new(0), RefCell::new(Vec::<Record>::new()));
        let observe = |event: &Event<'_>| match event {
            Event::Step { .. } => {
                steps.set(steps.get() + 1);
                if self.stop == Some(steps.get()) {
                    cancel.store(true, Ordering::Relaxed);
                }
            }
            Event::Epoch(records) => *events.borrow_mut() = records.to_vec(),
            _ => {}
        };
        let signals = Signals {
            state: self.state.clone(),
            every: Duration::from_secs(3600),
            cancel: &cancel,
            observe: &observe,
        };
        fit(&run, Parameters::initial(&graph, 1), &signals)
    }
}

fn without_seconds(records: &[Record]) -> Vec<Record> {
    records.iter().map(|record| Record { seconds: 0.0, ..record.clone() }).collect()
}

#[test]
fn equal_runs_are_equal_on_any_number_of_threads_and_learn() {
    let bench = Bench::new(&[Freeze::Nothing], None);
    let first = bench.run().unwrap();
    let second = Bench { threads: 1, ..Bench::new(&[Freeze::Nothing], None) }.run().unwrap();
    assert_eq!(first.parameters, second.parameters);
    assert_eq!(without_seconds(&first.records), without_seconds(&second.records));
    let last = first.records.last().unwrap();
    assert!(last.validation["accuracy"] > 0.9, "{last:?}");
    assert!(last.loss < first.records[0].loss);
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bytes() {
    let phases = [Freeze::Backbone, Freeze::AllBut("layer1".parse().unwrap()), Freeze::Nothing];
    let whole = Bench::new(&phases, None).run().unwrap();
    // In the middle of an epoch, at its end, in a later phase, and right at the start.
    for stop in [7, 10, 27, 44, 1] {
        let folder = tempfile::tempdir().unwrap();
        let state = Some(folder.path().join("state.safetensors"));
        let stopped = Bench { state: state.clone(), stop: Some(stop), ..Bench::new(&phases, None) };
        assert!(
            matches!(stopped.run(), Err(FitError::Interrupted { updates }) if updates as usize == stop),
            "{stop}"
        );
        let resumed = Bench { state, ..Bench::new(&phases, None) }.run().unwrap();
        assert_eq!(resumed.parameters, whole.parameters, "stopped after {stop}");
        assert_eq!(
            without_seconds(&resumed.records),
            without_seconds(&whole.records),
            "stopped after {stop}"
        );
        assert_eq!(resumed.audits, whole.audits, "stopped after {stop}");
    }
}

#[test]
fn each_phase_proves_what_is_frozen_in_it() {
    let head = Freeze::Backbone;
    let gradual = ["layer1", "stem"]
        .map(|stage| Freeze::Before { stage: stage.into(), rest: Box::new(Freeze::Nothing) });
    let phases = [&[head][..], &gradual].concat();
    let fitted = Bench::new(&phases, Some(2)).run().unwrap();
    let all: Vec<String> = graph().parameters().iter().map(|spec| spec.name.clone()).collect();
    let stages: Vec<&[String]> = fitted.audits.iter().map(|audit| &audit.stages[..]).collect();
    assert_eq!(stages, [&["head"][..], &["layer1", "head"], &["stem", "layer1", "head"]]);
    let initial = Parameters::initial(&graph(), 1);
    for (audit, moving) in fitted.audits.iter().zip([
        &["fc"][..],
        &["fc", "conv2", "bn2"],
        &["fc", "conv2", "bn2", "conv1", "bn1"],
    ]) {
        for name in &all {
            let is_moving = moving.contains(&name.split('.').next().unwrap());
            // What is frozen was frozen in all phases before.
            let expected = (!is_moving).then(|| initial.digest(name).unwrap());
            assert_eq!(audit.frozen.get(name), expected.as_ref(), "{name} {moving:?}");
        }
    }
}

/// Monitored, with a constant rate, so that a run of fewer epochs is the beginning of one of more.
fn monitored(phases: &[Freeze], metric: &str, goal: Goal, patience: Option<usize>) -> Bench {
    let mut bench = Bench::new(phases, None);
    bench.recipe.phases.iter_mut().for_each(|phase| phase.schedule = Schedule::Constant);
    bench.recipe.monitor = Some(Monitor { metric: metric.into(), goal, patience });
    bench
}

/// What a run of one phase is after some epochs.
fn after(epochs: usize) -> Parameters {
    let mut bench = monitored(&[Freeze::Nothing], "loss", Goal::Lowest, None);
    bench.recipe.monitor = None;
    bench.recipe.phases[0].epochs = epochs;
    bench.run().unwrap().parameters
}

#[test]
fn the_best_epoch_is_the_result() {
    for (metric, goal) in [("loss", Goal::Lowest), ("loss", Goal::Highest), ("accuracy", Goal::Highest)] {
        let fitted = monitored(&[Freeze::Nothing], metric, goal, None).run().unwrap();
        let best = fitted.best.unwrap();
        let values: Vec<f64> = fitted.records.iter().map(|record| record.validation[metric]).collect();
        let extreme = match goal {
            Goal::Highest => values.iter().copied().fold(f64::MIN, f64::max),
            Goal::Lowest => values.iter().copied().fold(f64::MAX, f64::min),
        };
        assert_eq!((values.len(), values[best.epoch - 1], best.value), (4, extreme, extreme), "{best:?}");
        assert_eq!(fitted.parameters, after(best.epoch), "{best:?}");
    }
    let error = monitored(&[Freeze::Nothing], "miou", Goal::Highest, None).run().unwrap_err();
    assert_eq!(
        error.to_string(),
        "epochs cannot be compared by `miou`: validation gives accuracy, loss, macro_f1"
    );
}

#[test]
fn patience_ends_each_phase_and_a_stopped_run_goes_on_to_the_same_bytes() {
    // The loss falls, so that the first epoch is the best and no later phase has a better one.
    let bench = || monitored(&[Freeze::Nothing, Freeze::Nothing], "loss", Goal::Highest, Some(2));
    let whole = bench().run().unwrap();
    let epochs: Vec<(usize, usize)> =
        whole.records.iter().map(|record| (record.phase, record.epoch)).collect();
    assert_eq!(epochs, [(0, 1), (0, 2), (0, 3), (1, 4), (1, 5)]);
    assert_eq!(whole.best.as_ref().map(|best| best.epoch), Some(1));
    assert_eq!(whole.parameters, after(1));
    for stop in [3, 8, 15, 18, 24] {
        let folder = tempfile::tempdir().unwrap();
        let state = Some(folder.path().join("state.safetensors"));
        let stopped = Bench { state: state.clone(), stop: Some(stop), ..bench() };
        assert!(matches!(stopped.run(), Err(FitError::Interrupted { .. })), "{stop}");
        let resumed = Bench { state, ..bench() }.run().unwrap();
        assert_eq!(resumed.parameters, whole.parameters, "stopped after {stop}");
        assert_eq!(
            without_seconds(&resumed.records),
            without_seconds(&whole.records),
            "stopped after {stop}"
        );
    }
}

#[test]
fn mixed_samples_teach_and_a_stopped_run_goes_on_to_the_same_bytes() {
    // Behind a prefix and without one.
    for phases in [vec![Freeze::Nothing], vec![Freeze::AllBut("layer1".parse().unwrap())]] {
        let bench = || {
            let mut bench = Bench::new(&phases, Some(2));
            (bench.recipe.mixup, bench.recipe.accumulate) = (Some(0.4), 2);
            bench.recipe.phases[0].epochs = 8;
            bench
        };
        let whole = bench().run().unwrap();
        let last = whole.records.last().unwrap();
        assert!(last.validation["accuracy"] > 0.9, "{last:?}");
        let mut plain = bench();
        plain.recipe.mixup = None;
        assert_ne!(plain.run().unwrap().parameters, whole.parameters);
        let folder = tempfile::tempdir().unwrap();
        let state = Some(folder.path().join("state.safetensors"));
        let stopped = Bench { state: state.clone(), stop: Some(7), ..bench() };
        assert!(matches!(stopped.run(), Err(FitError::Interrupted { .. })));
        assert_eq!(Bench { state, threads: 1, ..bench() }.run().unwrap().parameters, whole.parameters);
    }
}

#[test]
fn a_state_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = Some(folder.path().join("state.safetensors"));
    let stopped = Bench { state: state.clone(), stop: Some(3), ..Bench::new(&[Freeze::Nothing], None) };
    assert!(stopped.run().is_err());
    let bytes = std::fs::read(state.as_ref().unwrap()).unwrap();
    let text = String::from_utf8_lossy(&bytes)
        .replace("\\\"identity\\\":\\\"test\\\"", "\\\"identity\\\":\\\"best\\\"");
    assert_ne!(text.as_bytes(), bytes.as_slice(), "the identity stands in the file");
    let at = bytes.windows(18).position(|window| window == b"identity\\\":\\\"test\\").unwrap();
    let mut other = bytes.clone();
    other[at + 13..at + 17].copy_from_slice(b"best");
    std::fs::write(state.as_ref().unwrap(), other).unwrap();
    let error = Bench { state, ..Bench::new(&[Freeze::Nothing], None) }.run().unwrap_err();
    assert!(error.to_string().contains("belongs to other data"), "{error}");
}

#[test]
fn a_frozen_prefix_is_computed_once_for_each_view_and_never_changes() {
    let folder = tempfile::tempdir().unwrap();
    let phases = [Freeze::AllBut("layer1".parse().unwrap())];
    let cached = Bench { store: PrefixStore::at(folder.path(), 1 << 30), ..Bench::new(&phases, Some(2)) };
    let first = cached.run().unwrap();
    // Two augmented views, and the plain one for validation, of each sample; everything else is remembered.
    assert_eq!(cached.source.loads.load(Ordering::Relaxed), 3 * SAMPLES);
    assert_eq!(first.cache.1, 3 * SAMPLES as u64);
    assert_eq!(first.cache.0, 5 * SAMPLES as u64);
    let before = Parameters::initial(&graph(), 1);
    for name in ["conv1.weight", "bn1.weight", "bn1.running_mean", "bn1.running_var"] {
        assert_eq!(first.parameters.get(name).unwrap(), before.get(name).unwrap(), "{name}");
    }
    assert_ne!(first.parameters.get("conv2.weight").unwrap(), before.get("conv2.weight").unwrap());
    assert!(first.audits[0].prefix.is_some());
    // Another process: nothing is computed again, and the result is the same.
    let again = Bench { store: PrefixStore::at(folder.path(), 1 << 30), ..Bench::new(&phases, Some(2)) };
    let second = again.run().unwrap();
    assert_eq!(again.source.loads.load(Ordering::Relaxed), 0);
    assert_eq!(second.parameters, first.parameters);
    // And without any cache on disk.
    assert_eq!(Bench::new(&phases, Some(2)).run().unwrap().parameters, first.parameters);
}

#[test]
fn a_damaged_cache_is_computed_again() {
    let folder = tempfile::tempdir().unwrap();
    let bench = || Bench {
        store: PrefixStore::at(folder.path(), 1 << 30),
        ..Bench::new(&[Freeze::Backbone], Some(1))
    };
    let first = bench().run().unwrap();
    let key = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    for shard in std::fs::read_dir(key).unwrap() {
        let path = shard.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    let again = bench();
    assert_eq!(again.run().unwrap().parameters, first.parameters);
    assert_eq!(again.source.loads.load(Ordering::Relaxed), 2 * SAMPLES);
}

#[test]
fn every_precision_trains_and_a_stopped_run_goes_on_to_the_same_bytes() {
    let phases = [Freeze::Backbone, Freeze::AllBut("layer1".parse().unwrap())];
    let exact = Bench::new(&phases, Some(2)).run().unwrap();
    assert!(exact.precisions.is_empty());
    for precision in [PrecisionChoice::Bf16, PrecisionChoice::Int8] {
        let bench = || Bench { precision, ..Bench::new(&phases, Some(2)) };
        let whole = bench().run().unwrap();
        assert_ne!(whole.parameters, exact.parameters, "{precision}");
        let accuracy = whole.records.last().unwrap().validation["accuracy"];
        assert!(accuracy > 0.9, "{precision}: {accuracy}");
        // The stem reads three channels, which fill no word.
        let lines: Vec<String> = whole.precisions.iter().map(ToString::to_string).collect();
        assert!(lines[0].starts_with(&format!("{precision} up to pool: features differ")), "{lines:?}");
        assert_eq!(lines[1], format!("f32 up to stem: {precision} suits no layer"));
        assert_eq!(
            Bench { threads: 1, ..bench() }.run().unwrap().parameters,
            whole.parameters,
            "{precision}"
        );
        for stop in [7, 27] {
            let folder = tempfile::tempdir().unwrap();
            let state = Some(folder.path().join("state.safetensors"));
            let stopped = Bench { state: state.clone(), stop: Some(stop), ..bench() };
            assert!(matches!(stopped.run(), Err(FitError::Interrupted { .. })));
            let resumed = Bench { state, ..bench() }.run().unwrap();
            assert_eq!(resumed.parameters, whole.parameters, "{precision}, stopped after {stop}");
            assert_eq!(resumed.precisions, whole.precisions, "{precision}, stopped after {stop}");
        }
    }
    let report = Bench { precision: PrecisionChoice::Int8, ..Bench::new(&[Freeze::Nothing], None) };
    let report = report.run().unwrap().precisions;
    assert_eq!(report[0].to_string(), "f32: nothing is frozen, and int8 is for what is");
}
