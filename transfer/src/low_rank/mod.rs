//! Low-rank pairs beside the layers of a model (LoRA, Hu et al., arXiv 2106.09685): added before training, merged after it, and written
//! as an adapter that PEFT opens.

mod adapter;
mod pairs;

pub use adapter::{Adapted, Adapter, AdapterError};
pub use pairs::{LowRank, merge};
