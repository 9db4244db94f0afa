//! What every target asks of a reader: no panic, one line of error, and no allocation out of proportion to the file.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use tk_transfer::checkpoint::{Checkpoint, CheckpointError};

/// One allocation may be so many times the file's size: values of one byte become f32, and vectors grow by doubling.
const TIMES: usize = 16;

/// What the reader needs whatever the file is: tables of the decompressor, messages.
const AT_LEAST: usize = 1 << 20;

static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

struct Bounded;

// SAFETY: every call is the system allocator's; a request above the limit ends the process first.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LIMIT.load(Ordering::Relaxed) {
            std::process::abort();
        }
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

/// Opens bytes as a checkpoint and reads every tensor.
pub fn judge_bytes(bytes: &[u8]) {
    judge(bytes.len(), || Checkpoint::from_bytes("input", bytes.to_vec()));
}

/// Opens a file of a folder as a checkpoint and reads every tensor; the folder's files have so many bytes.
pub fn judge_file(path: &Path, bytes: usize) {
    judge(bytes, || Checkpoint::open(path));
}

fn judge(bytes: usize, open: impl FnOnce() -> Result<Checkpoint, CheckpointError>) {
    LIMIT.store(TIMES * bytes + AT_LEAST, Ordering::Relaxed);
    match open() {
        Ok(checkpoint) => {
            for name in checkpoint.names() {
                let elements = checkpoint.info(name).map(|info| info.elements());
                let values = checkpoint.f32(name).map(|values| values.len());
                assert_eq!(elements, values.ok(), "{name:?}");
            }
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
    LIMIT.store(usize::MAX, Ordering::Relaxed);
}
