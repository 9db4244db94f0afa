//! From the logarithms of probabilities, frame by frame, to symbols (Graves et al., ICML 2006).

mod beam;
mod greedy;

pub use beam::{Hypothesis, beam};
pub use greedy::{Spoken, greedy};
