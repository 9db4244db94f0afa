//! A trained classifier of recordings, as those use it who only want answers.

use std::path::Path;

use tk_audio::classifier as inner;
use tk_audio::data::{Clip, DecodeError, SoundStream};
use tk_audio::events::{SoundEvent, Windows};
use tk_engine::Precision;
use tk_engine::cpu::Machine;

use crate::classify::{Error, Guess, LabelKind};

/// A classifier. `Send + Sync`; predicts through `&self`.
pub struct Classifier {
    inner: inner::Classifier,
}

impl Classifier {
    /// Loads a run's folder, or one that transformers wrote, to run on all processors.
    ///
    /// # Errors
    /// When files are missing, damaged, or of another version.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, Error> {
        Self::load_on(folder, &Machine::new(0))
    }

    /// As [`Classifier::load`], on a machine.
    ///
    /// # Errors
    /// As [`Classifier::load`].
    pub fn load_on(folder: impl AsRef<Path>, machine: &Machine) -> Result<Self, Error> {
        Ok(Self { inner: inner::Classifier::load(folder.as_ref(), machine)? })
    }

    /// In another precision from now on: bf16, or f32, as it begins.
    ///
    /// # Errors
    /// When it is int8, which would need samples to calibrate with.
    pub fn in_precision(self, precision: Precision) -> Result<Self, Error> {
        Ok(Self { inner: self.inner.in_precision(precision)? })
    }

    pub(super) fn from_inner(inner: inner::Classifier) -> Self {
        Self { inner }
    }

    pub(super) fn inner(&self) -> &inner::Classifier {
        &self.inner
    }

    /// Whether classes exclude each other.
    pub fn kind(&self) -> LabelKind {
        self.inner.model().kind
    }

    /// The classes' names.
    pub fn classes(&self) -> &[String] {
        self.inner.classes()
    }

    /// What the model is called.
    pub fn name(&self) -> &str {
        &self.inner.model().name
    }

    /// How much of a recording it looks at, in seconds; longer ones are looked at in their beginning.
    pub fn seconds(&self) -> f64 {
        self.inner.seconds()
    }

    /// What it says of a sound.
    ///
    /// # Errors
    /// When the sound is too short, or the engine fails.
    pub fn predict(&self, clip: &Clip) -> Result<Guess, Error> {
        let mut guesses = self.predict_all(std::slice::from_ref(clip))?;
        Ok(guesses.pop().unwrap_or(Err(DecodeError::Empty))?)
    }

    /// What it says of sounds, in their order; or why it cannot say anything of one, such as of one that is too short. Each answer is the
    /// same whatever the others are.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn predict_all(&self, clips: &[Clip]) -> Result<Vec<Result<Guess, DecodeError>>, Error> {
        let predictions = self.inner.predict_all(clips)?.into_iter();
        let guess = |prediction| Guess::new(self.classes(), self.kind(), prediction);
        Ok(predictions.map(|prediction| prediction.map(guess)).collect())
    }

    /// The events in a recording of any length, sorted by their beginnings: its windows are classified, and neighbours that agree are one. A
    /// class that is less probable than `least` is not there.
    ///
    /// # Errors
    /// When the recording cannot be decoded, a window cannot be heard, or the engine fails.
    pub fn events(
        &self,
        sound: &mut SoundStream,
        windows: Windows,
        least: f32,
    ) -> Result<Vec<SoundEvent>, Error> {
        let rate = sound.rate();
        Ok(self.inner.events(rate, windows, least, &mut || sound.next_block())?)
    }

    /// The features of sounds: what the backbone leaves before the head.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn embed(&self, clips: &[Clip]) -> Result<Vec<Result<Vec<f32>, DecodeError>>, Error> {
        Ok(self.inner.embed(clips)?)
    }
}
