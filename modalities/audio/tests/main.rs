//! What crosses the modality's modules: files, features and networks beside transformers, recognition.
#![expect(clippy::unwrap_used, reason = "tests")]

mod annotations;
mod decoding;
mod features;
mod parity;
mod recognizer;
mod speech;
mod speech_base;
mod speech_names;
mod transcripts;
mod views;
