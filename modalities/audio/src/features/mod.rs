//! Front ends: from sound to what networks read.
//!
//! Each computes what transformers' feature extractor computes by the same settings, which are read by the names of
//! `preprocessor_config.json`. An extractor is made once and used from any thread.

mod front_end;

mod filter_bank;
mod log_mel;
mod waveform;

mod mel;
mod spectrum;

mod error;

pub use error::FrontEndError;
pub use filter_bank::{Extractor, FilterBank};
pub use front_end::{FrontEnd, SoundExtractor};
pub use log_mel::{LogMel, LogMelExtractor};
pub use waveform::Waveform;

/// The text of a folder's front end: `preprocessor_config.json`, or that part of `processor_config.json`, where newer transformers keep it
/// together with the tokenizer's; `None` where there is neither.
pub fn front_end_json(folder: &std::path::Path) -> Option<String> {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    text("preprocessor_config.json").or_else(|| {
        let processor: serde_json::Value = serde_json::from_str(&text("processor_config.json")?).ok()?;
        Some(processor.get("feature_extractor")?.to_string())
    })
}
