//! The threads that kernels share.
//!
//! Work is cut into a number of tasks that depends on the work alone, never on the number of threads, so that results do not
//! either. Tasks are handed out by a counter, to the thread that asks for the work and to those that happen to be awake: a kernel
//! takes microseconds, waking a thread takes as long, so nobody waits for a thread to wake. Threads look out for the next work for
//! a moment before they sleep.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::JoinHandle;

/// How often a thread looks out for work before it sleeps.
const LOOKS: usize = 4000;

/// How often the thread that asked looks whether the others are done before it lets other threads run.
const PATIENCE: usize = 10_000;

/// A pool of threads, the asking one among them. Cheap to clone; clones share the threads, which end with the last of them.
#[derive(Clone)]
pub struct Pool {
    crew: Arc<Crew>,
}

/// The threads beside the asking one.
struct Crew {
    board: Arc<Board>,
    helpers: Vec<JoinHandle<()>>,
    /// Held by whoever's work is on the board.
    asking: Mutex<()>,
}

/// Where work is put up.
struct Board {
    /// The number of the work in the upper half, [`OPEN`], and the count of helpers that are in it.
    gate: AtomicU64,
    /// The work, valid while the gate is open or helpers are in.
    work: AtomicPtr<Work<'static>>,
    /// Which helpers sleep.
    asleep: Vec<AtomicBool>,
    ended: AtomicBool,
}

const OPEN: u64 = 1 << 31;
const HELPERS: u64 = OPEN - 1;
const NUMBER: u32 = 32;

/// Tasks that are being done.
struct Work<'a> {
    task: &'a (dyn Fn(usize) + Sync),
    count: usize,
    next: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Work<'_> {
    /// Does tasks until none is left. A panic ends the work and is kept.
    fn join_in(&self) {
        let done = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let index = self.next.fetch_add(1, Ordering::Relaxed);
                if index >= self.count {
                    break;
                }
                (self.task)(index);
            }
        }));
        if let Err(panic) = done {
            self.next.store(self.count, Ordering::Relaxed);
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
    }
}

impl Board {
    /// What a helper does until the pool ends.
    fn help(&self, helper: usize) {
        let mut seen = 0;
        while !self.ended.load(Ordering::Acquire) {
            match self.enter(seen) {
                Some(number) => {
                    seen = number;
                    // SAFETY: the gate was open when this helper went in, so the work is valid until it has left.
                    unsafe { &*self.work.load(Ordering::Acquire) }.join_in();
                    self.gate.fetch_sub(1, Ordering::Release);
                }
                None => self.wait(helper, seen),
            }
        }
    }

    /// Goes in to the work on the board, unless it was seen before or is closed. Returns its number.
    fn enter(&self, seen: u64) -> Option<u64> {
        let mut gate = self.gate.load(Ordering::Acquire);
        while gate & OPEN != 0 && gate >> NUMBER != seen {
            match self.gate.compare_exchange_weak(gate, gate + 1, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(gate >> NUMBER),
                Err(now) => gate = now,
            }
        }
        None
    }

    /// Whether there is work that was not seen before, or the end.
    fn has_news(&self, seen: u64) -> bool {
        let gate = self.gate.load(Ordering::SeqCst);
        (gate & OPEN != 0 && gate >> NUMBER != seen) || self.ended.load(Ordering::Acquire)
    }

    /// Looks out for a while, then sleeps.
    fn wait(&self, helper: usize, seen: u64) {
        for _ in 0..LOOKS {
            if self.has_news(seen) {
                return;
            }
            std::hint::spin_loop();
        }
        self.asleep[helper].store(true, Ordering::SeqCst);
        // Whoever puts work up looks for sleepers afterwards, so one of the two sees the other.
        while self.asleep[helper].load(Ordering::SeqCst) && !self.has_news(seen) {
            std::thread::park();
        }
        self.asleep[helper].store(false, Ordering::SeqCst);
    }

