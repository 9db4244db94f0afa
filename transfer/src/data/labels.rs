//! What samples are labelled with: one class each, or any number of classes each.

use serde::{Deserialize, Serialize};
use tk_engine::{EngineError, Result, Tensor};

/// How many classes a sample has, and so what a classifier's logits mean. Written as transformers writes `problem_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LabelKind {
    /// Exactly one: the softmax of the logits is the probability of each class.
    #[default]
    #[serde(rename = "single_label_classification")]
    Single,
    /// Any number, none included: the sigmoid of each logit is the probability of its class.
    #[serde(rename = "multi_label_classification")]
    Multi,
}

impl LabelKind {
    /// The probabilities of rows of logits, `[samples, classes]`, computed in f64.
    pub fn probabilities(self, logits: &[f32], classes: usize) -> Vec<f32> {
        let mut probabilities = Vec::with_capacity(logits.len());
        match self {
            Self::Multi => {
                let sigmoid = |&logit: &f32| (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32;
                probabilities.extend(logits.iter().map(sigmoid));
            }
            Self::Single => {
                for row in logits.chunks(classes.max(1)) {
                    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let shares: Vec<f64> = row.iter().map(|&logit| f64::from(logit - most).exp()).collect();
                    let sum: f64 = shares.iter().sum();
                    probabilities.extend(shares.into_iter().map(|share| (share / sum) as f32));
                }
            }
        }
        probabilities
    }
}

/// The classes of some samples; a class is a position among names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// The class of each.
    Single(Vec<usize>),
    /// The classes of each, ascending.
    Multi(Vec<Vec<usize>>),
}

/// The classes of some samples, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelView<'a> {
    /// The class of each.
    Single(&'a [usize]),
    /// The classes of each, ascending.
    Multi(&'a [Vec<usize>]),
}

impl Labels {
    /// No samples.
    pub fn none(kind: LabelKind) -> Self {
        match kind {
            LabelKind::Single => Self::Single(Vec::new()),
            LabelKind::Multi => Self::Multi(Vec::new()),
        }
    }

    /// Adds a sample of these classes. A sample of single-label data has one.
    pub fn push(&mut self, classes: &[usize]) {
        match self {
            Self::Single(labels) => labels.extend(classes.first()),
            Self::Multi(labels) => labels.push(classes.to_vec()),
        }
    }

    /// The same, borrowed.
    pub fn view(&self) -> LabelView<'_> {
        match self {
            Self::Single(labels) => LabelView::Single(labels),
            Self::Multi(labels) => LabelView::Multi(labels),
        }
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The classes of a sample.
    pub fn of(&self, sample: usize) -> &[usize] {
        self.view().of(sample)
    }
}

impl<'a> LabelView<'a> {
    /// How many classes a sample has.
    pub fn kind(self) -> LabelKind {
        match self {
            Self::Single(_) => LabelKind::Single,
            Self::Multi(_) => LabelKind::Multi,
        }
    }

    /// The number of samples.
    pub fn len(self) -> usize {
        match self {
            Self::Single(labels) => labels.len(),
            Self::Multi(labels) => labels.len(),
        }
    }

    /// Whether there are no samples.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The classes of a sample.
    ///
    /// # Panics
    /// When there is no such sample.
    pub fn of(self, sample: usize) -> &'a [usize] {
        match self {
            Self::Single(labels) => std::slice::from_ref(&labels[sample]),
            Self::Multi(labels) => &labels[sample],
        }
    }

    /// The classes of each sample.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [usize]> {
        (0..self.len()).map(move |sample| self.of(sample))
    }

    /// Those samples alone.
    pub fn gather(self, samples: &[usize]) -> Labels {
        let mut gathered = Labels::none(self.kind());
        samples.iter().for_each(|&sample| gathered.push(self.of(sample)));
        gathered
    }

    /// The samples of each class.
    pub fn members(self, classes: usize) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); classes];
        for (sample, of) in self.iter().enumerate() {
            for &class in of {
                if let Some(members) = members.get_mut(class) {
                    members.push(sample);
                }
            }
        }
        members
    }

    /// The first sample with a class that is not below `classes`, and that class.
    pub fn stranger(self, classes: usize) -> Option<(usize, usize)> {
        let of = |(sample, of): (usize, &'a [usize])| {
            of.iter().find(|&&class| class >= classes).map(|&class| (sample, class))
        };
        self.iter().enumerate().find_map(of)
    }

    /// What a task takes as targets of some samples: class numbers, `[samples]`, or 1 for each class that a sample has,
    /// `[samples, classes]`.
    ///
    /// # Errors
    /// When a class is not below `classes`.
    pub fn targets(self, samples: &[usize], classes: usize) -> Result<Tensor> {
        match self {
            Self::Single(labels) => {
                let numbers = samples.iter().map(|&sample| labels[sample] as f32).collect();
                Tensor::new(&[samples.len()], numbers)
            }
            Self::Multi(labels) => {
                let mut marks = vec![0.0; samples.len() * classes];
                for (row, &sample) in marks.chunks_mut(classes.max(1)).zip(samples) {
                    for &class in &labels[sample] {
                        let mark = row.get_mut(class).ok_or_else(|| EngineError::Tensor {
                            what: "a label".to_owned(),
                            expected: format!("a class below {classes}"),
                            found: class.to_string(),
                        })?;
                        *mark = 1.0;
                    }
                }
                Tensor::new(&[samples.len(), classes], marks)
            }
        }
    }
}

