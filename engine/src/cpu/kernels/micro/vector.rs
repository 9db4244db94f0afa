//! The vector type that microkernels are written over, and its portable form.

/// A register of floats.
///
/// # Safety
/// Implementations compile to instructions of one instruction set: call the methods only on a processor that has it, and only
/// from functions that enable it (else each call is a real call and slow). Pointers need no alignment but must be valid for
/// the lanes named.
pub(crate) trait Vector: Copy {
    /// Floats in a register.
    const LANES: usize;

    /// All lanes the same.
    unsafe fn splat(value: f32) -> Self;
    /// `LANES` floats from memory.
    unsafe fn load(from: *const f32) -> Self;
    /// The first `count` ≤ `LANES` floats from memory, zeros in the other lanes.
    unsafe fn load_first(from: *const f32, count: usize) -> Self;
    /// Writes `LANES` floats.
    unsafe fn store(self, to: *mut f32);
    /// Writes the first `count` ≤ `LANES` lanes.
    unsafe fn store_first(self, to: *mut f32, count: usize);
    /// `self + left · right`; rounded once where the instruction set can.
    unsafe fn add_product(self, left: Self, right: Self) -> Self;
    /// Lane-wise sum.
    unsafe fn add(self, other: Self) -> Self;
    /// Lane-wise `min(max(self, low), high)`; NaN stays NaN.
    unsafe fn clamp(self, low: Self, high: Self) -> Self;
    /// Asks for a cache line that will be read. Any address will do.
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
    /// Asks for a cache line that will be written. Any address will do.
    #[inline(always)]
    unsafe fn prefetch_write(_: *const f32) {}
}

/// Four floats in plain Rust; every compiler makes a 128-bit register of it.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f32; 4]);

impl Vector for Plain {
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller promises four readable floats.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; 4];
        for (lane, value) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: the caller promises `count` readable floats.
            *value = unsafe { *from.add(lane) };
        }
        Self(lanes)
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller promises four writable floats.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        for (lane, value) in self.0.into_iter().enumerate().take(count) {
            // SAFETY: the caller promises `count` writable floats.
            unsafe { *to.add(lane) = value };
        }
    }

    #[inline(always)]
    unsafe fn add_product(mut self, left: Self, right: Self) -> Self {
        for lane in 0..4 {
            self.0[lane] += left.0[lane] * right.0[lane];
        }
        self
    }

    #[inline(always)]
    unsafe fn add(mut self, other: Self) -> Self {
        for lane in 0..4 {
            self.0[lane] += other.0[lane];
        }
        self
    }

    #[inline(always)]
    unsafe fn clamp(mut self, low: Self, high: Self) -> Self {
        for lane in 0..4 {
            let value = self.0[lane];
            let raised = if value < low.0[lane] { low.0[lane] } else { value };
            self.0[lane] = if raised > high.0[lane] { high.0[lane] } else { raised };
        }
        self
    }
}
