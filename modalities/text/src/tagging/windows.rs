//! Sentences as token numbers, long ones in windows.
//!
//! Words are encoded one by one, as transformers does with `is_split_into_words`. A word's tag is told at its first token. A sentence that is
//! longer than the encoder takes is seen through several windows: each word is told in one of them, with words before and behind for context.

use tk_engine::cpu::Pool;

use crate::data::{Tokenizer, TokenizerError, Tokens};

/// What of a window is context on each side, if there are words: one part in this many.
const CONTEXT: usize = 4;

/// Some neighbouring words as an encoder takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The tokens, those that mark beginning and end among them.
    pub tokens: Tokens,
    /// The words whose tags are told here, by their place in the sentence, and the token of each.
    pub words: Vec<(usize, usize)>,
}

/// A sentence's windows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// In order; none where no word has a token.
    pub windows: Vec<Window>,
    /// Words that lost their ends because they alone are longer than a window.
    pub cut: usize,
}

impl Windows {
    /// The windows of a sentence.
    ///
    /// # Errors
    /// When a word cannot be encoded.
    pub fn of(tokenizer: &Tokenizer, words: &[&str]) -> Result<Self, TokenizerError> {
        let pieces = tokenizer.encode_words(words)?;
        let [before, behind] = tokenizer.ends();
        let room = tokenizer.max_length() - before.len() - behind.len();
        Ok(cut(pieces, [before, behind], room))
    }

    /// The windows of many sentences, on the pool's threads.
    ///
    /// # Errors
    /// When a word cannot be encoded.
    pub fn of_all(
        tokenizer: &Tokenizer,
        sentences: &[Vec<&str>],
        pool: &Pool,
    ) -> Result<Vec<Self>, TokenizerError> {
        const CHUNK: usize = 64;
        let mut found: Vec<Option<Result<Self, TokenizerError>>> = Vec::new();
        found.resize_with(sentences.len(), || None);
        pool.for_each_chunk(&mut found, CHUNK, |chunk, found| {
            for (slot, words) in found.iter_mut().zip(&sentences[chunk * CHUNK..]) {
                *slot = Some(Self::of(tokenizer, words));
            }
        });
        found.into_iter().flatten().collect()
    }
}

/// Cuts a sentence, whose words have these tokens, to windows with room for so many of them.
fn cut(mut pieces: Vec<Vec<u32>>, ends: [&[u32]; 2], room: usize) -> Windows {
    let mut found = Windows::default();
    for piece in &mut pieces {
        if piece.len() > room {
            piece.truncate(room);
            found.cut += 1;
        }
    }
    let length = |words: std::ops::Range<usize>| pieces[words].iter().map(Vec::len).sum::<usize>();
    let count = pieces.len();
    // Words that are told begin at `first`; their window begins before and ends behind.
    let mut first = 0;
    while first < count {
        let context = if length(0..count) <= room { 0 } else { room / CONTEXT };
        let mut start = first;
        while start > 0 && length(start - 1..first) <= context && length(start - 1..first + 1) <= room {
            start -= 1;
        }
        let mut end = first + 1;
        while end < count && length(start..end + 1) <= room {
            end += 1;
        }
        let mut told = end;
        while end < count && told > first + 1 && length(told - 1..end) <= context {
            told -= 1;
        }
        found.windows.extend(window(&pieces, ends, start..end, first..told));
        first = told;
    }
    found
}

/// The window of some words, of which some are told.
fn window(
    pieces: &[Vec<u32>],
    [before, behind]: [&[u32]; 2],
    words: std::ops::Range<usize>,
    told: std::ops::Range<usize>,
) -> Option<Window> {
    let mut window = Window::default();
    let mut ids = before.to_vec();
    for word in words {
        if told.contains(&word) && !pieces[word].is_empty() {
            window.words.push((word, ids.len()));
        }
        ids.extend(&pieces[word]);
    }
    ids.extend(behind);
    window.tokens =
        Tokens { types: vec![0; ids.len()], special: before.len() + behind.len(), ids, ..Tokens::default() };
    (!window.words.is_empty()).then_some(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of so many tokens, whose numbers say word and place.
    fn words(lengths: &[usize]) -> Vec<Vec<u32>> {
        lengths
            .iter()
            .enumerate()
            .map(|(word, &length)| (0..length).map(|at| (10 * word + at) as u32).collect())
            .collect()
    }

    #[test]
    fn what_fits_is_one_window() {
        let found = cut(words(&[2, 0, 1]), [&[100], &[200, 201]], 8);
        let [window] = found.windows.as_slice() else { panic!("{found:?}") };
        assert_eq!(window.tokens.ids, [100, 0, 1, 20, 200, 201]);
        assert_eq!(
            (window.words.as_slice(), window.tokens.special, found.cut),
            (&[(0, 1), (2, 3)][..], 3, 0)
        );
        assert!(cut(words(&[0, 0]), [&[1], &[2]], 8).windows.is_empty());
    }

    #[test]
    fn each_word_is_told_once_with_words_around() {
        for lengths in [vec![1; 30], vec![3; 11], vec![2, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], vec![8, 8, 8]] {
            let found = cut(words(&lengths), [&[100], &[200]], 8);
            let told: Vec<usize> =
                found.windows.iter().flat_map(|window| window.words.iter().map(|(word, _)| *word)).collect();
            assert_eq!(told, (0..lengths.len()).collect::<Vec<_>>(), "{lengths:?}");
            for window in &found.windows {
                assert!(window.tokens.ids.len() <= 10, "{window:?}");
                for &(word, token) in &window.words {
                    assert_eq!(window.tokens.ids[token], 10 * word as u32);
                }
            }
            assert_eq!(found.cut, lengths.iter().filter(|&&length| length > 8).count());
        }
        // In the middle there are words on both sides.
        let found = cut(words(&[1; 30]), [&[100], &[200]], 8);
        let middle = &found.windows[1];
        assert_eq!((middle.words[0].1, middle.tokens.ids.len()), (3, 10));
        assert!(middle.words.last().is_some_and(|(_, token)| *token < 7));
    }
}
