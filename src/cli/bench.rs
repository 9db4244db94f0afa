//! `tk bench`: how fast a model runs and trains here, and which of its operations have no kernel.

use std::path::Path;
use std::time::{Duration, Instant};

use tk_audio::recognition::{SpeechModel, SymbolChoice};
use tk_engine::cpu::{Plan, Tape};
use tk_engine::random::{Label, Stream};
use tk_engine::{EngineError, Graph, Inference, Parameters, Precision, StepKey, Tensor, TrainSpec, Training};
use tk_image::architectures::find;
use tk_image::framing::Framing;
use tk_image::grafted::{Grafted, HeadChoice};
use tk_image::model::{EMBEDDED, Head, Model, Origin};
use tk_text::architectures::Head as Shape;
use tk_text::data::{Layout, Tokens};
use tk_transfer::fit::OptimizerChoice;
use transferkit::Machine;
use transferkit::dense::Dense;
use transferkit::detect::Objects;
use transferkit::image::{Error, resolve_model};
use transferkit::segment::Pixels;

use super::arguments::Bench;
use super::kind::{self, Kind};
use super::weights::{self, Located};
use super::{Failure, console, environment};

/// Each measurement takes at least so long, after one run that is not counted.
const LEAST: Duration = Duration::from_secs(2);

/// The length of texts when nothing is said.
const USUAL_TOKENS: usize = 128;

/// What is measured.
struct Measured {
    inference: Option<f64>,
    training: Option<f64>,
    /// Convolutions and linear layers that ran in fewer bits, of how many.
    lowered: [usize; 2],
    fallbacks: Vec<String>,
}

/// What runs.
struct Subject {
    graph: Graph,
    parameters: Parameters,
    inputs: Vec<Tensor>,
    /// The size of a sample in words, such as `224×224`.
    size: String,
    /// What is counted.
    samples: &'static str,
}

/// Runs the command.
pub fn run(arguments: Bench) -> Result<(), Failure> {
    if arguments.batch == 0 || arguments.size == Some(0) || arguments.tokens == Some(0) {
        return Err(Failure::usage("--batch, --size and --tokens take at least 1"));
    }
    let machine = environment::machine(arguments.threads)?;
    let model = weights::locate(&arguments.model, &arguments.network)?;
    let subject = match kind::of(&model.folder) {
        Kind::Photographs => photographs(&arguments, &model)?,
        Kind::Texts | Kind::Tags => texts(&arguments, &model.folder)?,
        Kind::Recordings => sounds(&arguments, &model.folder)?,
        Kind::Speech => speech(&arguments, &model.folder)?,
        Kind::Objects => found::<Objects>(&arguments, &model.folder)?,
        Kind::Pixels => found::<Pixels>(&arguments, &model.folder)?,
    };
    let Measured { inference, training, lowered, fallbacks } =
        measure(&subject, &arguments, &machine).map_err(Error::from)?;
    let memory = peak_memory();
    let (isa, threads) = (machine.isa.name(), machine.pool.threads());
    let (size, samples) = (&subject.size, subject.samples);
    if arguments.json {
        return console::json(&serde_json::json!({
            "model": arguments.model, "batch": arguments.batch, "size": size, "isa": isa, "threads": threads,
            "precision": arguments.precision.name(), "lowered": lowered,
            "inference_per_second": inference, "training_per_second": training, "peak_memory_bytes": memory,
            "fallbacks": fallbacks,
        }));
    }
    let (name, batch) = (&arguments.model, arguments.batch);
    let precision = arguments.precision;
    console::line(&format!("{name}  {size}  batch {batch}  {precision}  {isa}  {threads} threads"))?;
    if let Some(rate) = inference {
        if precision != Precision::F32 {
            let [lowered, all] = lowered;
            console::line(&format!(
                "{lowered} of {all} convolutions and linear layers multiply in {precision}"
            ))?;
        }
        console::line(&format!("inference  {rate:>8.1} {samples}/s"))?;
    }
    if let Some(rate) = training {
        let how = "everything trains, batch statistics";
        console::line(&format!("training   {rate:>8.1} {samples}/s  ({how})"))?;
    }
    if let Some(bytes) = memory {
        console::line(&format!("memory     {:>8.0} MB at most", bytes as f64 / 1e6))?;
    }
    match fallbacks.as_slice() {
        [] => console::line("every operation has a kernel"),
        names => console::line(&format!("without a kernel: {}", names.join(", "))),
    }
}

