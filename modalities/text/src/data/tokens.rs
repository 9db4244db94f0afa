//! An encoded text, and what is worth knowing of many.

use serde::{Deserialize, Serialize};

/// A text, or a pair of texts, as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Token numbers, those that mark beginning and end among them.
    pub ids: Vec<u32>,
    /// For each token 0 or, in the second text of a pair, 1.
    pub types: Vec<u32>,
    /// How many of the tokens mark beginning and end.
    pub special: usize,
    /// How many are unknown.
    pub unknown: usize,
    /// How many tokens were cut off because the text is too long.
    pub cut: usize,
}

/// What became of texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// How many texts (or pairs).
    pub texts: usize,
    /// Tokens of their words, those that were cut off not among them.
    pub tokens: usize,
    /// Unknown ones among these.
    pub unknown: usize,
    /// Texts that were too long.
    pub truncated: usize,
    /// Tokens that were cut off.
    pub cut: usize,
    /// The tokens of the longest text before anything was cut off.
    pub longest: usize,
}

/// A share above this is worth a word.
const NOTABLE: f64 = 0.05;

impl Statistics {
    /// Counts.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a Tokens>) -> Self {
        texts.into_iter().fold(Self::default(), |sum, text| Self {
            texts: sum.texts + 1,
            tokens: sum.tokens + text.ids.len().saturating_sub(text.special),
            unknown: sum.unknown + text.unknown,
            truncated: sum.truncated + usize::from(text.cut > 0),
            cut: sum.cut + text.cut,
            longest: sum.longest.max(text.ids.len() + text.cut),
        })
    }

    /// The share of unknown tokens, 0 to 1.
    pub fn unknown_share(&self) -> f64 {
        share(self.unknown, self.tokens)
    }

    /// The share of texts that were too long, 0 to 1.
    pub fn truncated_share(&self) -> f64 {
        share(self.truncated, self.texts)
    }

    /// The share of tokens that were cut off, 0 to 1.
    pub fn cut_share(&self) -> f64 {
        share(self.cut, self.tokens + self.cut)
    }

    /// What the user should know: shares above 5 %, each with the way out.
    pub fn warnings(&self) -> Vec<String> {
        let percent = |share: f64| (share * 100.0).round();
        let mut warnings = Vec::new();
        if self.unknown_share() > NOTABLE {
            let share = percent(self.unknown_share());
            warnings.push(format!(
                "{share} % of the tokens are unknown to this model; is it made for the language of these texts?"
            ));
        }
        if self.truncated_share() > NOTABLE || self.cut_share() > NOTABLE {
            let (texts, tokens) = (percent(self.truncated_share()), percent(self.cut_share()));
            let longest = self.longest;
            warnings.push(format!(
                "{texts} % of the texts are too long and lose their ends, {tokens} % of all tokens (the longest has {longest}); \
                 raise --max-tokens if the model takes more, or divide the texts"
            ));
        }
        warnings
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_above_five_percent_are_said() {
        let text = |length: usize, unknown, cut| Tokens {
            ids: vec![9; length],
            types: vec![0; length],
            special: 2,
            unknown,
            cut,
        };
        let cases: [(Vec<Tokens>, &[&str]); 5] = [
            (vec![text(22, 1, 0)], &[]),
            (vec![text(22, 2, 0)], &["10 % of the tokens are unknown"]),
            (
                vec![text(12, 0, 10), text(12, 0, 0)],
                &["50 % of the texts are too long and lose their ends, 33 %"],
            ),
            (vec![text(4, 2, 8)], &["100 % of the tokens", "100 % of the texts"]),
            (Vec::new(), &[]),
        ];
        for (texts, expected) in cases {
            let warnings = Statistics::of(&texts).warnings();
            assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
            assert!(
                warnings.iter().zip(expected).all(|(text, start)| text.starts_with(start)),
                "{warnings:?}"
            );
        }
        assert_eq!(Statistics::of(&[text(4, 0, 8), text(5, 0, 0)]).longest, 12);
    }
}
