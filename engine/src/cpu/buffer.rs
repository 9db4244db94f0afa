//! Memory for activations and packed weights: aligned, zeroed, in huge pages where the system has them.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Floats aligned for vector loads (64 bytes; 2 MiB from 1 MiB on, so that huge pages apply). Made once and used again.
#[derive(Debug)]
pub struct Buffer {
    /// Where the floats begin: the first aligned place in the allocation.
    pointer: NonNull<f32>,
    length: usize,
    allocation: NonNull<u8>,
    layout: Layout,
}

const CACHE_LINE: usize = 64;
const HUGE_PAGE: usize = 2 << 20;

impl Buffer {
    /// A buffer of zeros.
    ///
    /// # Panics
    /// When the size overflows; aborts when memory runs out, as any allocation does.
    pub fn zeros(length: usize) -> Self {
        let bytes = length.checked_mul(size_of::<f32>()).expect("buffer size overflows");
        let alignment = if bytes >= 1 << 20 { HUGE_PAGE } else { CACHE_LINE };
        // Room to align by hand: a large allocation without demands is new zero pages of the system, which nobody has to touch
        // before the kernels do, on all their threads.
        let size = bytes.checked_add(alignment).expect("buffer size overflows");
        let layout = Layout::array::<u8>(size).expect("buffer size overflows");
        // SAFETY: the layout's size is not zero.
        let Some(allocation) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            handle_alloc_error(layout)
        };
        let skipped = allocation.as_ptr().align_offset(alignment);
        // SAFETY: less than the alignment is skipped, so `bytes` remain.
        let pointer = unsafe { allocation.add(skipped) };
        advise_huge_pages(pointer.as_ptr(), bytes);
        Self { pointer: pointer.cast(), length, allocation, layout }
    }
}

/// Asks the kernel for huge pages where whole ones fit. Only a hint: failure changes nothing but speed.
#[cfg(target_os = "linux")]
fn advise_huge_pages(start: *mut u8, bytes: usize) {
    let whole = bytes / HUGE_PAGE * HUGE_PAGE;
    if whole > 0 {
        // SAFETY: the range was just allocated and begins at a huge page; the advice does not change its contents.
        unsafe { libc::madvise(start.cast(), whole, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_: *mut u8, _: usize) {}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: the allocation holds `length` initialised floats for as long as `self` lives.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.length) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.length) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeros` with this layout and freed only here.
        unsafe { dealloc(self.allocation.as_ptr(), self.layout) };
    }
}

// SAFETY: a buffer owns its memory, as a `Vec<f32>` does.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_zeroed_and_aligned() {
        for length in [0, 1, 100, 1 << 18, (1 << 20) + 3] {
            let mut buffer = Buffer::zeros(length);
            assert_eq!(buffer.len(), length);
            assert!(buffer.iter().all(|&value| value == 0.0));
            assert_eq!(buffer.as_ptr() as usize % CACHE_LINE, 0);
            buffer.fill(1.0);
        }
    }
}