fn photographs(arguments: &Bench, model: &Located) -> Result<Subject, Failure> {
    if arguments.tokens.is_some() {
        return Err(Failure::usage("--tokens is for models of texts; say --size"));
    }
    let origin = match find(&arguments.model) {
        Ok(_) if arguments.model != EMBEDDED => Origin::Random(arguments.model.clone()),
        _ => resolve_model(&model.name, &model.hub)?,
    };
    let mut model = Model::open(&origin, Head::Published).map_err(Error::from)?;
    if let Some(size) = arguments.size {
        model =
            model.resized([size, size]).map_err(|error| Failure::usage(format!("--size {size}: {error}")))?;
    }
    let [height, width] = model.preprocess.input_size.map(|side| side as usize);
    let mut stream = Stream::new(0, &[Label::Text("bench")]);
    let numbers = (0..arguments.batch * height * width * 3).map(|_| stream.normal() as f32).collect();
    let inputs = vec![Tensor::new(&[arguments.batch, height, width, 3], numbers).map_err(Error::from)?];
    let (graph, parameters) = (model.graph, model.parameters);
    Ok(Subject { graph, parameters, inputs, size: format!("{width}×{height}"), samples: "images" })
}

/// A network over sound with a new classifier of two classes, on silence.
fn sounds(arguments: &Bench, folder: &Path) -> Result<Subject, Failure> {
    if arguments.size.is_some() || arguments.tokens.is_some() {
        return Err(Failure::usage("--size and --tokens are for models of photographs and texts"));
    }
    let head = tk_audio::model::Head::New { classes: 2, seed: 0 };
    let model = tk_audio::model::Model::open(folder, head).map_err(Error::from)?;
    let inputs = model.blank(arguments.batch).map_err(Error::from)?;
    let silence = model.architecture.blank(&model.front_end);
    let seconds = match model.front_end.keeps_lengths() {
        true => silence.len() as f64 / f64::from(model.front_end.rate()),
        false => model.front_end.seconds(),
    };
    let size = format!("{seconds:.2} s");
    Ok(Subject { graph: model.graph, parameters: model.parameters, inputs, size, samples: "recordings" })
}

/// A recogniser, on silence.
fn found<T: Dense>(arguments: &Bench, folder: &Path) -> Result<Subject, Failure> {
    let mut model = Grafted::<T::Head>::open(folder, &HeadChoice::Published).map_err(Error::from)?;
    if let Some(size) = arguments.size {
        model.input.framing = Framing::shorter(size);
    }
    let inputs = model.blank(arguments.batch);
    let shape = inputs.first().map(Tensor::shape).unwrap_or_default();
    let size = shape.get(1..3).map_or_else(String::new, |sides| format!("{}×{}", sides[1], sides[0]));
    Ok(Subject { graph: model.graph, parameters: model.parameters, inputs, size, samples: "photographs" })
}

fn speech(arguments: &Bench, folder: &Path) -> Result<Subject, Failure> {
    if arguments.size.is_some() || arguments.tokens.is_some() {
        return Err(Failure::usage("--size and --tokens are for models of photographs and texts"));
    }
    let model = SpeechModel::open(folder, &SymbolChoice::Published, 0).map_err(Error::from)?;
    let silence = vec![0.0; SECONDS * model.front_end.sampling_rate as usize];
    let inputs = model.inputs(&vec![silence.as_slice(); arguments.batch]).map_err(Error::from)?;
    let size = format!("{SECONDS} s");
    Ok(Subject { graph: model.graph, parameters: model.parameters, inputs, size, samples: "recordings" })
}

