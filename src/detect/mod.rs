//! Detection: photographs with boxes and a pretrained network in, a detector out.
//!
//! [`Detect`] says what is to be done, [`Run`] is what came of it, [`Detector`] is what finds objects.

mod error;
mod mistakes;
mod score;

use std::path::Path;

use tk_engine::cpu::Machine;

use tk_image::detection::fcos::Fcos;
use tk_image::detection::{DETECTORS, Detection, DetectionHead, DetectionTask};
use tk_image::framing::Framing;
use tk_image::grafted::{Published, Runner};
use tk_transfer::data::Quarantine;
use tk_transfer::task::Task;

use crate::classify::{Aim, Settings};
use crate::dense::Dense;
use crate::report::Note;
use crate::structured;

pub use mistakes::{Mistakes, mistakes};
pub use score::{Compared, Scored, evaluate};

pub use crate::classify::{Error, Event, Metric, Mode, ModeName, Outlook};
pub use tk_image::annotations::Scenes;
pub use tk_image::data::Picture;
pub use tk_image::detection::{Candidate, Corners, Detector};

/// What is learned: where objects are, and of which class.
pub enum Objects {}

/// A job on photographs with boxes.
pub type Detect<'a> = crate::classify::Job<'a, Objects>;

/// A finished run.
pub type Run = structured::Run<Objects>;

impl Objects {
    /// The name of the task on the command line and in `run.toml`.
    pub const TASK: &'static str = <Self as Dense>::TASK;
}

impl Dense for Objects {
    const TASK: &'static str = "image-detect";
    const FOREIGN: &'static [&'static str] = &[
        "input",
        "label",
        "multi",
        "max-tokens",
        "max-seconds",
        "pooling",
        "words",
        "spelling",
        "vocabulary",
        "mixup",
        "balance",
        "head",
        "head-init",
        "hidden",
        "label-smoothing",
        "masks",
        "names",
        "ignore",
    ];
    const HEADS: &'static [&'static str] = &["fcos", "ssdlite", "ssd"];
    const SIDE: u32 = 320;
    const CARD: [&'static str; 2] = ["object-detection", "Detector"];

    type Head = Detection;
    type Data = Scenes;
    type Scored = Scored;

    fn aim() -> Aim {
        Aim::Boxes
    }

    fn open_data(path: &Path, settings: &Settings) -> Result<Scenes, Error> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Scenes::open_on(path, &settings.columns()?, threads)?)
    }

    fn notes(data: &Scenes) -> Vec<Note> {
        data.notes().iter().map(|note| Note { title: note.clone(), ..Note::default() }).collect()
    }

    fn head(name: &str, channels: usize) -> Option<Detection> {
        let head = match name {
            "fcos" => DetectionHead::Fcos(Fcos::for_channels(channels)),
            "ssdlite" => DetectionHead::SsdLite,
            "ssd" => DetectionHead::Ssd,
            _ => return None,
        };
        Some(head.chosen())
    }

    fn framing(head: &Detection, side: u32) -> Framing {
        head.head.framing(side)
    }

    fn published() -> &'static [Published<Detection>] {
        DETECTORS
    }

    fn rates(mode: ModeName) -> (usize, usize, f64) {
        match mode {
            ModeName::Features | ModeName::Lora => (20, 8, 6e-3),
            ModeName::Partial | ModeName::Full | ModeName::Contrastive => (20, 8, 4e-3),
            ModeName::Gradual => (6, 8, 4e-3),
        }
    }

    fn task(head: &Detection, classes: usize, machine: &Machine) -> Box<dyn Task> {
        let Detection { head, selecting } = *head;
        Box::new(DetectionTask { classes, head, selecting, machine: machine.clone() })
    }

    fn evaluate(
        runner: &Runner<Detection>,
        data: &Scenes,
        positions: &[usize],
        seed: u64,
    ) -> Result<(Scored, Quarantine), Error> {
        evaluate(runner, data, positions, seed)
    }
}

impl Detect<'_> {
    /// Opens the data that the settings name.
    ///
    /// # Errors
    /// When there are none, or they cannot be used.
    pub fn open_data(&self) -> Result<Scenes, Error> {
        structured::open_data(self)
    }

    /// What would be done, and how long it may take. Writes nothing.
    ///
    /// # Errors
    /// As [`Detect::fit`], as far as it can be told before.
    pub fn outlook(&self, data: &Scenes) -> Result<Outlook, Error> {
        structured::outlook(self, data)
    }

    /// Does it.
    ///
    /// # Errors
    /// When settings do not fit together, the model or the data cannot be used, the audit finds a broken promise, or it is cancelled.
    pub fn fit(&self, data: &Scenes) -> Result<Run, Error> {
        structured::fit(self, data)
    }
}
