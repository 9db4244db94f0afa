//! `tk predict --window --hop`: what is where in long recordings.

use std::path::Path;

use serde_json::json;
use transferkit::Machine;
use transferkit::audio::{Classifier, SoundEvent, SoundStream, Windows};
use transferkit::classify::LabelKind;

use super::arguments::Predict;
use super::lines::{Lines, field};
use super::{Failure, console, environment, inputs, recordings};

/// Lists the events of each file.
pub fn predict(arguments: &Predict, folder: &Path, machine: &Machine) -> Result<(), Failure> {
    let refused = [("--top", arguments.top.is_some()), ("--logits", arguments.logits)];
    if let Some((name, _)) = refused.iter().find(|(_, said)| *said) {
        return Err(Failure::usage(format!("{name} says more of one piece; with --window there are events")));
    }
    let precision = environment::precision(&arguments.precision, machine)?;
    let classifier = Classifier::load_on(folder, machine)?.in_precision(precision)?;
    let windows = Windows::new(arguments.window, arguments.hop, classifier.seconds())
        .map_err(|error| Failure::usage(error.to_string()))?;
    let usual = match classifier.kind() {
        LabelKind::Single => 0.0,
        LabelKind::Multi => 0.5,
    };
    let least = arguments.min_score.unwrap_or(usual);
    let files = recordings::files(&arguments.inputs)?;
    let mut lines = Lines::open(arguments.out.as_deref(), "file,start,end,label,score,error")?;
    let mut failed = 0;
    for file in &files {
        let name = file.display().to_string();
        let events = hear(&classifier, file, windows, least);
        failed += usize::from(events.is_err());
        let object = || match &events {
            Ok(events) => json!({ "file": name, "events": events }),
            Err(reason) => json!({ "file": name, "error": reason }),
        };
        let row = |event: &SoundEvent| {
            let SoundEvent { start, end, label, score } = event;
            format!("{},{start},{end},{},{score},", field(&name), field(label))
        };
        let rows = || match &events {
            Ok(events) => events.iter().map(row).collect(),
            Err(reason) => vec![format!("{},,,,,{}", field(&name), field(reason))],
        };
        lines.write(object, rows)?;
    }
    lines.finish()?;
    inputs::some_failed(failed, files.len())
}

/// The events of a file, or why there are none. What is odd about it is noted.
fn hear(
    classifier: &Classifier,
    file: &Path,
    windows: Windows,
    least: f32,
) -> Result<Vec<SoundEvent>, String> {
    let mut sound = SoundStream::open(file, None).map_err(|error| error.to_string())?;
    let events = classifier.events(&mut sound, windows, least);
    for remark in sound.remarks() {
        console::note(&format!("odd      {}: {remark}", file.display()));
    }
    events.map_err(|error| error.to_string())
}
