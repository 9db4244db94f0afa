//! Every kernel against its definition in f64, on shapes chosen to be awkward, for every instruction set of the processor.

use super::oracle::{Kind, error, for_each_product, numbers};
use super::*;
use crate::Precision;
use crate::cpu::kernels::accumulate::Accumulate;
use crate::cpu::kernels::activation::Activation;
use crate::cpu::kernels::scratch::Scratch;
use crate::cpu::kernels::{Clamp, Epilogue};
use crate::cpu::{Isa, Machine, Pool};

/// Single-precision sums of up to 500 products of order one, relative to their root mean square.
const TOLERANCE: f64 = 1e-5;

/// batch, height, width, in, out, kernel, stride, padding (top, bottom, left, right), dilation.
type Case = (usize, usize, usize, usize, usize, [usize; 2], [usize; 2], [usize; 4], [usize; 2]);

const CASES: [Case; 22] = [
    (2, 5, 7, 17, 33, [1, 1], [1, 1], [0; 4], [1, 1]),
    (3, 6, 7, 40, 17, [1, 1], [2, 2], [0; 4], [1, 1]),
    (1, 4, 4, 16, 24, [1, 1], [1, 1], [1; 4], [1, 1]),
    (2, 9, 7, 17, 33, [3, 3], [1, 1], [1; 4], [1, 1]),
    (2, 9, 8, 33, 40, [3, 3], [2, 2], [1; 4], [1, 1]),
    (2, 8, 8, 5, 17, [3, 3], [2, 2], [0; 4], [1, 1]),
    (1, 9, 17, 40, 33, [1, 7], [1, 1], [0, 0, 3, 3], [1, 1]),
    (1, 17, 5, 33, 5, [7, 1], [1, 1], [3, 3, 0, 0], [1, 1]),
    (2, 11, 9, 17, 16, [5, 3], [2, 1], [2, 2, 1, 1], [1, 1]),
    (1, 8, 9, 17, 3, [3, 3], [2, 2], [0, 1, 0, 1], [1, 1]),
    (1, 7, 6, 1, 1, [3, 3], [1, 1], [2, 0, 0, 2], [1, 1]),
    (1, 11, 12, 17, 33, [3, 3], [1, 1], [2; 4], [2, 2]),
    (2, 12, 11, 5, 40, [3, 3], [2, 2], [2; 4], [2, 2]),
    (2, 21, 23, 3, 40, [7, 7], [2, 2], [3; 4], [1, 1]),
    (1, 16, 16, 3, 32, [4, 4], [4, 4], [0; 4], [1, 1]),
    (1, 5, 5, 3, 5, [1, 9], [1, 1], [0, 0, 4, 4], [1, 1]),
    (1, 3, 3, 20, 64, [3, 3], [3, 2], [1; 4], [1, 1]),
    (40, 5, 5, 16, 16, [3, 3], [1, 1], [1; 4], [1, 1]),
    (8, 1, 1, 100, 37, [1, 1], [1, 1], [0; 4], [1, 1]),
    // Taps further apart than half the map, and than all of it.
    (1, 20, 21, 17, 33, [3, 3], [1, 1], [12; 4], [12, 12]),
    (2, 40, 40, 5, 7, [3, 3], [1, 1], [24; 4], [24, 24]),
    (2, 12, 11, 16, 24, [3, 3], [1, 1], [36; 4], [36, 36]),
];

fn shapes() -> impl Iterator<Item = ConvShape> {
    as_shapes(&CASES)
}

fn as_shapes(cases: &[Case]) -> impl Iterator<Item = ConvShape> {
    cases.iter().map(
        |&(batch, height, width, in_channels, out_channels, kernel, stride, padding, dilation)| ConvShape {
            batch,
            height,
            width,
            in_channels,
            out_channels,
            kernel,
            stride,
            padding,
            dilation,
        },
    )
}

fn machines() -> impl Iterator<Item = Machine> {
    let machine = Machine::new(2);
    Isa::ALL.into_iter().filter(|isa| isa.is_available()).map(move |isa| machine.with_isa(isa))
}

fn packed(machine: &Machine, shape: &ConvShape, weights: &[f32], direction: Direction) -> PackedWeights {
    let mut packed = PackedWeights::new(machine.isa, shape, direction, Precision::F32);
    pack(machine, shape, weights, &mut packed);
    packed
}

fn run_forward(machine: &Machine, shape: &ConvShape, epilogue: Epilogue<'_>) -> Vec<f32> {
    let weights = packed(machine, shape, &numbers("weights", shape.weight_len()), Direction::Forward);
    let mut output = vec![f32::NAN; shape.out_len()];
    let input = numbers("input", shape.in_len());
    forward(machine, shape, (&input[..]).into(), &weights, epilogue, (&mut output[..]).into());
    output
}

