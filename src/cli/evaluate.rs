//! `tk evaluate`: scores, and gates that must hold.

use std::path::Path;

use tk_transfer::data::{Labelled, Split};
use transferkit::Machine;
use transferkit::audio::{self, Recordings};
use transferkit::classify::{ClassLine, LabelKind, Modality, Scored, Settings, evaluate};
use transferkit::image::Photographs;
use transferkit::text::{self, Texts};

use super::arguments::Evaluate;
use super::kind::{self, Kind};
use super::{Failure, console, environment, inputs, run_folder, show, weights};

/// A demand such as `accuracy>=0.9`.
struct Gate {
    metric: String,
    least: f64,
}

/// Runs the command.
pub fn run(arguments: Evaluate) -> Result<(), Failure> {
    let gates = arguments.gate.iter().map(|text| Gate::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let machine = environment::machine(arguments.threads)?;
    let precision = environment::precision(&arguments.precision, &machine)?;
    let model = weights::locate(&arguments.run, &arguments.network)?;
    match kind::of(&model.folder) {
        Kind::Photographs => {
            let classifier = inputs::classifier(&model, &machine)?.in_precision(precision)?;
            score::<Photographs>(&arguments, &gates, &classifier, &machine)
        }
        Kind::Texts => {
            let classifier = text::Classifier::load_on(&model.folder, &machine)?.in_precision(precision)?;
            score::<Texts>(&arguments, &gates, &classifier, &machine)
        }
        Kind::Recordings => {
            let classifier = audio::Classifier::load_on(&model.folder, &machine)?.in_precision(precision)?;
            score::<Recordings>(&arguments, &gates, &classifier, &machine)
        }
    }
}

fn score<M: Modality>(
    arguments: &Evaluate,
    gates: &[Gate],
    classifier: &M::Classifier,
    machine: &Machine,
) -> Result<(), Failure> {
    let folder = Path::new(&arguments.run);
    // The columns of a table are those that the run was trained on.
    let settings =
        if run_folder::holds_run(folder) { run_folder::settings(folder)? } else { Settings::default() };
    let data = M::open_data(&arguments.data, &settings.for_data(&arguments.data))?;
    let (positions, part) = part(&data);
    let (scored, aside) = evaluate::<M>(classifier, &data, &positions, &machine.pool)?;
    if let Some(gate) = gates.iter().find(|gate| !scored.metrics.contains_key(&gate.metric)) {
        let known: Vec<&str> = scored.metrics.keys().map(String::as_str).collect();
        return Err(Failure::usage(format!(
            "--gate: no metric `{}`; there are {}",
            gate.metric,
            known.join(", ")
        )));
    }
    for (file, reason) in aside.iter() {
        console::note(&format!("aside    {file}: {reason}"));
    }
    if arguments.json {
        console::json(&serde_json::json!({
            "part": part,
            "samples": scored.samples(),
            "metrics": scored.metrics,
            "intervals": scored.intervals,
            "baseline": scored.baseline(),
            "classes": scored.per_class()?,
            "confusion": scored.confusion()?,
            "failed": aside.len(),
        }))?;
    } else {
        table(&scored, M::SAMPLES, part)?;
    }
    for gate in gates {
        let found = scored.metrics.get(&gate.metric).copied().unwrap_or(f64::NAN);
        if found.is_nan() || found < gate.least {
            return Err(Failure::gate(format!("{} is {found:.4}, below {}", gate.metric, gate.least)));
        }
    }
    Ok(())
}

impl Gate {
    fn parse(text: &str) -> Result<Self, Failure> {
        let parts = text.split_once(">=").and_then(|(metric, least)| {
            Some(Self { metric: metric.trim().to_owned(), least: least.trim().parse().ok()? })
        });
        parts.ok_or_else(|| {
            Failure::usage(format!("--gate {text}: expected METRIC>=VALUE, such as 'accuracy>=0.9'"))
        })
    }
}

/// What is scored: the data's test samples, else its validation samples, else all of it.
fn part(data: &impl Labelled) -> (Vec<usize>, &'static str) {
    for split in [Split::Test, Split::Validation] {
        let positions = data.split(split);
        if !positions.is_empty() {
            return (positions, split.name());
        }
    }
    ((0..data.len()).collect(), "all")
}

fn table(scored: &Scored, samples: &str, part: &str) -> Result<(), Failure> {
    console::note(&format!("data     {} {samples} ({part})", scored.samples()));
    let width = scored.classes.iter().map(|class| class.chars().count()).max().unwrap_or(0).max(5);
    let is_multi = scored.kind() == LabelKind::Multi;
    let more = if is_multi { "  average precision" } else { "" };
    console::line(&format!("{:<width$}  samples  precision  recall     F1{more}", "class"))?;
    for line in scored.per_class()? {
        let ClassLine { class, samples, precision, recall, f1, average_precision } = line;
        let more = average_precision.map_or_else(String::new, |share| format!("  {share:>17.3}"));
        console::line(&format!(
            "{class:<width$}  {samples:>7}  {precision:>9.3}  {recall:>6.3}  {f1:>5.3}{more}"
        ))?;
    }
    console::line(&show::scores(scored)?)
}
