//! Speech recognition: what symbols spell, networks with a layer of CTC, learning from transcripts, and transcribing.

mod spelling;
mod vocabulary;

mod files;
mod model;

mod preflight;
mod task;

mod recognizer;
mod transcript;

mod stored;

pub use files::EMBEDDED;
pub use model::{ModelError, SpeechModel, SymbolChoice};
pub use preflight::{Misfit, misfit};
pub use recognizer::{Decoding, Recognizer, RecognizerError};
pub(crate) use spelling::replace_words;
pub use spelling::{Case, Spelling};
pub use task::CtcTask;
pub(crate) use task::targets;
pub use transcript::{Passage, Transcript, Word};
pub use vocabulary::{Vocabulary, VocabularyError};
