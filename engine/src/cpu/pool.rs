//! The threads that kernels share.
//!
//! Work is cut into a number of tasks that depends on the work alone, never on the number of threads, so that results do not
//! either. Tasks are handed out by a counter.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A pool of threads. Cheap to clone; clones share the threads.
#[derive(Clone, Debug)]
pub struct Pool {
    threads: Arc<rayon::ThreadPool>,
}

impl Pool {
    /// A pool of its own with the given number of threads (0: one per processor).
    ///
    /// # Panics
    /// When the operating system refuses to start threads.
    pub fn new(threads: usize) -> Self {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("tk-kernel-{index}"))
            .build();
        match pool {
            Ok(pool) => Self { threads: Arc::new(pool) },
            Err(error) => panic!("cannot start kernel threads: {error}"),
        }
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Calls `task` once for every number below `count`, in no particular order, and returns when all are done.
    pub fn for_each(&self, count: usize, task: impl Fn(usize) + Sync) {
        let workers = self.threads().min(count);
        if workers <= 1 {
            (0..count).for_each(task);
            return;
        }
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    break;
                }
                task(index);
            }
        };
        self.threads.install(|| {
            if workers == 2 {
                rayon::join(work, work);
            } else {
                rayon::scope(|scope| {
                    for _ in 1..workers {
                        scope.spawn(|_| work());
                    }
                    work();
                });
            }
        });
    }

    /// Cuts `data` into pieces of `length` (the last may be shorter) and calls `task` with each piece's number and the piece.
    ///
    /// # Panics
    /// When `length` is zero.
    pub fn for_each_chunk<T: Send>(
        &self,
        data: &mut [T],
        length: usize,
        task: impl Fn(usize, &mut [T]) + Sync,
    ) {
        assert!(length > 0, "chunks need a length");
        let total = data.len();
        let base = SharedPointer(data.as_mut_ptr());
        self.for_each(total.div_ceil(length), |index| {
            let start = index * length;
            let end = (start + length).min(total);
            // SAFETY: each index is handed out once, pieces do not overlap, and `data` stays borrowed until all are done.
            let piece = unsafe { std::slice::from_raw_parts_mut(base.get().add(start), end - start) };
            task(index, piece);
        });
    }
}

/// A pointer that tasks share; whoever dereferences it answers for disjointness.
pub(crate) struct SharedPointer<T>(pub *mut T);

// SAFETY: the pointer itself is plain data; every dereference states why it does not race.
unsafe impl<T> Send for SharedPointer<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for SharedPointer<T> {}

impl<T> SharedPointer<T> {
    /// The pointer. A method, so that closures capture the wrapper and not the field.
    #[inline(always)]
    pub fn get(&self) -> *mut T {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_on_any_number_of_threads() {
        for threads in 1..=4 {
            let pool = Pool::new(threads);
            for count in [0, 1, 2, 3, 17, 1000] {
                let mut hits = vec![0u32; count * 3];
                pool.for_each_chunk(&mut hits, 3, |index, piece| {
                    piece.iter_mut().for_each(|hit| *hit += index as u32 + 1)
                });
                let expected: Vec<u32> = (0..count as u32).flat_map(|index| [index + 1; 3]).collect();
                assert_eq!(hits, expected, "{threads} threads, {count} tasks");
            }
        }
    }
}
