//! A trained classifier, as those use it who only want answers.

use std::path::Path;

use tk_engine::Precision;
use tk_engine::cpu::Machine;
use tk_image::classifier as inner;
use tk_image::data::Picture;
use tk_image::model::{Head, Model, Origin};
use tk_transfer::classification::HeadForm;

use super::resolve_model;
use crate::classify::{Error, Guess, LabelKind};
use crate::hub::Hub;

/// A classifier. `Send + Sync`; predicts through `&self`.
pub struct Classifier {
    inner: inner::Classifier,
}

impl Classifier {
    /// Loads a run's folder, or one that timm wrote, to run on all processors.
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

    /// A run's folder or a model by name, with the classes that its weights came with. Published weights are looked for in the hub's cache.
    ///
    /// # Errors
    /// When there is no such model, or it cannot be read.
    pub fn open(name: &str, hub: &Hub, machine: &Machine) -> Result<Self, Error> {
        let origin = resolve_model(name, hub)?;
        if let Origin::Folder(folder) = &origin {
            return Self::load_on(folder, machine);
        }
        let model = Model::open(&origin, Head::Published)?;
        let numbers = || (0..model.settings.classes).map(|class| class.to_string()).collect();
        let classes = model.labels.clone().unwrap_or_else(numbers);
        Ok(Self { inner: inner::Classifier::new(model, classes, HeadForm::Linear, machine)? })
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

    /// The classes' names.
    pub fn classes(&self) -> &[String] {
        self.inner.classes()
    }

    /// Whether classes exclude each other.
    pub fn kind(&self) -> LabelKind {
        self.inner.model().kind
    }

    /// What the model is called.
    pub fn name(&self) -> &str {
        &self.inner.model().name
    }

    /// What it says of a picture.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn predict(&self, picture: &Picture) -> Result<Guess, Error> {
        Ok(Guess::new(self.classes(), self.kind(), self.inner.predict(picture)?))
    }

    /// What it says of pictures, in their order. Each answer is the same whatever the others are.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn predict_all(&self, pictures: &[Picture]) -> Result<Vec<Guess>, Error> {
        Ok(self
            .inner
            .predict_all(pictures)?
            .into_iter()
            .map(|prediction| Guess::new(self.classes(), self.kind(), prediction))
            .collect())
    }

    /// The features of pictures: what the backbone leaves before the head.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn embed(&self, pictures: &[Picture]) -> Result<Vec<Vec<f32>>, Error> {
        Ok(self.inner.embed(pictures)?)
    }
}
