//! Front ends: from sound to what networks read.
//!
//! Each computes what transformers' feature extractor computes by the same settings, which are read by the names of
//! `preprocessor_config.json`. An extractor is made once and used from any thread.

mod filter_bank;
mod log_mel;
mod waveform;

mod mel;
mod spectrum;

mod error;

pub use error::FrontEndError;
pub use filter_bank::{Extractor, FilterBank};
pub use log_mel::{LogMel, LogMelExtractor};
pub use waveform::Waveform;
