//! What was said beside what was heard, worst first.

use maud::{Markup, html};

use super::number::count;
use super::page::Section;
use super::pictures::player;
use super::{Heard, HeardPart};

/// The recordings with most edits, where there are any.
pub(super) fn section(part: &HeardPart) -> Option<Section> {
    if part.worst.is_empty() {
        return None;
    }
    let body = html! {
        p.lead {
            (count(part.wrong as u64)) " of " (count(part.total as u64)) " recordings were not heard right"
            @if part.wrong > part.worst.len() { "; the worst " (part.worst.len()) " are shown" }
            "."
        }
        div.scroll tabindex="0" {
            table.counts {
                thead {
                    tr {
                        th scope="col" { "Said" }
                        th scope="col" { "Heard" }
                        @for title in ["Substituted", "Inserted", "Deleted"] { th.number scope="col" { (title) } }
                        th scope="col" { "Recording" }
                    }
                }
                tbody { @for one in &part.worst { (row(one)) } }
            }
        }
    };
    Some(Section { id: "heard", title: "What was not heard right".to_owned(), body })
}

fn row(one: &Heard) -> Markup {
    html! {
        tr {
            td { (one.said) }
            td { @if one.heard.is_empty() { span.quiet { "nothing" } } @else { (one.heard) } }
            @for edits in one.edits { td.number { (edits) } }
            td { (one.file) @if let Some(wav) = &one.sound { (player(wav, &one.file)) } }
        }
    }
}
