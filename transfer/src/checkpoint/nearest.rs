//! The most similar of several names, for messages about a name that does not exist.

/// Longer names are not compared: they are nobody's typing errors.
const MAX_BYTES: usize = 200;

/// The candidate with the smallest edit distance to `name` (swapped neighbours are one edit), the first of equals; none when all differ in more than a third.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = name.len().min(MAX_BYTES) / 3;
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= limit && candidate.len() <= MAX_BYTES)
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .and_then(|(distance, candidate)| (distance <= limit).then_some(candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_likeliest_or_nothing() {
        let names = ["conv1.weight", "layer1.0.conv1.weight", "fc.bias"];
        assert_eq!(nearest("conv_1.weight", names), Some("conv1.weight"));
        assert_eq!(nearest("layer1.0.conv2.weight", names), Some("layer1.0.conv1.weight"));
        assert_eq!(nearest("classifier.weight", names), None);
        assert_eq!(nearest("lable", ["text", "label"]), Some("label"));
    }
}
