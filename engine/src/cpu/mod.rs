//! The CPU executor: kernels of our own, dispatched at run time, below a plan for frozen graphs and a tape for training ones.

pub mod buffer;
mod compile;
mod fingerprint;
pub mod isa;
pub mod kernels;
mod parts;
mod plan;
pub mod pool;
mod ranges;
mod settle;
mod steps;
mod tape;
mod workspace;

pub use buffer::Buffer;
pub use fingerprint::Fingerprint;
pub use isa::Isa;
pub use plan::Plan;
pub use pool::Pool;
pub use ranges::Ranges;
pub use tape::Tape;

pub(crate) use workspace::Workspace;

/// What kernels run on: an instruction set and a pool of threads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The instruction set that kernels use.
    pub isa: Isa,
    /// The threads that kernels share.
    pub pool: Pool,
}

impl Machine {
    /// The best instruction set of this processor and the given number of threads (0: one per processor).
    pub fn new(threads: usize) -> Self {
        Self { isa: Isa::best(), pool: Pool::new(threads) }
    }

    /// The same threads with another instruction set, for tests and comparisons.
    ///
    /// # Panics
    /// When the processor lacks the instruction set: running it would be undefined behaviour.
    pub fn with_isa(&self, isa: Isa) -> Self {
        assert!(isa.is_available(), "this processor lacks {isa:?}");
        Self { isa, pool: self.pool.clone() }
    }
}
