//! Where a known text lies in its frames: the likeliest of all ways that spell it (Viterbi).

use super::Spoken;

/// The frames of each symbol of a text in frames of log-probabilities, `[frames, vocabulary]`; `None` where the frames cannot spell it.
///
/// Between two symbols frames may belong to none; each symbol has at least one. Memory is one byte for each frame and state.
pub fn align(log_probabilities: &[f32], vocabulary: usize, blank: u32, text: &[u32]) -> Option<Vec<Spoken>> {
    let known = |symbol: &u32| (*symbol as usize) < vocabulary;
    if !known(&blank) || !text.iter().all(known) {
        return None;
    }
    // A blank before, between and behind the symbols.
    let states = 2 * text.len() + 1;
    let symbol = |state: usize| if state.is_multiple_of(2) { blank } else { text[state / 2] };
    // Past a blank only between different symbols.
    let may_skip = |state: usize| state % 2 == 1 && state > 1 && symbol(state) != symbol(state - 2);
    let mut best = vec![f64::NEG_INFINITY; states];
    let mut steps: Vec<u8> = Vec::new();
    for (frame, row) in log_probabilities.chunks_exact(vocabulary).enumerate() {
        let before = best;
        best = (0..states)
            .map(|state| {
                let (mut score, mut step) = match frame {
                    0 => (if state < 2 { 0.0 } else { f64::NEG_INFINITY }, 0),
                    _ => (before[state], 0),
                };
                for longer in 1..=usize::from(may_skip(state)) + 1 {
                    if frame > 0 && state >= longer && before[state - longer] > score {
                        (score, step) = (before[state - longer], longer as u8);
                    }
                }
                steps.push(step);
                score + f64::from(row[symbol(state) as usize])
            })
            .collect();
    }
    let ends = states.saturating_sub(2)..states;
    let mut state = ends.max_by(|&a, &b| best[a].total_cmp(&best[b]))?;
    if steps.is_empty() || !best[state].is_finite() {
        return text.is_empty().then(Vec::new);
    }
    let mut places = Vec::with_capacity(steps.len() / states);
    for row in steps.chunks_exact(states).rev() {
        places.push(state);
        state -= usize::from(row[state]);
    }
    places.reverse();
    let mut spoken: Vec<Spoken> = Vec::with_capacity(text.len());
    let mut of_last = None;
    for (frame, state) in places.into_iter().enumerate().filter(|(_, state)| state % 2 == 1) {
        match spoken.last_mut() {
            Some(last) if of_last == Some(state) => last.end = frame + 1,
            _ => spoken.push(Spoken { symbol: symbol(state), start: frame, end: frame + 1 }),
        }
        of_last = Some(state);
    }
    Some(spoken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctc::greedy;

    fn scores(best: &[u32], vocabulary: u32) -> Vec<f32> {
        let row = |&best: &u32| (0..vocabulary).map(move |symbol| if symbol == best { -0.1 } else { -3.0 });
        best.iter().flat_map(row).collect()
    }

    #[test]
    fn what_is_heard_lies_where_it_was_heard() {
        for best in [&[0, 1, 1, 0, 2, 2, 2, 0][..], &[1, 0, 1], &[2, 1, 2], &[1], &[0, 0]] {
            let scores = scores(best, 3);
            let heard = greedy(&scores, 3, 0);
            let text: Vec<u32> = heard.iter().map(|spoken| spoken.symbol).collect();
            assert_eq!(align(&scores, 3, 0, &text), Some(heard), "{best:?}");
        }
    }

    #[test]
    fn a_text_that_was_not_heard_takes_the_likeliest_frames() {
        let spoken = |symbol, start, end| Spoken { symbol, start, end };
        // Equal symbols need a blank between them, even where none is likely.
        assert_eq!(
            align(&scores(&[1, 1, 1], 2), 2, 0, &[1, 1]),
            Some(vec![spoken(1, 0, 1), spoken(1, 2, 3)])
        );
        assert_eq!(align(&scores(&[1, 1], 2), 2, 0, &[1, 1]), None);
        assert_eq!(align(&scores(&[0], 2), 2, 0, &[7]), None);
        assert_eq!(align(&[], 2, 0, &[1]), None);
        assert_eq!(align(&[], 2, 0, &[]), Some(vec![]));
    }
}
