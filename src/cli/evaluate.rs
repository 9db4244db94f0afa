//! `tk evaluate`: scores, and gates that must hold.

use transferkit::image::{self, Dataset, Labelled, Scored, Split};

use super::arguments::Evaluate;
use super::{Failure, console, environment, inputs, show};

/// A demand such as `accuracy>=0.9`.
struct Gate {
    metric: String,
    least: f64,
}

/// Runs the command.
pub fn run(arguments: Evaluate) -> Result<(), Failure> {
    let gates = arguments.gate.iter().map(|text| Gate::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let machine = environment::machine(arguments.threads)?;
    let classifier = inputs::classifier(&arguments.run, &machine)?;
    let data = Dataset::open(&arguments.data).map_err(image::Error::from)?;
    let (positions, part) = part(&data);
    let (scored, aside) = image::evaluate(&classifier, &data, &positions, &machine)?;
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
            "majority": scored.majority(),
            "classes": scored.per_class()?,
            "confusion": scored.confusion()?,
            "failed": aside.len(),
        }))?;
    } else {
        table(&scored, part)?;
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
fn part(data: &Dataset) -> (Vec<usize>, &'static str) {
    for split in [Split::Test, Split::Validation] {
        let positions = data.split(split);
        if !positions.is_empty() {
            return (positions, split.name());
        }
    }
    ((0..data.samples().len()).collect(), "all")
}

fn table(scored: &Scored, part: &str) -> Result<(), Failure> {
    console::note(&format!("data     {} photographs ({part})", scored.samples()));
    let width = scored.classes.iter().map(|class| class.chars().count()).max().unwrap_or(0).max(5);
    console::line(&format!("{:<width$}  samples  precision  recall     F1", "class"))?;
    for line in scored.per_class()? {
        let image::ClassLine { class, samples, precision, recall, f1 } = line;
        console::line(&format!("{class:<width$}  {samples:>7}  {precision:>9.3}  {recall:>6.3}  {f1:>5.3}"))?;
    }
    console::line(&show::scores(scored)?)
}
