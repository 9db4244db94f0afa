//! `tk predict` and `tk evaluate` of taggers: entities in texts, as JSON or CSV.

use std::path::Path;

use serde_json::{Value, json};
use transferkit::Machine;
use transferkit::tag::{Entity, OUTSIDE, TaggedWord, Tagger, TaggerError, Tags, Word, entities, split_words};

use super::arguments::{Evaluate, Predict};
use super::evaluate::Gate;
use super::lines::{Lines, field};
use super::texts::{self, Named};
use super::{Failure, environment, inputs, run_folder, structured};

/// Texts that are tagged at once.
const AT_ONCE: usize = 1024;

/// A text with its words and what was told of them.
struct Answer<'a> {
    name: [&'a str; 2],
    text: &'a str,
    words: Vec<Word>,
    tags: Vec<&'a str>,
    scores: Vec<f32>,
}

/// Says which words of texts are entities.
pub fn predict(arguments: &Predict, folder: &Path, machine: &Machine) -> Result<(), Failure> {
    if arguments.top.is_some() || arguments.logits {
        return Err(Failure::usage(format!(
            "`{}` tags words, and has no --top or --logits",
            arguments.model
        )));
    }
    let tagger = load(folder, &arguments.precision, machine)?;
    let settings = match run_folder::holds_run(folder) {
        true => Some(run_folder::settings(folder)?),
        false => None,
    };
    let least = arguments.min_score.unwrap_or(0.0);
    let texts = texts::read(&arguments.text, &arguments.inputs, settings.as_ref())?;
    let mut lines = Lines::open(arguments.out.as_deref(), "file,label,text,start,end,score,error")?;
    let mut failed = 0;
    for texts in texts.chunks(AT_ONCE) {
        let split: Vec<Vec<Word>> = texts.iter().map(words).collect();
        let sentences: Vec<Vec<&str>> =
            split.iter().map(|words| words.iter().map(|word| word.text.as_str()).collect()).collect();
        let told = tagger.tag_all(&sentences).map_err(error)?;
        for ((Named { name, text }, words), told) in texts.iter().zip(split).zip(told) {
            let called = match (name, text) {
                (None, Ok((text, _))) => ["text", text.as_str()],
                (name, _) => ["file", name.as_deref().unwrap_or_default()],
            };
            match text {
                Ok((text, _)) => write(&mut lines, &answer(&tagger, called, text, words, &told), least)?,
                Err(reason) => {
                    failed += 1;
                    let [key, name] = called;
                    lines.write(
                        || json!({ key: name, "error": reason }),
                        || vec![format!("{},,,,,,{}", field(name), field(reason))],
                    )?;
                }
            }
        }
    }
    lines.finish()?;
    inputs::some_failed(failed, texts.len())
}

fn words(named: &Named) -> Vec<Word> {
    named.text.as_ref().map_or_else(|_| Vec::new(), |(text, _)| split_words(text))
}

fn answer<'a>(
    tagger: &'a Tagger,
    name: [&'a str; 2],
    text: &'a str,
    words: Vec<Word>,
    told: &[TaggedWord],
) -> Answer<'a> {
    let tag =
        |word: &TaggedWord| word.tag.and_then(|tag| tagger.tags().get(tag)).map_or(OUTSIDE, String::as_str);
    let (tags, scores) = told.iter().map(|word| (tag(word), word.score)).unzip();
    Answer { name, text, words, tags, scores }
}

fn write(lines: &mut Lines, answer: &Answer<'_>, least: f32) -> Result<(), Failure> {
    let Answer { name: [key, name], text, words, tags, scores } = answer;
    let mean = |entity: &Entity<'_>| {
        let scores = &scores[entity.start..entity.end];
        scores.iter().sum::<f32>() / scores.len().max(1) as f32
    };
    let found: Vec<(Entity<'_>, f32)> = entities(tags.iter().copied())
        .into_iter()
        .map(|entity| (entity.clone(), mean(&entity)))
        .filter(|(_, score)| *score >= least)
        .collect();
    // From its first word's beginning to its last word's end, with what is between.
    let place = |entity: &Entity<'_>| [words[entity.start].start, words[entity.end - 1].end];
    let shown = |[start, end]: [usize; 2]| text.chars().skip(start).take(end - start).collect::<String>();
    lines.write(
        || {
            let entities: Vec<Value> = found
                .iter()
                .map(|(entity, score)| {
                    let [start, end] = place(entity);
                    json!({ "label": entity.class, "text": shown([start, end]), "start": start, "end": end, "score": score })
                })
                .collect();
            let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            json!({ *key: name, "entities": entities, "words": words, "tags": tags })
        },
        || {
            let line = |(entity, score): &(Entity<'_>, f32)| {
                let [start, end] = place(entity);
                let (name, class, text) = (field(name), field(entity.class), field(&shown([start, end])));
                format!("{name},{class},{text},{start},{end},{score},")
            };
            found.iter().map(line).collect()
        },
    )
}

/// Scores a tagger on sentences with tags.
pub fn score(arguments: &Evaluate, gates: &[Gate], folder: &Path, machine: &Machine) -> Result<(), Failure> {
    structured::score::<Tags>(arguments, gates, &load(folder, &arguments.precision, machine)?)
}

/// The tagger of a run's folder, or of one that transformers wrote.
fn load(folder: &Path, precision: &str, machine: &Machine) -> Result<Tagger, Failure> {
    let precision = environment::precision(precision, machine)?;
    Tagger::load(folder, machine).and_then(|tagger| tagger.in_precision(precision)).map_err(error)
}

fn error(error: TaggerError) -> Failure {
    transferkit::classify::Error::from(error).into()
}
