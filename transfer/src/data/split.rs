//! Two sides, each with its share of every class.

use super::assign::{assign_groups, largest_remainder};
use super::{DataError, Strata};

const PURPOSE: &str = "split the data";

/// Which samples are held out: one claim per sample.
///
/// Without groups each class gives its share, rounded by largest remainder so that the total is right, and at least one sample
/// to each side. With groups, which stay whole, shares are as near as found. The result depends on the seed, the samples and,
/// with names, not on their order.
///
/// # Errors
/// When the share is not inside (0, 1), a list has the wrong length, or a class cannot stand on both sides.
pub fn stratified(strata: &Strata<'_>, held_out: f64, seed: u64) -> Result<Vec<bool>, DataError> {
    if !(held_out > 0.0 && held_out < 1.0) {
        let (what, expected) = ("held-out share", "a number between 0 and 1");
        return Err(DataError::Option { what, expected, found: held_out.to_string() });
    }
    strata.check(PURPOSE)?;
    if strata.stays_together() {
        let sides = assign_groups(strata, &[1.0 - held_out, held_out], seed, PURPOSE)?;
        return Ok(sides.into_iter().map(|side| side == 1).collect());
    }
    let counts = strata.counts();
    let total = (strata.labels.len() as f64 * held_out).round() as usize;
    let shares: Vec<f64> = counts.iter().map(|&count| count as f64 * held_out).collect();
    let mut is_held_out = vec![false; strata.labels.len()];
    for (label, (quota, count)) in largest_remainder(&shares, total).into_iter().zip(counts).enumerate() {
        if count > 0 {
            let quota = quota.clamp(1, count - 1);
            strata
                .shuffled(label, seed)
                .into_iter()
                .take(quota)
                .for_each(|sample| is_held_out[sample] = true);
        }
    }
    Ok(is_held_out)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("class{index}")).collect()
    }

    fn labels(counts: &[usize]) -> Vec<usize> {
        counts.iter().enumerate().flat_map(|(label, &count)| vec![label; count]).collect()
    }

    #[test]
    fn every_class_gives_its_share_and_the_total_is_right() {
        // (samples per class, share, held out per class)
        let cases: [(&[usize], f64, &[usize]); 6] = [
            (&[100, 50], 0.2, &[20, 10]),
            (&[10, 10, 10], 0.25, &[3, 3, 2]),
            (&[7, 3], 0.2, &[1, 1]),
            (&[124, 121], 0.2, &[25, 24]),
            (&[2, 98], 0.01, &[1, 1]),
            (&[2, 0, 2], 0.9, &[1, 0, 1]),
        ];
        for (counts, share, expected) in cases {
            let (classes, labels) = (names(counts.len()), labels(counts));
            let strata = Strata { classes: &classes, labels: (&labels).into(), groups: None, ids: None };
            for seed in 0..5 {
                let sides = stratified(&strata, share, seed).unwrap();
                let mut held_out = vec![0; counts.len()];
                labels.iter().zip(&sides).for_each(|(&label, &side)| held_out[label] += usize::from(side));
                assert_eq!(held_out, expected, "{counts:?} at {share}");
            }
        }
    }

    #[test]
    fn names_decide_and_not_their_order() {
        let (classes, labels) = (names(2), labels(&[30, 20]));
        let ids: Vec<String> = (0..50).map(|index| format!("{index}.jpg")).collect();
        let strata = Strata { classes: &classes, labels: (&labels).into(), groups: None, ids: Some(&ids) };
        let sides = stratified(&strata, 0.3, 7).unwrap();
        let reversed_labels: Vec<usize> = labels.iter().rev().copied().collect();
        let reversed_ids: Vec<String> = ids.iter().rev().cloned().collect();
        let strata = Strata { labels: (&reversed_labels).into(), ids: Some(&reversed_ids), ..strata };
        let reversed: Vec<bool> = stratified(&strata, 0.3, 7).unwrap().into_iter().rev().collect();
        assert_eq!(sides, reversed);
        assert_ne!(
            sides,
            stratified(&Strata { labels: (&labels).into(), ids: Some(&ids), ..strata }, 0.3, 8).unwrap()
        );
    }

    #[test]
    fn what_cannot_be_split_is_named() {
        let classes = names(2);
        let strata = Strata { classes: &classes, labels: (&[0, 0, 1]).into(), groups: None, ids: None };
        let error = stratified(&strata, 0.2, 0).unwrap_err();
        assert!(
            matches!(&error, DataError::TooFew { class, samples: 1, groups: 1, .. } if class == "class1"),
            "{error}"
        );
        let groups = ["a", "a", "b", "c"].map(str::to_owned);
        let strata =
            Strata { classes: &classes, labels: (&[0, 0, 1, 1]).into(), groups: Some(&groups), ids: None };
        let error = stratified(&strata, 0.5, 0).unwrap_err();
        assert!(
            matches!(&error, DataError::TooFew { class, samples: 2, groups: 1, .. } if class == "class0"),
            "{error}"
        );
        for share in [0.0, 1.0, -0.5, f64::NAN] {
            assert!(matches!(stratified(&strata, share, 0), Err(DataError::Option { .. })), "{share}");
        }
        let strata = Strata { classes: &classes, labels: (&[0, 2]).into(), groups: None, ids: None };
        assert_eq!(stratified(&strata, 0.5, 0), Err(DataError::Label { sample: 1, label: 2, classes: 2 }));
    }
}
