//! The likeliest symbol of each frame, with repetitions and blanks left out.

/// A symbol and the frames that spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// The symbol.
    pub symbol: u32,
    /// Its first frame.
    pub start: usize,
    /// The frame after its last.
    pub end: usize,
}

/// What the likeliest way through frames of scores, `[frames, vocabulary]`, spells; of equal scores the first symbol counts.
///
/// Scores may be logits, probabilities or their logarithms. A last row that is not whole is ignored, and so is everything where
/// the vocabulary is empty.
pub fn greedy(scores: &[f32], vocabulary: usize, blank: u32) -> Vec<Spoken> {
    let mut spoken: Vec<Spoken> = Vec::new();
    let mut before = blank;
    for (frame, row) in scores.chunks_exact(vocabulary.max(1)).enumerate().filter(|_| vocabulary > 0) {
        let best = row.iter().enumerate().fold((0, f32::NEG_INFINITY), |best, (symbol, &score)| {
            if score > best.1 { (symbol as u32, score) } else { best }
        });
        let symbol = best.0;
        match spoken.last_mut() {
            Some(last) if symbol == before && symbol != blank => last.end = frame + 1,
            _ if symbol != blank => spoken.push(Spoken { symbol, start: frame, end: frame + 1 }),
            _ => {}
        }
        before = symbol;
    }
    spoken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_and_blanks_are_left_out() {
        type Case<'a> = (&'a [u32], u32, &'a [(u32, usize, usize)]);
        let cases: [Case<'_>; 6] = [
            (&[], 0, &[]),
            (&[0, 0], 0, &[]),
            (&[1, 1, 2], 0, &[(1, 0, 2), (2, 2, 3)]),
            (&[1, 0, 1, 1, 0], 0, &[(1, 0, 1), (1, 2, 4)]),
            (&[0, 2, 0], 2, &[(0, 0, 1), (0, 2, 3)]),
            (&[2, 1, 1], 2, &[(1, 1, 3)]),
        ];
        for (symbols, blank, expected) in cases {
            let scores: Vec<f32> = symbols
                .iter()
                .flat_map(|&best| (0..3).map(move |symbol| if symbol == best { -0.1 } else { -3.0 }))
                .collect();
            let expected: Vec<Spoken> =
                expected.iter().map(|&(symbol, start, end)| Spoken { symbol, start, end }).collect();
            assert_eq!(greedy(&scores, 3, blank), expected, "{symbols:?}, blank {blank}");
        }
        assert_eq!(greedy(&[1.0], 0, 0), []);
    }
}
