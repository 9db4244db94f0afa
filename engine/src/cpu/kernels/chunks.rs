//! Work cut into chunks whose borders depend on the work alone, so that results do not depend on the number of threads.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cpu::Pool;

/// Floats per chunk of an element-wise kernel: 128 KiB, so that two operands stay in a second-level cache.
pub(super) const CHUNK: usize = 32 * 1024;

/// Calls `task` once with every item and its number, in no particular order, and returns the results in the order of the items.
///
/// Items are usually tuples of chunks of several slices, `a.chunks_mut(n).zip(b.chunks_mut(n))`.
pub(super) fn map<I: Send, R: Send>(
    pool: &Pool,
    items: impl Iterator<Item = I>,
    task: impl Fn(usize, I) -> R + Sync,
) -> Vec<R> {
    let slots: Vec<Mutex<Slot<I, R>>> = items.map(|item| Mutex::new(Slot::Waiting(item))).collect();
    pool.for_each(slots.len(), |index| {
        let item = std::mem::replace(&mut *lock(&slots[index]), Slot::Taken);
        if let Slot::Waiting(item) = item {
            let result = task(index, item);
            *lock(&slots[index]) = Slot::Done(result);
        }
    });
    slots
        .into_iter()
        .filter_map(|slot| match slot.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Slot::Done(result) => Some(result),
            Slot::Waiting(_) | Slot::Taken => None,
        })
        .collect()
}

/// A task's input before it ran and its result afterwards.
enum Slot<I, R> {
    Waiting(I),
    Taken,
    Done(R),
}

/// The slot itself; no task panics while it holds one.
fn lock<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let mut left: Vec<u32> = (0..1003).collect();
        let mut right = vec![0u32; 1003];
        for threads in 1..=3 {
            let pool = Pool::new(threads);
            let items = left.chunks_mut(10).zip(right.chunks_mut(10));
            let sums = map(&pool, items, |index, (left, right)| {
                right.copy_from_slice(left);
                (index, left.iter().sum::<u32>())
            });
            assert_eq!(sums.len(), 101);
            for (index, &(number, sum)) in sums.iter().enumerate() {
                let expected: u32 = (index as u32 * 10..(index as u32 * 10 + 10).min(1003)).sum();
                assert_eq!((number, sum), (index, expected), "{threads} threads");
            }
            assert_eq!(left, right);
        }
    }
}
