//! `tk bench`: how fast a model runs and trains here, and which of its operations have no kernel.

use std::time::{Duration, Instant};

use tk_engine::cpu::{Plan, Tape};
use tk_engine::{Inference, StepKey, Tensor, TrainSpec, Training};
use tk_image::architectures::find;
use tk_image::model::{EMBEDDED, Head, Model, Origin};
use tk_transfer::fit::OptimizerChoice;
use transferkit::Machine;
use transferkit::image::{Error, resolve_model};

use super::arguments::Bench;
use super::{Failure, console, environment};

/// Each measurement takes at least so long, after one run that is not counted.
const LEAST: Duration = Duration::from_secs(2);

/// What is measured.
struct Measured {
    inference: f64,
    training: f64,
    fallbacks: Vec<String>,
}

/// Runs the command.
pub fn run(arguments: Bench) -> Result<(), Failure> {
    if arguments.batch == 0 || arguments.size == Some(0) {
        return Err(Failure::usage("--batch and --size take at least 1"));
    }
    let machine = environment::machine(arguments.threads)?;
    let origin = match find(&arguments.model) {
        Ok(_) if arguments.model != EMBEDDED => Origin::Random(arguments.model.clone()),
        _ => resolve_model(&arguments.model)?,
    };
    let model = Model::open(&origin, Head::Published).map_err(Error::from)?;
    let [height, width] = match arguments.size {
        Some(size) => [size as usize; 2],
        None => model.preprocess.input_size.map(|side| side as usize),
    };
    let shape = [arguments.batch, height, width, 3];
    let measured = measure(&model, &machine, &shape).map_err(Error::from)?;
    let Measured { inference, training, fallbacks } = measured;
    let memory = peak_memory();
    let (isa, threads) = (machine.isa.name(), machine.pool.threads());
    if arguments.json {
        return console::json(&serde_json::json!({
            "model": arguments.model, "batch": arguments.batch, "size": [height, width], "isa": isa, "threads": threads,
            "inference_per_second": inference, "training_per_second": training, "peak_memory_bytes": memory,
            "fallbacks": fallbacks,
        }));
    }
    let (name, batch) = (&arguments.model, arguments.batch);
    console::line(&format!("{name}  {width}×{height}  batch {batch}  {isa}  {threads} threads"))?;
    console::line(&format!("inference  {inference:>8.1} images/s"))?;
    console::line(&format!("training   {training:>8.1} images/s  (everything trains, batch statistics)"))?;
    if let Some(bytes) = memory {
        console::line(&format!("memory     {:>8.0} MB at most", bytes as f64 / 1e6))?;
    }
    match fallbacks.as_slice() {
        [] => console::line("every operation has a kernel"),
        names => console::line(&format!("without a kernel: {}", names.join(", "))),
    }
}

fn measure(model: &Model, machine: &Machine, shape: &[usize; 4]) -> Result<Measured, tk_engine::EngineError> {
    let pixels = [Tensor::zeros(shape)];
    let mut plan = Plan::new(machine, &model.graph, &model.parameters)?;
    let inference = rate(shape[0], || plan.run(&pixels).map(|_| ()))?;
    let optimizer = OptimizerChoice::AdamW.optimizer();
    let spec = TrainSpec::everything(&model.graph, optimizer);
    let mut tape = Tape::new(machine, &model.graph, &model.parameters, &spec)?;
    let groups = vec![tk_engine::GroupRate { learning_rate: 1e-4, weight_decay: 0.01 }];
    let mut step = 0;
    let training = rate(shape[0], || {
        let key = StepKey { seed: 0, step, samples: (0..shape[0] as u64).collect() };
        step += 1;
        let outputs = tape.forward(&pixels, &key)?;
        let gradients: Vec<Tensor> = outputs
            .iter()
            .map(|output| Tensor::new(output.shape(), vec![1e-3; output.len()]))
            .collect::<Result<_, _>>()?;
        tape.backward(&gradients)?;
        tape.update(&groups, 1.0)
    })?;
    let mut fallbacks: Vec<String> = plan.fallbacks().into_iter().map(str::to_owned).collect();
    fallbacks.extend(tape.fallbacks().into_iter().map(|name| name.to_string()));
    fallbacks.sort();
    fallbacks.dedup();
    Ok(Measured { inference, training, fallbacks })
}

/// Images per second of a step of `batch` images; the first step, which compiles, is not counted.
fn rate(
    batch: usize,
    mut step: impl FnMut() -> Result<(), tk_engine::EngineError>,
) -> Result<f64, tk_engine::EngineError> {
    step()?;
    let (began, mut steps) = (Instant::now(), 0);
    while steps == 0 || began.elapsed() < LEAST {
        step()?;
        steps += 1;
    }
    Ok((steps * batch) as f64 / began.elapsed().as_secs_f64())
}

/// The most memory that this process has had, where the system says it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}
