//! What benchmarks of kernels share: time, the processor's best, and operands.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tk_engine::cpu::kernels::peak::multiply_adds;
use tk_engine::cpu::{Buffer, Machine};

/// The shortest of several runs, in seconds, after a first one to warm up.
pub fn shortest(mut run: impl FnMut()) -> f64 {
    run();
    let start = Instant::now();
    let mut best = f64::INFINITY;
    let mut runs = 0;
    while runs < 3 || (start.elapsed().as_secs_f64() < 0.15 && runs < 200) {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
        runs += 1;
    }
    best
}

/// GFLOP/s of multiply-adds that touch no memory, on all threads.
pub fn peak(machine: &Machine) -> f64 {
    let operations = AtomicUsize::new(0);
    let seconds = shortest(|| {
        operations.store(0, Ordering::Relaxed);
        machine.pool.for_each(machine.pool.threads(), |_| {
            operations.fetch_add(multiply_adds(machine.isa, 1_000_000), Ordering::Relaxed);
        });
    });
    operations.into_inner() as f64 / seconds / 1e9
}

/// Numbers around zero.
pub fn filled(length: usize) -> Buffer {
    let mut buffer = Buffer::zeros(length);
    buffer
        .iter_mut()
        .enumerate()
        .for_each(|(index, value)| *value = (index * 7919 % 1009) as f32 / 1009.0 - 0.5);
    buffer
}