/// Seconds of a recording.
const SECONDS: usize = 10;

/// An encoder with a new classifier of two classes, on texts of one length.
fn texts(arguments: &Bench, folder: &Path) -> Result<Subject, Failure> {
    if arguments.size.is_some() {
        return Err(Failure::usage("--size is for models of photographs; say --tokens"));
    }
    let folder = tk_text::model::Folder::open(folder).map_err(Error::from)?;
    let start = tk_text::model::Start::New { head: Shape::Published { classes: 2 }, seed: 0 };
    let model = tk_text::model::Model::load(&folder, start).map_err(Error::from)?;
    let length = arguments.tokens.unwrap_or(USUAL_TOKENS).min(model.max_length);
    let ids = (0..length as u32).map(|place| place % model.settings.vocabulary as u32).collect();
    let text = Tokens { ids, types: vec![0; length], ..Tokens::default() };
    let layout = Layout { fields: model.fields(), pad_id: 0, batch: arguments.batch };
    let inputs = layout.stack(&vec![&text; arguments.batch]).map_err(Error::from)?;
    let (graph, parameters) = (model.graph, model.parameters);
    Ok(Subject { graph, parameters, inputs, size: format!("{length} tokens"), samples: "texts" })
}

fn measure(subject: &Subject, arguments: &Bench, machine: &Machine) -> Result<Measured, EngineError> {
    let is_asked = |work: &str| arguments.only.as_deref().is_none_or(|only| only == work);
    let mut measured = Measured { inference: None, training: None, lowered: [0; 2], fallbacks: Vec::new() };
    if is_asked("inference") {
        infer(subject, arguments, machine, &mut measured)?;
    }
    if is_asked("training") {
        train(subject, arguments, machine, &mut measured)?;
    }
    measured.fallbacks.sort();
    measured.fallbacks.dedup();
    Ok(measured)
}

fn infer(
    subject: &Subject,
    arguments: &Bench,
    machine: &Machine,
    measured: &mut Measured,
) -> Result<(), EngineError> {
    let mut plan = Plan::new(machine, &subject.graph, &subject.parameters)?;
    if arguments.precision == Precision::Int8 {
        plan.calibrate(&subject.inputs)?;
    }
    plan.set_precision(arguments.precision)?;
    measured.inference = Some(rate(arguments.batch, || plan.run(&subject.inputs).map(|_| ()))?);
    measured.lowered = plan.lowered();
    measured.fallbacks.extend(plan.fallbacks().into_iter().map(str::to_owned));
    Ok(())
}

fn train(
    subject: &Subject,
    arguments: &Bench,
    machine: &Machine,
    measured: &mut Measured,
) -> Result<(), EngineError> {
    let batch = arguments.batch;
    let everything = TrainSpec::everything(&subject.graph, OptimizerChoice::AdamW.optimizer());
    let spec = TrainSpec { precision: arguments.precision, ..everything };
    let mut tape = Tape::new(machine, &subject.graph, &subject.parameters, &spec)?;
    let groups = vec![tk_engine::GroupRate { learning_rate: 1e-4, weight_decay: 0.01 }];
    let mut step = 0;
    measured.training = Some(rate(batch, || {
        let key = StepKey { seed: 0, step, samples: (0..batch as u64).collect() };
        step += 1;
        let outputs = tape.forward(&subject.inputs, &key)?;
        let gradients: Vec<Tensor> = outputs
            .iter()
            .map(|output| Tensor::new(output.shape(), vec![1e-3; output.len()]))
            .collect::<Result<_, _>>()?;
        tape.backward(&gradients)?;
        tape.update(&groups, 1.0)
    })?);
    measured.fallbacks.extend(tape.fallbacks().into_iter().map(|name| name.to_string()));
    Ok(())
}

/// Samples per second of a step of `batch` samples; the first step, which compiles, is not counted.
fn rate(batch: usize, mut step: impl FnMut() -> Result<(), EngineError>) -> Result<f64, EngineError> {
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
