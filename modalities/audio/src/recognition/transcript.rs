//! What was heard, with times, and the files that it is written to: JSON, SubRip, Praat's TextGrid.

use std::fmt::Write;

use serde::Serialize;

/// A pause of so many seconds ends a passage.
const PAUSE: f64 = 0.8;

/// A passage is ended at the next word from so many seconds on, as long as a subtitle is read comfortably.
const LONGEST: f64 = 6.0;

/// One word, and when it was said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Word {
    /// The word.
    pub word: String,
    /// When it begins, in seconds.
    pub start: f64,
    /// When it ends, in seconds.
    pub end: f64,
    /// How probable its frames are, 0 to 1: the geometric mean.
    pub probability: f64,
}

/// Words between two pauses.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Passage {
    /// The words, joined by spaces.
    pub text: String,
    /// When it begins, in seconds.
    pub start: f64,
    /// When it ends, in seconds.
    pub end: f64,
    /// Its words.
    pub words: Vec<Word>,
}

/// Everything that was heard in a recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Transcript {
    /// All of it.
    pub text: String,
    /// How long the recording is, in seconds.
    pub seconds: f64,
    /// Its passages.
    pub passages: Vec<Passage>,
}

impl Transcript {
    /// Words as passages, parted by pauses.
    pub fn new(words: Vec<Word>, seconds: f64) -> Self {
        let text = joined(&words);
        let mut passages: Vec<Passage> = Vec::new();
        for word in words {
            match passages.last_mut() {
                Some(last) if word.start - last.end < PAUSE && word.start - last.start < LONGEST => {
                    last.end = word.end;
                    last.words.push(word);
                }
                _ => {
                    let (start, end) = (word.start, word.end);
                    passages.push(Passage { text: String::new(), start, end, words: vec![word] });
                }
            }
        }
        passages.iter_mut().for_each(|passage| passage.text = joined(&passage.words));
        Self { text, seconds, passages }
    }

    /// As SubRip subtitles.
    pub fn to_srt(&self) -> String {
        let mut srt = String::new();
        for (number, passage) in self.passages.iter().enumerate() {
            let (from, to) = (clock(passage.start), clock(passage.end));
            // Writing to a string cannot fail.
            let _ = write!(srt, "{}\n{from} --> {to}\n{}\n\n", number + 1, passage.text);
        }
        srt
    }

    /// As a TextGrid of Praat (long form) with two tiers, `passages` and `words`, without gaps.
    pub fn to_text_grid(&self) -> String {
        let passages: Vec<(f64, f64, &str)> =
            self.passages.iter().map(|passage| (passage.start, passage.end, passage.text.as_str())).collect();
        let words = self.passages.iter().flat_map(|passage| &passage.words);
        let words: Vec<(f64, f64, &str)> =
            words.map(|word| (word.start, word.end, word.word.as_str())).collect();
        let last = words.last().map_or(0.0, |word| word.1).max(self.seconds);
        let mut grid = format!(
            "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\nxmin = 0\nxmax = {last}\ntiers? <exists>\nsize = 2\nitem []:\n"
        );
        for (number, (name, tier)) in [("passages", passages), ("words", words)].into_iter().enumerate() {
            let intervals = without_gaps(&tier, last);
            let _ = write!(
                grid,
                "    item [{}]:\n        class = \"IntervalTier\"\n        name = \"{name}\"\n        xmin = 0\n        xmax = {last}\n        intervals: size = {}\n",
                number + 1,
                intervals.len()
            );
            for (at, (from, to, text)) in intervals.into_iter().enumerate() {
                let text = text.replace('"', "\"\"");
                let _ = write!(
                    grid,
                    "        intervals [{}]:\n            xmin = {from}\n            xmax = {to}\n            text = \"{text}\"\n",
                    at + 1
                );
            }
        }
        grid
    }
}

fn joined(words: &[Word]) -> String {
    words.iter().map(|word| word.word.as_str()).collect::<Vec<_>>().join(" ")
}

/// Intervals with empty ones between them, from 0 to the end.
fn without_gaps<'a>(intervals: &[(f64, f64, &'a str)], end: f64) -> Vec<(f64, f64, &'a str)> {
    let (mut all, mut at) = (Vec::new(), 0.0);
    for &(from, to, text) in intervals {
        let from = from.max(at);
        if from > at {
            all.push((at, from, ""));
        }
        all.push((from, to.max(from), text));
        at = to.max(from);
    }
    if end > at || all.is_empty() {
        all.push((at, end, ""));
    }
    all
}

/// `HH:MM:SS,mmm`.
fn clock(seconds: f64) -> String {
    let milliseconds = (seconds * 1000.0).round().max(0.0) as u64;
    let (hours, rest) = (milliseconds / 3_600_000, milliseconds % 3_600_000);
    format!("{hours:02}:{:02}:{:02},{:03}", rest / 60_000, rest / 1000 % 60, rest % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript() -> Transcript {
        let word = |word: &str, start, end| Word { word: word.into(), start, end, probability: 0.5 };
        Transcript::new(
            vec![word("one", 0.5, 0.75), word("two", 1.0, 1.25), word("\"three\"", 3661.5, 3662.0)],
            3700.0,
        )
    }

    #[test]
    fn pauses_part_passages() {
        let transcript = transcript();
        assert_eq!(transcript.text, "one two \"three\"");
        let texts: Vec<&str> = transcript.passages.iter().map(|passage| passage.text.as_str()).collect();
        assert_eq!(texts, ["one two", "\"three\""]);
    }

    #[test]
    fn subtitles_have_numbers_and_clocks() {
        let expected =
            "1\n00:00:00,500 --> 00:00:01,250\none two\n\n2\n01:01:01,500 --> 01:01:02,000\n\"three\"\n\n";
        assert_eq!(transcript().to_srt(), expected);
    }

    #[test]
    fn a_text_grid_has_no_gaps() {
        let grid = transcript().to_text_grid();
        assert!(grid.contains("name = \"words\"") && grid.contains("text = \"\"\"three\"\"\""), "{grid}");
        let numbers = |name: &str| -> Vec<f64> {
            let lines = grid.lines().filter(|line| line.starts_with("            "));
            lines
                .filter_map(|line| line.trim().strip_prefix(name)?.trim_start_matches(" = ").parse().ok())
                .collect()
        };
        let (from, to) = (numbers("xmin"), numbers("xmax"));
        assert_eq!(from.len(), 12);
        let gaps = to.iter().zip(&from[1..]).filter(|(to, from)| to != from).count();
        assert_eq!((gaps, to.last()), (1, Some(&3700.0)), "only between the tiers");
        assert!(Transcript::new(vec![], 2.0).to_text_grid().contains("intervals: size = 1"));
    }
}
