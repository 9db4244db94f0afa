//! Files → samples → pixels → tensors.
//!
//! A [`Dataset`] lists and checks the files, a [`Picture`] is one decoded photograph, a [`Preprocess`] or an [`Augment`] makes
//! network input of it, and a [`Loader`] does so on other threads ahead of the consumer. How samples are divided into
//! training and validation data, when the folders do not say it, is decided elsewhere.

mod decode;
mod jpeg;
mod picture;

mod resize;
mod transform;

mod augment;
mod jitter;
mod trivial_augment;

mod dataset;
mod error;
mod folder;
mod listed;
mod report;
mod tree;

mod loader;
mod photographs;
mod store;

mod demo;
mod shapes;
mod thumbnail;

pub use augment::{Augment, Erasing, Level, RandomCrop};
pub(crate) use dataset::inspect;
pub use dataset::{Dataset, Sample};
pub use decode::{
    DecodeError, Format, Header, MAX_FILE_BYTES, MAX_PIXELS, Orientation, decode, probe, read_file,
};
pub(crate) use decode::{decode_as_stored, guarded};
pub use demo::{DEMO_CLASSES, DEMO_PICTURES_PER_CLASS, DemoError, draw_demo};
pub use error::DataError;
pub(crate) use folder::looks_like_image;
pub use jitter::Jitter;
pub use loader::{Batch, Loader, LoaderOptions};
pub use photographs::Photographs;
pub use picture::{OpenError, Picture};
pub use report::{DuplicateGroup, FormatCount, Report};
pub(crate) use resize::AxisWeights;
pub use resize::{Interpolation, Region, Size, resize, resize_region, resize_window};
pub use store::PictureStore;
pub use thumbnail::thumbnail;
pub use tk_transfer::data::listing::{ClassCount, Columns};
pub use tk_transfer::data::{Quarantine, Quarantined, Split};
pub use transform::{CropMode, Preprocess, PreprocessError};
pub(crate) use tree::{Tree, display};
