//! The model: what was loaded, what was frozen and trained, and the proof of it.

use maud::{Markup, html};
use tk_transfer::audit::AuditReport;
use tk_transfer::checkpoint::{LoadReport, Reason};

use super::number::{count, percent, place, plural, short_count};
use super::page::Section;
use super::{ModelPart, ParameterCount, StagePart, StageRole};

/// What was adapted.
pub(super) fn section(model: Option<&ModelPart>) -> Option<Section> {
    let model = model?;
    let body = html! {
        p.lead {
            strong { (model.name) }
            @if !model.architecture.is_empty() && model.architecture != model.name { ", architecture " (model.architecture) }
            @if let Some(remark) = &model.remark { " – " (remark) }
            "."
        }
        @if model.parameters.total > 0 { (parameters(model.parameters)) }
        @if !model.stages.is_empty() { (stages(&model.stages)) }
        @for line in &model.precision { p { "Precision: " (line) "." } }
        @if let Some(load) = &model.load { (self::load(load)) }
    };
    Some(Section { id: "model", title: "Model".to_owned(), body })
}

fn parameters(parameters: ParameterCount) -> Markup {
    let share = parameters.trained as f64 / parameters.total as f64;
    html! {
        p.share-line { span style={ "width:" (place(share)) "%" } {} }
        p {
            strong { (count(parameters.trained as u64)) } " of " (count(parameters.total as u64)) " parameters were trained (" (percent(share)) "), "
            (count(parameters.frozen as u64)) " frozen."
        }
    }
}

/// Stages from input to output, and the cut between what ran once and what trained.
fn stages(stages: &[StagePart]) -> Markup {
    html! {
        ol.stages {
            @for stage in stages {
                li class=(class(stage.role)) {
                    span.name { (stage.name) }
                    span.quiet { (short_count(stage.parameters)) }
                }
            }
        }
        p.caption.keys {
            @for role in [StageRole::Cached, StageRole::Frozen, StageRole::Trained] {
                @if stages.iter().any(|stage| stage.role == role) {
                    span class={ "key " (class(role)) } { (meaning(role)) }
                }
            }
        }
    }
}

fn class(role: StageRole) -> &'static str {
    match role {
        StageRole::Cached => "cached",
        StageRole::Frozen => "frozen",
        StageRole::Trained => "trained",
    }
}

fn meaning(role: StageRole) -> &'static str {
    match role {
        StageRole::Cached => "frozen, computed once and cached",
        StageRole::Frozen => "frozen, computed each time",
        StageRole::Trained => "trained",
    }
}

fn load(load: &LoadReport) -> Markup {
    let reason = |reason: Reason| match reason {
        Reason::Optional => "optional",
        Reason::Head => "head",
    };
    let has_details = !(load.replaced.is_empty() && load.initialised.is_empty() && load.unused.is_empty());
    html! {
        h3 { "Loading" }
        p { (load.to_string()) ". " span.quiet.file { (load.checkpoint) } }
        @if !load.dropped_prefix.is_empty() { p.quiet { "The prefix " code { (load.dropped_prefix) } " stood before every name and was dropped." } }
        @if has_details {
            details {
                summary { "Tensors that were not taken as they are" }
                table {
                    tbody {
                        @for tensor in &load.replaced {
                            tr { td.file { (tensor.name) } td { "replaced: " (shape(&tensor.found)) " in the file, " (shape(&tensor.expected)) " here" } }
                        }
                        @for tensor in &load.initialised {
                            tr { td.file { (tensor.name) } td { "initialised (" (reason(tensor.reason)) ")" } }
                        }
                        @for name in &load.unused { tr { td.file { (name) } td { "in the file, not used" } } }
                    }
                }
            }
        }
    }
}

fn shape(sizes: &[usize]) -> String {
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    format!("[{}]", sizes.join(", "))
}

/// The proof that what was called frozen was frozen.
pub(super) fn audit(audits: &[AuditReport]) -> Option<Section> {
    if audits.is_empty() {
        return None;
    }
    let body = html! {
        p.lead { "What was called frozen was compared bit by bit with what it had been, and was the same." }
        @for (phase, report) in audits.iter().enumerate() {
            div.audit {
                @if audits.len() > 1 {
                    h3 { "Phase " (phase + 1) @if !report.stages.is_empty() { ": " (report.stages.join(", ")) } }
                }
                p {
                    strong.good { "✓ " (plural(report.frozen.len(), "tensor")) " unchanged" }
                    @if !report.trained.is_empty() {
                        "; " (plural(report.trained.len(), "tensor")) " trained, watched over " (plural(usize::try_from(report.steps).unwrap_or(usize::MAX), "step"))
                    }
                    "."
                }
                @if let Some(prefix) = &report.prefix { p { "Weights that the frozen prefix ran with: " code.digest { (prefix) } } }
                (digests(report))
            }
        }
    };
    Some(Section { id: "audit", title: "Audit".to_owned(), body })
}

fn digests(report: &AuditReport) -> Markup {
    html! {
        @if !report.frozen.is_empty() {
            details {
                summary { "Digests, before and after" }
                div.scroll tabindex="0" {
                    table.digests { tbody { @for (name, digest) in &report.frozen { tr { td.file { (name) } td { code.digest { (digest) } } } } } }
                }
            }
        }
        @if !report.trained.is_empty() {
            details {
                summary { "Trained tensors" }
                ul.files { @for name in &report.trained { li { (name) } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_that_do_not_occur_are_not_explained() {
        let stage = |name: &str, role| StagePart { name: name.into(), role, parameters: 1000 };
        let text =
            stages(&[stage("stem", StageRole::Cached), stage("head", StageRole::Trained)]).into_string();
        assert!(text.contains(meaning(StageRole::Cached)) && text.contains(meaning(StageRole::Trained)));
        assert!(!text.contains(meaning(StageRole::Frozen)), "{text}");
    }

    #[test]
    fn every_phase_has_its_proof() {
        let report = |frozen: &[&str], trained: &[&str]| AuditReport {
            frozen: frozen.iter().map(|name| ((*name).to_owned(), "0f".repeat(32))).collect(),
            trained: trained.iter().map(|name| (*name).to_owned()).collect(),
            stages: vec!["stem".into(), "head".into()],
            steps: 1240,
            prefix: None,
        };
        let audits = [report(&["a", "b"], &["c"]), report(&[], &["a", "b", "c"])];
        let text = audit(&audits).map(|section| section.body.into_string()).unwrap_or_default();
        for expected in
            ["Phase 2: stem, head", "2 tensors unchanged", "1 tensor trained, watched over 1,240 steps"]
        {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert_eq!((text.matches("<details").count(), text.matches("0f0f").count()), (3, 2 * 16));
        assert!(audit(&[]).is_none());
    }
}
