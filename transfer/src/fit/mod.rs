//! Fitting: phases of training over a graph whose frozen prefix has been cut off.
//!
//! A recipe is data; the loop knows tasks, sources and observers by their contracts alone. A run that is killed resumes from its last
//! checkpoint to the same bytes, because every random choice follows from the seed and a position.

mod average;
mod balanced;
mod best;
mod error;
mod groups;
mod mixup;
mod phase;
mod recipe;
mod schedule;
mod source;
mod state;
mod trainer;

pub use average::MovingAverage;
pub use balanced::{Balance, Balanced, class_weights};
pub use best::{Best, Goal, Monitor};
pub use error::FitError;
pub use groups::Groups;
pub use mixup::Mix;
pub use recipe::{OptimizerChoice, Phase, Recipe};
pub use schedule::Schedule;
pub use source::{Source, SourceError, View};
pub use state::{Record, State};
pub use trainer::{Event, Fitted, Run, Signals, fit};
