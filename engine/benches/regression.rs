//! Fails when a microkernel reaches less than half of its usual share of what the processor can do at best, on one thread.
//!
//! `cargo bench -p tk-engine --bench regression`
//!
//! Shares, unlike seconds, hardly depend on the processor; what halves them is an accident, such as registers that moved to the stack
//! or a loop that is no longer compiled for its instruction set.

mod measure;

use std::process::ExitCode;

use measure::{filled, peak, shortest, stored};
use tk_engine::Precision;
use tk_engine::cpu::kernels::conv::{self, ConvShape, Direction, PackedWeights};
use tk_engine::cpu::kernels::{Accumulate, Epilogue, Scratch, depthwise};
use tk_engine::cpu::{Isa, Machine};

/// A kernel on a layer.
#[derive(Clone, Copy)]
enum Work {
    Forward,
    Winograd,
    Input,
    Weights,
    Depthwise,
}

/// Name, work, layer, and the usual share of the peak in f32, in percent, on plain processors, AVX2 and AVX-512 (with BF16 and VNNI).
/// Winograd's algorithm is counted as if it multiplied everything.
const KERNELS: [(&str, Work, Precision, ConvShape, [f64; 3]); 11] = [
    ("3 × 3 forward", Work::Forward, Precision::F32, layer(28, 128, 128, 3), [60.0, 90.0, 93.0]),
    (
        "3 × 3 forward, Winograd",
        Work::Winograd,
        Precision::F32,
        layer(28, 128, 128, 3),
        [190.0, 260.0, 310.0],
    ),
    ("3 × 3 input gradient", Work::Input, Precision::F32, layer(28, 128, 128, 3), [60.0, 90.0, 93.0]),
    ("3 × 3 weight gradient", Work::Weights, Precision::F32, layer(10, 128, 128, 3), [45.0, 65.0, 80.0]),
    (
        "3 × 3 weight gradient, Winograd",
        Work::Weights,
        Precision::F32,
        layer(28, 128, 128, 3),
        [250.0, 280.0, 300.0],
    ),
    ("1 × 1 forward", Work::Forward, Precision::F32, layer(28, 256, 256, 1), [75.0, 90.0, 90.0]),
    ("linear forward", Work::Forward, Precision::F32, ConvShape::linear(832, 384, 1536), [75.0, 90.0, 92.0]),
    ("3 × 3 forward, bf16", Work::Forward, Precision::Bf16, layer(28, 128, 128, 3), [7.0, 28.0, 190.0]),
    (
        "3 × 3 weight gradient, bf16",
        Work::Weights,
        Precision::Bf16,
        layer(10, 128, 128, 3),
        [7.0, 26.0, 125.0],
    ),
    ("3 × 3 forward, int8", Work::Forward, Precision::Int8, layer(28, 128, 128, 3), [50.0, 42.0, 360.0]),
    ("depthwise 3 × 3 forward", Work::Depthwise, Precision::F32, layer(28, 192, 192, 3), [20.0, 35.0, 40.0]),
];

const fn layer(side: usize, in_channels: usize, out_channels: usize, kernel: usize) -> ConvShape {
    ConvShape {
        batch: 2,
        height: side,
        width: side,
        in_channels,
        out_channels,
        kernel: [kernel; 2],
        stride: [1; 2],
        padding: [kernel / 2; 4],
        dilation: [1; 2],
    }
}

fn main() -> ExitCode {
    let mut slow = Vec::new();
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let machine = Machine::new(1).with_isa(isa);
        let peak = peak(&machine);
        println!("{}: {peak:.1} GFLOP/s from registers", isa.name());
        for (name, work, precision, shape, usual) in KERNELS {
            let usual = usual[isa.multiplying(precision) as usize];
            let (seconds, products) = time(&machine, work, precision, &shape);
            let share = 100.0 * 2.0 * products as f64 / seconds / 1e9 / peak;
            let verdict = if share < usual / 2.0 { "SLOW" } else { "ok" };
            println!("  {name:<29} {share:>4.0} % of the peak, usually {usual:.0} %  {verdict}");
            if share < usual / 2.0 {
                slow.push(format!("{} on {}: {share:.0} % instead of {usual:.0} %", name, isa.name()));
            }
        }
    }
    for line in &slow {
        eprintln!("error: a kernel fell under half of its usual share: {line}");
    }
    if slow.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Seconds, and products that are summed.
fn time(machine: &Machine, work: Work, precision: Precision, shape: &ConvShape) -> (f64, usize) {
    let (mut input, mut output) = (filled(shape.in_len()), filled(shape.out_len()));
    let mut scratch = Scratch::default();
    if let Work::Depthwise = work {
        let weights = filled(shape.taps() * shape.in_channels);
        let run = || depthwise::forward(machine, shape, &input, &weights, Epilogue::NONE, &mut output);
        return (shortest(run), shape.macs() / shape.in_channels);
    }
    let mut weights = filled(shape.weight_len());
    let direction = match work {
        Work::Winograd => Direction::Winograd,
        Work::Input => Direction::Input,
        _ => Direction::Forward,
    };
    let to_pack = if let Work::Weights = work { Precision::F32 } else { precision };
    let mut packed = PackedWeights::new(machine.isa, shape, direction, to_pack);
    conv::pack(machine, shape, &weights, &mut packed);
    let (from, mut into) = (stored(machine, to_pack, &input), stored(machine, to_pack, &output));
    let add = Accumulate::Overwrite;
    let seconds = match work {
        Work::Forward | Work::Winograd | Work::Depthwise => shortest(|| {
            conv::forward(machine, shape, from.numbers(), &packed, Epilogue::NONE, into.numbers_mut());
        }),
        Work::Input => {
            shortest(|| conv::backward_input(machine, shape, (&output[..]).into(), &packed, &mut input, add))
        }
        Work::Weights => shortest(|| {
            conv::backward_weights(
                machine,
                shape,
                precision,
                [&input, &output],
                &mut weights,
                add,
                &mut scratch,
            );
        }),
    };
    (seconds, shape.macs())
}
