//! What probes learn from: features, labels and weights, checked once.

use super::ProbeError;
use crate::data::{LabelKind, LabelView, Labels};
use crate::fit::class_weights;

/// Features, `[samples, width]`, f32: what a frozen network says of each sample.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    values: &'a [f32],
    width: usize,
}

impl<'a> Features<'a> {
    /// Rows of `width` finite numbers.
    ///
    /// # Errors
    /// When the values are not whole rows, or one is not finite.
    pub fn new(values: &'a [f32], width: usize) -> Result<Self, ProbeError> {
        if width == 0 || !values.len().is_multiple_of(width) {
            let (what, expected) = ("features", format!("rows of {width}, at least 1"));
            return Err(ProbeError::Shape { what, expected, found: format!("{} numbers", values.len()) });
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let (sample, feature) = (index / width, index % width);
            return Err(ProbeError::NotFinite { sample, feature, value: values[index] });
        }
        Ok(Self { values, width })
    }

    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.values.len() / self.width
    }

    /// The number of features of a sample.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All values, `[samples, width]`.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Some consecutive samples.
    pub(super) fn range(&self, samples: std::ops::Range<usize>) -> Self {
        Self { values: &self.values[samples.start * self.width..samples.end * self.width], width: self.width }
    }

    /// Each sample's features.
    pub fn rows(&self) -> std::slice::ChunksExact<'a, f32> {
        self.values.chunks_exact(self.width)
    }
}

/// Features with labels, one or several for each sample, and weights if samples count differently.
#[derive(Clone, Copy, Debug)]
pub struct Examples<'a> {
    features: Features<'a>,
    labels: LabelView<'a>,
    classes: usize,
    weights: Option<&'a [f32]>,
}

impl<'a> Examples<'a> {
    /// Features `[samples, width]` and the class or classes of each sample, below `classes`.
    ///
    /// # Errors
    /// When lengths differ, there are too few classes, a label is not a class, or, where a sample has one class, a class has no sample.
    pub fn new(
        features: Features<'a>,
        labels: impl Into<LabelView<'a>>,
        classes: usize,
    ) -> Result<Self, ProbeError> {
        let labels = labels.into();
        expect_length("labels", features.samples(), labels.len())?;
        let (least, expected) = match labels.kind() {
            LabelKind::Single => (2, "at least 2"),
            LabelKind::Multi => (1, "at least 1"),
        };
        if classes < least {
            return Err(ProbeError::Setting { what: "classes", expected, found: classes as f64 });
        }
        if let Some((sample, label)) = labels.stranger(classes) {
            return Err(ProbeError::Label { sample, label, classes });
        }
        let examples = Self { features, labels, classes, weights: None };
        examples.expect_every_class()?;
        Ok(examples)
    }

