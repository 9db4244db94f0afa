//! ELAN's annotation format (`EAFv2.7.xsd`, 3.0 and before): time slots, and tiers of annotations that name slots or other annotations.

use std::collections::HashMap;

use roxmltree::{Document, Node, ParsingOptions};

use super::{Annotations, Interval};

/// So many annotations may refer to one another in a row; more is a circle.
const DEEPEST: usize = 32;

/// What the text of a file says, and the names of its recordings.
pub(super) fn read(text: &str) -> Result<(Annotations, Vec<String>), String> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)
        .map_err(|error| format!("no XML: {}", error.to_string().replace('\n', " ")))?;
    let root = document.root_element();
    if !root.has_tag_name("ANNOTATION_DOCUMENT") {
        let found = root.tag_name().name();
        return Err(format!("its root is <{found}>; expected <ANNOTATION_DOCUMENT>, as ELAN writes it"));
    }
    let header = elements(root, "HEADER").next();
    let units = header.and_then(|header| header.attribute("TIME_UNITS")).unwrap_or("milliseconds");
    if units != "milliseconds" {
        return Err(format!("`TIME_UNITS` is {units}; expected milliseconds"));
    }
    let described: Vec<Node<'_, '_>> =
        header.iter().flat_map(|header| elements(*header, "MEDIA_DESCRIPTOR")).collect();
    let names = ["RELATIVE_MEDIA_URL", "MEDIA_URL"];
    let media = names.iter().flat_map(|name| described.iter().filter_map(|media| media.attribute(*name)));
    let media = media.map(str::to_owned).collect();
    // Where the recording begins on the time line of the annotations.
    let origin = described.first().and_then(|media| media.attribute("TIME_ORIGIN"));
    let origin = origin.map_or(Ok(0.0), milliseconds)?;

    let slots = elements(root, "TIME_ORDER").flat_map(|order| elements(order, "TIME_SLOT"));
    let mut times = HashMap::new();
    for slot in slots {
        let time = slot.attribute("TIME_VALUE").map(milliseconds).transpose()?;
        times.insert(required(slot, "TIME_SLOT_ID")?, time.map(|time| (time + origin) / 1000.0));
    }
    let mut read = Reading { times, spans: HashMap::new(), parents: HashMap::new() };
    for annotation in root.descendants() {
        read.note(annotation)?;
    }
    let mut found = Annotations { recording: None, intervals: Vec::new(), set_aside: Vec::new() };
    for tier in elements(root, "TIER") {
        read.tier(tier, &mut found)?;
    }
    Ok((found, media))
}

/// Where annotations lie.
struct Reading<'a> {
    /// By the slot's name in seconds; slots may have no time.
    times: HashMap<&'a str, Option<f64>>,
    /// Of annotations that name slots: both.
    spans: HashMap<&'a str, [&'a str; 2]>,
    /// Of others the annotation that they refer to.
    parents: HashMap<&'a str, &'a str>,
}

impl<'a> Reading<'a> {
    fn note(&mut self, node: Node<'a, 'a>) -> Result<(), String> {
        if node.has_tag_name("ALIGNABLE_ANNOTATION") {
            let slots = [required(node, "TIME_SLOT_REF1")?, required(node, "TIME_SLOT_REF2")?];
            self.spans.insert(required(node, "ANNOTATION_ID")?, slots);
        } else if node.has_tag_name("REF_ANNOTATION") {
            self.parents.insert(required(node, "ANNOTATION_ID")?, required(node, "ANNOTATION_REF")?);
        }
        Ok(())
    }

