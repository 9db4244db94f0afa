//! Every kernel against its definition in f64, for every instruction set of the processor.

use super::*;
use crate::cpu::kernels::accumulate::Accumulate;
use crate::cpu::kernels::conv::ConvShape;
use crate::cpu::kernels::conv::oracle::{Kind, error, for_each_product, numbers};
use crate::cpu::kernels::scratch::Scratch;
use crate::cpu::kernels::{Activation, Clamp, Epilogue};
use crate::cpu::{Isa, Machine, Pool};

/// Sums of up to a few thousand products of order one, relative to their root mean square.
const TOLERANCE: f64 = 1e-5;

/// batch, height, width, channels, kernel, stride, padding (top, bottom, left, right), dilation.
type Case = (usize, usize, usize, usize, [usize; 2], [usize; 2], [usize; 4], [usize; 2]);

const CASES: [Case; 16] = [
    (2, 9, 7, 40, [3, 3], [1, 1], [1; 4], [1, 1]),
    (2, 9, 8, 40, [3, 3], [2, 2], [1; 4], [1, 1]),
    (2, 15, 16, 33, [3, 3], [2, 2], [0, 1, 0, 1], [1, 1]),
    (1, 11, 12, 17, [5, 5], [1, 1], [2; 4], [1, 1]),
    (1, 11, 12, 32, [5, 5], [2, 2], [2; 4], [1, 1]),
    (1, 8, 8, 16, [7, 7], [1, 1], [3; 4], [1, 1]),
    (2, 13, 9, 21, [7, 7], [1, 1], [3; 4], [1, 1]),
    (1, 11, 10, 36, [7, 7], [2, 2], [3; 4], [1, 1]),
    (1, 33, 30, 8, [5, 5], [1, 1], [0, 4, 3, 1], [1, 1]),
    (3, 5, 6, 5, [3, 3], [1, 1], [1; 4], [1, 1]),
    (1, 2, 2, 16, [3, 3], [1, 1], [1; 4], [1, 1]),
    (1, 1, 1, 48, [3, 3], [2, 2], [1; 4], [1, 1]),
    (1, 12, 9, 20, [3, 3], [1, 1], [2; 4], [2, 2]),
    (1, 12, 9, 20, [5, 3], [2, 1], [2, 2, 1, 1], [1, 1]),
    (1, 9, 13, 16, [1, 7], [1, 1], [0, 0, 3, 3], [1, 1]),
    (2, 64, 60, 48, [3, 3], [1, 1], [1; 4], [1, 1]),
];

fn shapes() -> impl Iterator<Item = ConvShape> {
    CASES.into_iter().map(|(batch, height, width, channels, kernel, stride, padding, dilation)| ConvShape {
        batch,
        height,
        width,
        in_channels: channels,
        out_channels: channels,
        kernel,
        stride,
        padding,
        dilation,
    })
}

fn machines() -> impl Iterator<Item = Machine> {
    let machine = Machine::new(2);
    Isa::ALL.into_iter().filter(|isa| isa.is_available()).map(move |isa| machine.with_isa(isa))
}

fn run_forward(machine: &Machine, shape: &ConvShape, epilogue: Epilogue<'_>) -> Vec<f32> {
    let (input, weights) =
        (numbers("input", shape.in_len()), numbers("weights", shape.depthwise_weight_len()));
    let mut output = vec![f32::NAN; shape.out_len()];
    forward(machine, shape, &input, &weights, epilogue, &mut output);
    output
}

fn run_backward_input(
    machine: &Machine,
    shape: &ConvShape,
    start: &[f32],
    accumulate: Accumulate,
) -> Vec<f32> {
    let (output, weights) =
        (numbers("gradient", shape.out_len()), numbers("weights", shape.depthwise_weight_len()));
    let mut gradient = start.to_vec();
    backward_input(machine, shape, &output, &weights, &mut gradient, accumulate);
    gradient
}

fn run_backward_weights(
    machine: &Machine,
    shape: &ConvShape,
    start: &[f32],
    accumulate: Accumulate,
) -> Vec<f32> {
    let (input, output) = (numbers("input", shape.in_len()), numbers("gradient", shape.out_len()));
    let mut gradient = start.to_vec();
    let mut scratch = Scratch::default();
    scratch.floats(100).fill(f32::NAN);
    backward_weights(machine, shape, &input, &output, &mut gradient, accumulate, &mut scratch);
    gradient
}

