//! Entities that were not told right: what was taken for what, and the sentences with most of it.

use maud::{Markup, html};

use super::number::count;
use super::page::Section;
use super::{TaggedPart, TaggedSentence};

/// Confusions that are listed.
const LISTED: usize = 20;

/// The sections there are something to tell in.
pub(super) fn sections(part: &TaggedPart) -> Vec<Section> {
    [confusions(part), worst(part)].into_iter().flatten().collect()
}

fn confusions(part: &TaggedPart) -> Option<Section> {
    if part.confusions.is_empty() {
        return None;
    }
    let name = |class: &Option<String>| match class {
        Some(class) => html! { (class) },
        None => html! { span.quiet { "nothing" } },
    };
    let body = html! {
        p.lead {
            "Entities by what they are and what was told of their words"
            @if part.confusions.len() > LISTED { "; the most frequent " (LISTED) " of " (part.confusions.len()) }
            "."
        }
        table.counts {
            thead { tr { th scope="col" { "There" } th scope="col" { "Told" } th.number scope="col" { "Times" } } }
            tbody {
                @for (there, told, times) in part.confusions.iter().take(LISTED) {
                    tr {
                        td { (name(there)) }
                        td { (name(told)) @if there == told { span.quiet { ", other words" } } }
                        td.number { (count(*times as u64)) }
                    }
                }
            }
        }
    };
    Some(Section { id: "confusions", title: "What was taken for what".to_owned(), body })
}

fn worst(part: &TaggedPart) -> Option<Section> {
    if part.worst.is_empty() {
        return None;
    }
    let [wrong, total] = part.wrong;
    let body = html! {
        p.lead {
            (count(wrong as u64)) " of " (count(total as u64)) " sentences were not told right"
            @if wrong > part.worst.len() { "; the worst " (part.worst.len()) " are shown" }
            "."
        }
        div.scroll tabindex="0" {
            table.counts {
                thead {
                    tr {
                        @for title in ["Sentence", "Missed", "Invented", "Where"] { th scope="col" { (title) } }
                    }
                }
                tbody { @for one in &part.worst { (row(one)) } }
            }
        }
    };
    Some(Section { id: "tagged", title: "What was not told right".to_owned(), body })
}

fn row(one: &TaggedSentence) -> Markup {
    let entities = |entities: &[(String, String)]| {
        html! {
            @for (at, (text, class)) in entities.iter().enumerate() {
                @if at > 0 { ", " }
                (text) " " span.quiet { (class) }
            }
        }
    };
    html! {
        tr {
            td { (one.text) }
            td { (entities(&one.missed)) }
            td { (entities(&one.invented)) }
            td { (one.name) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_stand_where_there_is_something_to_tell() {
        assert!(sections(&TaggedPart::default()).is_empty());
        let part = TaggedPart {
            confusions: vec![(Some("<loc>".into()), None, 3), (Some("per".into()), Some("per".into()), 1)],
            worst: vec![TaggedSentence {
                name: "dev.conll:3".into(),
                text: "in New York".into(),
                missed: vec![("New York".into(), "loc".into())],
                invented: vec![("York".into(), "per".into())],
            }],
            wrong: [1, 9],
        };
        let found = sections(&part);
        assert_eq!(found.iter().map(|section| section.id).collect::<Vec<_>>(), ["confusions", "tagged"]);
        let text: String = found.into_iter().map(|section| section.body.into_string()).collect();
        for expected in
            ["&lt;loc&gt;", "nothing", "other words", "1 of 9 sentences", "in New York", "dev.conll:3"]
        {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
