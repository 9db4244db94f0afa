//! Samples as pictures and sounds: the worst mistakes, and labels that are probably wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::number::{count, percent};
use super::page::Section;
use super::{Gallery, Pictured};

/// The mistakes made with most confidence.
pub(super) fn mistakes(gallery: &Gallery) -> Option<Section> {
    let lead = html! { "Predicted wrong, most confident first" (shown(gallery)) "." };
    section("mistakes", "Worst mistakes", gallery, lead, "predicted")
}

/// Labels that are probably wrong.
pub(super) fn suspects(gallery: &Gallery) -> Option<Section> {
    let lead = html! {
        "A label is suspect when a model that did not see the sample gives another class at least the probability which that class’s own "
        "samples get on average, and more than it gives the label (confident learning, arXiv 1911.00068)" (shown(gallery)) ". "
        "Nothing was changed: look, and correct the data where you agree."
    };
    section("suspects", "Suspected labels", gallery, lead, "suggested")
}

fn section(
    id: &'static str,
    title: &str,
    gallery: &Gallery,
    lead: Markup,
    relation: &str,
) -> Option<Section> {
    if gallery.pictures.is_empty() {
        return None;
    }
    let body = html! {
        p.lead { (lead) }
        ul.gallery { @for pictured in &gallery.pictures { (card(pictured, relation)) } }
    };
    Some(Section { id, title: title.to_owned(), body })
}

/// How many of how many are shown, where some are not.
fn shown(gallery: &Gallery) -> Markup {
    let shown = gallery.pictures.len();
    html! { @if gallery.total > shown { ", " (shown) " of " (count(gallery.total as u64)) } }
}

fn card(pictured: &Pictured, relation: &str) -> Markup {
    html! {
        li {
            div.frame.heard[pictured.sound.is_some()] {
                @match (&pictured.jpeg, &pictured.text) {
                    (_, Some(text)) => p.text { (text) },
                    (Some(jpeg), None) => img src={ "data:image/jpeg;base64," (STANDARD.encode(jpeg)) } alt=(pictured.file) loading="lazy";,
                    (None, None) => span.quiet { "no picture" },
                }
            }
            @if let Some(wav) = &pictured.sound { (player(wav, &pictured.file)) }
            dl {
                div.guess { dt { (relation) } dd { (pictured.predicted) span { (percent(pictured.probability)) } } }
                div { dt { "label" } dd { (pictured.label) span { (percent(pictured.label_probability)) } } }
            }
            p.file title=(pictured.file) { (pictured.file) }
        }
    }
}

/// Plays a WAV file.
pub(super) fn player(wav: &[u8], file: &str) -> Markup {
    html! {
        audio controls preload="none" aria-label=(file) src={ "data:audio/wav;base64," (STANDARD.encode(wav)) } {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_counted_and_a_missing_picture_said() {
        let pictures = vec![Pictured { file: "a.jpg".into(), ..Pictured::default() }];
        for (total, expected) in [(1, "first."), (1234, "first, 1 of 1,234.")] {
            let section = mistakes(&Gallery { pictures: pictures.clone(), total });
            let text = section.map(|section| section.body.into_string()).unwrap_or_default();
            assert!(text.contains(expected) && text.contains("no picture"), "{text}");
        }
        assert!(suspects(&Gallery { pictures: vec![], total: 3 }).is_none());
    }
}