fn run_backward_input(
    machine: &Machine,
    shape: &ConvShape,
    start: &[f32],
    accumulate: Accumulate,
    direction: Direction,
) -> Vec<f32> {
    let weights = packed(machine, shape, &numbers("weights", shape.weight_len()), direction);
    let mut gradient = start.to_vec();
    backward_input(
        machine,
        shape,
        (&numbers("gradient", shape.out_len())[..]).into(),
        &weights,
        &mut gradient,
        accumulate,
    );
    gradient
}

/// The input's gradient by its definition: alone, and added to `start`.
fn input_gradient(shape: &ConvShape, start: &[f32]) -> [(Accumulate, Vec<f64>); 2] {
    let (weights, output) = (numbers("weights", shape.weight_len()), numbers("gradient", shape.out_len()));
    let mut sums = vec![0.0; shape.in_len()];
    for_each_product(shape, Kind::Full, |to, weight, from| {
        sums[to] += f64::from(output[from]) * f64::from(weights[weight])
    });
    let added = sums.iter().zip(start).map(|(sum, &start)| sum + f64::from(start)).collect();
    [(Accumulate::Overwrite, sums), (Accumulate::Add, added)]
}

fn run_backward_weights(
    machine: &Machine,
    shape: &ConvShape,
    start: &[f32],
    accumulate: Accumulate,
) -> Vec<f32> {
    let (input, output) = (numbers("input", shape.in_len()), numbers("gradient", shape.out_len()));
    let mut gradient = start.to_vec();
    let mut scratch = Scratch::new();
    scratch.floats(100).fill(f32::NAN);
    backward_weights(
        machine,
        shape,
        Precision::F32,
        [&input, &output],
        &mut gradient,
        accumulate,
        &mut scratch,
    );
    gradient
}

#[test]
fn forward_is_the_definition_with_every_epilogue() {
    for shape in shapes() {
        let (input, weights) = (numbers("input", shape.in_len()), numbers("weights", shape.weight_len()));
        let (bias, residual) = (numbers("bias", shape.out_channels), numbers("residual", shape.out_len()));
        let mut sums = vec![0.0; shape.out_len()];
        for_each_product(&shape, Kind::Full, |from, weight, to| {
            sums[to] += f64::from(input[from]) * f64::from(weights[weight])
        });
        for (clamp, curve) in [
            (Clamp::None, None),
            (Clamp::Relu, None),
            (Clamp::Relu6, None),
            (Clamp::None, Some(Activation::Gelu)),
        ] {
            for (bias, residual) in
                [(None, None), (Some(&bias), None), (None, Some(&residual)), (Some(&bias), Some(&residual))]
            {
                let (low, high) = clamp.limits();
                let expected: Vec<f64> = (sums.iter().enumerate())
                    .map(|(index, sum)| {
                        let bias = bias.map_or(0.0, |bias| f64::from(bias[index % shape.out_channels]));
                        let residual = residual.map_or(0.0, |residual| f64::from(residual[index]));
                        let clamped = (sum + bias + residual).clamp(f64::from(low), f64::from(high));
                        curve.map_or(clamped, |curve| curve.apply_f64(clamped))
                    })
                    .collect();
                let epilogue = Epilogue {
                    bias: bias.map(Vec::as_slice),
                    residual: residual.map(|residual| (&residual[..]).into()),
                    clamp,
                    curve,
                };
                for machine in machines() {
                    let found = run_forward(&machine, &shape, epilogue);
                    let error = error(&found, &expected);
                    assert!(error < TOLERANCE, "{error:.1e} {:?} {epilogue:?} {shape:?}", machine.isa);
                }
            }
        }
    }
}

