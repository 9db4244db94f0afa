//! Tables of scores.

use maud::{Markup, html};
use tk_transfer::metrics::ClassScore;

use super::number::{count, metric_title, percent, percent_range, score};
use super::{DataPart, Scores};

/// How many classes are listed openly; of more, the weakest are, and all of them can be unfolded.
const OPEN: usize = 25;

/// How many of the weakest classes are listed where there are many.
const WEAKEST: usize = 10;

/// Every score with its interval.
pub(super) fn metrics(scores: &Scores) -> Markup {
    if scores.metrics.is_empty() {
        return html! {};
    }
    html! {
        table.metrics {
            thead { tr { th scope="col" { "Score" } th.number scope="col" { "Value" } th.number scope="col" { "95 % interval" } } }
            tbody {
                @for (name, &value) in &scores.metrics {
                    tr {
                        th scope="row" { (metric_title(name)) }
                        td.number { (score(name, value)) }
                        td.number.quiet { @if let Some(&interval) = scores.intervals.get(name) { (percent_range(interval)) } }
                    }
                }
            }
        }
    }
}

/// Precision, recall, F1 and support of each class, and its average precision where samples may have several.
pub(super) fn per_class(scores: &Scores, data: &DataPart) -> Markup {
    let all: Vec<(usize, &ClassScore)> = scores.per_class.iter().enumerate().collect();
    let class_table = |rows: &[(usize, &ClassScore)]| class_table(rows, &scores.average_precision, data);
    if all.len() <= OPEN {
        return html! { h3 { "By class" } (class_table(&all)) };
    }
    let mut weakest: Vec<_> = all.iter().copied().filter(|(_, score)| score.samples > 0).collect();
    weakest.sort_by(|a, b| a.1.f1.total_cmp(&b.1.f1));
    weakest.truncate(WEAKEST);
    html! {
        h3 { "The weakest of " (all.len()) " classes" }
        (class_table(&weakest))
        details.printed { summary { "All " (all.len()) " classes" } (class_table(&all)) }
    }
}

fn class_table(rows: &[(usize, &ClassScore)], average_precision: &[Option<f64>], data: &DataPart) -> Markup {
    let columns = ["Precision", "Recall", "F1", "Samples", "Predicted"];
    html! {
        div.scroll tabindex="0" {
            table.classes {
                thead {
                    tr {
                        th.number scope="col" { "#" }
                        th scope="col" { "Class" }
                        @for column in columns { th.number scope="col" { (column) } }
                        @if !average_precision.is_empty() { th.number scope="col" { "Average precision" } }
                    }
                }
                tbody {
                    @for (class, score) in rows {
                        tr {
                            td.number.quiet { (class) }
                            th scope="row" { (data.class(*class)) }
                            @for share in [score.precision, score.recall] { td.number { (percent(share)) } }
                            td.number.f1 { (percent(score.f1)) }
                            td.number { (count(score.samples)) }
                            td.number { (count(score.predicted)) }
                            @if let Some(precision) = average_precision.get(*class) {
                                td.number { @if let Some(share) = precision { (percent(*share)) } @else { "–" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_classes_the_weakest_stand_open() {
        let score = |f1| ClassScore { precision: f1, recall: f1, f1, samples: 4, predicted: 4 };
        let all: Vec<ClassScore> = (0..40).map(|class| score(1.0 - f64::from(class) / 100.0)).collect();
        let scores = |per_class: &[ClassScore]| Scores { per_class: per_class.to_vec(), ..Scores::default() };
        let text = per_class(&scores(&all), &DataPart::default()).into_string();
        let (open, folded) = text.split_once("<details").unwrap_or_default();
        assert!(open.contains("class 39<") && !open.contains("class 29<"), "{open}");
        assert_eq!((open.matches("<tr>").count(), folded.matches("<tr>").count()), (11, 41));
        let few = scores(all.get(..3).unwrap_or_default());
        let plain = per_class(&few, &DataPart::default()).into_string();
        assert!(!plain.contains("Average precision"));
        let few = Scores { average_precision: vec![Some(0.25), None, Some(1.0)], ..few };
        let few = per_class(&few, &DataPart::default()).into_string();
        assert!(few.contains("Average precision") && few.contains("25.0") && few.contains('–'), "{few}");
        assert!(!few.contains("<details") && few.contains("class 2<"), "{few}");
    }
}
