//! `tk predict`: a line for each sample.

use std::path::Path;

use serde_json::{Map, Value, json};
use transferkit::Machine;
use transferkit::audio;
use transferkit::classify::{Guess, LabelKind};
use transferkit::text::{self, Text};

use tk_image::architectures::find;

use super::arguments::Predict;
use super::kind::{self, Kind};
use super::lines::{Lines, field};
use super::tags;
use super::texts::{self, Named};
use super::weights::{self, Located};
use super::{Failure, environment, events, found, inputs, recordings, run_folder, transcribe};

/// Runs the command.
pub fn run(mut arguments: Predict) -> Result<(), Failure> {
    if arguments.top == Some(0) {
        return Err(Failure::usage("--top 0 leaves no class; expected at least 1"));
    }
    if arguments.min_score.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
        return Err(Failure::usage("--min-score takes a probability between 0 and 1"));
    }
    if let Some(file) = arguments.weights.take() {
        arguments.model = with_weights(&arguments.model, &file)?;
    }
    let is_windowed = arguments.window.is_some() || arguments.hop.is_some();
    // A published classifier may have a thousand classes.
    if !is_windowed && arguments.top.is_none() && !run_folder::holds_run(Path::new(&arguments.model)) {
        arguments.top = Some(PUBLISHED_TOP);
    }
    let machine = environment::machine(arguments.threads)?;
    if let Some(kind) = found::published(&arguments.model) {
        arguments.top = None;
        return seen(&arguments, kind, &machine);
    }
    let model = weights::locate(&arguments.model, &arguments.network)?;
    let kind = kind::of(&model.folder);
    if matches!(kind, Kind::Objects | Kind::Pixels) {
        return seen(&arguments, kind, &machine);
    }
    if arguments.draw.is_some() {
        return Err(Failure::usage(format!(
            "`{}` finds nothing to draw; --draw is for detectors and segmenters",
            arguments.model
        )));
    }
    if is_windowed && kind != Kind::Recordings {
        return Err(Failure::usage(format!(
            "`{}` does not classify recordings; --window and --hop are for what does",
            arguments.model
        )));
    }
    match kind {
        Kind::Photographs if !arguments.text.is_empty() => {
            Err(Failure::usage(format!("`{}` takes photographs, and no --text", arguments.model)))
        }
        Kind::Photographs => photographs(&arguments, &model, &machine),
        Kind::Texts => sentences(&arguments, &model.folder, &machine),
        Kind::Tags => tags::predict(&arguments, &model.folder, &machine),
        Kind::Recordings if !arguments.text.is_empty() => {
            Err(Failure::usage(format!("`{}` takes recordings, and no --text", arguments.model)))
        }
        Kind::Recordings if is_windowed => events::predict(&arguments, &model.folder, &machine),
        Kind::Recordings => sounds(&arguments, &model.folder, &machine),
        Kind::Speech if !arguments.text.is_empty() => {
            Err(Failure::usage(format!("`{}` takes recordings, and no --text", arguments.model)))
        }
        Kind::Speech => transcribe::predict(&arguments, &model.folder, &machine),
        Kind::Objects | Kind::Pixels => seen(&arguments, kind, &machine),
    }
}

/// What is where in photographs.
fn seen(arguments: &Predict, kind: Kind, machine: &Machine) -> Result<(), Failure> {
    found::check(arguments, machine)?;
    match kind {
        Kind::Objects => found::objects(arguments, machine),
        _ => found::pixels(arguments, machine),
    }
}

/// How many classes are shown of a published classifier's answer when nothing is said.
const PUBLISHED_TOP: usize = 5;

/// What `-m` would be called for a known network with the weights of a file.
fn with_weights(model: &str, file: &Path) -> Result<String, Failure> {
    match find(model) {
        Ok(_) => Ok(format!("{model}={}", file.display())),
        Err(error) => Err(Failure::usage(format!("--weights goes with the name of a network: {error}"))
            .help("tk models list")),
    }
}

