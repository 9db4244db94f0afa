//! The vector types of x86-64: AVX2 (8 floats) and AVX-512 (16 floats).

use std::arch::x86_64::*;

use super::vector::{Vector, narrow_by_lanes};

/// The words of a register as pairs of bf16.
#[inline(always)]
fn pairs(words: __m512) -> __m512bh {
    // SAFETY: both are the same bits.
    unsafe { std::mem::transmute::<__m512, __m512bh>(words) }
}

impl Vector for __m512 {
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the trait's contract, here and below: the processor has the instructions and pointers are valid.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: as above; masked lanes are not accessed.
        unsafe { _mm512_maskz_loadu_ps(first_lanes(count), from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // SAFETY: as above; masked lanes are not accessed.
        unsafe { _mm512_mask_storeu_ps(to, first_lanes(count), self) }
    }

    #[inline(always)]
    unsafe fn add_product(self, left: Self, right: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_fmadd_ps(left, right, self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn clamp(self, low: Self, high: Self) -> Self {
        // The instructions return their second operand when either is NaN, so the value stands second.
        // SAFETY: as above.
        unsafe { _mm512_min_ps(high, _mm512_max_ps(low, self)) }
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        // SAFETY: a prefetch is a hint; it does not fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn prefetch_write(at: *const f32) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(at.cast()) }
    }

    // These two want the extensions BF16 and VNNI; [`Isa::multiplying`](crate::cpu::Isa::multiplying) sees to it.
    #[inline(always)]
    unsafe fn add_pairs(self, left: Self, right: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_dpbf16_ps(self, pairs(left), pairs(right)) }
    }

    #[inline(always)]
    unsafe fn add_quads(self, left: Self, right: Self) -> Self {
        // SAFETY: as above.
        unsafe {
            let [sum, left, right] = [self, left, right].map(|words| _mm512_castps_si512(words));
            _mm512_castsi512_ps(_mm512_dpbusd_epi32(sum, left, right))
        }
    }

    #[inline(always)]
    unsafe fn integers_as_floats(self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_cvtepi32_ps(_mm512_castps_si512(self)) }
    }

    #[inline(always)]
    unsafe fn pair(low: Self, high: Self) -> Self {
        // SAFETY: as above.
        unsafe {
            let low = _mm512_srli_epi32::<16>(rounded(low));
            let high = _mm512_and_si512(rounded(high), _mm512_set1_epi32(-0x1_0000));
            _mm512_castsi512_ps(_mm512_or_si512(low, high))
        }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u16, count: usize) -> Self {
        // SAFETY: as above; masked lanes are not accessed.
        unsafe {
            let halves = _mm256_maskz_loadu_epi16(first_lanes(count), from.cast());
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
        }
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16, count: usize) {
        // Narrowing and storing in one instruction is slow on some processors.
        // SAFETY: as above; masked lanes are not accessed.
        unsafe {
            let halves = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded(self)));
            _mm256_mask_storeu_epi16(to.cast(), first_lanes(count), halves);
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8, count: usize) -> Self {
        // SAFETY: as above; masked lanes are not accessed.
        unsafe {
            let bytes = _mm_maskz_loadu_epi8(first_lanes(count), from.cast());
            _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))
        }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, count: usize) {
        // SAFETY: as above; masked lanes are not accessed.
        unsafe {
            let integers = _mm512_max_epi32(_mm512_cvtps_epi32(self), _mm512_setzero_si512());
            _mm_mask_storeu_epi8(to.cast(), first_lanes(count), _mm512_cvtusepi32_epi8(integers));
        }
    }
}

/// The bits of floats, so rounded that their upper halves are the nearest bf16; not numbers stay so.
///
/// # Safety
/// The processor has AVX-512.
#[inline(always)]
unsafe fn rounded(floats: __m512) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe {
        let bits = _mm512_castps_si512(floats);
        let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        let up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
        let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(floats, floats);
        _mm512_mask_mov_epi32(up, nan, _mm512_set1_epi32(0x7fc0_0000))
    }
}

/// The mask of the first `count` ≤ 16 lanes.
#[inline(always)]
fn first_lanes(count: usize) -> __mmask16 {
    ((1u32 << count) - 1) as __mmask16
}

impl Vector for __m256 {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: as above; masked lanes are not accessed.
        unsafe { _mm256_maskload_ps(from, lane_mask(count)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // Masked stores are slow on some processors, and most calls are for whole registers.
        if count == Self::LANES {
            // SAFETY: as above.
            unsafe { _mm256_storeu_ps(to, self) }
        } else {
            // SAFETY: as above; masked lanes are not accessed.
            unsafe { _mm256_maskstore_ps(to, lane_mask(count), self) }
        }
    }

    #[inline(always)]
    unsafe fn add_product(self, left: Self, right: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_fmadd_ps(left, right, self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn clamp(self, low: Self, high: Self) -> Self {
        // SAFETY: as above; operands ordered as for AVX-512.
        unsafe { _mm256_min_ps(high, _mm256_max_ps(low, self)) }
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        // SAFETY: a prefetch is a hint; it does not fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn prefetch_write(at: *const f32) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(at.cast()) }
    }

    narrow_by_lanes!(8);
}

/// Eight times all ones, then eight times zero: a window of it is the mask of the first lanes.
static LANE_MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The mask of the first `count` ≤ 8 lanes.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn lane_mask(count: usize) -> __m256i {
    debug_assert!(count <= 8);
    // SAFETY: a window of eight that starts at 8 − count lies inside the table.
    unsafe { _mm256_loadu_si256(LANE_MASKS.as_ptr().add(8 - count).cast()) }
}
