//! Whether a kernel replaces what its destination holds or adds to it.

/// What happens to the numbers already in a destination. Gradients of values with several users are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Accumulate {
    /// They are replaced; what was there is never read.
    Overwrite,
    /// The result is added to them.
    Add,
}

impl Accumulate {
    /// Puts one result where it belongs.
    #[inline(always)]
    pub(super) fn store(self, slot: &mut f32, value: f32) {
        *slot = match self {
            Self::Overwrite => value,
            Self::Add => *slot + value,
        };
    }

    /// Prepares a destination that results are then added to one by one.
    #[inline(always)]
    pub(super) fn prepare(self, destination: &mut [f32]) {
        if self == Self::Overwrite {
            destination.fill(0.0);
        }
    }
}
