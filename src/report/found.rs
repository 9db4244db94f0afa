//! What was found in photographs: scores of each class, precision by recall, kinds of mistakes, and photographs with all of it drawn on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::chart::{Axis, Chart, Series};
use super::number::{count, percent};
use super::page::Section;
use super::{FoundPart, Shown};

/// Classes whose curves are drawn; more would hide each other.
const CURVES: usize = 4;

/// How lines look, one after the other.
const STYLES: [&str; CURVES] = ["first", "second", "third", "fourth"];

/// The sections there are something to tell in.
pub(super) fn sections(part: &FoundPart) -> Vec<Section> {
    [
        classes(part),
        curves(part),
        mistakes(part),
        gallery("worst", "Where it fails most", &part.worst),
        gallery("best", "Where it does best", &part.best),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn classes(part: &FoundPart) -> Option<Section> {
    if part.classes.is_empty() {
        return None;
    }
    let body = html! {
        div.scroll tabindex="0" {
            table.counts {
                thead { tr { th scope="col" { "Class" } @for title in &part.scores { th.number scope="col" { (title) } } } }
                tbody {
                    @for class in &part.classes {
                        tr {
                            td { (class.name) }
                            @for score in &class.values {
                                td.number { @match score { Some(score) => (percent(*score)), None => span.quiet { "none there" } } }
                            }
                        }
                    }
                }
            }
        }
    };
    Some(Section { id: "classes", title: "Class by class".to_owned(), body })
}

fn curves(part: &FoundPart) -> Option<Section> {
    if part.curves.is_empty() {
        return None;
    }
    let series: Vec<Series> = part
        .curves
        .iter()
        .zip(STYLES)
        .take(CURVES)
        .map(|((name, points), style)| Series { name: name.clone(), points: points.clone(), style })
        .collect();
    let axis = || Axis::around([0.0, 1.0].into_iter(), |value| format!("{value:.1}"));
    let chart = Chart { label: "precision by recall", x: axis(), y: axis(), series: &series, marks: &[] };
    let body = html! {
        p.lead {
            "Precision at each recall, of boxes that overlap an object by half or more"
            @if part.curves.len() > CURVES { "; the first " (CURVES) " of " (part.curves.len()) " classes" }
            "."
        }
        figure {
            figcaption { @for line in &series { span class={ "key " (line.style) } { (line.name) } } }
            (chart.draw())
        }
    };
    Some(Section { id: "recall", title: "Precision by recall".to_owned(), body })
}

fn mistakes(part: &FoundPart) -> Option<Section> {
    if part.mistakes.is_empty() {
        return None;
    }
    let body = html! {
        table.counts {
            tbody { @for (kind, number) in &part.mistakes { tr { td { (kind) } td.number { (count(*number as u64)) } } } }
        }
    };
    Some(Section { id: "kinds", title: "Kinds of mistakes".to_owned(), body })
}

fn gallery(id: &'static str, title: &str, shown: &[Shown]) -> Option<Section> {
    if shown.is_empty() {
        return None;
    }
    let body = html! { ul.gallery.wide { @for one in shown { (card(one)) } } };
    Some(Section { id, title: title.to_owned(), body })
}

fn card(shown: &Shown) -> Markup {
    html! {
        li {
            div.frame {
                @match &shown.jpeg {
                    Some(jpeg) => img src={ "data:image/jpeg;base64," (STANDARD.encode(jpeg)) } alt=(shown.file) loading="lazy";,
                    None => span.quiet { "no picture" },
                }
            }
            p { (shown.caption) }
            p.file title=(shown.file) { (shown.file) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ClassScores;
    use super::*;

    #[test]
    fn sections_stand_where_there_is_something_to_tell() {
        assert!(sections(&FoundPart::default()).is_empty());
        let part = FoundPart {
            scores: vec!["AP50".into()],
            classes: vec![
                ClassScores { name: "<raccoon>".into(), values: vec![Some(0.5)] },
                ClassScores { name: "fox".into(), values: vec![None] },
            ],
            curves: vec![("raccoon".into(), vec![(0.0, 1.0), (1.0, 0.2)])],
            mistakes: vec![("missed".into(), 12)],
            worst: vec![Shown { file: "a.jpg".into(), caption: "3 missed".into(), jpeg: None }],
            best: Vec::new(),
        };
        let found = sections(&part);
        assert_eq!(
            found.iter().map(|section| section.id).collect::<Vec<_>>(),
            ["classes", "recall", "kinds", "worst"]
        );
        let text: String = found.into_iter().map(|section| section.body.into_string()).collect();
        for expected in ["&lt;raccoon&gt;", "50", "none there", "12", "3 missed", "<svg"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