#[test]
fn forward_is_the_definition_with_every_epilogue() {
    for (index, shape) in shapes().enumerate() {
        let curve = [None, Some(Activation::Silu)][index % 2];
        let (input, weights) =
            (numbers("input", shape.in_len()), numbers("weights", shape.depthwise_weight_len()));
        let (bias, residual) = (numbers("bias", shape.out_channels), numbers("residual", shape.out_len()));
        let mut sums = vec![0.0; shape.out_len()];
        for_each_product(&shape, Kind::Depthwise, |from, weight, to| {
            sums[to] += f64::from(input[from]) * f64::from(weights[weight]);
        });
        for activation in [Clamp::None, Clamp::Relu, Clamp::Relu6] {
            for (bias, residual) in
                [(None, None), (Some(&bias[..]), None), (Some(&bias[..]), Some(&residual[..]))]
            {
                let (low, high) = activation.limits();
                let expected: Vec<f64> = (sums.iter().enumerate())
                    .map(|(index, sum)| {
                        let bias = bias.map_or(0.0, |bias| f64::from(bias[index % shape.out_channels]));
                        let residual = residual.map_or(0.0, |residual| f64::from(residual[index]));
                        let clamped = (sum + bias + residual).clamp(f64::from(low), f64::from(high));
                        curve.map_or(clamped, |curve| curve.apply_f64(clamped))
                    })
                    .collect();
                for machine in machines() {
                    let found = run_forward(
                        &machine,
                        &shape,
                        Epilogue { bias, residual: residual.map(Into::into), clamp: activation, curve },
                    );
                    let error = error(&found, &expected);
                    assert!(error < TOLERANCE, "{error:.1e} {:?} {activation:?} {shape:?}", machine.isa);
                }
            }
        }
    }
}

#[test]
fn gradients_are_the_definition() {
    for shape in shapes() {
        let (input, output) = (numbers("input", shape.in_len()), numbers("gradient", shape.out_len()));
        let weights = numbers("weights", shape.depthwise_weight_len());
        let (input_start, weight_start) = (numbers("start", shape.in_len()), numbers("start", weights.len()));
        let (mut by_input, mut by_weight) = (vec![0.0; input.len()], vec![0.0; weights.len()]);
        for_each_product(&shape, Kind::Depthwise, |from, weight, to| {
            by_input[from] += f64::from(output[to]) * f64::from(weights[weight]);
            by_weight[weight] += f64::from(output[to]) * f64::from(input[from]);
        });
        for machine in machines() {
            for accumulate in [Accumulate::Overwrite, Accumulate::Add] {
                let add = |sums: &[f64], start: &[f32]| -> Vec<f64> {
                    let kept = if accumulate == Accumulate::Add { 1.0 } else { 0.0 };
                    sums.iter().zip(start).map(|(sum, &start)| sum + kept * f64::from(start)).collect()
                };
                let found = run_backward_input(&machine, &shape, &input_start, accumulate);
                let input_error = error(&found, &add(&by_input, &input_start));
                let found = run_backward_weights(&machine, &shape, &weight_start, accumulate);
                let weight_error = error(&found, &add(&by_weight, &weight_start));
                assert!(
                    input_error < TOLERANCE,
                    "{input_error:.1e} {:?} {accumulate:?} {shape:?}",
                    machine.isa
                );
                assert!(
                    weight_error < TOLERANCE,
                    "{weight_error:.1e} {:?} {accumulate:?} {shape:?}",
                    machine.isa
                );
            }
        }
    }
}

#[test]
fn threads_and_companions_do_not_change_a_bit() {
    for shape in shapes() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let results = [1, 2, 3].map(|threads| {
                let machine = Machine { isa, pool: Pool::new(threads) };
                (
                    run_forward(&machine, &shape, Epilogue::NONE),
                    run_backward_input(&machine, &shape, &vec![0.0; shape.in_len()], Accumulate::Overwrite),
                    run_backward_weights(
                        &machine,
                        &shape,
                        &vec![0.0; shape.depthwise_weight_len()],
                        Accumulate::Overwrite,
                    ),
                )
            });
            assert!(results[0] == results[1] && results[0] == results[2], "{isa:?} {shape:?}");
            let alone =
                run_forward(&Machine { isa, pool: Pool::new(1) }, &shape.with_batch(1), Epilogue::NONE);
            assert!(results[0].0[..alone.len()] == alone, "{isa:?} {shape:?}");
        }
    }
}
