//! `tk predict` of a recogniser: what is said in recordings, with times; and `tk evaluate` of one.

use std::path::{Path, PathBuf};

use tk_audio::data::SoundStream;
use tk_transfer::atomic::write_bytes_atomic;
use transferkit::Machine;
use transferkit::speech::{Clip, Decoding, Recognizer, Speech, Transcript};

use super::arguments::{Evaluate, Predict};
use super::evaluate::Gate;
use super::{Failure, console, environment, inputs, recordings};

/// What transcripts are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Jsonl,
    Srt,
    TextGrid,
}

impl Format {
    /// By what was said, else by the ending of the file that is written.
    fn of(arguments: &Predict) -> Result<Self, Failure> {
        let ending = arguments.out.as_deref().and_then(Path::extension);
        let ending = ending.map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        match (arguments.format.as_deref(), ending.as_deref()) {
            (Some("srt"), _) | (None, Some("srt")) => Ok(Self::Srt),
            (Some("textgrid"), _) | (None, Some("textgrid")) => Ok(Self::TextGrid),
            (Some(_), _) | (None, None | Some("jsonl")) => Ok(Self::Jsonl),
            (None, Some(other)) => Err(Failure::usage(format!(
                "-o …{other}: expected a name ending in .jsonl, .srt or .TextGrid, or a folder with --format"
            ))),
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Srt => "srt",
            Self::TextGrid => "TextGrid",
        }
    }

    fn text(self, file: &Path, transcript: &Transcript) -> Result<String, Failure> {
        Ok(match self {
            Self::Jsonl => format!("{}\n", line(file, transcript)?),
            Self::Srt => transcript.to_srt(),
            Self::TextGrid => transcript.to_text_grid(),
        })
    }
}

/// Transcribes recordings.
pub fn predict(arguments: &Predict, folder: &Path, machine: &Machine) -> Result<(), Failure> {
    let format = Format::of(arguments)?;
    let precision = environment::precision(&arguments.precision, machine)?;
    let decoding = match arguments.beam {
        None => Decoding::Greedy,
        Some(0) => return Err(Failure::usage("--beam 0 keeps nothing; expected at least 1")),
        Some(width) => Decoding::Beam { width },
    };
    let recognizer = load(folder, machine)?.in_precision(precision).map_err(failed)?.with_decoding(decoding);
    let files = recordings::files(&arguments.inputs)?;
    let into_folder = arguments.out.as_deref().is_some_and(Path::is_dir);
    if arguments.logits && (format != Format::Jsonl || into_folder) {
        return Err(Failure::usage(
            "--logits are written as JSON lines; leave --format out, or say -o FILE.jsonl",
        ));
    }
    if files.len() > 1 && format != Format::Jsonl && !into_folder {
        return Err(Failure::usage(format!(
            "{} recordings do not fit into one .{} file",
            files.len(),
            format.ending()
        ))
        .help("name an existing folder with -o and the --format"));
    }
    let (mut bad, mut written) = (0, String::new());
    for file in &files {
        if arguments.logits {
            match logits(&recognizer, file)? {
                Ok(object) => written.push_str(&emit(&object, arguments)?),
                Err(reason) => {
                    bad += 1;
                    console::note(&format!("error: {}: {reason}", file.display()));
                }
            }
            continue;
        }
        let transcript = match hear(&recognizer, file) {
            Ok(transcript) => transcript,
            Err(reason) => {
                bad += 1;
                let object = serde_json::json!({ "file": file, "error": reason });
                match format {
                    Format::Jsonl if arguments.out.is_some() && !into_folder => {
                        written.push_str(&format!("{object}\n"))
                    }
                    Format::Jsonl => console::json(&object)?,
                    _ => console::note(&format!("error: {}: {reason}", file.display())),
                }
                continue;
            }
        };
        let text = format.text(file, &transcript)?;
        match &arguments.out {
            None => console::line(text.trim_end_matches('\n'))?,
            Some(folder) if into_folder => {
                let name = Path::new(file.file_name().unwrap_or_default()).with_extension(format.ending());
                write(&folder.join(name), &text)?;
            }
            Some(_) => written.push_str(&text),
        }
    }
    if let Some(path) =
        arguments.out.as_deref().filter(|_| !into_folder && (bad < files.len() || format == Format::Jsonl))
    {
        write(path, &written)?;
    }
    inputs::some_failed(bad, files.len())
}

/// What the network says of each frame of a file, heard in one piece.
fn logits(recognizer: &Recognizer, file: &PathBuf) -> Result<Result<serde_json::Value, String>, Failure> {
    let clip = match Clip::open(file) {
        Ok(clip) => clip,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let symbols = recognizer.model().vocabulary.symbols();
    Ok(recognizer.logits_of(&clip).map_err(|error| error.to_string()).map(|logits| {
        let frames: Vec<&[f32]> = logits.chunks_exact(symbols.len()).collect();
        serde_json::json!({ "file": file, "symbols": symbols, "logits": frames })
    }))
}

/// A line for standard output, where nothing else was said; else it comes back to be written.
fn emit(object: &serde_json::Value, arguments: &Predict) -> Result<String, Failure> {
    match arguments.out {
        None => console::json(object).map(|()| String::new()),
        Some(_) => Ok(format!("{object}\n")),
    }
}

/// What is said in a file, or why it cannot be heard. What is odd about it is noted.
fn hear(recognizer: &Recognizer, file: &PathBuf) -> Result<Transcript, String> {
    let mut sound = SoundStream::open(file, Some(recognizer.rate())).map_err(|error| error.to_string())?;
    let transcript = recognizer.transcribe_blocks(&mut || sound.next_block());
    for remark in sound.remarks() {
        console::note(&format!("odd      {}: {remark}", file.display()));
    }
    transcript.map_err(|error| error.to_string())
}

fn line(file: &Path, transcript: &Transcript) -> Result<String, Failure> {
    let mut object = serde_json::json!({ "file": file });
    if let (Some(fields), Ok(serde_json::Value::Object(more))) =
        (object.as_object_mut(), serde_json::to_value(transcript))
    {
        fields.extend(more);
    }
    Ok(object.to_string())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    write_bytes_atomic(path, text.as_bytes()).map_err(|error| Failure::error(error.to_string()))
}

/// The recogniser of a run's folder, or of one that transformers wrote.
fn load(folder: &Path, machine: &Machine) -> Result<Recognizer, Failure> {
    Recognizer::load(folder, machine).map_err(failed)
}

fn failed(error: transferkit::speech::RecognizerError) -> Failure {
    transferkit::classify::Error::from(error).into()
}

/// Scores a recogniser on recordings with transcripts.
pub fn score(arguments: &Evaluate, gates: &[Gate], folder: &Path, machine: &Machine) -> Result<(), Failure> {
    let precision = environment::precision(&arguments.precision, machine)?;
    let recognizer = load(folder, machine)?.in_precision(precision).map_err(failed)?;
    super::structured::score::<Speech>(arguments, gates, &recognizer)
}