    /// Adds a tier's intervals. Annotations that refer to the same one, such as the words of a sentence, are one text.
    fn tier(&self, tier: Node<'a, 'a>, found: &mut Annotations) -> Result<(), String> {
        let name = required(tier, "TIER_ID")?;
        let of = |attribute: &str| {
            let value = tier.attribute(attribute).map(str::trim).filter(|value| !value.is_empty());
            value.map(str::to_owned)
        };
        // The annotation with a time that each text belongs to, in the order of the file.
        let mut texts: Vec<(&str, String)> = Vec::new();
        let mut places = HashMap::new();
        for annotation in elements(tier, "ANNOTATION").flat_map(|annotation| annotation.children()) {
            if !annotation.is_element() {
                continue;
            }
            let id = required(annotation, "ANNOTATION_ID")?;
            let value = elements(annotation, "ANNOTATION_VALUE").next();
            let text = value.map_or_else(String::new, |value| {
                value.descendants().filter(Node::is_text).filter_map(|part| part.text()).collect()
            });
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if text.is_empty() {
                continue;
            }
            let aligned = self.aligned(id)?;
            match places.get(aligned) {
                Some(&place) => {
                    let (_, before): &mut (&str, String) = &mut texts[place];
                    *before = format!("{before} {text}");
                }
                None => {
                    places.insert(aligned, texts.len());
                    texts.push((aligned, text));
                }
            }
        }
        let mut intervals = Vec::new();
        for (aligned, text) in texts {
            match self.span(aligned)? {
                Ok([start, end]) => intervals.push(Interval {
                    tier: name.to_owned(),
                    tier_type: of("LINGUISTIC_TYPE_REF"),
                    speaker: of("PARTICIPANT"),
                    start,
                    end,
                    text,
                }),
                Err(reason) => found.set_aside.push((format!("{name}:{aligned}"), reason)),
            }
        }
        intervals.sort_by(|a, b| a.start.total_cmp(&b.start));
        found.intervals.extend(intervals);
        Ok(())
    }

    /// The annotation with slots that another one refers to, over however many.
    fn aligned(&self, id: &'a str) -> Result<&'a str, String> {
        let mut at = id;
        for _ in 0..DEEPEST {
            if self.spans.contains_key(at) {
                return Ok(at);
            }
            at = self
                .parents
                .get(at)
                .ok_or_else(|| format!("annotation `{id}` refers to `{at}`, which is not there"))?;
        }
        Err(format!("annotation `{id}` refers to itself"))
    }

    /// From and to, or why it has no time of its own.
    fn span(&self, aligned: &str) -> Result<Result<[f64; 2], String>, String> {
        let Some(slots) = self.spans.get(aligned) else { return Ok(Err("no time".into())) };
        let mut span = [None; 2];
        for (time, slot) in span.iter_mut().zip(slots) {
            *time = *self.times.get(slot).ok_or_else(|| {
                format!("annotation `{aligned}` is at time slot `{slot}`, which is not there")
            })?;
        }
        let [Some(start), Some(end)] = span else {
            return Ok(Err("it lies between others and has no time of its own".into()));
        };
        Ok(match 0.0 <= start && start < end {
            true => Ok([start, end]),
            false => Err(format!("it is from {start} s to {end} s")),
        })
    }
}

fn elements<'a>(node: Node<'a, 'a>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(move |child| child.has_tag_name(name))
}

fn required<'a>(node: Node<'a, 'a>, attribute: &str) -> Result<&'a str, String> {
    node.attribute(attribute).ok_or_else(|| {
        let line = node.document().text_pos_at(node.range().start).row;
        format!("<{}> in line {line} has no `{attribute}`", node.tag_name().name())
    })
}

