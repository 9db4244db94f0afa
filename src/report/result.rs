//! The result in full: the confusion matrix, the scores of each class, and how far probabilities can be trusted.

use maud::{Markup, html};

use super::page::Section;
use super::{DataPart, ReportData, Scores, calibration, confusion, tables};

/// One section for each set of scores; what chose nothing comes first. The first has its scores in the headline, so that only those
/// of the second are listed.
pub(super) fn sections(report: &ReportData) -> Vec<Section> {
    let (test, validation) = (report.test.as_ref(), report.validation.as_ref());
    let second = if test.is_some() { validation.map(tables::metrics) } else { None };
    test.and_then(|scores| section("test", "Test", scores, None, &report.data))
        .into_iter()
        .chain(
            validation.and_then(|scores| section("validation", "Validation", scores, second, &report.data)),
        )
        .collect()
}

fn section(
    id: &'static str,
    title: &str,
    scores: &Scores,
    metrics: Option<Markup>,
    data: &DataPart,
) -> Option<Section> {
    if metrics.is_none() && scores.per_class.is_empty() && scores.calibration.is_none() {
        return None;
    }
    let body = html! {
        @if !scores.scored_on.is_empty() { p.lead { "Measured on " (scores.scored_on) "." } }
        @if let Some(metrics) = metrics { (metrics) }
        @if let Some(confusion) = &scores.confusion {
            (confusion::figure(confusion, data))
        }
        @if !scores.per_class.is_empty() { (tables::per_class(scores, data)) }
        @if let Some(calibration) = &scores.calibration { (calibration::figure(calibration)) }
    };
    Some(Section { id, title: title.to_owned(), body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headline_is_not_repeated() {
        let scores = Scores { metrics: [("accuracy".to_owned(), 0.5)].into(), ..Scores::default() };
        let some = || Some(scores.clone());
        for (test, validation, expected) in
            [(some(), some(), "validation"), (some(), None, ""), (None, some(), ""), (None, None, "")]
        {
            let sections = sections(&ReportData { test, validation, ..ReportData::default() });
            let ids: Vec<&str> = sections.iter().map(|section| section.id).collect();
            assert_eq!(ids.join(" "), expected);
            assert!(sections.iter().all(|section| section.body.0.contains("50.0")));
        }
    }
}