#[test]
fn winograd_s_algorithm_is_the_definition() {
    let cases: [Case; 7] = [
        (2, 14, 14, 32, 48, [3, 3], [1, 1], [1; 4], [1, 1]),
        (2, 27, 25, 48, 32, [3, 3], [1, 1], [2; 4], [2, 2]),
        (1, 28, 40, 32, 32, [3, 3], [1, 1], [4, 4, 3, 5], [4, 3]),
        (1, 12, 17, 48, 32, [3, 3], [1, 1], [1; 4], [1, 1]),
        (3, 15, 19, 64, 80, [3, 3], [1, 1], [0, 1, 2, 0], [1, 1]),
        (1, 16, 14, 32, 32, [3, 3], [1, 1], [0; 4], [1, 1]),
        (5, 30, 33, 32, 64, [3, 3], [1, 1], [1; 4], [1, 1]),
    ];
    for shape in as_shapes(&cases) {
        assert!(suits_winograd(&shape));
        let (input, weights) = (numbers("input", shape.in_len()), numbers("weights", shape.weight_len()));
        let (bias, residual) = (numbers("bias", shape.out_channels), numbers("residual", shape.out_len()));
        let mut sums = vec![0.0; shape.out_len()];
        for_each_product(&shape, Kind::Full, |from, weight, to| {
            sums[to] += f64::from(input[from]) * f64::from(weights[weight])
        });
        for machine in machines() {
            let packed = packed(&machine, &shape, &weights, Direction::Winograd);
            let run = |machine: &Machine, shape: &ConvShape, input: &[f32], epilogue: Epilogue<'_>| {
                let mut output = vec![f32::NAN; shape.out_len()];
                forward(machine, shape, input.into(), &packed, epilogue, (&mut output[..]).into());
                output
            };
            let plain = run(&machine, &shape, &input, Epilogue::NONE);
            let found = error(&plain, &sums);
            assert!(found < 2e-5, "{found:.1e} {:?} {shape:?}", machine.isa);
            let epilogue = Epilogue {
                bias: Some(&bias),
                residual: Some((&residual[..]).into()),
                clamp: Clamp::Relu,
                curve: Some(Activation::Silu),
            };
            let expected: Vec<f64> = (sums.iter().zip(&residual).enumerate())
                .map(|(index, (sum, &residual))| {
                    let bias = f64::from(bias[index % shape.out_channels]);
                    Activation::Silu.apply_f64((sum + bias + f64::from(residual)).max(0.0))
                })
                .collect();
            let found = error(&run(&machine, &shape, &input, epilogue), &expected);
            assert!(found < 2e-5, "{found:.1e} {:?} {epilogue:?} {shape:?}", machine.isa);
            // Neither companions nor threads change a bit.
            let alone = shape.with_batch(1);
            let single = Machine { isa: machine.isa, pool: Pool::new(1) };
            for (image, expected) in input.chunks(alone.in_len()).zip(plain.chunks(alone.out_len())) {
                assert!(
                    run(&single, &alone, image, Epilogue::NONE) == expected,
                    "{:?} {shape:?}",
                    machine.isa
                );
            }
        }
    }
}

#[test]
fn input_gradient_is_the_definition() {
    for shape in shapes() {
        let start = numbers("start", shape.in_len());
        let expected = input_gradient(&shape, &start);
        for machine in machines() {
            for (accumulate, expected) in &expected {
                let found = run_backward_input(&machine, &shape, &start, *accumulate, Direction::Input);
                let error = error(&found, expected);
                assert!(error < TOLERANCE, "{error:.1e} {:?} {accumulate:?} {shape:?}", machine.isa);
            }
        }
    }
}

#[test]
fn winograd_s_input_gradient_is_the_definition() {
    let cases: [Case; 5] = [
        (2, 14, 14, 32, 48, [3, 3], [1, 1], [1; 4], [1, 1]),
        (2, 27, 25, 48, 32, [3, 3], [1, 1], [2; 4], [2, 2]),
        (1, 28, 40, 32, 32, [3, 3], [1, 1], [4, 4, 3, 5], [4, 3]),
        (1, 15, 19, 64, 32, [3, 3], [1, 1], [0, 1, 2, 0], [1, 1]),
        (3, 16, 14, 48, 80, [3, 3], [1, 1], [0; 4], [1, 1]),
    ];
    for shape in as_shapes(&cases) {
        let start = numbers("start", shape.in_len());
        let expected = input_gradient(&shape, &start);
        for machine in machines() {
            for (accumulate, expected) in &expected {
                let direction = Direction::WinogradInput;
                let found = run_backward_input(&machine, &shape, &start, *accumulate, direction);
                let error = error(&found, expected);
                assert!(error < 2e-5, "{error:.1e} {:?} {accumulate:?} {shape:?}", machine.isa);
            }
        }
    }
}

/// The weights' gradient by its definition: alone, and added to `start`.
fn weight_gradient(shape: &ConvShape, start: &[f32]) -> [(Accumulate, Vec<f64>); 2] {
    let (input, output) = (numbers("input", shape.in_len()), numbers("gradient", shape.out_len()));
    let mut sums = vec![0.0; shape.weight_len()];
    for_each_product(shape, Kind::Full, |from, to, gradient| {
        sums[to] += f64::from(input[from]) * f64::from(output[gradient])
    });
    let added = sums.iter().zip(start).map(|(sum, &start)| sum + f64::from(start)).collect();
    [(Accumulate::Overwrite, sums), (Accumulate::Add, added)]
}

