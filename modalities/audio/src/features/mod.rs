//! Front ends: from sound to what networks read.

mod filter_bank;
mod mel;

pub use filter_bank::{Extractor, FilterBank, FilterBankError};
