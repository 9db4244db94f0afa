//! `tk predict`: a line for each photograph.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;
use transferkit::image::{Classifier, Guess};

use super::arguments::Predict;
use super::{Failure, console, environment, inputs};

/// Runs the command.
pub fn run(arguments: Predict) -> Result<(), Failure> {
    if arguments.top == Some(0) {
        return Err(Failure::usage("--top 0 leaves no class; expected at least 1"));
    }
    if arguments.min_score.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
        return Err(Failure::usage("--min-score takes a probability between 0 and 1"));
    }
    let machine = environment::machine(arguments.threads)?;
    let classifier = inputs::classifier(&arguments.model, &machine)?;
    let files = inputs::files(&arguments.inputs)?;
    let mut sink = Sink::open(arguments.out.as_deref(), &classifier)?;
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
                sink.write(&file.display().to_string(), &answer, &arguments, &classifier)?;
            }
        }
        Ok(())
    })?;
    sink.finish()?;
    inputs::some_failed(failed, files.len())
}

/// Where lines go. A file is written aside and takes its name when it is whole.
enum Sink {
    Standard,
    Jsonl(BufWriter<NamedTempFile>, PathBuf),
    Csv(BufWriter<NamedTempFile>, PathBuf),
}

impl Sink {
    fn open(path: Option<&Path>, classifier: &Classifier) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::Standard) };
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let is_csv = match ending.as_deref() {
            Some("csv") => true,
            Some("jsonl") => false,
            _ => {
                let shown = path.display();
                return Err(Failure::usage(format!("-o {shown}: expected a name ending in .jsonl or .csv")));
            }
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
        let mut file = BufWriter::new(file.map_err(|error| unwritable(path, &error))?);
        if !is_csv {
            return Ok(Self::Jsonl(file, path.to_owned()));
        }
        let classes: String = classifier.classes().iter().map(|class| format!(",{}", field(class))).collect();
        let header = writeln!(file, "file,label,score{classes},error");
        header.map_err(|error| unwritable(path, &error))?;
        Ok(Self::Csv(file, path.to_owned()))
    }

    fn write(
        &mut self,
        file: &str,
        answer: &Result<Guess, String>,
        arguments: &Predict,
        classifier: &Classifier,
    ) -> Result<(), Failure> {
        match self {
            Self::Standard => console::json(&object(file, answer, arguments, classifier)),
            Self::Jsonl(out, path) => writeln!(out, "{}", object(file, answer, arguments, classifier))
                .map_err(|error| unwritable(path, &error)),
            Self::Csv(out, path) => {
                let line = match answer {
                    Ok(guess) => {
                        let numbers = if arguments.logits { &guess.logits } else { &guess.probabilities };
                        let shares: String = numbers.iter().map(|share| format!(",{share}")).collect();
                        format!("{},{},{}{shares},", field(file), field(label(guess, arguments)), guess.score)
                    }
                    Err(reason) => {
                        let blanks = ",".repeat(classifier.classes().len());
                        format!("{},,{blanks},{}", field(file), field(reason))
                    }
                };
                writeln!(out, "{line}").map_err(|error| unwritable(path, &error))
            }
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Standard => Ok(()),
            Self::Jsonl(out, path) | Self::Csv(out, path) => {
                let file = out.into_inner().map_err(|error| unwritable(&path, error.error()))?;
                file.as_file().sync_all().map_err(|error| unwritable(&path, &error))?;
                file.persist(&path).map_err(|error| unwritable(&path, &error.error)).map(|_| ())
            }
        }
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::error(format!("cannot write `{}`: {error}", path.display()))
}

/// The label, or `unknown` where nothing is probable enough.
fn label<'a>(guess: &'a Guess, arguments: &Predict) -> &'a str {
    match arguments.min_score {
        Some(least) if guess.score < least => "unknown",
        _ => &guess.label,
    }
}

fn object(file: &str, answer: &Result<Guess, String>, arguments: &Predict, classifier: &Classifier) -> Value {
    let guess = match answer {
        Ok(guess) => guess,
        Err(reason) => return json!({ "file": file, "error": reason }),
    };
    let mut shares: Vec<(&String, f32)> =
        classifier.classes().iter().zip(guess.probabilities.iter().copied()).collect();
    if let Some(count) = arguments.top {
        // A stable sort, so that equals stay in the order of classes.
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares.truncate(count);
    }
    let shares: Map<String, Value> =
        shares.into_iter().map(|(class, share)| (class.clone(), json!(share))).collect();
    let mut object = json!({ "file": file, "label": label(guess, arguments), "score": guess.score, "probabilities": shares });
    if arguments.logits {
        let logits = classifier.classes().iter().zip(&guess.logits);
        object["logits"] =
            logits.map(|(class, logit)| (class.clone(), json!(logit))).collect::<Map<_, _>>().into();
    }
    object
}

/// A field of a CSV line, quoted where it must be (RFC 4180).
fn field(text: &str) -> String {
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
