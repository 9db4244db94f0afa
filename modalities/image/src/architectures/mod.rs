//! Networks for photographs: graph builders with timm's names, presets and configuration files.
//!
//! Each family is one file that says how its networks are built and holds one constant for each of them;
//! [`ARCHITECTURES`] lists those constants. Pixels come in as `[batch, height, width, 3]`, normalised as the [`Preset`] says. Every
//! network ends in the stages `pool`, whose result `[batch, features]` is what probes learn from, and `head`, one linear layer.
//! Values of parameters are not here: checkpoints and initialisation are other crates' business.

mod architecture;
mod error;
mod list;
mod settings;

mod inception_v3;
mod mobilenet_v1;
mod mobilenet_v2;
mod resnet;
mod vgg;
mod xception;

mod config;

pub use architecture::{Architecture, Family, Preset};
pub use config::{Config, ConfigError};
pub use error::ArchitectureError;
pub use list::{ARCHITECTURES, find};
pub use settings::{ModelArgs, Settings, StemType};
