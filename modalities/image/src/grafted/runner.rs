//! Running a network with a grafted head on pictures, one by one, each in its own frame.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};
use tk_engine::cpu::{Machine, Plan};
use tk_engine::{Inference, Tensor};
use tk_transfer::atomic::write_bytes_atomic;
use tk_transfer::bundle::Bundle;
use tk_transfer::checkpoint::Precision;
use tk_transfer::classification::HeadForm;

use super::{Graft, GraftError, Grafted, HeadChoice};
use crate::data::Picture;
use crate::framing::{Arrangement, Frame, paint};

/// A network that is used.
pub struct Runner<H> {
    model: Grafted<H>,
    machine: Machine,
    plan: Mutex<Plan>,
}

impl<H: Graft> Runner<H> {
    /// Compiles a network.
    ///
    /// # Errors
    /// When values are missing.
    pub fn new(model: Grafted<H>, machine: &Machine) -> Result<Self, GraftError> {
        let plan = Mutex::new(Plan::new(machine, &model.graph, &model.parameters)?);
        Ok(Self { model, machine: machine.clone(), plan })
    }

    /// Opens a folder that was saved.
    ///
    /// # Errors
    /// When files are missing, damaged, or of something else.
    pub fn load(folder: &Path, machine: &Machine) -> Result<Self, GraftError> {
        Self::new(Grafted::open(folder, &HeadChoice::Published)?, machine)
    }

    /// The network.
    pub fn model(&self) -> &Grafted<H> {
        &self.model
    }

    /// Where it runs.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The classes' names.
    pub fn labels(&self) -> &[String] {
        &self.model.labels
    }

    /// The network's outputs for a picture, and the frame that it was brought to.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn look(&self, picture: &Picture) -> Result<(Vec<Tensor>, Frame), GraftError> {
        let input = &self.model.input;
        let frame = input.framing.frame(picture.width(), picture.height());
        let [height, width] = frame.size;
        let arrangement =
            Arrangement::whole([picture.width(), picture.height()], [width as u32, height as u32]);
        let bytes = paint(&arrangement, &[picture], &frame, input);
        let [padded_height, padded_width] = frame.padded;
        let mut pixels = vec![0.0; 3 * padded_height * padded_width];
        for (row, line) in pixels.chunks_exact_mut(3 * padded_width).zip(bytes.chunks_exact(3 * width)) {
            input.normalise(line, row);
        }
        let input = Tensor::new(&[1, padded_height, padded_width, 3], pixels)?;
        // A plan whose run failed is bound anew by the next.
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((plan.run(&[input])?, frame))
    }

    /// Writes the folder; `fields` is what only this toolkit knows of how it came about, `card` the text of `README.md`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path, fields: Map<String, Value>, card: &str) -> Result<(), GraftError> {
        self.model.save(folder, Precision::F32)?;
        Bundle::new(HeadForm::Linear, fields).write(folder)?;
        Ok(write_bytes_atomic(&folder.join("README.md"), card.as_bytes())?)
    }
}
