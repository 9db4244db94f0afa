//! What can be wrong with what a probe is given.

use crate::data::DataError;

/// An error of fitting or using a probe.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProbeError {
    /// A list of the wrong length.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Which list.
        what: &'static str,
        /// What it should have.
        expected: String,
        /// What it has.
        found: String,
    },
    /// A label outside the classes.
    #[error("sample {sample}: label {label} is not one of the {classes} classes (0 to {})", classes.saturating_sub(1))]
    Label {
        /// The sample's position.
        sample: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A class that nothing can be learned about.
    #[error(
        "class {class} of {classes} has no sample with weight to learn from; leave it out or add samples"
    )]
    EmptyClass {
        /// The class's index.
        class: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A feature that is infinite or not a number.
    #[error(
        "sample {sample}, feature {feature}: {value} is not a finite number; the model that made it overflowed or the sample is corrupt"
    )]
    NotFinite {
        /// The sample's position.
        sample: usize,
        /// The feature's position.
        feature: usize,
        /// What was found.
        value: f32,
    },
    /// Samples could not be held out to decide when to stop.
    #[error("the network needs held-out samples to know when to stop: {0}")]
    HeldOut(#[from] DataError),
    /// The loss left the numbers.
    #[error("the loss became {loss} in epoch {epoch}; choose a learning rate below {learning_rate}")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// The loss.
        loss: f64,
        /// The learning rate that was used.
        learning_rate: f64,
    },
    /// A setting out of range.
    #[error("{what}: expected {expected}, found {found}")]
    Setting {
        /// Which setting.
        what: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What was given.
        found: f64,
    },
}