fn photographs(arguments: &Predict, model: &Located, machine: &Machine) -> Result<(), Failure> {
    let precision = environment::precision(&arguments.precision, machine)?;
    let classifier = inputs::classifier(model, machine)?.in_precision(precision)?;
    let files = inputs::files(&arguments.inputs)?;
    let mut sink = Sink::open(arguments, classifier.classes(), classifier.kind())?;
    let mut failed = 0;
    inputs::each_batch(&files, machine.pool.threads(), |files, pictures| {
        let mut answers: Vec<Option<Result<Guess, String>>> = files.iter().map(|_| None).collect();
        let (good, positions, bad) = inputs::readable(pictures);
        for (guess, position) in classifier.predict_all(&good)?.into_iter().zip(positions) {
            answers[position] = Some(Ok(guess));
        }
        failed += bad.len();
        for (position, reason) in bad {
            answers[position] = Some(Err(reason));
        }
        for (file, answer) in files.iter().zip(answers) {
            if let Some(answer) = answer {
                sink.write(["file", &file.display().to_string()], &answer)?;
            }
        }
        Ok(())
    })?;
    sink.lines.finish()?;
    inputs::some_failed(failed, files.len())
}

fn sounds(arguments: &Predict, folder: &Path, machine: &Machine) -> Result<(), Failure> {
    let precision = environment::precision(&arguments.precision, machine)?;
    let classifier = audio::Classifier::load_on(folder, machine)?.in_precision(precision)?;
    let files = recordings::files(&arguments.inputs)?;
    let mut sink = Sink::open(arguments, classifier.classes(), classifier.kind())?;
    let mut failed = 0;
    let answer = |clips: &[audio::Clip]| -> Result<Vec<Result<Guess, String>>, Failure> {
        let guesses = classifier.predict_all(clips)?.into_iter();
        Ok(guesses.map(|guess| guess.map_err(|error| error.to_string())).collect())
    };
    recordings::each(&files, &classifier, answer, |file, guess| {
        failed += usize::from(guess.is_err());
        sink.write(["file", &file.display().to_string()], &guess)
    })?;
    sink.lines.finish()?;
    inputs::some_failed(failed, files.len())
}

/// Texts that are predicted at once.
const AT_ONCE: usize = 1024;

fn sentences(arguments: &Predict, folder: &Path, machine: &Machine) -> Result<(), Failure> {
    let settings = match run_folder::holds_run(folder) {
        true => Some(run_folder::settings(folder)?),
        false => None,
    };
    let precision = environment::precision(&arguments.precision, machine)?;
    let classifier = text::Classifier::load_on(folder, machine)?.in_precision(precision)?;
    let texts = texts::read(&arguments.text, &arguments.inputs, settings.as_ref())?;
    let mut sink = Sink::open(arguments, classifier.classes(), classifier.kind())?;
    let mut failed = 0;
    for texts in texts.chunks(AT_ONCE) {
        let good = texts.iter().filter_map(|named| named.text.as_ref().ok());
        let good: Vec<Text<'_>> = good.map(|(first, second)| (first.as_str(), second.as_deref())).collect();
        let mut guesses = classifier.predict_all(&good)?.into_iter();
        for Named { name, text } in texts {
            let name = match (name, text) {
                (None, Ok((text, _))) => ["text", text],
                (name, _) => ["file", name.as_deref().unwrap_or_default()],
            };
            let answer = match text {
                Ok(_) => guesses.next().ok_or_else(|| "it was not predicted".to_owned()),
                Err(reason) => Err(reason.clone()),
            };
            failed += usize::from(answer.is_err());
            sink.write(name, &answer)?;
        }
    }
    sink.lines.finish()?;
    inputs::some_failed(failed, texts.len())
}

/// Writes what is said of samples.
struct Sink<'a> {
    lines: Lines,
    arguments: &'a Predict,
    classes: &'a [String],
    kind: LabelKind,
}

impl<'a> Sink<'a> {
    fn open(arguments: &'a Predict, classes: &'a [String], kind: LabelKind) -> Result<Self, Failure> {
        let names: String = classes.iter().map(|class| format!(",{}", field(class))).collect();
        let said = if kind == LabelKind::Single { "label,score" } else { "labels" };
        let lines = Lines::open(arguments.out.as_deref(), &format!("file,{said}{names},error"))?;
        Ok(Self { lines, arguments, classes, kind })
    }

