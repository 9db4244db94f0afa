//! A trained classifier of texts, as those use it who only want answers.

use std::path::Path;

use tk_engine::Precision;
use tk_engine::cpu::Machine;
use tk_text::classifier::{self as inner, Text};

use crate::classify::{Error, Guess, LabelKind};

/// A classifier. `Send + Sync`; predicts through `&self`.
pub struct Classifier {
    inner: inner::Classifier,
}

/// Sentence embeddings of an encoder.
pub struct Embedder {
    inner: inner::Embedder,
}

impl Classifier {
    /// Loads a run's folder, or a classifier's of transformers, sentence-transformers or PEFT, to run on all processors.
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

    /// What it says of a text.
    ///
    /// # Errors
    /// When the text cannot be encoded.
    pub fn predict(&self, text: &str) -> Result<Guess, Error> {
        let mut guesses = self.predict_all(&[(text, None)])?;
        guesses.pop().ok_or_else(|| tk_engine::EngineError::Order("a text was not predicted").into())
    }

    /// What it says of texts or pairs, in their order. Each answer is the same whatever the others are.
    ///
    /// # Errors
    /// When a text cannot be encoded.
    pub fn predict_all(&self, texts: &[Text<'_>]) -> Result<Vec<Guess>, Error> {
        let predictions = self.inner.predict_all(texts)?.into_iter();
        Ok(predictions.map(|prediction| Guess::new(self.classes(), self.kind(), prediction)).collect())
    }

    /// The features of texts: what the encoder leaves before the head.
    ///
    /// # Errors
    /// When a text cannot be encoded.
    pub fn embed(&self, texts: &[Text<'_>]) -> Result<Vec<Vec<f32>>, Error> {
        Ok(self.inner.embed(texts)?)
    }
}

impl Embedder {
    /// Opens a folder as sentence-transformers or transformers writes it.
    ///
    /// # Errors
    /// When files are missing, damaged, or do not fit each other.
    pub fn open(folder: impl AsRef<Path>, machine: &Machine) -> Result<Self, Error> {
        Ok(Self { inner: inner::Embedder::open(folder.as_ref(), machine)? })
    }

    /// In another precision from now on: bf16, or f32, as it begins.
    ///
    /// # Errors
    /// When it is int8, which would need samples to calibrate with.
    pub fn in_precision(self, precision: Precision) -> Result<Self, Error> {
        Ok(Self { inner: self.inner.in_precision(precision)? })
    }

    /// The embeddings of texts, in their order, as sentence-transformers makes them.
    ///
    /// # Errors
    /// When a text cannot be encoded.
    pub fn embed(&self, texts: &[Text<'_>]) -> Result<Vec<Vec<f32>>, Error> {
        Ok(self.inner.embed(texts)?)
    }
}
