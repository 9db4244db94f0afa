//! From the logarithms of probabilities, frame by frame, to symbols (Graves et al., ICML 2006).

mod align;
mod beam;
mod greedy;

pub use align::align;
pub use beam::{Hypothesis, beam};
pub use greedy::{Spoken, greedy};
