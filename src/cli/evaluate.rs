//! `tk evaluate`: scores, and gates that must hold.

use std::collections::BTreeMap;
use std::path::Path;

use tk_transfer::data::{Labelled, Split};
use transferkit::Machine;
use transferkit::audio::{self, Recordings};
use transferkit::classify::{ClassLine, LabelKind, Modality, Scored, Settings, evaluate};
use transferkit::detect::Objects;
use transferkit::image::Photographs;
use transferkit::segment::Pixels;
use transferkit::text::{self, Texts};

use super::arguments::Evaluate;
use super::kind::{self, Kind};
use super::{Failure, console, environment, found, inputs, run_folder, show, tags, transcribe, weights};

/// A demand such as `accuracy>=0.9` or `wer<=0.1`.
pub struct Gate {
    metric: String,
    bound: Bound,
}

/// What a score must not be below, or above.
enum Bound {
    Least(f64),
    Most(f64),
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
        Kind::Tags => tags::score(&arguments, &gates, &model.folder, &machine),
        Kind::Recordings => {
            let classifier = audio::Classifier::load_on(&model.folder, &machine)?.in_precision(precision)?;
            score::<Recordings>(&arguments, &gates, &classifier, &machine)
        }
        Kind::Speech => transcribe::score(&arguments, &gates, &model.folder, &machine),
        Kind::Objects => found::score::<Objects>(&arguments, &gates, &machine),
        Kind::Pixels => found::score::<Pixels>(&arguments, &gates, &machine),
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
    known(gates, &scored.metrics)?;
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
    hold(gates, &scored.metrics)
}

/// Checks that all demands are about scores that there are.
pub fn known(gates: &[Gate], metrics: &BTreeMap<String, f64>) -> Result<(), Failure> {
    let Some(gate) = gates.iter().find(|gate| !metrics.contains_key(&gate.metric)) else { return Ok(()) };
    let known: Vec<&str> = metrics.keys().map(String::as_str).collect();
    Err(Failure::usage(format!("--gate: no metric `{}`; there are {}", gate.metric, known.join(", "))))
}

/// Checks that all demands hold.
pub fn hold(gates: &[Gate], metrics: &BTreeMap<String, f64>) -> Result<(), Failure> {
    for gate in gates {
        let found = metrics.get(&gate.metric).copied().unwrap_or(f64::NAN);
        let (holds, word) = match gate.bound {
            Bound::Least(least) => (found >= least, format!("below {least}")),
            Bound::Most(most) => (found <= most, format!("above {most}")),
        };
        if !holds {
            return Err(Failure::gate(format!("{} is {found:.4}, {word}", gate.metric)));
        }
    }
    Ok(())
}

impl Gate {
    fn parse(text: &str) -> Result<Self, Failure> {
        let split = |sign: &str, bound: fn(f64) -> Bound| {
            let (metric, value) = text.split_once(sign)?;
            Some(Self { metric: metric.trim().to_owned(), bound: bound(value.trim().parse().ok()?) })
        };
        split(">=", Bound::Least).or_else(|| split("<=", Bound::Most)).ok_or_else(|| {
            Failure::usage(format!(
                "--gate {text}: expected METRIC>=VALUE, such as 'accuracy>=0.9', or 'wer<=0.1'"
            ))
        })
    }
}

/// What is scored: the data's test samples, else its validation samples, else all of it.
pub fn part(data: &impl Labelled) -> (Vec<usize>, &'static str) {
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
