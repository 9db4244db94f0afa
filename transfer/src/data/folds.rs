//! Parts of about equal size, each of which judges once what was learned from the others.

use super::assign::assign_groups;
use super::{DataError, Strata};

const PURPOSE: &str = "make folds";

/// Each sample's fold, below `folds`.
///
/// Without groups, the samples of a class in two folds differ by at most one, and so do whole folds. With groups, which stay
/// whole, sizes are as near as found. Every class that occurs stands in at least two folds, so whatever fold is left out, it
/// can be learned from the others. With names the result does not depend on the order of the samples.
///
/// # Errors
/// When there are fewer than two folds, more folds than samples, a list has the wrong length, or a class cannot stand in two folds.
pub fn stratified(strata: &Strata<'_>, folds: usize, seed: u64) -> Result<Vec<usize>, DataError> {
    if folds < 2 || folds > strata.labels.len().max(2) {
        let (what, expected) = ("number of folds", "at least 2, and no more than there are samples");
        return Err(DataError::Option { what, expected, found: folds.to_string() });
    }
    strata.check(PURPOSE)?;
    if strata.stays_together() {
        return assign_groups(strata, &vec![1.0 / folds as f64; folds], seed, PURPOSE);
    }
    let mut fold_of = vec![0; strata.labels.len()];
    // Each class goes on where the one before it stopped, which keeps whole folds balanced as well.
    let mut next = 0;
    for label in 0..strata.classes.len() {
        for sample in strata.shuffled(label, seed) {
            fold_of[sample] = next;
            next = (next + 1) % folds;
        }
    }
    Ok(fold_of)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use tk_engine::random::Stream;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("class{index}")).collect()
    }

    #[test]
    fn classes_and_folds_are_balanced() {
        for (counts, folds) in
            [(vec![124, 121], 5), (vec![2, 2, 2], 5), (vec![7, 23, 4], 3), (vec![50, 0, 3], 10)]
        {
            let classes = names(counts.len());
            let labels: Vec<usize> =
                counts.iter().enumerate().flat_map(|(label, &count)| vec![label; count]).collect();
            let strata = Strata { classes: &classes, labels: (&labels).into(), groups: None, ids: None };
            let fold_of = stratified(&strata, folds, 3).unwrap();
            let mut sizes = vec![vec![0usize; folds]; counts.len() + 1];
            for (&label, &fold) in labels.iter().zip(&fold_of) {
                sizes[label][fold] += 1;
                sizes[counts.len()][fold] += 1;
            }
            for sizes in sizes {
                assert!(
                    sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1,
                    "{counts:?}: {sizes:?}"
                );
            }
        }
    }

    #[test]
    fn groups_stay_whole_and_folds_stay_near_balance() {
        let mut stream = Stream::new(5, &["groups".into()]);
        let classes = names(3);
        let (mut labels, mut groups) = (Vec::new(), Vec::new());
        for group in 0..40 {
            let label = group % 3;
            for _ in 0..1 + stream.below(9) {
                labels.push(if stream.below(4) == 0 { stream.below(3) } else { label });
                groups.push(format!("speaker{group}"));
            }
        }
        let strata = Strata { classes: &classes, labels: (&labels).into(), groups: Some(&groups), ids: None };
        let folds = 5;
        let fold_of = stratified(&strata, folds, 1).unwrap();
        for first in 0..labels.len() {
            for second in 0..first {
                assert!(groups[first] != groups[second] || fold_of[first] == fold_of[second]);
            }
        }
        for label in 0..3 {
            let of_class = labels.iter().filter(|&&other| other == label).count() as f64;
            for fold in 0..folds {
                let here =
                    (0..labels.len()).filter(|&s| labels[s] == label && fold_of[s] == fold).count() as f64;
                assert!(
                    (here - of_class / folds as f64).abs() <= 4.0,
                    "class {label}, fold {fold}: {here} of {of_class}"
                );
            }
        }
        let order: Vec<usize> = (0..labels.len()).rev().collect();
        let reversed_labels: Vec<usize> = order.iter().map(|&s| labels[s]).collect();
        let reversed_groups: Vec<String> = order.iter().map(|&s| groups[s].clone()).collect();
        let strata = Strata { labels: (&reversed_labels).into(), groups: Some(&reversed_groups), ..strata };
        let reversed = stratified(&strata, folds, 1).unwrap();
        assert!(
            order.iter().zip(reversed).all(|(&s, fold)| fold_of[s] == fold),
            "the order of samples decided"
        );
    }

    #[test]
    fn impossible_folds_are_errors() {
        let classes = names(2);
        let strata = Strata { classes: &classes, labels: (&[0, 0, 1]).into(), groups: None, ids: None };
        for folds in [0, 1, 4] {
            assert!(matches!(stratified(&strata, folds, 0), Err(DataError::Option { .. })), "{folds}");
        }
        assert!(matches!(stratified(&strata, 2, 0), Err(DataError::TooFew { samples: 1, .. })));
        let strata = Strata { labels: (&[]).into(), ..strata };
        assert!(matches!(stratified(&strata, 2, 0), Err(DataError::Empty { .. })));
    }
}
