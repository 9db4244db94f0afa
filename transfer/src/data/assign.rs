//! Dividing whole groups among sides, and rounding shares to whole samples.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::strata::order;
use super::{DataError, LabelKind, Strata};

/// Whole numbers that sum to `total` and are nearest to the shares: each is rounded down, and what is missing goes to the
/// largest remainders, the first of equals (Hamilton's method).
pub(super) fn largest_remainder(shares: &[f64], total: usize) -> Vec<usize> {
    let mut quotas: Vec<usize> = shares.iter().map(|share| share.floor() as usize).collect();
    let missing = total.saturating_sub(quotas.iter().sum());
    let mut by_remainder: Vec<usize> = (0..shares.len()).collect();
    by_remainder.sort_by(|&a, &b| shares[b].fract().total_cmp(&shares[a].fract()));
    by_remainder.into_iter().take(missing).for_each(|index| quotas[index] += 1);
    quotas
}

/// Samples that stay together.
struct Group {
    samples: Vec<usize>,
    /// How many samples of each class.
    counts: Vec<f64>,
}

/// The side of each sample, so that groups stay whole, sides get about their shares of every class, and every class stands on
/// at least two sides. Samples of several classes without groups are groups of one; then sides get their shares of samples too, and a
/// class may stand on one side, where nothing else is found.
///
/// Large groups are placed first, each where the squared deviation from the wanted counts grows least; then single moves are
/// made while they help. A class that stands on one side only costs more than any deviation.
pub(super) fn assign_groups(
    strata: &Strata<'_>,
    shares: &[f64],
    seed: u64,
    purpose: &'static str,
) -> Result<Vec<usize>, DataError> {
    let groups = groups(strata, seed);
    let mut totals: Vec<f64> = strata.counts().into_iter().map(|count| count as f64).collect();
    if strata.labels.kind() == LabelKind::Multi {
        totals.push(strata.labels.len() as f64);
    }
    let mut state = Sides {
        wanted: shares.iter().map(|share| totals.iter().map(|total| total * share).collect()).collect(),
        found: vec![vec![0.0; totals.len()]; shares.len()],
        totals,
    };
    let mut side_of = Vec::with_capacity(groups.len());
    for group in &groups {
        let side = state.cheapest(group, 0..shares.len());
        state.add(side, group, 1.0);
        side_of.push(side);
    }
    // Each accepted move lowers a cost that takes finitely many values; the bound only limits the time.
    for _ in 0..100 {
        let mut has_moved = false;
        for (group, side) in groups.iter().zip(&mut side_of) {
            let here = state.cost();
            state.add(*side, group, -1.0);
            let best = state.cheapest(group, 0..shares.len());
            state.add(best, group, 1.0);
            if state.cost() < here - 1e-9 {
                *side = best;
                has_moved = true;
            } else {
                state.add(best, group, -1.0);
                state.add(*side, group, 1.0);
            }
        }
        if !has_moved {
            break;
        }
    }
    if let Some(label) = state.lonely().next().filter(|_| strata.needs_every_class()) {
        let (samples, groups) = strata.extent(label);
        return Err(DataError::Entangled { class: strata.classes[label].clone(), samples, groups, purpose });
    }
    let mut sides = vec![0; strata.labels.len()];
    for (group, side) in groups.iter().zip(side_of) {
        group.samples.iter().for_each(|&sample| sides[sample] = side);
    }
    Ok(sides)
}