#[test]
fn winograd_s_weight_gradient_is_the_definition() {
    let cases: [Case; 6] = [
        (2, 27, 25, 48, 32, [3, 3], [1, 1], [2; 4], [2, 2]),
        (1, 28, 40, 32, 32, [3, 3], [1, 1], [4, 4, 3, 5], [4, 3]),
        (4, 14, 14, 48, 64, [3, 3], [1, 1], [1; 4], [1, 1]),
        (5, 15, 19, 64, 32, [3, 3], [1, 1], [0, 1, 2, 0], [1, 1]),
        (6, 16, 14, 32, 80, [3, 3], [1, 1], [0; 4], [1, 1]),
        // More tiles than a chunk takes.
        (1, 202, 150, 32, 32, [3, 3], [1, 1], [1; 4], [1, 1]),
    ];
    for shape in as_shapes(&cases) {
        assert!(winograd::pays_for_weights(&shape));
        let start = numbers("start", shape.weight_len());
        let expected = weight_gradient(&shape, &start);
        for machine in machines() {
            for (accumulate, expected) in &expected {
                let found = run_backward_weights(&machine, &shape, &start, *accumulate);
                let error = error(&found, expected);
                assert!(error < 5e-5, "{error:.1e} {:?} {accumulate:?} {shape:?}", machine.isa);
                let single = Machine { isa: machine.isa, pool: Pool::new(1) };
                let alone = run_backward_weights(&single, &shape, &start, *accumulate);
                assert!(found == alone, "{:?} {shape:?}: threads change the result", machine.isa);
            }
        }
    }
}

#[test]
fn weight_and_bias_gradients_are_the_definition() {
    for shape in shapes() {
        let output = numbers("gradient", shape.out_len());
        let start = numbers("start", shape.weight_len());
        let expected = weight_gradient(&shape, &start);
        let mut bias = vec![1.0; shape.out_channels];
        output
            .iter()
            .enumerate()
            .for_each(|(index, &value)| bias[index % shape.out_channels] += f64::from(value));
        for machine in machines() {
            for (accumulate, expected) in &expected {
                let error = error(&run_backward_weights(&machine, &shape, &start, *accumulate), expected);
                assert!(error < TOLERANCE, "{error:.1e} {:?} {accumulate:?} {shape:?}", machine.isa);
            }
            let mut found = vec![1.0; shape.out_channels];
            backward_bias(&machine, &output, &mut found, Accumulate::Add);
            let error = error(&found, &bias);
            assert!(error < TOLERANCE, "{error:.1e} {:?} bias {shape:?}", machine.isa);
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    for shape in shapes() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let results = [1, 2, 3].map(|threads| {
                let machine = Machine { isa, pool: Pool::new(threads) };
                let weights = vec![0.0; shape.weight_len()];
                (
                    run_forward(&machine, &shape, Epilogue::NONE),
                    run_backward_input(
                        &machine,
                        &shape,
                        &vec![0.0; shape.in_len()],
                        Accumulate::Overwrite,
                        Direction::Input,
                    ),
                    run_backward_weights(&machine, &shape, &weights, Accumulate::Overwrite),
                )
            });
            assert!(results[0] == results[1] && results[0] == results[2], "{isa:?} {shape:?}");
        }
    }
}

#[test]
fn companions_in_the_batch_do_not_change_a_bit() {
    for shape in shapes() {
        let alone = shape.with_batch(1);
        for machine in machines() {
            let weights =
                packed(&machine, &shape, &numbers("weights", shape.weight_len()), Direction::Forward);
            let input = numbers("input", shape.in_len());
            let together = run_forward(&machine, &shape, Epilogue::NONE);
            for (image, expected) in input.chunks(alone.in_len()).zip(together.chunks(alone.out_len())) {
                let mut found = vec![0.0; alone.out_len()];
                forward(&machine, &alone, image.into(), &weights, Epilogue::NONE, (&mut found[..]).into());
                assert!(found == expected, "{:?} {shape:?}", machine.isa);
            }
        }
    }
}

#[test]
fn activations_keep_not_a_number() {
    let shape = ConvShape::linear(1, 4, 3);
    for machine in machines() {
        let weights = packed(&machine, &shape, &[f32::NAN; 12], Direction::Forward);
        let mut output = [0.0; 3];
        let epilogue = Epilogue { clamp: Clamp::Relu6, ..Epilogue::NONE };
        forward(&machine, &shape, (&[1.0; 4][..]).into(), &weights, epilogue, (&mut output[..]).into());
        assert!(output.iter().all(|value| value.is_nan()), "{:?}: a ReLU must not hide a NaN", machine.isa);
    }
}