    /// Writes what is said of the sample that is called so.
    fn write(&mut self, name: [&str; 2], answer: &Result<Guess, String>) -> Result<(), Failure> {
        let Self { arguments, classes, kind, .. } = *self;
        let object = || match (answer, kind) {
            (Ok(guess), LabelKind::Multi) => several(name, guess, arguments, classes),
            (answer, _) => object(name, answer, arguments, classes),
        };
        self.lines.write(object, || vec![row(name[1], answer, arguments, classes, kind)])
    }
}

/// A line of CSV.
fn row(
    name: &str,
    answer: &Result<Guess, String>,
    arguments: &Predict,
    classes: &[String],
    kind: LabelKind,
) -> String {
    match answer {
        Ok(guess) => {
            let numbers = if arguments.logits { &guess.logits } else { &guess.probabilities };
            let shares: String = numbers.iter().map(|share| format!(",{share}")).collect();
            let said = match kind {
                LabelKind::Single => format!("{},{}", field(label(guess, arguments)), guess.score),
                LabelKind::Multi => {
                    let names = found(guess, arguments, classes).into_iter().map(|(class, _)| class);
                    field(&names.collect::<Vec<_>>().join("|"))
                }
            };
            format!("{},{said}{shares},", field(name))
        }
        Err(reason) => {
            let said = if kind == LabelKind::Single { 2 } else { 1 };
            let blanks = ",".repeat(classes.len() + said);
            format!("{}{blanks},{}", field(name), field(reason))
        }
    }
}

/// The label, or `unknown` where nothing is probable enough.
fn label<'a>(guess: &'a Guess, arguments: &Predict) -> &'a str {
    match arguments.min_score {
        Some(least) if guess.score < least => "unknown",
        _ => &guess.label,
    }
}

/// The classes of a sample that may have several: those that are probable enough, most probable first.
fn found<'a>(guess: &Guess, arguments: &Predict, classes: &'a [String]) -> Vec<(&'a str, f32)> {
    let least = arguments.min_score.unwrap_or(0.5);
    let probable = classes.iter().map(String::as_str).zip(guess.probabilities.iter().copied());
    let mut found: Vec<(&str, f32)> = probable.filter(|(_, share)| *share >= least).collect();
    // A stable sort, so that equals stay in the order of classes.
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found.truncate(arguments.top.unwrap_or(usize::MAX));
    found
}

fn several([key, name]: [&str; 2], guess: &Guess, arguments: &Predict, classes: &[String]) -> Value {
    let labels: Vec<Value> = found(guess, arguments, classes)
        .into_iter()
        .map(|(label, score)| json!({ "label": label, "score": score }))
        .collect();
    let mut object = json!({ key: name, "labels": labels });
    if arguments.logits {
        object["logits"] = logits(guess, classes);
    }
    object
}

fn logits(guess: &Guess, classes: &[String]) -> Value {
    let logits = classes.iter().zip(&guess.logits);
    logits.map(|(class, logit)| (class.clone(), json!(logit))).collect::<Map<_, _>>().into()
}

fn object(
    [key, name]: [&str; 2],
    answer: &Result<Guess, String>,
    arguments: &Predict,
    classes: &[String],
) -> Value {
    let guess = match answer {
        Ok(guess) => guess,
        Err(reason) => return json!({ key: name, "error": reason }),
    };
    let mut shares: Vec<(&String, f32)> = classes.iter().zip(guess.probabilities.iter().copied()).collect();
    if let Some(count) = arguments.top {
        // A stable sort, so that equals stay in the order of classes.
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares.truncate(count);
    }
    let shares: Map<String, Value> =
        shares.into_iter().map(|(class, share)| (class.clone(), json!(share))).collect();
    let mut object =
        json!({ key: name, "label": label(guess, arguments), "score": guess.score, "probabilities": shares });
    if arguments.logits {
        object["logits"] = logits(guess, classes);
    }
    object
}
