//! What a report shows of transcripts.

use tk_audio::data::Utterances;
use tk_transfer::data::Labelled;

use super::Scored;
use crate::audio::portrait;
use crate::classify::Part;
use crate::report::{Heard, HeardPart};

/// Recordings that are shown.
const SHOWN: usize = 30;

/// Those that can be played, and so much of each in seconds.
const PLAYED: usize = 12;
const SECONDS: f64 = 10.0;

/// The recordings with most edits.
pub(super) fn heard(scored: &Scored, part: &Part<'_, Utterances>) -> HeardPart {
    let worst = scored.worst();
    let sound = |file: &str| {
        let position = part.positions.iter().find(|&&position| part.dataset.name(position) == file)?;
        portrait::sound(&part.dataset.load(*position).ok()?, SECONDS)
    };
    let shown = worst.iter().take(SHOWN).enumerate().map(|(at, one)| Heard {
        file: one.file.clone(),
        said: one.said.clone(),
        heard: one.heard.clone(),
        edits: [one.words.substitutions, one.words.insertions, one.words.deletions],
        sound: if at < PLAYED { sound(&one.file) } else { None },
    });
    HeardPart { worst: shown.collect(), wrong: worst.len(), total: scored.compared.len() }
}