    /// Puts work up and wakes as many sleepers as it has use for.
    fn open(&self, work: &Work<'_>, helpers: &[JoinHandle<()>]) {
        self.work.store(std::ptr::from_ref(work).cast_mut().cast(), Ordering::Release);
        let number = (self.gate.load(Ordering::Relaxed) >> NUMBER) + 1;
        self.gate.store(((number << NUMBER) & !HELPERS) | OPEN, Ordering::SeqCst);
        for (asleep, helper) in self.asleep.iter().zip(helpers).take(work.count - 1) {
            if asleep.swap(false, Ordering::SeqCst) {
                helper.thread().unpark();
            }
        }
    }

    /// Takes work down: nobody goes in any more, and whoever is in has left when this returns.
    fn close(&self) {
        self.gate.fetch_and(!OPEN, Ordering::AcqRel);
        let mut looks = 0;
        while self.gate.load(Ordering::Acquire) & HELPERS != 0 {
            looks += 1;
            if looks < PATIENCE { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.board.ended.store(true, Ordering::SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A task's panic was given to whoever asked.
            drop(helper.join());
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pool({} threads)", self.threads())
    }
}

impl Pool {
    /// A pool with the given number of threads (0: one per processor), the asking one among them.
    ///
    /// # Panics
    /// When the operating system refuses to start threads.
    pub fn new(threads: usize) -> Self {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let board = Arc::new(Board {
            gate: AtomicU64::new(0),
            work: AtomicPtr::new(std::ptr::null_mut()),
            asleep: (1..threads).map(|_| AtomicBool::new(false)).collect(),
            ended: AtomicBool::new(false),
        });
        let helpers = (0..threads - 1).map(|helper| {
            let board = Arc::clone(&board);
            let thread = std::thread::Builder::new().name(format!("tk-kernel-{}", helper + 1));
            match thread.spawn(move || board.help(helper)) {
                Ok(handle) => handle,
                Err(error) => panic!("cannot start kernel threads: {error}"),
            }
        });
        let helpers = helpers.collect();
        Self { crew: Arc::new(Crew { board, helpers, asking: Mutex::new(()) }) }
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.crew.helpers.len() + 1
    }

    /// Calls `task` once for every number below `count`, in no particular order, and returns when all are done. Where the pool is at
    /// work already, for another thread or around this call, the calling thread does everything itself.
    ///
    /// # Panics
    /// When a task does.
    pub fn for_each(&self, count: usize, task: impl Fn(usize) + Sync) {
        let Crew { board, helpers, asking } = &*self.crew;
        let asked = match asking.try_lock() {
            Ok(asked) => Some(asked),
            Err(TryLockError::Poisoned(asked)) => Some(asked.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        if count <= 1 || helpers.is_empty() || asked.is_none() {
            (0..count).for_each(task);
            return;
        }
        let work = Work { task: &task, count, next: AtomicUsize::new(0), panic: Mutex::new(None) };
        board.open(&work, helpers);
        work.join_in();
        board.close();
        drop(asked);
        if let Some(panic) = work.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(panic);
        }
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

    #[test]
    fn work_comes_after_any_pause_and_from_any_thread() {
        let pool = Pool::new(3);
        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for pause in [0, 20, 300] {
                let (pool, done) = (pool.clone(), &done);
                scope.spawn(move || {
                    for _ in 0..200 {
                        // Tasks may ask the pool themselves.
                        pool.for_each(5, |_| {
                            pool.for_each(2, |_| {
                                done.fetch_add(1, Ordering::Relaxed);
                            })
                        });
                        std::thread::sleep(std::time::Duration::from_micros(pause));
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), 3 * 200 * 10);
    }

    #[test]
    fn all_threads_take_part() {
        let pool = Pool::new(4);
        let barrier = std::sync::Barrier::new(4);
        pool.for_each(4, |_| {
            barrier.wait();
        });
    }

    #[test]
    fn a_panic_reaches_who_asked_and_the_pool_goes_on() {
        let pool = Pool::new(2);
        for _ in 0..20 {
            let asked = catch_unwind(AssertUnwindSafe(|| pool.for_each(50, |index| assert_ne!(index, 7))));
            assert!(asked.is_err());
        }
        let done = AtomicUsize::new(0);
        pool.for_each(50, |_| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(done.into_inner(), 50);
    }
}
