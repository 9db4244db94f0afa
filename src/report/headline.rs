//! What stands on top: what was done, the one number that matters, how sure it is, and what guessing would give.

use maud::{Markup, html};
use tk_transfer::metrics::{ClassScore, Confusion, Interval};

use super::number::{metric_title, percent, percent_range, place, score};
use super::{DataPart, ReportData, Scores, number};

/// The masthead of a report.
pub(super) fn masthead(report: &ReportData) -> Markup {
    // What chose nothing is the honest result.
    let scores = report.test.as_ref().or(report.validation.as_ref());
    html! {
        header {
            p.kicker { "transferkit " (report.version) }
            h1 { (report.title) }
            @if !report.command.is_empty() { pre.command { code { (report.command) } } }
            @if let Some(scores) = scores { (headline(scores, &report.data)) }
            @if !report.remarks.is_empty() {
                ul.remarks { @for remark in &report.remarks { li { (remark) } } }
            }
            @if let Some(next) = &report.next {
                div.next id="next" { span { "Next" } pre { code { (next) } } }
            }
        }
    }
}

/// The principal score, large, and the others beside it.
fn headline(scores: &Scores, data: &DataPart) -> Markup {
    let Some((name, value)) = scores.principal() else { return html! {} };
    let interval = scores.intervals.get(name).copied();
    let majority = scores.confusion.as_ref().filter(|_| name == "accuracy").map(Confusion::majority);
    let others = scores.metrics.iter().filter(|(other, _)| *other != name);
    html! {
        div.headline {
            div.principal {
                p.label { (metric_title(name)) }
                p.figure { (score(name, value)) }
                @if let Some(interval) = interval.filter(|_| !number::is_loss(name)) {
                    p.interval { "95" (number::THIN) "% interval " strong { (percent_range(interval)) } }
                }
                @if !scores.scored_on.is_empty() { p.quiet { "on " (scores.scored_on) } }
            }
            div.standing {
                @if !number::is_loss(name) { (strip(value, interval, majority.map(|(_, share)| share))) }
                @if let Some(majority) = majority { p { (verdict(interval, majority, data)) } }
                dl.others {
                    @for (other, &value) in others {
                        div {
                            dt { (metric_title(other)) }
                            dd {
                                (score(other, value))
                                @if let Some(&interval) = scores.intervals.get(other) {
                                    span.quiet { (percent_range(interval)) }
                                }
                            }
                        }
                    }
                    @if let Some((class, recall)) = weakest(&scores.per_class) {
                        div { dt { "Weakest class" } dd { (data.class(class)) span.quiet { "recall " (percent(recall)) } } }
                    }
                }
            }
        }
    }
}

/// A scale from 0 to 100 % with the value, its interval, and what guessing would give.
fn strip(value: f64, interval: Option<Interval>, majority: Option<f64>) -> Markup {
    let label = format!("{} on a scale from 0 to 100 %", percent(value));
    html! {
        div.strip role="img" aria-label=(label) {
            @if let Some(Interval { low, high }) = interval {
                span.range style={ "left:" (place(low)) "%;width:" (place(high - low)) "%" } {}
            }
            @if let Some(share) = majority {
                span.guess style={ "left:" (place(share)) "%" } {}
                // Moved back by as much of its own width as it stands to the right, a label never leaves the scale.
                span.guess-label style={ "left:" (place(share)) "%;transform:translateX(-" (place(share)) "%)" } {
                    "majority guess " (percent(share))
                }
            }
            span.value style={ "left:" (place(value)) "%" } {}
        }
        div.ends { span { "0" } span { "100" (number::THIN) "%" } }
    }
}

/// Whether the score is more than always guessing the most frequent class.
fn verdict(interval: Option<Interval>, (class, share): (usize, f64), data: &DataPart) -> Markup {
    let guess = html! { "always guessing “" (data.class(class)) "” (" (percent(share)) ")" };
    match interval {
        Some(interval) if interval.low > share => html! { "Above " (guess) ", beyond what chance explains." },
        Some(interval) if interval.high < share => html! { strong.warn { "Worse" } " than " (guess) "." },
        Some(_) => {
            html! { strong.warn { "Not distinguishable" } " from " (guess) " on so few samples: the interval holds both." }
        }
        None => html! { "For comparison: " (guess) "." },
    }
}

/// The class with the lowest recall among those with samples, the first of equals.
fn weakest(scores: &[ClassScore]) -> Option<(usize, f64)> {
    let with_samples = scores.iter().enumerate().filter(|(_, score)| score.samples > 0);
    with_samples.map(|(class, score)| (class, score.recall)).min_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_follows_from_the_interval() {
        let data = DataPart::default();
        let interval = |low, high| Some(Interval { low, high });
        for (interval, expected) in [
            (interval(0.6, 0.7), "Above always guessing “class 1” (50.0"),
            (interval(0.5, 0.7), "Not distinguishable"),
            (interval(0.3, 0.49), "Worse"),
            (None, "For comparison"),
        ] {
            let text = verdict(interval, (1, 0.5), &data).into_string();
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn the_guess_stands_beside_accuracy_alone() {
        let confusion = Confusion::of(2, &[0, 0, 1], &[0, 0, 0]).ok();
        for (headline_name, is_shown) in [("accuracy", true), ("macro_f1", false), ("absent", true)] {
            let scores = Scores {
                headline: headline_name.into(),
                metrics: [("accuracy".to_owned(), 0.9), ("macro_f1".to_owned(), 0.4)].into(),
                per_class: confusion.as_ref().map(Confusion::per_class).unwrap_or_default(),
                confusion: confusion.clone(),
                ..Scores::default()
            };
            let text = headline(&scores, &DataPart::default()).into_string();
            assert_eq!(text.contains("majority guess"), is_shown, "{headline_name}");
            assert!(text.contains("Weakest class"), "{text}");
        }
    }
}
