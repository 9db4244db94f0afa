//! What the words of operands hold, and how they are multiplied.

use super::Vector;

/// A kind of 32-bit words.
pub(crate) trait Word {
    /// Adds the products of the numbers in `left` with those in `right`.
    ///
    /// # Safety
    /// As for [`Vector`].
    unsafe fn add_products<V: Vector>(sum: V, left: V, right: V) -> V;
}

/// One float.
pub(crate) struct Single;

impl Word for Single {
    #[inline(always)]
    unsafe fn add_products<V: Vector>(sum: V, left: V, right: V) -> V {
        // SAFETY: the caller's promise.
        unsafe { sum.add_product(left, right) }
    }
}

/// Two bf16; the sum is a float.
pub(crate) struct Pair;

impl Word for Pair {
    #[inline(always)]
    unsafe fn add_products<V: Vector>(sum: V, left: V, right: V) -> V {
        // SAFETY: the caller's promise.
        unsafe { sum.add_pairs(left, right) }
    }
}

/// Four bytes, unsigned on the left and signed on the right; the sum is an integer.
pub(crate) struct Quad;

impl Word for Quad {
    #[inline(always)]
    unsafe fn add_products<V: Vector>(sum: V, left: V, right: V) -> V {
        // SAFETY: the caller's promise.
        unsafe { sum.add_quads(left, right) }
    }
}
