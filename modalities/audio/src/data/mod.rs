//! From files to sound to batches: decoding, resampling, data sets, views of samples.

mod clip;
mod decode;
mod error;
mod resample;
mod stream;
mod wav;

mod annotated;
mod annotations;
mod dataset;
mod transcripts;
mod utterances;

mod distortion;
mod masks;
mod recordings;
mod store;
mod waves;

pub use annotations::{AnnotationError, Annotations, Interval, is_annotated};
pub use clip::{Clip, Remark};
pub use dataset::{DataError, Dataset, Report, Sample, is_recording};
pub use distortion::Distortion;
pub use error::DecodeError;
pub use masks::Masks;
pub use recordings::{Hearing, Recordings, Views};
pub use store::SpectrogramStore;
pub use stream::SoundStream;
pub use transcripts::{TranscriptError, Transcripts, Utterance};
pub use utterances::{Looking, Spoken, Utterances};
pub use waves::{WaveSettings, Waves};
