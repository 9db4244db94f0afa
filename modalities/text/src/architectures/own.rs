//! What the configuration of one architecture says and no other's.

use super::ArchitectureError;
use super::settings::Reader;
use super::{deberta_v2, modernbert};

/// Settings of one architecture alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Own {
    /// There are none.
    None,
    /// DeBERTa's.
    DebertaV2(deberta_v2::Own),
    /// ModernBERT's.
    ModernBert(modernbert::Own),
}

/// Reads an architecture's own settings, and refuses variants that are not built here.
pub(super) type ReadOwn = fn(&Reader<'_>) -> Result<Own, ArchitectureError>;
