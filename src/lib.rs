//! Transfer learning on your own data: a pretrained model in, a fine-tuned one out.
//!
//! What is frozen is computed once for each view of a sample, remembered, and proved to be frozen. Nothing here prints, exits, reads the
//! environment or owns threads that outlive a call; `tk`, the command line, is written on top of it.
//!
//! ```no_run
//! use transferkit::image::{self, Mode};
//!
//! # fn main() -> Result<(), image::Error> {
//! let data = image::Dataset::open("ants-bees")?;
//! let run = image::Classify::new("small").mode(Mode::full().epochs(8).freeze("stem")).seed(7).fit(&data)?;
//! run.save("R")?;
//! let guess = image::Classifier::load("R")?.predict(&image::Picture::open("bee.jpg")?)?;
//! println!("{} {:.3}", guess.label, guess.score);
//! # Ok(())
//! # }
//! ```

pub mod audio;
pub mod classify;
pub mod dense;
pub mod detect;
pub mod hub;
pub mod image;
pub mod report;
pub mod segment;
pub mod speech;
pub mod structured;
pub mod tag;
pub mod text;

pub use tk_engine::Precision;
pub use tk_engine::cpu::{Isa, Machine};
