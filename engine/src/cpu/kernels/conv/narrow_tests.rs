//! Products in fewer bits against their definition in f64 on the same rounded operands, for every instruction set of the processor.

use super::oracle::{Kind, error, for_each_product, numbers};
use super::*;
use crate::Precision;
use crate::cpu::Machine;
use crate::cpu::kernels::accumulate::Accumulate;
use crate::cpu::kernels::activation::Activation;
use crate::cpu::kernels::narrow::{
    Numbers, NumbersMut, Quantization, Storage, from_bf16, narrow, to_bf16, to_signed_byte, widen,
};
use crate::cpu::kernels::scratch::Scratch;
use crate::cpu::kernels::testing::machines;
use crate::cpu::kernels::{Clamp, Epilogue};

/// Sums of rounded operands are as exact as sums of floats.
const TOLERANCE: f64 = 1e-5;

/// Channels that fill words and not registers, strides, padding, holes, single rows.
fn shapes() -> [ConvShape; 6] {
    let of = |batch,
              [height, width]: [usize; 2],
              [in_channels, out_channels]: [usize; 2],
              kernel,
              stride,
              padding| {
        ConvShape {
            batch,
            height,
            width,
            in_channels,
            out_channels,
            kernel,
            stride,
            padding,
            dilation: [1, 1],
        }
    };
    [
        of(2, [5, 7], [20, 36], [1, 1], [1, 1], [0; 4]),
        of(2, [9, 8], [24, 40], [3, 3], [2, 2], [1; 4]),
        of(1, [9, 17], [16, 33], [1, 7], [1, 1], [0, 0, 3, 3]),
        ConvShape { dilation: [2, 2], ..of(1, [11, 12], [32, 64], [3, 3], [1, 1], [2; 4]) },
        ConvShape::linear(37, 68, 100),
        ConvShape::linear(8, 1024, 7),
    ]
}

/// Words of floats in a storage, and the numbers that they stand for.
fn stored(machine: &Machine, storage: Storage, floats: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let mut words = vec![f32::NAN; storage.words(floats.len())];
    narrow(machine, floats, NumbersMut { storage, words: &mut words });
    let back = widen(Numbers { storage, words: &words });
    (words, back)
}

/// The weights that a precision makes of floats.
fn rounded(precision: Precision, shape: &ConvShape, weights: &[f32]) -> Vec<f32> {
    let each = weights.len() / shape.out_channels;
    match precision {
        Precision::F32 => weights.to_vec(),
        Precision::Bf16 => weights.iter().map(|&weight| from_bf16(to_bf16(weight))).collect(),
        Precision::Int8 => weights
            .chunks(each)
            .flat_map(|row| {
                let scale = row.iter().fold(0f32, |most, weight| most.max(weight.abs())) / 127.0;
                let inverse = 1.0 / scale;
                row.iter().map(move |weight| scale * f32::from(to_signed_byte(weight * inverse)))
            })
            .collect(),
    }
}

fn packed(machine: &Machine, shape: &ConvShape, direction: Direction, precision: Precision) -> PackedWeights {
    let mut packed = PackedWeights::new(machine.isa, shape, direction, precision);
    pack(machine, shape, &numbers("weights", shape.weight_len()), &mut packed);
    packed
}

/// A storage of each precision for numbers from −1 to 1, with a zero that is not in the middle.
fn storages() -> [Storage; 2] {
    [Storage::Bf16, Storage::Int8(Quantization::of_range(-1.0, 1.1))]
}