/// The groups, largest first, equals in the seeded order of their names. Without names a sample's position serves.
fn groups(strata: &Strata<'_>, seed: u64) -> Vec<Group> {
    let counts_samples = strata.labels.kind() == LabelKind::Multi;
    let mut by_name: BTreeMap<Cow<'_, str>, Group> = BTreeMap::new();
    for (sample, labels) in strata.labels.iter().enumerate() {
        let name = match (strata.groups, strata.ids) {
            (Some(names), _) | (None, Some(names)) => Cow::from(&names[sample]),
            (None, None) => Cow::from(sample.to_string()),
        };
        let width = strata.classes.len() + usize::from(counts_samples);
        let group =
            by_name.entry(name).or_insert_with(|| Group { samples: Vec::new(), counts: vec![0.0; width] });
        group.samples.push(sample);
        labels.iter().for_each(|&label| group.counts[label] += 1.0);
        if counts_samples {
            group.counts[strata.classes.len()] += 1.0;
        }
    }
    let mut groups: Vec<(Cow<'_, str>, Group)> = by_name.into_iter().collect();
    groups.sort_by_key(|(name, group)| (std::cmp::Reverse(group.size(counts_samples)), order(seed, name)));
    groups.into_iter().map(|(_, group)| group).collect()
}

impl Group {
    /// What makes it hard to place: its samples, and, where samples have several, its classes.
    fn size(&self, counts_classes: bool) -> (usize, usize) {
        let classes = self.counts.iter().filter(|count| counts_classes && **count > 0.0).count();
        (self.samples.len(), classes)
    }
}

/// The samples of each class on each side, `[side][class]`.
struct Sides {
    wanted: Vec<Vec<f64>>,
    found: Vec<Vec<f64>>,
    totals: Vec<f64>,
}

impl Sides {
    fn add(&mut self, side: usize, group: &Group, sign: f64) {
        self.found[side].iter_mut().zip(&group.counts).for_each(|(found, count)| *found += sign * count);
    }

    /// The side on which the group costs least, the first of equals.
    fn cheapest(&mut self, group: &Group, sides: std::ops::Range<usize>) -> usize {
        let mut best = (f64::INFINITY, sides.start);
        for side in sides {
            self.add(side, group, 1.0);
            let cost = self.cost();
            self.add(side, group, -1.0);
            if cost < best.0 - 1e-12 {
                best = (cost, side);
            }
        }
        best.1
    }

    /// The squared deviation from the wanted counts, relative to the wanted share of the class, plus a large cost for each class
    /// on one side only.
    fn cost(&self) -> f64 {
        let mut cost = self.lonely().count() as f64 * 1e6;
        for (wanted, found) in self.wanted.iter().zip(&self.found) {
            for ((wanted, found), total) in wanted.iter().zip(found).zip(&self.totals) {
                if *total > 0.0 {
                    cost += (found - wanted).powi(2) / (wanted * total).max(1e-9);
                }
            }
        }
        cost
    }

    /// The classes that occur, but only on one side.
    fn lonely(&self) -> impl Iterator<Item = usize> {
        self.totals.iter().enumerate().filter_map(|(label, &total)| {
            let sides = self.found.iter().filter(|found| found[label] > 0.0).count();
            (total > 0.0 && sides < 2).then_some(label)
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn remainders_go_to_the_largest() {
        let cases: [(&[f64], usize, &[usize]); 4] = [
            (&[2.5, 2.5, 2.5], 8, &[3, 3, 2]),
            (&[1.2, 0.7, 0.1], 2, &[1, 1, 0]),
            (&[0.3, 0.3, 0.4], 1, &[0, 0, 1]),
            (&[3.0, 4.0], 7, &[3, 4]),
        ];
        for (shares, total, expected) in cases {
            assert_eq!(largest_remainder(shares, total), expected, "{shares:?}");
        }
    }

    #[test]
    fn entangled_groups_are_reported_and_solvable_ones_solved() {
        let classes = ["a", "b", "c"].map(str::to_owned);
        // Two groups: whichever way they go, class c, which is in both, and the others stand on two sides only if divided.
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let groups = names(&["x", "x", "y", "y"]);
        let strata =
            Strata { classes: &classes, labels: (&[0, 1, 0, 1]).into(), groups: Some(&groups), ids: None };
        let sides = assign_groups(&strata, &[0.9, 0.1], 0, "split").unwrap();
        assert_ne!(sides[0], sides[2]);
        // a links x and y, b links y and z, c links x and z: three groups that all must differ, on two sides.
        let groups = names(&["x", "y", "y", "z", "x", "z"]);
        let strata = Strata {
            classes: &classes,
            labels: (&[0, 0, 1, 1, 2, 2]).into(),
            groups: Some(&groups),
            ids: None,
        };
        let error = assign_groups(&strata, &[0.5, 0.5], 0, "split").unwrap_err();
        assert!(matches!(error, DataError::Entangled { samples: 2, groups: 2, .. }), "{error}");
        assert!(assign_groups(&strata, &[1.0 / 3.0; 3], 0, "split").is_ok());
    }

    #[test]
    fn samples_of_several_classes_are_divided_about_as_all_of_their_classes_want() {
        let classes: Vec<String> = (0..4).map(|class| class.to_string()).collect();
        let mut stream = tk_engine::random::Stream::new(2, &["several".into()]);
        // Classes of about 60, 30, 10 and 2 % of the samples, some samples without any.
        let labels: Vec<Vec<usize>> = (0..500)
            .map(|_| (0..4).filter(|&class| stream.below(100) < [60, 30, 10, 2][class]).collect())
            .collect();
        let ids: Vec<String> = (0..500).map(|sample| format!("{sample}.jpg")).collect();
        let strata = Strata { classes: &classes, labels: labels[..].into(), groups: None, ids: Some(&ids) };
        let sides = assign_groups(&strata, &[0.8, 0.2], 7, "split").unwrap();
        assert_eq!(sides, assign_groups(&strata, &[0.8, 0.2], 7, "split").unwrap());
        assert_ne!(sides, assign_groups(&strata, &[0.8, 0.2], 8, "split").unwrap());
        let held: Vec<usize> = (0..500).filter(|&sample| sides[sample] == 1).collect();
        assert!(held.len().abs_diff(100) <= 1, "{}", held.len());
        for (class, members) in strata.labels.members(4).into_iter().enumerate() {
            let found = held.iter().filter(|sample| members.contains(sample)).count() as f64;
            let wanted = members.len() as f64 * 0.2;
            assert!((found - wanted).abs() < 1.0, "class {class}: {found} of {wanted}");
        }
        // A class of one sample stands on one side.
        let labels = [vec![0], vec![0, 1], vec![0], vec![]];
        let strata = Strata { classes: &classes[..2], labels: labels[..].into(), groups: None, ids: None };
        assert_eq!(assign_groups(&strata, &[0.5, 0.5], 0, "split").unwrap().len(), 4);
    }
}
