//! `README.md` of a run: the model card that other tools show.

use tk_transfer::data::LabelKind;

use super::Run;
use super::modality::Modality;

/// The card's text.
pub(super) fn text<M: Modality>(run: &Run<M>) -> String {
    let [front, usage] = M::card();
    let summary = run.summary();
    let mut text = format!("---\n{front}\ntags:\n- transferkit\n---\n");
    text.push_str(&format!("# Classifier of {}\n\n", summary.classes.join(", ")));
    text.push_str(&format!(
        "`{}` adapted to {} {} in {} mode with a {} head.\n\n",
        summary.model,
        summary.samples["train"],
        M::SAMPLES,
        summary.mode,
        summary.head
    ));
    let scores = [(run.validation(), "Validation"), (run.test(), "Test")];
    for (scored, name) in scores.into_iter().filter_map(|(scored, name)| Some((scored?, name))) {
        text.push_str(&format!(
            "## {name}\n\nMeasured on {}.\n\n| score | value | 95 % interval |\n|---|---|---|\n",
            scored.scored_on()
        ));
        for (metric, value) in &scored.metrics {
            let interval = scored.intervals.get(metric);
            let interval =
                interval.map_or_else(String::new, |range| format!("{:.3}–{:.3}", range.low, range.high));
            text.push_str(&format!("| {metric} | {value:.3} | {interval} |\n"));
        }
        let baseline = scored.baseline();
        text.push_str(&format!("| {}, {} | {:.3} | |\n\n", baseline.metric, baseline.how, baseline.value));
    }
    let samples = M::SAMPLES;
    let limit = match M::kind(run.model()) {
        LabelKind::Single => ": anything else still gets one of them",
        LabelKind::Multi => "; each is decided by itself, so that a sample may get several or none",
    };
    text.push_str(&format!(
        "## Limits\n\nIt knows the classes above and nothing else{limit}. \
         The scores hold for {samples} like those it was measured on.\n\n## Use\n\n\
         `tk predict FOLDER {}`, or with a linear head {usage}. `report.html` tells how it came about.\n",
        M::EXAMPLE
    ));
    text
}