#[test]
fn forward_is_the_definition_of_rounded_operands() {
    for (shape, operands) in shapes().into_iter().flat_map(|shape| storages().map(|storage| (shape, storage)))
    {
        let precision = operands.precision();
        let weights = rounded(precision, &shape, &numbers("weights", shape.weight_len()));
        let (bias, residual) = (numbers("bias", shape.out_channels), numbers("residual", shape.out_len()));
        for (clamp, curve, with_residual) in [
            (Clamp::None, None, false),
            (Clamp::Relu, None, true),
            (Clamp::None, Some(Activation::Gelu), false),
            (Clamp::None, Some(Activation::Silu), true),
        ] {
            for machine in machines() {
                let (input, input_back) = stored(&machine, operands, &numbers("input", shape.in_len()));
                let is_narrow = shape.out_channels.is_multiple_of(precision.per_word());
                let beside = if is_narrow { operands } else { Storage::F32 };
                let (residual, residual_back) = stored(&machine, beside, &residual);
                let mut expected: Vec<f64> = (0..shape.out_len())
                    .map(|index| {
                        let residual = if with_residual { f64::from(residual_back[index]) } else { 0.0 };
                        f64::from(bias[index % shape.out_channels]) + residual
                    })
                    .collect();
                for_each_product(&shape, Kind::Full, |from, weight, to| {
                    expected[to] += f64::from(input_back[from]) * f64::from(weights[weight]);
                });
                let (low, high) = clamp.limits();
                for value in &mut expected {
                    *value = value.clamp(f64::from(low), f64::from(high));
                    *value = curve.map_or(*value, |curve| curve.apply_f64(*value));
                }
                let packed = packed(&machine, &shape, Direction::Forward, precision);
                let epilogue = Epilogue {
                    bias: Some(&bias),
                    residual: with_residual.then_some(Numbers { storage: beside, words: &residual }),
                    clamp,
                    curve,
                };
                let context = format!("{shape:?} {precision} {clamp:?} {curve:?} {:?}", machine.isa);
                let run = |storage: Storage| {
                    let mut words = vec![f32::NAN; storage.words(shape.out_len())];
                    let output = NumbersMut { storage, words: &mut words };
                    forward(
                        &machine,
                        &shape,
                        Numbers { storage: operands, words: &input },
                        &packed,
                        epilogue,
                        output,
                    );
                    words
                };
                let floats = run(Storage::F32);
                let found = error(&floats, &expected);
                assert!(found <= TOLERANCE, "{context}: {found:e}");
                if !is_narrow {
                    continue;
                }
                // Results in fewer bits are the same results, rounded.
                let most = floats.iter().fold(0f32, |most, value| most.max(value.abs()));
                let storage = match precision {
                    Precision::Int8 => Storage::Int8(Quantization::of_range(-most, most)),
                    _ => Storage::Bf16,
                };
                let (_, rounded) = stored(&machine, storage, &floats);
                let found = widen(Numbers { storage, words: &run(storage) });
                let step = if precision == Precision::Int8 { 2.0 * most / 255.0 } else { most / 128.0 };
                let differ = found.iter().zip(&rounded).filter(|(found, rounded)| found != rounded);
                assert!(
                    differ.clone().all(|(found, rounded)| (found - rounded).abs() <= step * 1.01),
                    "{context}"
                );
                assert!(differ.count() <= shape.out_len() / 100, "{context}: more than ties differ");
            }
        }
    }
}

#[test]
fn backward_input_is_the_definition_of_rounded_operands() {
    for shape in shapes().into_iter().filter(|shape| shape.out_channels.is_multiple_of(2)) {
        let weights = rounded(Precision::Bf16, &shape, &numbers("weights", shape.weight_len()));
        let start = numbers("start", shape.in_len());
        for machine in machines() {
            let (gradient, back) = stored(&machine, Storage::Bf16, &numbers("gradient", shape.out_len()));
            let mut expected: Vec<f64> = start.iter().map(|&start| f64::from(start)).collect();
            for_each_product(&shape, Kind::Full, |to, weight, from| {
                expected[to] += f64::from(back[from]) * f64::from(weights[weight]);
            });
            let packed = packed(&machine, &shape, Direction::Input, Precision::Bf16);
            let mut found = start.clone();
            let gradient = Numbers { storage: Storage::Bf16, words: &gradient };
            backward_input(&machine, &shape, gradient, &packed, &mut found, Accumulate::Add);
            let found = error(&found, &expected);
            assert!(found <= TOLERANCE, "{shape:?} {:?}: {found:e}", machine.isa);
        }
    }
}

#[test]
fn backward_weights_is_the_definition_of_rounded_operands() {
    let image = ConvShape { in_channels: 3, out_channels: 20, ..shapes()[1] };
    for shape in shapes().into_iter().chain([image]) {
        let (input, output) = (numbers("input", shape.in_len()), numbers("gradient", shape.out_len()));
        let start = numbers("start", shape.weight_len());
        let mut expected: Vec<f64> = start.iter().map(|&start| f64::from(start)).collect();
        let round = |value: f32| f64::from(from_bf16(to_bf16(value)));
        for_each_product(&shape, Kind::Full, |from, weight, to| {
            expected[weight] += round(input[from]) * round(output[to]);
        });
        for machine in machines() {
            let mut found = start.clone();
            let mut scratch = Scratch::new();
            scratch.floats(100).fill(f32::NAN);
            let (precision, add) = (Precision::Bf16, Accumulate::Add);
            backward_weights(&machine, &shape, precision, [&input, &output], &mut found, add, &mut scratch);
            let found = error(&found, &expected);
            assert!(found <= TOLERANCE, "{shape:?} {:?}: {found:e}", machine.isa);
        }
    }
}

#[test]
fn a_precision_suits_convolutions_whose_channels_fill_words() {
    let odd = ConvShape { in_channels: 18, ..shapes()[1] };
    let image = ConvShape { in_channels: 3, ..shapes()[1] };
    for (shape, direction, precision, expected) in [
        (odd, Direction::Forward, Precision::Bf16, true),
        (odd, Direction::Forward, Precision::Int8, false),
        (image, Direction::Forward, Precision::Bf16, false),
        (image, Direction::Forward, Precision::F32, true),
        (shapes()[1], Direction::Input, Precision::Int8, false),
        (shapes()[1], Direction::Winograd, Precision::Bf16, false),
    ] {
        assert_eq!(PackedWeights::suits(&shape, direction, precision), expected, "{shape:?} {direction:?}");
    }
}
