//! How far what was heard is from what was said.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use tk_audio::data::Utterances;
use tk_audio::recognition::{Recognizer, Spelling};
use tk_transfer::data::{Labelled, Quarantine};
use tk_transfer::metrics::{Bootstrap, Edits, Interval, bootstrap_rate, character_edits, word_edits};

use super::Error;
use crate::structured;

/// Recordings that are shown in details, the worst ones.
const SHOWN: usize = 20;

/// What was said in one recording, and what was heard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The recording.
    pub file: String,
    /// Its text, spelled as it is learned.
    pub said: String,
    /// What came out.
    pub heard: String,
    /// What turns words of one into the other.
    #[serde(skip)]
    pub words: Edits,
    /// What turns characters of one into the other.
    #[serde(skip)]
    pub characters: Edits,
}

/// Transcripts beside the truth, and how good they are.
#[derive(Clone, Debug)]
pub struct Scored {
    /// Each recording.
    pub compared: Vec<Compared>,
    /// `wer`, `cer`, the shares of the words that were substituted, inserted and deleted, and `empty`, the share of recordings in which nothing
    /// was heard.
    pub metrics: BTreeMap<String, f64>,
    /// The 95 % intervals of `wer` and `cer`, by bootstrap over recordings.
    pub intervals: BTreeMap<String, Interval>,
}

impl Compared {
    /// A recording's text and what was heard of it.
    pub fn new(file: String, said: String, heard: String) -> Self {
        let (words, characters) = (word_edits(&said, &heard), character_edits(&said, &heard));
        Self { file, said, heard, words, characters }
    }
}

impl Scored {
    /// Sums up what was heard of recordings.
    pub fn new(compared: Vec<Compared>, seed: u64) -> Self {
        let words: Edits = compared.iter().map(|one| one.words).sum();
        let characters: Edits = compared.iter().map(|one| one.characters).sum();
        let share = |count: usize| count as f64 / words.reference_tokens().max(1) as f64;
        let empty = compared.iter().filter(|one| one.heard.is_empty()).count();
        let metrics = [
            ("wer", words.rate().unwrap_or(0.0)),
            ("cer", characters.rate().unwrap_or(0.0)),
            ("substitutions", share(words.substitutions)),
            ("insertions", share(words.insertions)),
            ("deletions", share(words.deletions)),
            ("empty", empty as f64 / compared.len().max(1) as f64),
        ];
        let bootstrap = Bootstrap { seed, ..Bootstrap::default() };
        let interval = |of: fn(&Compared) -> Edits| {
            let samples: Vec<[usize; 2]> =
                compared.iter().map(of).map(|edits| [edits.distance(), edits.reference_tokens()]).collect();
            bootstrap_rate(&samples, bootstrap)
        };
        let intervals = BTreeMap::from([
            ("wer".to_owned(), interval(|one| one.words)),
            ("cer".to_owned(), interval(|one| one.characters)),
        ]);
        let metrics = metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { compared, metrics, intervals }
    }

    /// Edits of words in all.
    pub fn words(&self) -> Edits {
        self.compared.iter().map(|one| one.words).sum()
    }

    /// One line, such as `WER 2.0 % (1.1–3.2)  CER 1.1 %  of 300 words 4 substituted, 1 inserted, 1 deleted`.
    pub fn line(&self) -> String {
        let percent = |name: &str| 100.0 * self.metrics.get(name).copied().unwrap_or(f64::NAN);
        let interval = self.intervals.get("wer");
        let interval = interval.map_or_else(String::new, |range| {
            format!(" ({:.1}–{:.1})", 100.0 * range.low, 100.0 * range.high)
        });
        let words = self.words();
        format!(
            "WER {:.1} %{interval}  CER {:.1} %  of {} words {} substituted, {} inserted, {} deleted",
            percent("wer"),
            percent("cer"),
            words.reference_tokens(),
            words.substitutions,
            words.insertions,
            words.deletions
        )
    }

    /// Whether nothing was heard in any recording.
    pub fn is_silent(&self) -> bool {
        !self.compared.is_empty() && self.compared.iter().all(|one| one.heard.is_empty())
    }

    /// Recordings by their edits, most first; those without any are left out.
    pub fn worst(&self) -> Vec<&Compared> {
        let mut wrong: Vec<&Compared> =
            self.compared.iter().filter(|one| one.characters.distance() > 0).collect();
        // A stable sort, so that equals stay in the order of files.
        wrong.sort_by_key(|one| std::cmp::Reverse((one.words.distance(), one.characters.distance())));
        wrong
    }
}

impl structured::Scored for Scored {
    fn samples(&self) -> usize {
        self.compared.len()
    }

    fn headline(&self) -> &'static str {
        "wer"
    }

    fn metrics(&self) -> &BTreeMap<String, f64> {
        &self.metrics
    }

    fn intervals(&self) -> &BTreeMap<String, Interval> {
        &self.intervals
    }

    fn line(&self) -> String {
        self.line()
    }

    fn remark(&self) -> Option<&'static str> {
        self.is_silent().then_some(
            "nothing but blanks comes out: it has not learned to spell yet; train for more epochs, at a higher rate, or from a model that \
             was fine-tuned for speech",
        )
    }

    fn details(&self, _: &[String]) -> Vec<String> {
        let line = |one: &Compared| format!("{}: said `{}`, heard `{}`", one.file, one.said, one.heard);
        self.worst().into_iter().take(SHOWN).map(line).collect()
    }

    fn lines(&self) -> Vec<serde_json::Value> {
        self.compared
            .iter()
            .map(|Compared { file, said, heard, .. }| json!({ "file": file, "said": said, "heard": heard }))
            .collect()
    }
}

/// Hears some utterances of a data set; those that cannot be heard are listed with the reason.
///
/// # Errors
/// When the engine fails.
pub fn evaluate(
    recognizer: &Recognizer,
    data: &Utterances,
    positions: &[usize],
    spelling: Spelling,
    seed: u64,
) -> Result<(Scored, Quarantine), Error> {
    let (mut compared, mut aside) = (Vec::with_capacity(positions.len()), Quarantine::default());
    let vocabulary = &recognizer.model().vocabulary;
    for &position in positions {
        let (file, text) = (data.name(position), &data.samples()[position].text);
        let clip = match data.load(position) {
            Ok(clip) => clip,
            Err(error) => {
                aside.add(file, error);
                continue;
            }
        };
        match recognizer.transcribe(&clip) {
            Ok(heard) => compared.push(Compared::new(file, vocabulary.spell(text, spelling), heard.text)),
            Err(tk_audio::recognition::RecognizerError::Sound(error)) => aside.add(file, error),
            Err(error) => return Err(error.into()),
        }
    }
    Ok((Scored::new(compared, seed), aside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_summed_over_recordings() {
        let one = |said: &str, heard: &str| Compared::new("f".into(), said.into(), heard.into());
        let scored = Scored::new(vec![one("a b c", "a x"), one("d", "d e"), one("e", "")], 0);
        assert!((scored.metrics["wer"] - 0.8).abs() < 1e-9, "{:?}", scored.metrics);
        let line = scored.line();
        assert!(line.ends_with("of 5 words 1 substituted, 1 inserted, 2 deleted"), "{line}");
        assert_eq!(scored.worst().first().map(|one| one.said.as_str()), Some("a b c"));
        assert!(!scored.is_silent() && Scored::new(vec![one("a", "")], 0).is_silent());
        let Interval { low, high } = scored.intervals["wer"];
        assert!(low <= 0.8 && high >= 0.8);
    }
}
