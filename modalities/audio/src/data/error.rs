//! Why a recording cannot be read.

/// A recording that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// No format that is known.
    #[error("no recording: expected WAV, FLAC, MP3, Ogg Vorbis or M4A by content; it begins with {0}")]
    Unknown(String),
    /// A header or a stream that contradicts itself.
    #[error("damaged: {0}")]
    Damaged(String),
    /// A format that is known, with contents that are not.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// No such rate.
    #[error("the header gives a rate of {0} Hz; expected 1,000 to 768,000 Hz")]
    Rate(u32),
    /// A recording without sound in it.
    #[error("no samples: the recording is empty")]
    Empty,
    /// A part that is not there.
    #[error("no sound from {start} s to {end} s: the recording ends before, or the part is empty")]
    NoSuchPart {
        /// Where it begins, in seconds.
        start: f64,
        /// Where it ends, in seconds.
        end: f64,
    },
    /// Numbers that are none.
    #[error("sample {0} is not a number")]
    NotFinite(usize),
    /// Too little of it.
    #[error("too short: {found} samples at {rate} Hz; expected at least {least}")]
    TooShort {
        /// What there is.
        found: usize,
        /// At this rate.
        rate: u32,
        /// What one frame takes.
        least: usize,
    },
}