    /// The same with a weight per sample: a sample of weight 2 counts as two.
    ///
    /// # Errors
    /// When lengths differ, a weight is negative or not finite, or a class has no weight.
    pub fn weighted(self, weights: &'a [f32]) -> Result<Self, ProbeError> {
        expect_length("weights", self.samples(), weights.len())?;
        if let Some(&weight) = weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
            let (what, expected) = ("weight of a sample", "a finite number, at least 0");
            return Err(ProbeError::Setting { what, expected, found: f64::from(weight) });
        }
        let examples = Self { weights: Some(weights), ..self };
        examples.expect_every_class()?;
        Ok(examples)
    }

    /// The features.
    pub fn features(&self) -> Features<'a> {
        self.features
    }

    /// The labels of each sample.
    pub fn labels(&self) -> LabelView<'a> {
        self.labels
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.labels.len()
    }

    /// The weight of a sample: 1 unless weights were given.
    pub fn weight(&self, sample: usize) -> f32 {
        self.weights.map_or(1.0, |weights| weights[sample])
    }

    /// The weights, `[samples]`, if any were given.
    pub fn weights(&self) -> Option<&'a [f32]> {
        self.weights
    }

    /// The same samples seen through other features.
    pub(super) fn with_features<'b>(&self, features: Features<'b>) -> Examples<'b>
    where
        'a: 'b,
    {
        assert_eq!(features.samples(), self.samples(), "features of the same samples");
        Examples { features, labels: self.labels, classes: self.classes, weights: self.weights }
    }

    /// The weight of each sample's class by [`class_weights`], under which classes count equally; `None` where a sample may have several.
    pub fn balanced_weights(&self) -> Option<Vec<f32>> {
        let LabelView::Single(labels) = self.labels else { return None };
        let weights = class_weights(labels, self.classes);
        Some(labels.iter().map(|&label| weights[label]).collect())
    }

    /// Those samples alone, copied.
    pub(super) fn gather(&self, samples: &[usize]) -> OwnedExamples {
        let width = self.features.width;
        let mut values = Vec::with_capacity(samples.len() * width);
        samples
            .iter()
            .for_each(|&sample| values.extend_from_slice(&self.features.values[sample * width..][..width]));
        OwnedExamples {
            values,
            width,
            labels: self.labels.gather(samples),
            classes: self.classes,
            weights: self.weights.map(|weights| samples.iter().map(|&sample| weights[sample]).collect()),
        }
    }

    fn expect_every_class(&self) -> Result<(), ProbeError> {
        self.expect_every_class_among(0..self.samples())
    }

    /// Whether some of the samples have every class. Where samples have several, a class without any is learned all the same.
    pub(super) fn expect_every_class_among(
        &self,
        samples: impl Iterator<Item = usize>,
    ) -> Result<(), ProbeError> {
        let LabelView::Single(labels) = self.labels else { return Ok(()) };
        let mut totals = vec![0f64; self.classes];
        for sample in samples {
            totals[labels[sample]] += f64::from(self.weight(sample));
        }
        match totals.iter().position(|&total| total <= 0.0) {
            Some(class) => Err(ProbeError::EmptyClass { class, classes: self.classes }),
            None => Ok(()),
        }
    }
}

/// Examples with their own copy of everything.
pub(super) struct OwnedExamples {
    values: Vec<f32>,
    width: usize,
    labels: Labels,
    classes: usize,
    weights: Option<Vec<f32>>,
}

impl OwnedExamples {
    /// The features.
    pub fn features(&self) -> Features<'_> {
        Features { values: &self.values, width: self.width }
    }

    /// The labels.
    pub fn labels(&self) -> LabelView<'_> {
        self.labels.view()
    }

    /// The examples; checked anew, because a part may lack a class.
    pub fn examples(&self) -> Result<Examples<'_>, ProbeError> {
        let examples = Examples::new(self.features(), &self.labels, self.classes)?;
        match &self.weights {
            Some(weights) => examples.weighted(weights),
            None => Ok(examples),
        }
    }
}

pub(super) fn expect_length(what: &'static str, expected: usize, found: usize) -> Result<(), ProbeError> {
    if expected == found {
        return Ok(());
    }
    Err(ProbeError::Shape { what, expected: format!("{expected}, one per sample"), found: found.to_string() })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(matches!(Features::new(&[1.0; 5], 2), Err(ProbeError::Shape { .. })));
        assert!(matches!(Features::new(&[1.0; 5], 0), Err(ProbeError::Shape { .. })));
        let overflow = Features::new(&[1.0, 2.0, 3.0, f32::INFINITY], 2).unwrap_err();
        assert_eq!(overflow, ProbeError::NotFinite { sample: 1, feature: 1, value: f32::INFINITY });
        let values = [1.0; 6];
        let features = Features::new(&values, 2).unwrap();
        assert!(matches!(Examples::new(features, &[0, 1], 2), Err(ProbeError::Shape { what: "labels", .. })));
        assert!(matches!(Examples::new(features, &[0, 0, 0], 1), Err(ProbeError::Setting { .. })));
        assert!(matches!(Examples::new(features, &[0, 1, 2], 2), Err(ProbeError::Label { sample: 2, .. })));
        assert!(matches!(
            Examples::new(features, &[0, 1, 1], 3),
            Err(ProbeError::EmptyClass { class: 2, .. })
        ));
        let examples = Examples::new(features, &[0, 1, 1], 2).unwrap();
        assert!(matches!(examples.weighted(&[0.0, 1.0, 1.0]), Err(ProbeError::EmptyClass { class: 0, .. })));
        assert!(matches!(examples.weighted(&[-1.0, 1.0, 1.0]), Err(ProbeError::Setting { .. })));
        assert_eq!(examples.balanced_weights().unwrap(), [1.5, 0.75, 0.75]);
    }
}
