//! How the probe's strength was chosen.

use maud::{Markup, html};

use super::number::{percent, place, significant};
use super::page::Section;
use super::{Candidate, ProbePart};

/// The strengths that were tried with their scores on each fold.
pub(super) fn section(probe: Option<&ProbePart>) -> Option<Section> {
    let probe = probe?;
    let folds = probe.candidates.first().map_or(0, |candidate| candidate.folds.len());
    let body = html! {
        p.lead {
            "A " (probe.kind) " on the frozen features, with strength " strong { (significant(probe.strength)) }
            @if probe.candidates.len() > 1 {
                ", chosen from " (probe.candidates.len()) " by the mean accuracy on " (folds) " folds of the training samples"
            }
            "."
        }
        @if probe.candidates.iter().any(|candidate| !candidate.folds.is_empty()) { (table(probe)) }
    };
    Some(Section { id: "probe", title: "Probe".to_owned(), body })
}

fn table(probe: &ProbePart) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table.probe {
                thead {
                    tr {
                        th.number scope="col" { "Strength" }
                        th.number scope="col" { "Mean" }
                        th.number scope="col" { "Spread" }
                        th scope="col" { "Folds" }
                    }
                }
                tbody {
                    @for candidate in &probe.candidates {
                        @let (mean, spread) = summary(candidate);
                        tr.chosen[candidate.strength == probe.strength] {
                            td.number { (significant(candidate.strength)) }
                            td.number { (percent(mean)) }
                            td.number.quiet { "± " (percent(spread)) }
                            td.folds {
                                span.scale { @for &fold in &candidate.folds { i style={ "left:" (place(fold)) "%" } title=(percent(fold)) {} } }
                            }
                        }
                    }
                }
            }
        }
        p.caption { "Spread is the standard deviation over folds; each dot is a fold on a scale from 0 to 100 %." }
    }
}

/// Mean and standard deviation over folds.
fn summary(candidate: &Candidate) -> (f64, f64) {
    let count = candidate.folds.len() as f64;
    let mean = candidate.folds.iter().sum::<f64>() / count;
    let variance = candidate.folds.iter().map(|fold| (fold - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_strength_is_marked() {
        let candidate = |strength, folds: &[f64]| Candidate { strength, folds: folds.to_vec() };
        let probe = ProbePart {
            kind: "logistic regression".into(),
            strength: 0.1,
            candidates: vec![candidate(0.01, &[0.5, 0.7]), candidate(0.1, &[0.8, 0.9])],
        };
        let text = section(Some(&probe)).map(|section| section.body.into_string()).unwrap_or_default();
        assert_eq!(text.matches("class=\"chosen\"").count(), 1);
        let (_, chosen) = text.split_once("class=\"chosen\"").unwrap_or_default();
        assert!(chosen.contains("85.0") && chosen.contains("± 5.0"), "{chosen}");
        let bare = ProbePart { candidates: vec![], ..probe };
        let text = section(Some(&bare)).map(|section| section.body.into_string()).unwrap_or_default();
        assert!(!text.contains("<table") && !text.contains("folds"), "{text}");
    }
}
