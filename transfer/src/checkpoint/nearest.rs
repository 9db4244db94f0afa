//! The most similar of several names, for messages about a name that does not exist.

/// Longer names are not compared: they are nobody's typing errors.
const MAX_BYTES: usize = 200;

/// The candidate with the smallest edit distance to `name`, the first of equals; none when all differ in more than a third.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = name.len().min(MAX_BYTES) / 3;
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= limit && candidate.len() <= MAX_BYTES)
        .map(|candidate| (distance(name.as_bytes(), candidate.as_bytes()), candidate))
        .min_by_key(|(distance, _)| *distance)
        .and_then(|(distance, candidate)| (distance <= limit).then_some(candidate))
}

/// Levenshtein's distance: the fewest insertions, deletions and replacements of bytes.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, byte) in left.iter().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(right) {
            let replaced = diagonal + usize::from(byte != other);
            diagonal = *cell;
            *cell = replaced.min(before + 1).min(diagonal + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        for (left, right, expected) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("same", "same", 0)]
        {
            assert_eq!(distance(left.as_bytes(), right.as_bytes()), expected, "{left} {right}");
            assert_eq!(distance(right.as_bytes(), left.as_bytes()), expected, "{right} {left}");
        }
    }

    #[test]
    fn finds_the_likeliest_or_nothing() {
        let names = ["conv1.weight", "layer1.0.conv1.weight", "fc.bias"];
        assert_eq!(nearest("conv_1.weight", names), Some("conv1.weight"));
        assert_eq!(nearest("layer1.0.conv2.weight", names), Some("layer1.0.conv1.weight"));
        assert_eq!(nearest("classifier.weight", names), None);
    }
}
