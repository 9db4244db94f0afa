//! What a task brings; everything else is the same for all of them.

use std::path::Path;

use tk_engine::cpu::Machine;
use tk_image::data::Picture;
use tk_image::framing::{Framing, Marked};
use tk_image::grafted::{Graft, Published, Runner};
use tk_transfer::data::{Labelled, Quarantine};
use tk_transfer::task::Task;

use crate::classify::{Aim, Error, ModeName, Settings};
use crate::report::{FoundPart, Note};
use crate::structured::Scored;

/// A task whose head stands on a backbone's maps.
pub trait Dense: Sized + 'static {
    /// Its name on the command line and in `run.toml`.
    const TASK: &'static str;
    /// Keys of settings that it does not have.
    const FOREIGN: &'static [&'static str];
    /// The names of its heads, the usual one first.
    const HEADS: &'static [&'static str];
    /// The shorter side of pictures in pixels when nothing is said.
    const SIDE: u32;
    /// What its classifier is called on its card: a pipeline's tag, and a title.
    const CARD: [&'static str; 2];

    /// Its head.
    type Head: Graft + 'static;
    /// Pictures with what is marked in them.
    type Data: Labelled + Marked;
    /// How good it is.
    type Scored: Shows;

    /// What is learned.
    #[doc(hidden)]
    fn aim() -> Aim;

    /// Opens data as settings say.
    ///
    /// # Errors
    /// When they cannot be used.
    fn open_data(path: &Path, settings: &Settings) -> Result<Self::Data, Error>;

    /// What is odd about the data.
    fn notes(data: &Self::Data) -> Vec<Note>;

    /// A head by its name, for a backbone whose coarsest map has so many channels.
    fn head(name: &str, channels: usize) -> Option<Self::Head>;

    /// How a new head wants pictures brought to a side in pixels: with their shape, unless it says otherwise.
    fn framing(_head: &Self::Head, side: u32) -> Framing {
        Framing::shorter(side)
    }

    /// Networks that are published with their heads.
    fn published() -> &'static [Published<Self::Head>];

    /// Passes over the data, samples in a batch, and the peak learning rate for 32 samples when nothing is said.
    fn rates(mode: ModeName) -> (usize, usize, f64);

    /// What is learned of it.
    fn task(head: &Self::Head, classes: usize, machine: &Machine) -> Box<dyn Task>;

    /// Scores a network on samples; those that cannot be read are listed with the reason.
    ///
    /// # Errors
    /// When the engine fails.
    fn evaluate(
        runner: &Runner<Self::Head>,
        data: &Self::Data,
        positions: &[usize],
        seed: u64,
    ) -> Result<(Self::Scored, Quarantine), Error>;
}

/// What a report shows of scores.
pub trait Shows: Scored {
    /// Tables, curves, and for positions the pictures that `drawn` makes.
    fn found(&self, classes: &[String], drawn: &dyn Fn(usize) -> Option<Drawn>) -> FoundPart;
}

/// A sample's name and its picture.
pub struct Drawn {
    /// The file, relative to the data.
    pub file: String,
    /// The picture.
    pub picture: Picture,
}
