//! The course of fine-tuning: loss, validation scores and learning rate by epoch.

use maud::{Markup, html};
use tk_transfer::fit::Record;

use super::chart::{Axis, Chart, Series};
use super::number::{decimal, is_loss, metric_title, percent, significant};
use super::page::Section;

/// Looks of lines, in the order of use.
const STYLES: [&str; 4] = ["first", "second", "third", "fourth"];

/// The charts, where anything was trained by epochs.
pub(super) fn section(records: &[Record]) -> Option<Section> {
    let last = records.last()?;
    let mut losses = vec![series("Training", records, 0, |record| Some(record.loss))];
    let mut scores = Vec::new();
    for name in last.validation.keys() {
        let value = |record: &Record| record.validation.get(name).copied();
        if is_loss(name) {
            losses.push(series(
                &format!("Validation {}", metric_title(name).to_lowercase()),
                records,
                losses.len(),
                value,
            ));
        } else {
            scores.push(series(&metric_title(name), records, scores.len(), value));
        }
    }
    let rates = [series("Learning rate of the head", records, 0, |record| Some(record.learning_rate))];
    // A phase ends between its last epoch and the next one's first.
    let changes = records
        .windows(2)
        .filter(|pair| pair.first().map(|record| record.phase) != pair.last().map(|record| record.phase));
    let marks: Vec<f64> =
        changes.filter_map(|pair| pair.first()).map(|record| record.epoch as f64 + 0.5).collect();
    let body = html! {
        @if let Some(best) = best(records) { p.lead { (best) } }
        div.charts {
            (panel("Loss", &losses, From::Zero, decimal, &marks))
            @if !scores.is_empty() { (panel("Validation", &scores, From::Values, percent, &marks)) }
            (panel("Learning rate", &rates, From::Zero, significant, &marks))
        }
        @if !marks.is_empty() { p.caption { "A dashed line is where a new phase began." } }
    };
    Some(Section { id: "training", title: "Training".to_owned(), body })
}

/// Where the axis upwards begins.
#[derive(PartialEq)]
enum From {
    Zero,
    Values,
}

fn panel(title: &str, series: &[Series], from: From, format: fn(f64) -> String, marks: &[f64]) -> Markup {
    let points = || series.iter().flat_map(|series| series.points.iter());
    let zero = (from == From::Zero).then_some(0.0);
    let chart = Chart {
        label: &format!("{title} by epoch"),
        x: Axis::whole(points().map(|point| point.0), significant),
        y: Axis::around(points().map(|point| point.1).chain(zero), tick(&from)),
        series,
        marks,
    };
    html! {
        figure {
            figcaption {
                strong { (title) }
                @for series in series {
                    span class={ "key " (series.style) } {
                        (series.name)
                        @if let Some(&(_, value)) = series.points.last() { " " span.quiet { (format(value)) } }
                    }
                }
            }
            (chart.draw())
        }
    }
}

/// Labels of the axis upwards: scores are percent, everything else is as it is.
fn tick(from: &From) -> fn(f64) -> String {
    match from {
        From::Zero => significant,
        From::Values => |share| format!("{} %", significant(100.0 * share)),
    }
}

/// A line of one value by epoch.
fn series(name: &str, records: &[Record], style: usize, value: impl Fn(&Record) -> Option<f64>) -> Series {
    let points = records.iter().filter_map(|record| Some((record.epoch as f64, value(record)?))).collect();
    Series {
        name: name.to_owned(),
        points,
        style: STYLES.get(style % STYLES.len()).copied().unwrap_or_default(),
    }
}

/// Which epoch had the best validation score of those that say most; the first of equals.
fn best(records: &[Record]) -> Option<String> {
    let name = ["accuracy", "map", "ap50", "miou"]
        .into_iter()
        .find(|name| records.iter().any(|record| record.validation.contains_key(*name)))?;
    let value = |record: &Record| record.validation.get(name).copied().filter(|value| value.is_finite());
    let mut best: Option<(usize, f64)> = None;
    for (epoch, value) in records.iter().filter_map(|record| Some((record.epoch, value(record)?))) {
        if best.is_none_or(|(_, most)| value > most) {
            best = Some((epoch, value));
        }
    }
    let (epoch, value) = best?;
    let title = metric_title(name).to_lowercase();
    Some(format!("Best validation {title} {} after epoch {epoch} of {}.", percent(value), records.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(phase: usize, epoch: usize, accuracy: f64) -> Record {
        Record {
            phase,
            epoch,
            step: 10 * epoch as u64,
            loss: 1.0 / epoch as f64,
            learning_rate: 1e-3,
            validation: [("accuracy".to_owned(), accuracy), ("log_loss".to_owned(), 0.4)].into(),
            seconds: 1.0,
        }
    }

    #[test]
    fn losses_share_a_chart_and_phases_are_marked() {
        let records = [record(0, 1, 0.8), record(0, 2, 0.9), record(1, 3, 0.9), record(1, 4, 0.85)];
        let text = section(&records).map(|section| section.body.into_string()).unwrap_or_default();
        assert_eq!(text.matches("<svg").count(), 3);
        assert_eq!(text.matches("class=\"mark\"").count(), 3, "one change of phase in each chart");
        assert!(text.contains("Validation log-loss"), "{text}");
        assert!(text.contains("90.0\u{202f}% after epoch 2 of 4"), "{text}");
    }

    #[test]
    fn one_epoch_without_validation_is_a_dot_in_two_charts() {
        let mut only = record(0, 1, 0.5);
        only.validation.clear();
        let text = section(&[only]).map(|section| section.body.into_string()).unwrap_or_default();
        assert_eq!((text.matches("<svg").count(), text.matches("<circle").count()), (2, 2));
        assert!(!text.contains("NaN") && !text.contains("class=\"lead\""), "{text}");
        assert!(section(&[]).is_none());
    }
}
