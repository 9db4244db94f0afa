//! Samples that cannot be learned from, found before training begins.

use std::fmt;

use super::Vocabulary;

/// Why a recording's text cannot be aligned with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Nothing is said.
    Empty,
    /// Characters that are no symbols.
    Unspellable {
        /// They, each once.
        characters: Vec<char>,
    },
    /// More symbols than frames.
    TooLong {
        /// Frames that the text takes: its symbols, and a blank between equal ones.
        needed: usize,
        /// Frames that the recording has.
        frames: usize,
    },
}

impl fmt::Display for Misfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("its text is empty; expected what is said"),
            Self::Unspellable { characters } => {
                let shown: Vec<String> = characters.iter().take(8).map(|c| format!("`{c}`")).collect();
                let more = characters.len().saturating_sub(8);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                write!(
                    formatter,
                    "its text has {}{more}, which the vocabulary does not spell",
                    shown.join(", ")
                )
            }
            Self::TooLong { needed, frames } => {
                write!(
                    formatter,
                    "its text takes {needed} frames and it has {frames}: too much text for so short a recording"
                )
            }
        }
    }
}

/// Whether a text that is spelled already can be aligned with so many frames, and why not; else its symbols.
///
/// # Errors
/// The reason.
pub fn misfit(text: &str, vocabulary: &Vocabulary, frames: usize) -> Result<Vec<u32>, Misfit> {
    if text.is_empty() {
        return Err(Misfit::Empty);
    }
    let symbols = vocabulary.encode(text).map_err(|characters| Misfit::Unspellable { characters })?;
    let repeated = symbols.windows(2).filter(|pair| pair[0] == pair[1]).count();
    let needed = symbols.len() + repeated;
    match needed <= frames {
        true => Ok(symbols),
        false => Err(Misfit::TooLong { needed, frames }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_aligned_is_named() {
        let vocabulary = Vocabulary::of_texts(["three"]);
        assert_eq!(misfit("three", &vocabulary, 6).map(|symbols| symbols.len()), Ok(5));
        for (text, frames, expected) in [
            ("", 9, "its text is empty"),
            ("three", 5, "takes 6 frames and it has 5"),
            ("三", 9, "has `三`, which"),
            ("abcdfgijkl", 9, "and 2 more"),
        ] {
            let reason = misfit(text, &vocabulary, frames).map_err(|misfit| misfit.to_string());
            assert!(reason.as_ref().is_err_and(|reason| reason.contains(expected)), "{reason:?}");
        }
    }
}
