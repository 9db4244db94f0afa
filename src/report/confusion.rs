//! The confusion matrix: a table while its columns can be read, a compact picture with the top confusions beyond.

use std::fmt::Write;

use maud::{Markup, html};
use tk_transfer::metrics::Confusion;

use super::DataPart;
use super::number::{count, percent, place};

/// Up to how many classes the matrix is a table of numbers.
const TABLE: usize = 16;

/// Up to how many classes column names stand upright.
const UPRIGHT: usize = 4;

/// How many confusions are listed.
const LISTED: usize = 15;

/// Steps of shade in the picture.
const SHADES: usize = 6;

/// The matrix as it is best read.
pub(super) fn figure(confusion: &Confusion, data: &DataPart) -> Markup {
    if confusion.classes() == 0 {
        return html! {};
    }
    html! {
        h3 { "What was taken for what" }
        @if confusion.classes() <= TABLE {
            (table(confusion, data))
        } @else {
            div.beside { (picture(confusion)) (list(&confusions(confusion), data)) }
        }
    }
}

fn table(confusion: &Confusion, data: &DataPart) -> Markup {
    let classes = confusion.classes();
    let names: Vec<String> = (0..classes).map(|class| data.class(class)).collect();
    html! {
        div.scroll tabindex="0" {
            table.confusion.turned[classes > UPRIGHT] {
                thead {
                    tr {
                        th { span.quiet { "true ↓ predicted →" } }
                        @for name in &names { th scope="col" { span { (name) } } }
                    }
                }
                tbody {
                    @for (label, (row, name)) in confusion.rows().zip(&names).enumerate() {
                        tr {
                            th scope="row" { (name) }
                            @for (predicted, (&times, other)) in row.iter().zip(&names).enumerate() {
                                (cell(times, row.iter().sum(), label == predicted, &format!("{name}, taken for {other}")))
                            }
                        }
                    }
                }
            }
        }
        p.caption { "Each row is a true class; shade is its share of that row. Off the diagonal are mistakes." }
    }
}

/// A cell shaded by its share of the row; a mistake has another colour than a success.
fn cell(times: u64, row: u64, is_right: bool, title: &str) -> Markup {
    if times == 0 {
        return html! { td.none title=(title) { "·" } };
    }
    let share = times as f64 / row as f64;
    html! {
        td.right[is_right].wrong[!is_right].deep[share > 0.5]
            style={ "--share:" (place(share)) "%" } title={ (title) ": " (percent(share)) } {
            (count(times))
        }
    }
}

/// One path for each shade, so that many classes take few bytes. Row: true class, column: predicted class.
fn picture(confusion: &Confusion) -> Markup {
    let classes = confusion.classes();
    let mut right = vec![String::new(); SHADES];
    let mut wrong = vec![String::new(); SHADES];
    for (label, row) in confusion.rows().enumerate() {
        let whole: u64 = row.iter().sum();
        for (predicted, &times) in row.iter().enumerate().filter(|(_, times)| **times > 0) {
            let paths = if label == predicted { &mut right } else { &mut wrong };
            if let Some(path) = paths.get_mut(shade(times as f64 / whole as f64)) {
                // Writing to a string cannot fail.
                let _ = write!(path, "M{predicted} {label}h1v1h-1z");
            }
        }
    }
    let opacity = |shade: usize| format!("{:.2}", 0.2 + 0.8 * shade as f64 / (SHADES - 1) as f64);
    html! {
        figure.matrix {
            svg viewBox={ "-0.5 -0.5 " (classes + 1) " " (classes + 1) } role="img"
                aria-label={ "Confusion matrix of " (classes) " classes" } {
                rect.frame x="0" y="0" width=(classes) height=(classes) {}
                @for (name, paths) in [("right", &right), ("wrong", &wrong)] {
                    @for (shade, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
                        path class=(name) opacity=(opacity(shade)) d=(path) {}
                    }
                }
            }
            figcaption { "Rows are true classes 0 to " (classes - 1) " from the top, columns predicted ones." }
        }
    }
}

/// The step of shade of a share. Mistakes are many and small, so shares are spread by their square root.
fn shade(share: f64) -> usize {
    ((share.sqrt() * SHADES as f64) as usize).min(SHADES - 1)
}

/// Who was taken for whom how often: `(true, predicted, times, share of the true class)`, most frequent first.
fn confusions(confusion: &Confusion) -> Vec<(usize, usize, u64, f64)> {
    let mut found = Vec::new();
    for (label, row) in confusion.rows().enumerate() {
        let whole: u64 = row.iter().sum();
        let mistaken = row.iter().enumerate().filter(|&(predicted, &times)| predicted != label && times > 0);
        found.extend(
            mistaken.map(|(predicted, &times)| (label, predicted, times, times as f64 / whole as f64)),
        );
    }
    found.sort_by(|a, b| b.2.cmp(&a.2).then(b.3.total_cmp(&a.3)));
    found.truncate(LISTED);
    found
}

fn list(confusions: &[(usize, usize, u64, f64)], data: &DataPart) -> Markup {
    if confusions.is_empty() {
        return html! { p { "No mistakes." } };
    }
    html! {
        table.pairs {
            thead { tr { th scope="col" { "True" } th scope="col" { "Taken for" } th.number scope="col" { "Times" } th.number scope="col" { "Share" } } }
            tbody {
                @for &(label, predicted, times, share) in confusions {
                    tr {
                        td { (data.class(label)) }
                        td { (data.class(predicted)) }
                        td.number { (count(times)) }
                        td.number.quiet { (percent(share)) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn confusions_are_ordered_by_times_then_share() {
        let labels = [0, 0, 0, 1, 1, 2, 2, 2, 2];
        let predicted = [0, 1, 1, 0, 1, 0, 2, 1, 1];
        let confusion = Confusion::of(3, &labels, &predicted).unwrap();
        let found: Vec<_> =
            confusions(&confusion).into_iter().map(|(a, b, times, _)| (a, b, times)).collect();
        assert_eq!(found, [(0, 1, 2), (2, 1, 2), (1, 0, 1), (2, 0, 1)]);
    }

    #[test]
    fn a_small_matrix_is_a_table_and_a_large_one_a_picture() {
        for (classes, is_table) in [(1, true), (TABLE, true), (TABLE + 1, false)] {
            let labels: Vec<usize> = (0..classes).collect();
            let confusion = Confusion::of(classes, &labels, &labels).unwrap();
            let text = figure(&confusion, &DataPart::default()).into_string();
            assert_eq!(text.contains("<table class=\"confusion"), is_table, "{classes}");
            assert_eq!(text.contains("<svg"), !is_table, "{classes}");
            assert_eq!(text.matches("h1v1h-1z").count(), if is_table { 0 } else { classes });
        }
        assert_eq!(figure(&Confusion::new(0), &DataPart::default()).into_string(), "");
    }

    #[test]
    fn a_class_without_samples_has_no_shade() {
        let confusion = Confusion::of(2, &[0, 0], &[0, 1]).unwrap();
        let text = table(&confusion, &DataPart::default()).into_string();
        assert_eq!(text.matches("--share:50.0%").count(), 2, "{text}");
        assert!(!text.contains("NaN"));
    }
}
