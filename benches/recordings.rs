//! Our side of `benches/peers/recordings.py`: one measurement in a process of its own, printed as one JSON object.
//!
//!     cargo build --release --workspace --example bench_recordings
//!     target/release/examples/bench_recordings FOLDER WORK BATCH SECONDS THREADS
//!
//! FOLDER is a network as transformers saves it. WORK is, for networks for speech (SECONDS is a recording's length),
//!
//! - `inference`: logits of CTC;
//! - `lengths`: the same for recordings of as many lengths as BATCH says, up to SECONDS, one at a time;
//! - `ctc`: a step of training with CTC behind frozen convolutions, which run again in each step;
//! - `ctc-cached`: the same, where what the convolutions make is there already;
//!
//! and for the Audio Spectrogram Transformer (SECONDS has no meaning: it takes the frames that it was made for) `inference` and `training`.
//! The rate is seconds of sound a second, or clips.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use tk_audio::architectures::speech::{Padding, RENAMES, Speech, SpeechHead};
use tk_audio::model::{Head, Model};
use tk_engine::cpu::kernels::ctc::{Ctc, CtcReduction, Spelling};
use tk_engine::cpu::{Machine, Plan, Tape};
use tk_engine::{Graph, GroupRate, Inference, Optimizer, Parameters, StepKey, Tensor, TrainSpec, Training};
use tk_transfer::checkpoint::{Checkpoint, Need, ParameterRequest, Target, load_into};

/// Samples of a second.
const RATE: usize = 16_000;

/// Each measurement takes at least so long, and so many steps, after one that is not counted.
const LEAST: (Duration, usize) = (Duration::from_secs(4), 3);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, work, batch, seconds, threads] = &arguments[..] else {
        return Err("usage: bench_recordings FOLDER WORK BATCH SECONDS THREADS".into());
    };
    let (batch, seconds): (usize, f64) = (batch.parse()?, seconds.parse()?);
    let (machine, folder) = (Machine::new(threads.parse()?), Path::new(folder));
    let config = std::fs::read_to_string(folder.join("config.json"))?;
    let (amount, pace, logits) = if config.contains("\"audio-spectrogram-transformer\"") {
        spectrograms(&machine, folder, work, batch)?
    } else {
        waves(&machine, &config, folder, work, batch, seconds)?
    };
    let per_processor_second = pace.processor.map(|seconds| amount / seconds);
    let per_second = amount / pace.seconds;
    println!(
        "{}",
        serde_json::json!({ "per_second": per_second, "per_processor_second": per_processor_second, "logits": logits })
    );
    Ok(())
}

/// A network for speech: what a step works through, its pace, and the first logits before it was trained.
fn waves(
    machine: &Machine,
    config: &str,
    folder: &Path,
    work: &str,
    batch: usize,
    seconds: f64,
) -> Outcome<(f64, Pace, Vec<f32>)> {
    let speech = Speech::from_json(config)?;
    let graph = speech.build(SpeechHead::Ctc { symbols: speech.vocabulary }, Padding::Ignored)?;
    let parameters = load(folder, &graph)?;
    let samples = (seconds * RATE as f64) as usize;
    let mut plan = Plan::new(machine, &graph, &parameters)?;
    let logits = first(&plan.run(&[wave(1, samples)?])?)?;
    let whole = batch as f64 * seconds;
    let (amount, pace) = match work {
        "inference" => {
            let input = [wave(batch, samples)?];
            (whole, pace(|| plan.run(&input).map(|_| ()).map_err(Into::into))?)
        }
        "lengths" => {
            let inputs = (1..=batch).map(|part| wave(1, samples * part / batch - 7 * part));
            let inputs: Vec<Tensor> = inputs.collect::<Outcome<_>>()?;
            let all = inputs.iter().map(Tensor::len).sum::<usize>() as f64 / RATE as f64;
            let mut each = || {
                inputs.iter().try_for_each(|input| {
                    plan.run(std::slice::from_ref(input)).map(|_| ()).map_err(Into::into)
                })
            };
            (all, pace(&mut each)?)
        }
        "ctc" | "ctc-cached" => {
            drop(plan);
            let input = wave(batch, samples)?;
            let mut step = CtcStep::new(machine, &graph, &parameters, input, work == "ctc-cached")?;
            (whole, pace(|| step.run())?)
        }
        other => {
            return Err(
                format!("unknown work `{other}`; there are inference, lengths, ctc, ctc-cached").into()
            );
        }
    };
    Ok((amount, pace, logits))
}

/// The same for the Audio Spectrogram Transformer.
fn spectrograms(
    machine: &Machine,
    folder: &Path,
    work: &str,
    batch: usize,
) -> Outcome<(f64, Pace, Vec<f32>)> {
    let model = Model::open(folder, Head::Published)?;
    let input = |count: usize| {
        let shape = model.blank(count)?.remove(0).shape().to_vec();
        Tensor::new(&shape, tones(shape.iter().product()))
    };
    let mut plan = Plan::new(machine, &model.graph, &model.parameters)?;
    let logits = first(&plan.run(&[input(1)?])?)?;
    let inputs = [input(batch)?];
    let pace = match work {
        "inference" => pace(|| plan.run(&inputs).map(|_| ()).map_err(Into::into))?,
        "training" => {
            drop(plan);
            let spec = TrainSpec::everything(&model.graph, Optimizer::ADAMW);
            let mut tape = Tape::new(machine, &model.graph, &model.parameters, &spec)?;
            let mut step = 0;
            pace(|| {
                let key = StepKey { seed: 0, step, samples: (0..batch as u64).collect() };
                step += 1;
                let logits = tape.forward(&inputs, &key)?;
                let gradients =
                    logits.iter().map(|logits| Tensor::new(logits.shape(), vec![1e-3; logits.len()]));
                tape.backward(&gradients.collect::<Result<Vec<_>, _>>()?)?;
                Ok(tape.update(&rates(), 1.0)?)
            })?
        }
        other => return Err(format!("unknown work `{other}`; there are inference, training").into()),
    };
    Ok((batch as f64, pace, logits))
}

