//! Segmentation: photographs with masks and a pretrained network in, a segmenter out.
//!
//! [`Segment`] says what is to be done, [`Run`] is what came of it, [`Segmenter`] is what tells the class of every pixel.

mod error;
mod score;

use std::path::Path;

use tk_engine::cpu::Machine;
use tk_image::grafted::{Published, Runner};
use tk_image::segmentation::{SEGMENTERS, Segmentation, SegmentationHead, SegmentationTask, Unet};
use tk_image::segments::{Looking, MaskKind};
use tk_transfer::data::{Labelled, Quarantine};
use tk_transfer::task::Task;

use crate::classify::{Aim, Settings};
use crate::dense::Dense;
use crate::report::Note;
use crate::structured;

pub use score::{Compared, Scored, evaluate};

pub use crate::classify::{Error, Event, Metric, Mode, ModeName, Outlook};
pub use tk_image::data::Picture;
pub use tk_image::segmentation::Segmenter;
pub use tk_image::segments::Segments;

/// What is learned: the class of every pixel.
pub enum Pixels {}

/// A job on photographs with masks.
pub type Segment<'a> = crate::classify::Job<'a, Pixels>;

/// A finished run.
pub type Run = structured::Run<Pixels>;

impl Pixels {
    /// The name of the task on the command line and in `run.toml`.
    pub const TASK: &'static str = <Self as Dense>::TASK;
}

impl Dense for Pixels {
    const TASK: &'static str = "image-segment";
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
    ];
    const HEADS: &'static [&'static str] = &["unet", "deeplabv3", "fcn", "lraspp"];
    const SIDE: u32 = 320;
    const CARD: [&'static str; 2] = ["image-segmentation", "Segmenter"];

    type Head = Segmentation;
    type Data = Segments;
    type Scored = Scored;

    fn aim() -> Aim {
        Aim::Pixels
    }

    fn open_data(path: &Path, settings: &Settings) -> Result<Segments, Error> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let masks = match settings.masks.as_deref() {
            None | Some("auto") => MaskKind::Auto,
            Some("index") => MaskKind::Index,
            Some("palette") => MaskKind::Palette,
            Some("instances") => MaskKind::Instances,
            Some(other) => {
                return Err(Error::usage(format!(
                    "--masks {other}: expected auto, index, palette or instances"
                )));
            }
        };
        let columns = settings.columns()?;
        let classes = settings.names.as_deref().map(Path::new);
        let looking = Looking { classes, masks, ignore: settings.ignore, columns: &columns };
        Ok(Segments::open_on(path, &looking, threads)?)
    }

    fn notes(data: &Segments) -> Vec<Note> {
        data.notes().iter().map(|note| Note { title: note.clone(), ..Note::default() }).collect()
    }

    fn head(name: &str, _: usize) -> Option<Segmentation> {
        Some(Segmentation::new(match name {
            "unet" => SegmentationHead::Unet(Unet::default()),
            "deeplabv3" => SegmentationHead::DeepLabV3,
            "fcn" => SegmentationHead::Fcn,
            "lraspp" => SegmentationHead::Lraspp,
            _ => return None,
        }))
    }

    fn published() -> &'static [Published<Segmentation>] {
        SEGMENTERS
    }

    fn rates(mode: ModeName) -> (usize, usize, f64) {
        match mode {
            ModeName::Features | ModeName::Lora => (15, 8, 6e-3),
            ModeName::Partial | ModeName::Full | ModeName::Contrastive => (15, 8, 4e-3),
            ModeName::Gradual => (4, 8, 4e-3),
        }
    }

    fn task(_: &Segmentation, classes: usize, machine: &Machine) -> Box<dyn Task> {
        Box::new(SegmentationTask { classes, class_weights: Vec::new(), machine: machine.clone() })
    }

    fn evaluate(
        runner: &Runner<Segmentation>,
        data: &Segments,
        positions: &[usize],
        seed: u64,
    ) -> Result<(Scored, Quarantine), Error> {
        evaluate(runner, data, positions, seed)
    }
}

impl Segment<'_> {
    /// Opens the data that the settings name.
    ///
    /// # Errors
    /// When there are none, or they cannot be used.
    pub fn open_data(&self) -> Result<Segments, Error> {
        let data = structured::open_data(self)?;
        match data.classes().len() {
            0 | 1 => Err(Error::Misfit(format!("`{}` has one class of pixels only", data.root().display()))),
            _ => Ok(data),
        }
    }

    /// What would be done, and how long it may take. Writes nothing.
    ///
    /// # Errors
    /// As [`Segment::fit`], as far as it can be told before.
    pub fn outlook(&self, data: &Segments) -> Result<Outlook, Error> {
        structured::outlook(self, data)
    }

    /// Does it.
    ///
    /// # Errors
    /// When settings do not fit together, the model or the data cannot be used, the audit finds a broken promise, or it is cancelled.
    pub fn fit(&self, data: &Segments) -> Result<Run, Error> {
        structured::fit(self, data)
    }
}
