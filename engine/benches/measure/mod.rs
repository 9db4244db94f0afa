//! What benchmarks of kernels share: time, the processor's best, and operands.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tk_engine::Precision;
use tk_engine::cpu::kernels::narrow::{Numbers, NumbersMut, Quantization, Storage, narrow};
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

/// Numbers in the storage of a precision.
pub struct Stored {
    storage: Storage,
    words: Buffer,
}

/// Numbers from −0.5 to 0.5 in the storage of a precision.
pub fn stored(machine: &Machine, precision: Precision, numbers: &[f32]) -> Stored {
    let storage = match precision {
        Precision::F32 => Storage::F32,
        Precision::Bf16 => Storage::Bf16,
        Precision::Int8 => Storage::Int8(Quantization::of_range(-0.5, 0.5)),
    };
    let mut words = Buffer::zeros(storage.words(numbers.len()));
    narrow(machine, numbers, NumbersMut { storage, words: &mut words });
    Stored { storage, words }
}

impl Stored {
    pub fn numbers(&self) -> Numbers<'_> {
        Numbers { storage: self.storage, words: &self.words }
    }

    pub fn numbers_mut(&mut self) -> NumbersMut<'_> {
        NumbersMut { storage: self.storage, words: &mut self.words }
    }
}