/// A step of training with CTC: the features are frozen.
struct CtcStep {
    machine: Machine,
    tape: Tape,
    /// What runs before the tape in each step, where it does.
    prefix: Option<Plan>,
    input: Tensor,
    steps: u64,
}

impl CtcStep {
    fn new(
        machine: &Machine,
        graph: &Graph,
        parameters: &Parameters,
        input: Tensor,
        is_cached: bool,
    ) -> Outcome<Self> {
        let cut = graph.cut(graph.stage("features")?)?;
        let mut prefix = Plan::new(machine, &cut.prefix, parameters)?;
        let spec = TrainSpec::everything(&cut.suffix, Optimizer::ADAMW);
        let tape = Tape::new(machine, &cut.suffix, parameters, &spec)?;
        let input = if is_cached { prefix.run(&[input])?.remove(0) } else { input };
        let prefix = (!is_cached).then_some(prefix);
        Ok(Self { machine: machine.clone(), tape, prefix, input, steps: 0 })
    }

    fn run(&mut self) -> Outcome<()> {
        let features = match &mut self.prefix {
            Some(prefix) => prefix.run(std::slice::from_ref(&self.input))?.remove(0),
            None => self.input.clone(),
        };
        let batch = self.input.shape()[0];
        let key = StepKey { seed: 0, step: self.steps, samples: (0..batch as u64).collect() };
        self.steps += 1;
        let logits = self.tape.forward(&[features], &key)?.remove(0);
        let (frames, vocabulary) = (logits.shape()[1], logits.shape()[2]);
        let target: Vec<u32> =
            (0..frames as u32 / 4).map(|place| 1 + place % (vocabulary as u32 - 1)).collect();
        let weight = CtcReduction::Sum.weight(target.len(), batch);
        let samples = vec![Spelling { frames, target: &target, weight }; batch];
        let mut gradient = vec![0.0; logits.len()];
        let ctc = Ctc { blank: 0, zero_infinity: false };
        ctc.evaluate(&self.machine, logits.as_f32()?, [frames, vocabulary], &samples, &mut gradient);
        self.tape.backward(&[Tensor::new(logits.shape(), gradient)?])?;
        Ok(self.tape.update(&rates(), 1.0)?)
    }
}

fn rates() -> Vec<GroupRate> {
    vec![GroupRate { learning_rate: 1e-5, weight_decay: 0.01 }]
}

/// The parameters of a graph from the checkpoint of a folder.
fn load(folder: &Path, graph: &Graph) -> Outcome<Parameters> {
    let path = Checkpoint::find_in(folder).ok_or("the folder has no weights")?;
    let request = |spec: &tk_engine::graph::ParameterSpec| ParameterRequest {
        name: spec.name.clone(),
        shape: spec.shape.clone(),
        need: Need::Required,
    };
    let requests: Vec<ParameterRequest> = graph.parameters().iter().map(request).collect();
    let target = Target { model: "speech", parameters: &requests, rules: RENAMES };
    let loaded = load_into(&target, &Checkpoint::open(path)?)?;
    let mut parameters = Parameters::default();
    for (request, (name, values)) in requests.iter().zip(loaded.values) {
        debug_assert_eq!(request.name, name);
        parameters.set(&name, Tensor::new(&request.shape, values)?);
    }
    Ok(parameters)
}

/// Sounds that both sides compute alike, `[batch, samples, 1]`.
fn wave(batch: usize, samples: usize) -> Outcome<Tensor> {
    let one = tones(samples);
    Ok(Tensor::new(&[batch, samples, 1], one.repeat(batch))?)
}

/// Three tones.
fn tones(count: usize) -> Vec<f32> {
    let tone = |place: f64| (0.05 * place).sin() + 0.5 * (0.31 * place).sin() + 0.25 * (1.7 * place).sin();
    (0..count).map(|place| tone(place as f64) as f32).collect()
}

/// The first numbers of the first output.
fn first(outputs: &[Tensor]) -> Outcome<Vec<f32>> {
    Ok(outputs[0].as_f32()?.iter().take(32).copied().collect())
}

/// What a step takes.
struct Pace {
    /// Seconds, in the median.
    seconds: f64,
    /// Seconds of processors, in the mean; nothing where the system does not say it.
    processor: Option<f64>,
}

/// Measures steps after one that is not counted.
fn pace(mut step: impl FnMut() -> Outcome<()>) -> Outcome<Pace> {
    step()?;
    let (began, of_processors, mut times) = (Instant::now(), processor_seconds(), Vec::new());
    while began.elapsed() < LEAST.0 || times.len() < LEAST.1 {
        let start = Instant::now();
        step()?;
        times.push(start.elapsed().as_secs_f64());
    }
    let taken = processor_seconds().zip(of_processors).map(|(after, before)| after - before);
    times.sort_by(f64::total_cmp);
    let processor = taken.map(|taken| taken / times.len() as f64);
    Ok(Pace { seconds: times[times.len() / 2], processor })
}

/// What this process has had of processors, in all its threads.
fn processor_seconds() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the program's name, which may hold spaces, the twelfth and thirteenth field count hundredths in the program and the system.
    let mut fields = status.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut hundredths = || fields.next()?.parse::<f64>().ok();
    Some((hundredths()? + hundredths()?) / 100.0)
}
