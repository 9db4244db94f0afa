//! Classes of different sizes that count alike.

use serde::{Deserialize, Serialize};
use tk_engine::Tensor;
use tk_engine::random::Stream;

use super::{Source, SourceError, View};
use crate::data::LabelView;
use crate::task::Batch;

/// What is done about classes of different sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Balance {
    /// Nothing: every sample counts as one.
    #[default]
    None,
    /// A sample counts by [`class_weights`].
    Weights,
    /// An epoch draws from each class equally often.
    Sampler,
}

/// The weight of each class, `n / (classes · samples of the class)`, as scikit-learn's `"balanced"`: over all samples they average
/// to 1, so a learning rate keeps its meaning. A class without samples weighs nothing.
pub fn class_weights<'a>(labels: impl Into<LabelView<'a>>, classes: usize) -> Vec<f32> {
    let labels = labels.into();
    let share = labels.len() as f64 / classes.max(1) as f64;
    let weight = |members: &Vec<usize>| match members.len() {
        0 => 0.0,
        count => (share / count as f64) as f32,
    };
    labels.members(classes).iter().map(weight).collect()
}

/// A source whose epochs have as many samples as before, each of a class drawn with equal probability. Within an epoch a class's
/// samples come in a shuffled order and none again before all have come.
pub struct Balanced<'a> {
    inner: &'a dyn Source,
    /// The samples of each class that has any.
    members: Vec<Vec<usize>>,
}

impl<'a> Balanced<'a> {
    /// The source and the classes of each of its samples, below `classes`. A sample of several is drawn for each of them; one without
    /// any is of a class of its own kind.
    pub fn new<'b>(inner: &'a dyn Source, labels: impl Into<LabelView<'b>>, classes: usize) -> Self {
        let labels = labels.into();
        let mut members = labels.members(classes);
        members.push((0..labels.len()).filter(|&sample| labels.of(sample).is_empty()).collect());
        members.retain(|members| !members.is_empty());
        Self { inner, members }
    }
}

impl Source for Balanced<'_> {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn identity(&self, sample: usize) -> u64 {
        self.inner.identity(sample)
    }

    fn cache_key(&self, sample: usize, view: View) -> Option<String> {
        self.inner.cache_key(sample, view)
    }

    fn bucket(&self, sample: usize) -> usize {
        self.inner.bucket(sample)
    }

    fn epoch(&self, seed: u64, epoch: u64) -> Vec<usize> {
        if self.members.is_empty() {
            return Vec::new();
        }
        let mut stream = Stream::new(seed, &["balance".into(), epoch.into()]);
        let mut waiting = vec![Vec::new(); self.members.len()];
        let mut drawn = Vec::with_capacity(self.len());
        while drawn.len() < self.len() {
            let class = stream.below(self.members.len());
            if waiting[class].is_empty() {
                waiting[class].clone_from(&self.members[class]);
                stream.shuffle(&mut waiting[class]);
            }
            drawn.extend(waiting[class].pop());
        }
        self.order(drawn, seed, epoch)
    }

    fn order(&self, samples: Vec<usize>, seed: u64, epoch: u64) -> Vec<usize> {
        self.inner.order(samples, seed, epoch)
    }

    fn load(&self, samples: &[usize], view: View) -> Result<Batch, SourceError> {
        self.inner.load(samples, view)
    }

    fn targets(&self, samples: &[usize], view: View) -> Result<Vec<Tensor>, SourceError> {
        self.inner.targets(samples, view)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    struct Nothing(usize);

    impl Source for Nothing {
        fn len(&self) -> usize {
            self.0
        }

        fn identity(&self, sample: usize) -> u64 {
            sample as u64
        }

        fn cache_key(&self, _: usize, _: View) -> Option<String> {
            None
        }

        fn load(&self, _: &[usize], _: View) -> Result<Batch, SourceError> {
            Ok(Batch::default())
        }

        fn targets(&self, _: &[usize], _: View) -> Result<Vec<Tensor>, SourceError> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn an_epoch_has_classes_alike_and_every_sample_of_a_small_one() {
        // 900, 90 and 10 samples, and a class without any.
        let labels: Vec<usize> =
            (0..1000).map(|sample| usize::from(sample >= 900) + usize::from(sample >= 990)).collect();
        let inner = Nothing(1000);
        let source = Balanced::new(&inner, &labels, 4);
        let epoch = source.epoch(7, 0);
        assert_eq!(epoch.len(), 1000);
        let mut counts = vec![0usize; 1000];
        epoch.iter().for_each(|&sample| counts[sample] += 1);
        for (class, range) in [(0, 0..900), (1, 900..990), (2, 990..1000)] {
            let drawn: usize = counts[range.clone()].iter().sum();
            // A third of 1000 with a deviation of 15.
            assert!((270..400).contains(&drawn), "class {class}: {drawn}");
            let (least, most) = (counts[range.clone()].iter().min(), counts[range].iter().max());
            assert!(most.unwrap() - least.unwrap() <= 1, "class {class}: none again before all have come");
        }
        assert_eq!(epoch, source.epoch(7, 0));
        assert!(epoch != source.epoch(7, 1) && epoch != source.epoch(8, 0));
        assert!(Balanced::new(&Nothing(0), &[], 3).epoch(0, 0).is_empty());
    }

    #[test]
    fn weights_are_those_of_scikit_learn() {
        // compute_class_weight("balanced", classes=[0, 1, 2], y=[0, 0, 0, 1, 2, 2])
        assert_eq!(class_weights(&[0, 0, 0, 1, 2, 2], 3), [2.0 / 3.0, 2.0, 1.0]);
        assert_eq!(class_weights(&[0, 0], 2), [0.5, 0.0]);
    }
}
