//! Recordings: from files to sound to spectrograms, published networks as graphs, classification, speech recognition.

pub mod data;
pub mod features;

pub mod architectures;
pub mod ctc;
pub mod model;

pub mod classifier;
pub mod events;

pub mod recognition;
