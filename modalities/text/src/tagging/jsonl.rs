//! JSON on each line: words with tags, or a text with spans.
//!
//! Words: `{"tokens": […], "tags": […]}`, where tags may also be called `ner_tags`, `labels` or `pos_tags`. Spans: `{"text": "…", "entities":
//! […]}`, also called `spans`, `labels` or `label`, each as `[start, end, class]` (doccano, spaCy) or as an object with `start`, `end` and
//! `label` (Prodigy, Label Studio's export), in characters. The words of a text are split; a word that begins a span has `B-`, the others `I-`.

use serde_json::{Map, Value};

use super::conll::shortened;
use super::sentence::Raw;
use super::words::split_words_at;

/// The sentences of a file's text.
pub(super) fn read(text: &str) -> Vec<Raw> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| match sentence(line) {
            Ok(words) => Raw { line: number + 1, words, problem: None },
            Err(problem) => Raw { line: number + 1, words: Vec::new(), problem: Some(problem) },
        })
        .collect()
}

fn sentence(line: &str) -> Result<Vec<(String, String)>, String> {
    let object: Map<String, Value> =
        serde_json::from_str(line).map_err(|error| format!("no JSON object: {error}"))?;
    let find = |names: &[&str]| names.iter().find_map(|name| object.get(*name));
    let words = find(&["tokens", "words"]).and_then(Value::as_array);
    let text = find(&["text", "data"]).and_then(Value::as_str);
    match (words, text) {
        (Some(words), _) => {
            let tags = find(&["tags", "ner_tags", "labels", "pos_tags"]).and_then(Value::as_array);
            of_words(words, tags.ok_or("expected `tags` beside `tokens`")?)
        }
        (None, Some(text)) => {
            let spans = find(&["entities", "spans", "labels", "label"]).and_then(Value::as_array);
            of_spans(text, spans.map_or(&[][..], Vec::as_slice))
        }
        (None, None) => Err("expected `tokens` and `tags`, or `text` and `entities`".into()),
    }
}

fn of_words(words: &[Value], tags: &[Value]) -> Result<Vec<(String, String)>, String> {
    if words.len() != tags.len() {
        return Err(format!("{} words and {} tags", words.len(), tags.len()));
    }
    let text = |value: &Value, what: &str| match value.as_str().map(str::trim) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("expected {what} as text, found {}", shortened(&value.to_string()))),
    };
    words.iter().zip(tags).map(|(word, tag)| Ok((text(word, "a word")?, text(tag, "a tag")?))).collect()
}

/// A class between two places of a text.
struct Span<'a> {
    start: usize,
    end: usize,
    class: &'a str,
}

fn of_spans(text: &str, spans: &[Value]) -> Result<Vec<(String, String)>, String> {
    let length = text.chars().count();
    let mut spans: Vec<Span<'_>> =
        spans.iter().map(|span| read_span(span, length)).collect::<Result<_, _>>()?;
    spans.sort_by_key(|span| (span.start, span.end));
    if let Some([first, second]) = spans.windows(2).find(|pair| pair[1].start < pair[0].end) {
        return Err(format!(
            "entities overlap: {}–{} `{}` and {}–{} `{}`",
            first.start, first.end, first.class, second.start, second.end, second.class
        ));
    }
    let cuts: Vec<usize> = spans.iter().flat_map(|span| [span.start, span.end]).collect();
    let mut begun = vec![false; spans.len()];
    let words = split_words_at(text, &cuts).into_iter().map(|word| {
        let within = spans.iter().position(|span| span.start <= word.start && word.end <= span.end);
        let tag = within.map_or_else(
            || "O".to_owned(),
            |span| {
                let letter = if std::mem::replace(&mut begun[span], true) { 'I' } else { 'B' };
                format!("{letter}-{}", spans[span].class)
            },
        );
        (word.text, tag)
    });
    Ok(words.collect())
}

fn read_span(span: &Value, length: usize) -> Result<Span<'_>, String> {
    let fail = || {
        let found = shortened(&span.to_string());
        format!("expected [start, end, class] or an object with start, end and label, found {found}")
    };
    let (start, end, class) = match span {
        Value::Array(parts) => (parts.first(), parts.get(1), parts.get(2)),
        Value::Object(fields) => (
            fields.get("start").or_else(|| fields.get("start_offset")),
            fields.get("end").or_else(|| fields.get("end_offset")),
            fields.get("label").or_else(|| fields.get("class")),
        ),
        _ => return Err(fail()),
    };
    let place = |value: Option<&Value>| value.and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
    let class = class.and_then(Value::as_str).map(str::trim).filter(|class| !class.is_empty());
    let (Some(start), Some(end), Some(class)) = (place(start), place(end), class) else { return Err(fail()) };
    if start >= end || end > length {
        return Err(format!("entity {start}–{end} `{class}` is not within the text's {length} characters"));
    }
    if class.contains(char::is_whitespace) {
        return Err(format!("expected a class without spaces, found `{}`", shortened(class)));
    }
    Ok(Span { start, end, class })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_or_spans_stand_on_a_line() {
        let text = concat!(
            r#"{"tokens": ["New", "York"], "ner_tags": ["B-LOC", "I-LOC"]}"#,
            "\n\n",
            r#"{"text": "In New York, Ann.", "label": [[3, 11, "LOC"], [13, 16, "PER"]]}"#,
            "\n",
            r#"{"text": "Ann", "entities": [{"start": 0, "end": 3, "label": "PER"}]}"#,
            "\n",
        );
        let found: Vec<String> = read(text)
            .iter()
            .map(|raw| {
                raw.words.iter().map(|(word, tag)| format!("{word}/{tag}")).collect::<Vec<_>>().join(" ")
            })
            .collect();
        assert_eq!(
            found,
            ["New/B-LOC York/I-LOC", "In/O New/B-LOC York/I-LOC ,/O Ann/B-PER ./O", "Ann/B-PER"]
        );
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        for (line, expected) in [
            ("[1]", "no JSON object"),
            (r#"{"tokens": ["a"], "tags": []}"#, "1 words and 0 tags"),
            (r#"{"tokens": ["a"], "tags": [3]}"#, "expected a tag as text, found 3"),
            (r#"{"tokens": ["a"]}"#, "expected `tags` beside `tokens`"),
            (r#"{"words": 1}"#, "expected `tokens` and `tags`, or `text` and `entities`"),
            (
                r#"{"text": "abc", "entities": [[0, 2, "x"], [1, 3, "y"]]}"#,
                "entities overlap: 0–2 `x` and 1–3 `y`",
            ),
            (r#"{"text": "abc", "entities": [[2, 5, "x"]]}"#, "not within the text's 3 characters"),
            (r#"{"text": "abc", "entities": [[0, 1]]}"#, "expected [start, end, class]"),
        ] {
            let problem = read(line)[0].problem.clone().unwrap_or_default();
            assert!(problem.contains(expected), "{line}: {problem}");
        }
    }
}
