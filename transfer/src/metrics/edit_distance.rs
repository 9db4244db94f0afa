//! Word and character error rates: how far transcripts are from what was said.
//!
//! Texts are compared as they are. Case and punctuation count, so whoever does not want them to count takes them off both sides first.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// What turns references into hypotheses with the fewest edits.
///
/// Often several alignments have the fewest edits. The counts are those of `jiwer` 4: from the end, a deletion where one is possible, else
/// an insertion, else a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Tokens that are the same on both sides.
    pub hits: usize,
    /// Tokens of the reference with another in their place.
    pub substitutions: usize,
    /// Tokens that the reference does not have.
    pub insertions: usize,
    /// Tokens that only the reference has.
    pub deletions: usize,
}

impl Edits {
    /// The number of edits, which is the Levenshtein distance.
    pub fn distance(&self) -> usize {
        self.substitutions + self.insertions + self.deletions
    }

    /// The number of tokens of the reference.
    pub fn reference_tokens(&self) -> usize {
        self.hits + self.substitutions + self.deletions
    }

    /// Edits per token of the reference: WER of words, CER of characters. Above 1 where much is inserted. `None` where the reference has no
    /// tokens. Of many sentences it is the rate of their sum, not the mean of their rates.
    pub fn rate(&self) -> Option<f64> {
        let tokens = self.reference_tokens();
        (tokens > 0).then(|| self.distance() as f64 / tokens as f64)
    }
}

impl Add for Edits {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl AddAssign for Edits {
    fn add_assign(&mut self, other: Self) {
        self.hits += other.hits;
        self.substitutions += other.substitutions;
        self.insertions += other.insertions;
        self.deletions += other.deletions;
    }
}

impl Sum for Edits {
    fn sum<I: Iterator<Item = Self>>(edits: I) -> Self {
        edits.fold(Self::default(), Add::add)
    }
}

/// The edits between the words of two texts. Any run of white space parts words.
pub fn word_edits(reference: &str, hypothesis: &str) -> Edits {
    let words = |text| str::split_whitespace(text).collect::<Vec<_>>();
    edits(&words(reference), &words(hypothesis))
}

/// The edits between the characters (Unicode scalar values) of two texts without the white space around them. White space within counts.
pub fn character_edits(reference: &str, hypothesis: &str) -> Edits {
    let characters = |text: &str| text.trim().chars().collect::<Vec<_>>();
    edits(&characters(reference), &characters(hypothesis))
}

/// The edits between two lists of tokens. Time grows with the product of the lengths, memory with the length of the reference.
///
/// Levenshtein's recurrence (Wagner, Fischer 1974); what the ends have in common is set aside first.
pub fn edits<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> Edits {
    let common =
        |pairs: &mut dyn Iterator<Item = (&T, &T)>| pairs.take_while(|(left, right)| left == right).count();
    let before = common(&mut reference.iter().zip(hypothesis));
    let reference = reference.get(before..).unwrap_or_default();
    let hypothesis = hypothesis.get(before..).unwrap_or_default();
    let after = common(&mut reference.iter().rev().zip(hypothesis.iter().rev()));
    let reference = reference.get(..reference.len() - after).unwrap_or_default();
    let hypothesis = hypothesis.get(..hypothesis.len() - after).unwrap_or_default();
    let found = middle(reference, hypothesis);
    Edits { hits: found.hits + before + after, ..found }
}

/// Row by row of the hypothesis: a cell holds the edits from the beginning of both to there.
fn middle<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> Edits {
    let mut row: Vec<Edits> =
        (0..=reference.len()).map(|deletions| Edits { deletions, ..Edits::default() }).collect();
    for (index, heard) in hypothesis.iter().enumerate() {
        // The cell before this one, in the row above and in this row.
        let mut above_left = row.first().copied().unwrap_or_default();
        let mut left = Edits { insertions: index + 1, ..Edits::default() };
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, said) in row.iter_mut().skip(1).zip(reference) {
            let above = *cell;
            *cell = step(above_left, above, left, said == heard);
            (above_left, left) = (above, *cell);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// The cell at the corner of three.
fn step(above_left: Edits, above: Edits, left: Edits, is_hit: bool) -> Edits {
    let paired = above_left.distance() + usize::from(!is_hit);
    let least = paired.min(above.distance() + 1).min(left.distance() + 1);
    if left.distance() + 1 == least {
        Edits { deletions: left.deletions + 1, ..left }
    } else if above.distance() < above_left.distance() {
        Edits { insertions: above.insertions + 1, ..above }
    } else if is_hit {
        Edits { hits: above_left.hits + 1, ..above_left }
    } else {
        Edits { substitutions: above_left.substitutions + 1, ..above_left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted_by_kind() {
        for (reference, hypothesis, [hits, substitutions, insertions, deletions]) in [
            ("", "", [0, 0, 0, 0]),
            ("", "a b", [0, 0, 2, 0]),
            ("a b", " ", [0, 0, 0, 2]),
            ("one two\tthree", " one  two three ", [3, 0, 0, 0]),
            ("the cat sat", "the cat sat down", [3, 0, 1, 0]),
            ("the cat sat", "a cat", [1, 1, 0, 1]),
            ("one two", "One two", [1, 1, 0, 0]),
        ] {
            let expected = Edits { hits, substitutions, insertions, deletions };
            assert_eq!(word_edits(reference, hypothesis), expected, "{reference:?} {hypothesis:?}");
        }
        assert_eq!(character_edits(" kitten ", "sitting").distance(), 3);
        assert_eq!(
            character_edits("ä", "a\u{308}"),
            Edits { substitutions: 1, insertions: 1, ..Edits::default() }
        );
    }

    #[test]
    fn rates_of_many_sentences_are_of_their_sum() {
        let pairs = [("a", "b"), ("a b c", "a b c")];
        let sum: Edits = pairs.iter().map(|(reference, hypothesis)| word_edits(reference, hypothesis)).sum();
        assert_eq!(sum.rate(), Some(0.25));
        assert_eq!(word_edits("", "a").rate(), None);
        assert_eq!(word_edits("a", "b c d").rate(), Some(3.0));
    }
}
