//! Memory that kernels work in: one workspace for each thread, scratch that tasks share, and scratch that the caller keeps.

use std::cell::RefCell;

use crate::cpu::Buffer;

/// Memory for partial results, grown on demand and kept between calls.
#[derive(Debug, Default)]
pub struct Scratch {
    buffer: Option<Buffer>,
}

impl Scratch {
    /// Empty scratch.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first `length` floats, with whatever an earlier call left there.
    pub(crate) fn floats(&mut self, length: usize) -> &mut [f32] {
        let buffer = match self.buffer.take() {
            Some(buffer) if buffer.len() >= length => buffer,
            _ => Buffer::zeros(length),
        };
        &mut self.buffer.insert(buffer)[..length]
    }
}

/// What a task of a kernel needs for itself while it runs.
#[derive(Default)]
pub(crate) struct Workspace {
    /// Row pointers.
    pub pointers: Vec<*const f32>,
    /// Output offsets.
    pub offsets: Vec<usize>,
    /// Copied rows.
    pub rows: Scratch,
    /// Packed operands.
    pub packed: Scratch,
}

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
    static SHARED: RefCell<Scratch> = RefCell::default();
}

/// Lends the thread's scratch to a kernel, for what its tasks share. Kernels do not nest.
pub(crate) fn with_shared_scratch<R>(kernel: impl FnOnce(&mut Scratch) -> R) -> R {
    SHARED.with_borrow_mut(kernel)
}

/// Lends the thread's workspace to a task. Tasks do not nest.
pub(crate) fn with_workspace<R>(task: impl FnOnce(&mut Workspace) -> R) -> R {
    WORKSPACE.with_borrow_mut(task)
}