fn milliseconds(text: &str) -> Result<f64, String> {
    let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("`{text}` is no time; expected milliseconds"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn document(header: &str, body: &str) -> String {
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">
<HEADER MEDIA_FILE="" {header}</HEADER>
<TIME_ORDER>
<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1750"/>
<TIME_SLOT TIME_SLOT_ID="ts3"/><TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="100"/>
</TIME_ORDER>{body}</ANNOTATION_DOCUMENT>"#
        )
    }

    fn aligned(id: &str, from: &str, to: &str, text: &str) -> String {
        format!(
            r#"<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{id}" TIME_SLOT_REF1="{from}" TIME_SLOT_REF2="{to}">
            <ANNOTATION_VALUE>{text}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"#
        )
    }

    fn referring(id: &str, to: &str, text: &str) -> String {
        format!(
            r#"<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{id}" ANNOTATION_REF="{to}">
            <ANNOTATION_VALUE>{text}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"#
        )
    }

    const PLAIN: &str = r#"TIME_UNITS="milliseconds">"#;

    #[test]
    fn tiers_are_read_with_their_references() {
        let header = r#"TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/a.wav" MIME_TYPE="audio/x-wav" RELATIVE_MEDIA_URL="./a.wav"/>"#;
        let body = [
            r#"<TIER LINGUISTIC_TYPE_REF="utterance" PARTICIPANT="Ana" TIER_ID="text@A">"#,
            &aligned("a1", "ts1", "ts2", " Káa\n &amp; co "),
            &aligned("a0", "ts4", "ts1", "first"),
            &aligned("a2", "ts2", "ts3", "later"),
            &aligned("a3", "ts2", "ts4", "back"),
            &aligned("a4", "ts1", "ts2", "  "),
            r#"</TIER><TIER LINGUISTIC_TYPE_REF="words" PARENT_REF="text@A" PARTICIPANT="" TIER_ID="words@A">"#,
            &referring("a5", "a1", "one"),
            &referring("a6", "a1", "two"),
            r#"</TIER><TIER LINGUISTIC_TYPE_REF="gloss" TIER_ID="gloss@A">"#,
            &referring("a7", "a6", "TWO"),
            "</TIER>",
        ]
        .concat();
        let (read, media) = read(&document(header, &body)).unwrap();
        assert_eq!(media, ["./a.wav", "file:///C:/x/a.wav"]);
        let found: Vec<_> = read
            .intervals
            .iter()
            .map(|i| (i.tier.as_str(), i.speaker.as_deref(), i.start, i.end, i.text.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("text@A", Some("Ana"), 0.1, 0.5, "first"),
                ("text@A", Some("Ana"), 0.5, 1.75, "Káa & co"),
                ("words@A", None, 0.5, 1.75, "one two"),
                ("gloss@A", None, 0.5, 1.75, "TWO"),
            ]
        );
        assert_eq!(read.intervals[0].tier_type.as_deref(), Some("utterance"));
        assert_eq!(read.tiers(), ["text@A", "words@A", "gloss@A"]);
        let aside: Vec<_> = read.set_aside.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(aside, ["text@A:a2", "text@A:a3"]);
    }

    #[test]
    fn a_recording_that_begins_later_moves_all_times() {
        let header = r#"TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="a.wav" TIME_ORIGIN="2000"/>"#;
        let body = format!(r#"<TIER TIER_ID="t">{}</TIER>"#, aligned("a1", "ts1", "ts2", "a"));
        let interval = &read(&document(header, &body)).unwrap().0.intervals[0];
        assert_eq!((interval.start, interval.end), (2.5, 3.75));
    }

    #[test]
    fn what_contradicts_itself_is_named_in_one_line() {
        let tier = |inside: &str| format!(r#"<TIER TIER_ID="t">{inside}</TIER>"#);
        for (text, expected) in [
            ("<a>".to_owned(), "no XML"),
            ("<a/>".to_owned(), "its root is <a>"),
            (document(r#"TIME_UNITS="PAL-frames">"#, ""), "`TIME_UNITS` is PAL-frames"),
            (document(PLAIN, &tier(&aligned("a", "ts1", "ts9", "x"))), "time slot `ts9`"),
            (document(PLAIN, &tier(&referring("a", "b", "x"))), "`a` refers to `b`, which is not there"),
            (document(PLAIN, &tier(&referring("a", "a", "x"))), "`a` refers to itself"),
            (document(PLAIN, "<TIER/>"), "<TIER> in line 7 has no `TIER_ID`"),
            (document(PLAIN, "").replace("500", "5x"), "`5x` is no time"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }
}
