//! What is about samples and not about their content: identity, split, folds, groups, quarantine, duplicates, digest.
//!
//! Nothing here but [`table`] and [`listing`] opens a file. A modality finds samples and reads them; this module decides which of them train
//! and which judge, and remembers which of them were unusable.

pub mod digest;
pub mod duplicates;
pub mod error;
pub mod folds;
pub mod labelled;
pub mod labels;
pub mod listing;
pub mod quarantine;
pub mod sample;
pub mod split;
pub mod strata;

pub mod table;

mod assign;

pub use digest::{Digest, data_digest};
pub use duplicates::{Duplicate, Entry, duplicates};
pub use error::DataError;
pub use labelled::{Labelled, Split};
pub use labels::{LabelKind, LabelView, Labels};
pub use quarantine::{Limit, Quarantine, Quarantined};
pub use sample::Sample;
pub use strata::Strata;
