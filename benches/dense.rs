//! Our side of `benches/peers/dense.py`: one measurement in a process of its own, printed as one JSON object.
//!
//!     cargo build --release --workspace --example bench_dense
//!     target/release/examples/bench_dense NETWORK WORK BATCH SIDE THREADS
//!
//! NETWORK is one that torchvision publishes, for four classes, with the numbers of tests/parity. WORK is
//!
//! - `inference`: outputs of pictures, in pictures a second;
//! - `training`: steps with the network's own loss and SGD, in pictures a second;
//! - `losses`: the losses of the first twenty such steps;
//! - `gradients`: the norm of each parameter's gradient in the first.

use std::error::Error;
use std::time::{Duration, Instant};

use tk_engine::cpu::{Machine, Plan, Tape};
use tk_engine::graph::Kind;
use tk_engine::testing::{fill, pictures};
use tk_engine::{Graph, GroupRate, Inference, Optimizer, Parameters, StepKey, Tensor, TrainSpec, Training};
use tk_image::detection::{Corners, DETECTORS, DetectionTask, Truth, Truths};
use tk_image::grafted::{Graft, Published};
use tk_image::segmentation::{SEGMENTERS, SegmentationTask};
use tk_transfer::task::Task;

const CLASSES: usize = 4;

/// Each measurement takes at least so long, and so many steps, after one that is not counted.
const LEAST: (Duration, usize) = (Duration::from_secs(6), 3);

/// Steps whose losses are told.
const STEPS: u64 = 20;

/// The rate of stochastic gradient descent; small, for the numbers are no trained network's.
const RATE: f64 = 1e-4;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [network, work, batch, side, threads] = &arguments[..] else {
        return Err("usage: bench_dense NETWORK WORK BATCH SIDE THREADS".into());
    };
    let (batch, side): (usize, usize) = (batch.parse()?, side.parse()?);
    let machine = Machine::new(threads.parse()?);
    let told = if let Some(published) = DETECTORS.iter().find(|published| published.name == network) {
        let detection = (published.head)();
        let (head, selecting) = (detection.head, detection.selecting);
        let task = DetectionTask { classes: CLASSES, head, selecting, machine: machine.clone() };
        measure(&machine, published, &task, &objects(batch, side).to_targets()?, (work, batch, side))?
    } else if let Some(published) = SEGMENTERS.iter().find(|published| published.name == network) {
        let task = SegmentationTask { classes: CLASSES, class_weights: Vec::new(), machine: machine.clone() };
        let class = |at: usize| ((at / 16 + at / side / 16) % CLASSES) as f32;
        let classes = (0..batch * side * side).map(class).collect();
        let target = Tensor::new(&[batch, side, side], classes)?;
        measure(&machine, published, &task, &[target], (work, batch, side))?
    } else {
        return Err(format!("unknown network `{network}`").into());
    };
    println!("{told}");
    Ok(())
}

/// Two objects in each picture.
fn objects(batch: usize, side: usize) -> Truths {
    let object = |class: usize, shares: [f32; 4]| Truth {
        class,
        corners: Corners(shares.map(|share| (share * side as f32).round())),
        is_crowd: false,
    };
    let of = |picture: usize| {
        vec![
            object(picture % CLASSES, [0.1, 0.15, 0.5, 0.7]),
            object((picture + 1) % CLASSES, [0.55, 0.3, 0.95, 0.9]),
        ]
    };
    Truths { objects: (0..batch).map(of).collect(), sizes: vec![[side, side]; batch], padded: [side, side] }
}

fn measure<H: Graft>(
    machine: &Machine,
    published: &Published<H>,
    task: &dyn Task,
    targets: &[Tensor],
    (work, batch, side): (&str, usize, usize),
) -> Outcome<serde_json::Value> {
    let graph = published.build(CLASSES)?;
    let parameters = filled(published, &graph)?;
    let input = [pictures(batch, side)?];
    if work == "inference" {
        let mut plan = Plan::new(machine, &graph, &parameters)?;
        let seconds = pace(|| Ok(plan.run(&input).map(|_| ())?))?;
        return Ok(serde_json::json!({ "per_second": batch as f64 / seconds }));
    }
    let stages = graph.stages().len();
    let spec = TrainSpec {
        dropout: vec![false; stages],
        batch_statistics: vec![false; stages],
        ..TrainSpec::everything(&graph, Optimizer::Sgd { momentum: 0.9, nesterov: false })
    };
    let mut tape = Tape::new(machine, &graph, &parameters, &spec)?;
    if work == "gradients" {
        let outputs =
            tape.forward(&input, &StepKey { seed: 0, step: 0, samples: (0..batch as u64).collect() })?;
        tape.backward(&task.loss(&outputs, targets, batch as f64)?.gradients)?;
        let norms = graph.parameters().iter().zip(tape.gradient_norms()?);
        let named = norms
            .filter_map(|(spec, norm)| Some((published.published_name(&graph, &spec.name), norm?.into())));
        return Ok(serde_json::json!({ "norms": named.collect::<serde_json::Map<_, _>>() }));
    }
    let mut number = 0;
    let mut step = || -> Outcome<f64> {
        let key = StepKey { seed: 0, step: number, samples: (0..batch as u64).collect() };
        number += 1;
        let outputs = tape.forward(&input, &key)?;
        let loss = task.loss(&outputs, targets, batch as f64)?;
        tape.backward(&loss.gradients)?;
        tape.update(&[GroupRate { learning_rate: RATE, weight_decay: 0.0 }], 1.0)?;
        Ok(loss.value)
    };
    match work {
        "training" => {
            let seconds = pace(|| step().map(|_| ()))?;
            Ok(serde_json::json!({ "per_second": batch as f64 / seconds }))
        }
        "losses" => {
            let losses: Vec<f64> = (0..STEPS).map(|_| step()).collect::<Outcome<_>>()?;
            Ok(serde_json::json!({ "losses": losses }))
        }
        other => Err(format!("unknown work `{other}`; there are inference, training, losses").into()),
    }
}

/// The generator's numbers by the names on disk.
fn filled<H: Graft>(published: &Published<H>, graph: &Graph) -> Outcome<Parameters> {
    let mut parameters = Parameters::default();
    for spec in graph.parameters() {
        let more = if spec.kind == Kind::RunningVariance { published.shift(graph, &spec.name) } else { 0.0 };
        let numbers = fill(&published.published_name(graph, &spec.name), &spec.shape, spec.kind)?;
        let numbers = numbers.to_f32().iter().map(|number| number + more).collect();
        parameters.set(&spec.name, Tensor::new(&spec.shape, numbers)?);
    }
    Ok(parameters)
}

/// Seconds of a step, in the median, after one that is not counted.
fn pace(mut step: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    step()?;
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < LEAST.0 || times.len() < LEAST.1 {
        let start = Instant::now();
        step()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
