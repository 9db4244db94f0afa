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
    /// Of words that are two bf16 each: `self + left₀ · right₀ + left₁ · right₁`, not rounded in between where the instruction set can.
    unsafe fn add_pairs(self, left: Self, right: Self) -> Self;
    /// Of words that are four bytes each, unsigned on the left and signed on the right: `self + Σ leftᵢ · rightᵢ` in 32-bit integers.
    unsafe fn add_quads(self, left: Self, right: Self) -> Self;
    /// Words that are integers, as floats.
    unsafe fn integers_as_floats(self) -> Self;
    /// Words of two bf16: `low` in the lower halves and `high` in the upper ones, rounded to nearest.
    unsafe fn pair(low: Self, high: Self) -> Self;
    /// The first `count` ≤ `LANES` bf16 from memory, zeros in the other lanes.
    unsafe fn load_bf16(from: *const u16, count: usize) -> Self;
    /// Writes the first `count` ≤ `LANES` lanes as bf16, rounded to nearest.
    unsafe fn store_bf16(self, to: *mut u16, count: usize);
    /// The first `count` ≤ `LANES` unsigned bytes from memory, zeros in the other lanes.
    unsafe fn load_bytes(from: *const u8, count: usize) -> Self;
    /// Writes the first `count` ≤ `LANES` lanes as unsigned bytes, rounded to nearest even and held within 0 and 255.
    unsafe fn store_bytes(self, to: *mut u8, count: usize);
    /// Asks for a cache line that will be read. Any address will do.
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
    /// Asks for a cache line that will be written. Any address will do.
    #[inline(always)]
    unsafe fn prefetch_write(_: *const f32) {}
}

/// The narrow operations of [`Vector`] lane by lane, for a register of so many lanes.
macro_rules! narrow_by_lanes {
    ($lanes:literal) => {
        #[inline(always)]
        unsafe fn add_pairs(self, left: Self, right: Self) -> Self {
            // SAFETY: the trait's contract, here and below; the arrays have as many lanes as a register.
            unsafe {
                let mut halves = [[[0f32; $lanes]; 2]; 2];
                for (words, [low, high]) in [left, right].into_iter().zip(&mut halves) {
                    words.store(low.as_mut_ptr());
                    for lane in 0..$lanes {
                        let bits = low[lane].to_bits();
                        low[lane] = f32::from_bits(bits << 16);
                        high[lane] = f32::from_bits(bits & 0xffff_0000);
                    }
                }
                let [left, right] = halves.map(|halves| halves.map(|half| Self::load(half.as_ptr())));
                self.add_product(left[1], right[1]).add_product(left[0], right[0])
            }
        }

        #[inline(always)]
        unsafe fn add_quads(self, left: Self, right: Self) -> Self {
            // SAFETY: as above.
            unsafe {
                let (mut sums, mut a, mut b) = ([0f32; $lanes], [0f32; $lanes], [0f32; $lanes]);
                self.store(sums.as_mut_ptr());
                left.store(a.as_mut_ptr());
                right.store(b.as_mut_ptr());
                for lane in 0..$lanes {
                    let (a, b) = (a[lane].to_bits().to_le_bytes(), b[lane].to_bits().to_le_bytes());
                    let mut sum = sums[lane].to_bits() as i32;
                    for byte in 0..4 {
                        sum += i32::from(a[byte]) * i32::from(b[byte] as i8);
                    }
                    sums[lane] = f32::from_bits(sum as u32);
                }
                Self::load(sums.as_ptr())
            }
        }

        #[inline(always)]
        unsafe fn integers_as_floats(self) -> Self {
            // SAFETY: as above.
            unsafe {
                let mut lanes = [0f32; $lanes];
                self.store(lanes.as_mut_ptr());
                Self::load(lanes.map(|word| word.to_bits() as i32 as f32).as_ptr())
            }
        }

        #[inline(always)]
        unsafe fn pair(low: Self, high: Self) -> Self {
            // SAFETY: as above.
            unsafe {
                let (mut a, mut b) = ([0f32; $lanes], [0f32; $lanes]);
                low.store(a.as_mut_ptr());
                high.store(b.as_mut_ptr());
                for lane in 0..$lanes {
                    a[lane] = $crate::cpu::kernels::narrow::pair(a[lane], b[lane]);
                }
                Self::load(a.as_ptr())
            }
        }

        #[inline(always)]
        unsafe fn load_bf16(from: *const u16, count: usize) -> Self {
            // SAFETY: as above.
            unsafe {
                let mut lanes = [0f32; $lanes];
                for lane in 0..count {
                    lanes[lane] = $crate::cpu::kernels::narrow::from_bf16(*from.add(lane));
                }
                Self::load(lanes.as_ptr())
            }
        }

        #[inline(always)]
        unsafe fn store_bf16(self, to: *mut u16, count: usize) {
            // SAFETY: as above.
            unsafe {
                let mut lanes = [0f32; $lanes];
                self.store(lanes.as_mut_ptr());
                for lane in 0..count {
                    *to.add(lane) = $crate::cpu::kernels::narrow::to_bf16(lanes[lane]);
                }
            }
        }

        #[inline(always)]
        unsafe fn load_bytes(from: *const u8, count: usize) -> Self {
            // SAFETY: as above.
            unsafe {
                let mut lanes = [0f32; $lanes];
                for lane in 0..count {
                    lanes[lane] = f32::from(*from.add(lane));
                }
                Self::load(lanes.as_ptr())
            }
        }

        #[inline(always)]
        unsafe fn store_bytes(self, to: *mut u8, count: usize) {
            // SAFETY: as above.
            unsafe {
                let mut lanes = [0f32; $lanes];
                self.store(lanes.as_mut_ptr());
                for lane in 0..count {
                    *to.add(lane) = $crate::cpu::kernels::narrow::to_byte(lanes[lane]);
                }
            }
        }
    };
}
pub(super) use narrow_by_lanes;

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

    narrow_by_lanes!(4);
}
