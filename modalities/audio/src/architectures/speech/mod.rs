//! Networks for speech as graphs, by transformers' names.
//!
//! A graph is built from what `config.json` says and from a head. Values of parameters are not here: checkpoints and initialisation
//! are other modules' business. Parameters carry the names of transformers' checkpoints without the prefix of models with a head.

mod error;
mod fields;
mod network;
mod whisper;

mod end;
mod features;
mod layers;
mod positions;

pub use end::End;
pub use error::ArchitectureError;
pub use features::{FeatureNorm, Features};
pub use layers::Layers;
pub use network::{HEAD_MODULES, MASKED, Padding, RENAMES, Speech, SpeechHead};
pub use positions::Positions;
pub use whisper::{FRAMES_PER_PLACE, PLACES, WHISPER_RENAMES, Whisper};
