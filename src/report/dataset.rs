//! The data: class counts, oddities, and what could not be used.

use maud::{Markup, html};
use tk_transfer::data::Quarantined;

use super::number::{count, place, plural};
use super::page::Section;
use super::{ClassCount, DataPart, Note};

/// Up to how many classes the counts stand open.
const OPEN: usize = 25;

/// Up to how many items of a note stand open.
const OPEN_ITEMS: usize = 5;

/// The data, where anything is known of them.
pub(super) fn section(data: &DataPart) -> Option<Section> {
    let is_empty = data.summary.is_empty()
        && data.classes.is_empty()
        && data.notes.is_empty()
        && data.quarantine.is_empty();
    if is_empty {
        return None;
    }
    let body = html! {
        @if !data.summary.is_empty() { p.lead { (data.summary) } }
        (classes(data))
        @for note in &data.notes { (self::note(note)) }
        @if !data.quarantine.is_empty() { (quarantine(&data.quarantine)) }
    };
    Some(Section { id: "data", title: "Data".to_owned(), body })
}

fn classes(data: &DataPart) -> Markup {
    if data.classes.is_empty() {
        return html! {};
    }
    if data.classes.len() <= OPEN {
        return table(data);
    }
    let totals = || data.classes.iter().map(total);
    let (least, most) = (totals().min().unwrap_or(0), totals().max().unwrap_or(0));
    html! {
        p { (count(data.classes.len() as u64)) " classes of " (count(least as u64)) " to " (count(most as u64)) " samples." }
        details.printed { summary { "Samples of each class" } (table(data)) }
    }
}

fn table(data: &DataPart) -> Markup {
    let most = data.classes.iter().map(total).max().unwrap_or(0).max(1);
    let in_split =
        |split: usize| data.classes.iter().filter_map(|class| class.samples.get(split)).sum::<usize>();
    let has_total = data.splits.len() != 1;
    html! {
        div.scroll tabindex="0" {
            table.counts {
                thead {
                    tr {
                        th scope="col" { "Class" }
                        @for split in &data.splits { th.number scope="col" { (split) } }
                        @if has_total { th.number scope="col" { "all" } }
                        th.wide {}
                    }
                }
                tbody {
                    @for class in &data.classes {
                        tr {
                            th scope="row" { (class.name) }
                            @for split in 0..data.splits.len() { (number(class.samples.get(split).copied().unwrap_or(0))) }
                            @if has_total { (number(total(class))) }
                            td.wide { span.length style={ "width:" (place(total(class) as f64 / most as f64)) "%" } {} }
                        }
                    }
                }
                tfoot {
                    tr {
                        th scope="row" { "all" }
                        @for split in 0..data.splits.len() { (number(in_split(split))) }
                        @if has_total { (number(data.classes.iter().map(total).sum())) }
                        td.wide {}
                    }
                }
            }
        }
    }
}

fn total(class: &ClassCount) -> usize {
    class.samples.iter().sum()
}

/// A count in a cell; none is worth a look.
fn number(samples: usize) -> Markup {
    html! { td.number.warn[samples == 0] { (count(samples as u64)) } }
}

fn note(note: &Note) -> Markup {
    let items = html! { ul.files { @for item in &note.items { li { (item) } } } };
    html! {
        div.note {
            h3 { (note.title) }
            @if !note.text.is_empty() { p { (note.text) } }
            @match note.items.len() {
                0 => {},
                1..=OPEN_ITEMS => (items),
                more => details { summary { "List of " (more) } (items) },
            }
        }
    }
}

fn quarantine(list: &[Quarantined]) -> Markup {
    let table = html! {
        div.scroll tabindex="0" {
            table.quarantine {
                thead { tr { th scope="col" { "File" } th scope="col" { "Reason" } } }
                tbody { @for entry in list { tr { td.file { (entry.id) } td { (entry.reason) } } } }
            }
        }
    };
    html! {
        div.note {
            h3 { (plural(list.len(), "file")) " set aside" }
            p { "These could not be used. Nothing was changed in the data." }
            @if list.len() <= OPEN_ITEMS { (table) } @else { details { summary { "List of " (list.len()) } (table) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(data: &DataPart) -> String {
        section(data).map(|section| section.body.into_string()).unwrap_or_default()
    }

    #[test]
    fn counts_add_up_and_an_absent_class_shows() {
        let class =
            |name: &str, samples: &[usize]| ClassCount { name: name.into(), samples: samples.to_vec() };
        let data = DataPart {
            splits: vec!["train".into(), "val".into()],
            classes: vec![class("ants", &[124, 70]), class("bees", &[1121, 0])],
            ..DataPart::default()
        };
        let text = text(&data);
        for expected in [">194<", ">1,121<", ">1,245<", ">70<", ">1,315<", "class=\"number warn\">0<"] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert!(!text.contains("class=\"note\""), "{text}");
    }

    #[test]
    fn long_lists_are_folded() {
        for (files, is_folded) in [(1, false), (OPEN_ITEMS, false), (OPEN_ITEMS + 1, true)] {
            let items: Vec<String> = (0..files).map(|file| format!("{file}.gif")).collect();
            let quarantine =
                items.iter().map(|id| Quarantined { id: id.clone(), reason: "truncated".into() }).collect();
            let notes = vec![Note { title: "unlike the rest".into(), text: String::new(), items }];
            let text = text(&DataPart { notes, quarantine, ..DataPart::default() });
            assert_eq!(text.matches("<details").count(), if is_folded { 2 } else { 0 }, "{files}");
            assert!(text.contains(&format!("{} set aside", plural(files, "file"))), "{text}");
        }
    }
}
