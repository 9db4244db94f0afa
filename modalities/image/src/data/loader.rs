//! Samples made on other threads, ahead of the consumer, in a fixed order.
//!
//! A loader knows positions and a function, nothing about files: the same serves feature extraction, training epochs and prediction.
//! What comes out depends neither on the number of threads nor on how far they run ahead.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::data::decode::DecodeError;

/// How a loader works.
#[derive(Clone, Copy, Debug)]
pub struct LoaderOptions {
    /// Threads that make items, at least 1.
    pub threads: usize,
    /// The most items that are made or being made and not yet taken, at least 1. Bounds memory.
    pub ahead: usize,
}

impl LoaderOptions {
    /// As many threads as given, running at most 64 items ahead for each.
    pub fn new(threads: usize) -> Self {
        let threads = threads.max(1);
        Self { threads, ahead: 64 * threads }
    }
}

/// An iterator over `(sample, item)` in the order of the samples given, made on other threads. Dropping it ends them.
#[derive(Debug)]
pub struct Loader<T> {
    shared: Arc<Shared<T>>,
    threads: Vec<JoinHandle<()>>,
}

/// Network inputs of some samples.
#[derive(Debug, Default)]
pub struct Batch {
    /// The samples that succeeded, in order.
    pub samples: Vec<usize>,
    /// Their inputs one after another: `[samples, …]`, f32.
    pub inputs: Vec<f32>,
    /// The samples that failed on the way, and why.
    pub failed: Vec<(usize, DecodeError)>,
}

#[derive(Debug)]
struct Shared<T> {
    samples: Vec<usize>,
    ahead: usize,
    state: Mutex<State<T>>,
    /// Told when an item is ready.
    ready: Condvar,
    /// Told when an item was taken or the loader was dropped.
    room: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// The next position to be made.
    next: usize,
    /// How many positions were taken.
    taken: usize,
    is_dropped: bool,
    /// Items, or the panics that came instead, by position.
    made: HashMap<usize, Result<T, Box<dyn Any + Send>>>,
}

impl<T: Send + 'static> Loader<T> {
    /// Begins to make an item of each sample, in this order, with `make`.
    pub fn new(
        samples: Vec<usize>,
        options: LoaderOptions,
        make: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> Self {
        let threads = options.threads.clamp(1, samples.len().max(1));
        let shared = Arc::new(Shared {
            samples,
            ahead: options.ahead.max(1),
            state: Mutex::new(State { next: 0, taken: 0, is_dropped: false, made: HashMap::new() }),
            ready: Condvar::new(),
            room: Condvar::new(),
        });
        let make = Arc::new(make);
        let threads = (0..threads)
            .map(|_| {
                let (shared, make) = (shared.clone(), make.clone());
                std::thread::spawn(move || shared.work(&*make))
            })
            .collect();
        Self { shared, threads }
    }
}

impl Loader<Result<Vec<f32>, DecodeError>> {
    /// The next `size` samples that succeed (the last batch may be smaller), together with those that failed among them. `None` when no
    /// sample is left.
    pub fn next_batch(&mut self, size: usize) -> Option<Batch> {
        let mut batch = Batch::default();
        while batch.samples.len() < size {
            match self.next() {
                Some((sample, Ok(input))) => {
                    batch.samples.push(sample);
                    batch.inputs.extend(input);
                }
                Some((sample, Err(error))) => batch.failed.push((sample, error)),
                None => break,
            }
        }
        (!batch.samples.is_empty() || !batch.failed.is_empty()).then_some(batch)
    }
}

impl<T> Iterator for Loader<T> {
    type Item = (usize, T);