impl<'a> From<&'a Labels> for LabelView<'a> {
    fn from(labels: &'a Labels) -> Self {
        labels.view()
    }
}

impl<'a> From<&'a [usize]> for LabelView<'a> {
    fn from(labels: &'a [usize]) -> Self {
        Self::Single(labels)
    }
}

impl<'a> From<&'a Vec<usize>> for LabelView<'a> {
    fn from(labels: &'a Vec<usize>) -> Self {
        Self::Single(labels)
    }
}

impl<'a, const N: usize> From<&'a [usize; N]> for LabelView<'a> {
    fn from(labels: &'a [usize; N]) -> Self {
        Self::Single(labels)
    }
}

impl<'a> From<&'a [Vec<usize>]> for LabelView<'a> {
    fn from(labels: &'a [Vec<usize>]) -> Self {
        Self::Multi(labels)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn both_kinds_are_read_alike() {
        let several = [vec![0, 2], vec![], vec![2]];
        for (labels, of_last, members, targets) in [
            (LabelView::from(&[1, 0, 2]), vec![2], vec![vec![1], vec![0], vec![2]], vec![2.0, 1.0]),
            (
                LabelView::from(&several[..]),
                vec![2],
                vec![vec![0], vec![], vec![0, 2]],
                vec![0.0, 0.0, 1.0, 1.0, 0.0, 1.0],
            ),
        ] {
            assert_eq!((labels.len(), labels.of(2)), (3, &of_last[..]));
            assert_eq!(labels.members(3), members);
            assert_eq!(labels.targets(&[2, 0], 3).unwrap().to_f32(), targets);
            assert_eq!(labels.gather(&[2, 0]).of(1), labels.of(0));
            assert_eq!((labels.stranger(3), labels.stranger(2).map(|(_, class)| class)), (None, Some(2)));
        }
    }

    #[test]
    fn logits_mean_what_the_kind_says() {
        let logits = [0.0, 0.0, -1000.0, 1000.0];
        assert_eq!(LabelKind::Single.probabilities(&logits, 2), [0.5, 0.5, 0.0, 1.0]);
        assert_eq!(LabelKind::Multi.probabilities(&logits, 2), [0.5, 0.5, 0.0, 1.0]);
        assert_eq!(LabelKind::Multi.probabilities(&[2.0, 2.0], 2)[0], (1.0 / (1.0 + (-2f64).exp())) as f32);
        let written = serde_json::to_string(&LabelKind::Multi).unwrap();
        assert_eq!(written, "\"multi_label_classification\"");
    }
}
