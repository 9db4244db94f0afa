//! How good predictions are, how sure that is, and where they are worst.
//!
//! Everything works on class indices and rows of probabilities; nothing here knows a model. Each value equals scikit-learn's of
//! the same name where there is one.

pub mod average_precision;
pub mod confusion;
pub mod edit_distance;
pub mod entities;
pub mod interval;
pub mod meter;
pub mod mistakes;
pub mod multi_label;
pub mod pixels;
pub mod probabilities;
pub mod scores;
pub mod suspects;

pub use average_precision::{DetectionScores, Found, Object, Picture, RECALLS, Size};
pub use confusion::{ClassScore, Confusion};
pub use edit_distance::{Edits, character_edits, word_edits};
pub use entities::{Entity, EntityScores, Hits, entities, is_positional};
pub use interval::{
    Bootstrap, Interval, bootstrap_macro_f1, bootstrap_rate, bootstrap_score, wilson_interval,
};
pub use meter::ClassificationMeter;
pub use mistakes::{Mistake, WrongDecision, worst_decisions, worst_mistakes};
pub use multi_label::{MultiLabelPredictions, MultiLabelScores};
pub use pixels::PixelScores;
pub use probabilities::{expected_calibration_error, log_loss, top_k_accuracy};
pub use scores::{MetricsError, Predictions, most_probable};
pub use suspects::{Suspect, suspected_labels};