    /// The next sample and its item. A panic of the making function is raised here.
    fn next(&mut self) -> Option<Self::Item> {
        let mut state = self.shared.lock();
        let position = state.taken;
        let sample = *self.shared.samples.get(position)?;
        let made = loop {
            match state.made.remove(&position) {
                Some(made) => break made,
                None => state = self.shared.ready.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        };
        state.taken += 1;
        drop(state);
        self.shared.room.notify_one();
        match made {
            Ok(item) => Some((sample, item)),
            Err(panic) => resume_unwind(panic),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.shared.samples.len() - self.shared.lock().taken;
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for Loader<T> {}

impl<T> Drop for Loader<T> {
    fn drop(&mut self) {
        self.shared.lock().is_dropped = true;
        self.shared.room.notify_all();
        for thread in self.threads.drain(..) {
            // Panics of the making function were caught; the threads themselves do not panic.
            let _ = thread.join();
        }
    }
}

impl<T> Shared<T> {
    fn work(&self, make: &(impl Fn(usize) -> T + ?Sized)) {
        while let Some((position, sample)) = self.claim() {
            let made = catch_unwind(AssertUnwindSafe(|| make(sample)));
            self.lock().made.insert(position, made);
            self.ready.notify_one();
        }
    }

    /// The next position to make, once there is room for it.
    fn claim(&self) -> Option<(usize, usize)> {
        let mut state = self.lock();
        loop {
            let position = state.next;
            let sample = *self.samples.get(position)?;
            if state.is_dropped {
                return None;
            }
            if position < state.taken + self.ahead {
                state.next += 1;
                return Some((position, sample));
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// No code that can panic runs under this lock, so a poisoned one is used on.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn order_is_the_samples_whatever_the_threads() {
        let samples: Vec<usize> = (0..200).rev().collect();
        let expected: Vec<(usize, usize)> = samples.iter().map(|&sample| (sample, sample * sample)).collect();
        for (threads, ahead) in [(1, 1), (1, 8), (3, 1), (4, 7), (0, 0), (300, 500)] {
            let loader = Loader::new(samples.clone(), LoaderOptions { threads, ahead }, |sample| {
                // Uneven work, so that threads overtake each other.
                std::thread::sleep(Duration::from_micros((sample % 5) as u64 * 50));
                sample * sample
            });
            assert_eq!(loader.len(), 200);
            assert_eq!(loader.collect::<Vec<_>>(), expected, "{threads} threads, {ahead} ahead");
        }
        assert_eq!(Loader::new(Vec::new(), LoaderOptions::new(2), |sample| sample).count(), 0);
    }

    #[test]
    fn no_more_than_the_bound_is_made_ahead_and_dropping_stops() {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = made.clone();
        let mut loader =
            Loader::new((0..1000).collect(), LoaderOptions { threads: 2, ahead: 5 }, move |_| {
                counter.fetch_add(1, Ordering::SeqCst);
            });
        for taken in 1..=20 {
            loader.next().unwrap();
            assert!(made.load(Ordering::SeqCst) <= taken + 5);
        }
        drop(loader);
        assert!(made.load(Ordering::SeqCst) <= 25);
        // The threads have ended: nothing holds the counter but this test.
        assert_eq!(Arc::strong_count(&made), 1);
    }

    #[test]
    fn batches_are_full_and_carry_their_failures() {
        let make = |sample: usize| {
            if sample.is_multiple_of(3) { Err(DecodeError::Empty) } else { Ok(vec![sample as f32, 0.5]) }
        };
        let mut loader = Loader::new((0..8).collect(), LoaderOptions::new(2), make);
        let mut seen = Vec::new();
        while let Some(batch) = loader.next_batch(2) {
            assert_eq!(batch.inputs.len(), batch.samples.len() * 2);
            let failed: Vec<usize> = batch.failed.iter().map(|(sample, _)| *sample).collect();
            seen.push((batch.samples, failed));
        }
        assert_eq!(seen, [(vec![1, 2], vec![0]), (vec![4, 5], vec![3]), (vec![7], vec![6])]);
    }

    #[test]
    fn a_panic_reaches_the_consumer_at_its_place() {
        let mut loader = Loader::new((0..4).collect(), LoaderOptions::new(2), |sample| {
            assert_ne!(sample, 2, "planted");
            sample
        });
        assert_eq!((loader.next(), loader.next()), (Some((0, 0)), Some((1, 1))));
        assert!(catch_unwind(AssertUnwindSafe(|| loader.next())).is_err());
        assert_eq!((loader.next(), loader.next()), (Some((3, 3)), None));
    }
}
