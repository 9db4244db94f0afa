//! One pass against the definition in f64, and bit by bit against the three convolutions, on awkward shapes and for every
//! instruction set of the processor.

use super::*;
use crate::Precision;
use crate::cpu::kernels::conv::oracle::{Kind, error, for_each_product, numbers};
use crate::cpu::kernels::{Epilogue, conv, depthwise};
use crate::cpu::{Isa, Pool};

/// Single-precision sums of sums of up to 200 products of order one, relative to their root mean square.
const TOLERANCE: f64 = 1e-5;

/// batch, height, width, channels (in, wide, out), kernel, stride, padding (top, bottom, left, right).
type Case = (usize, usize, usize, [usize; 3], usize, usize, [usize; 4]);

const CASES: [Case; 11] = [
    (2, 9, 7, [8, 48, 24], 3, 1, [1; 4]),
    (1, 40, 15, [16, 96, 16], 3, 1, [1; 4]),
    (2, 41, 30, [5, 33, 17], 3, 2, [1; 4]),
    (1, 16, 16, [24, 40, 40], 3, 2, [0, 1, 0, 1]),
    (3, 17, 12, [16, 20, 33], 5, 1, [2; 4]),
    (1, 35, 19, [3, 7, 5], 5, 2, [2; 4]),
    (1, 12, 13, [16, 64, 8], 5, 2, [1, 2, 2, 1]),
    (1, 10, 6, [17, 32, 16], 3, 1, [0; 4]),
    (2, 1, 1, [16, 48, 24], 3, 1, [1; 4]),
    (1, 4, 3, [16, 48, 24], 3, 2, [2, 0, 0, 2]),
    (1, 14, 14, [16, 1024, 24], 3, 1, [1; 4]),
];

fn shapes() -> impl Iterator<Item = BlockShape> {
    CASES.into_iter().map(
        |(batch, height, width, [in_channels, wide, out_channels], kernel, stride, padding)| {
            let depthwise = ConvShape {
                batch,
                height,
                width,
                in_channels: wide,
                out_channels: wide,
                kernel: [kernel; 2],
                stride: [stride; 2],
                padding,
                dilation: [1, 1],
            };
            BlockShape { in_channels, depthwise, out_channels }
        },
    )
}

/// The same without the widening convolution.
fn narrowing(shape: BlockShape) -> BlockShape {
    BlockShape { in_channels: shape.depthwise.in_channels, ..shape }
}

fn machines() -> impl Iterator<Item = Machine> {
    let machine = Machine::new(2);
    Isa::ALL.into_iter().filter(|isa| isa.is_available()).map(move |isa| machine.with_isa(isa))
}

/// Numbers for a block of a shape.
struct Example {
    shape: BlockShape,
    expands: bool,
    input: Vec<f32>,
    /// Weights and bias of the three convolutions.
    weights: [Vec<f32>; 3],
    biases: [Vec<f32>; 3],
    residual: Vec<f32>,
}

const CLAMPS: [Clamp; 3] = [Clamp::Relu6, Clamp::Relu, Clamp::None];

impl Example {
    fn new(shape: BlockShape, expands: bool) -> Self {
        let shape = if expands { shape } else { narrowing(shape) };
        let (expand, project) = (shape.expand(), shape.project());
        Self {
            shape,
            expands,
            input: numbers("input", expand.in_len()),
            weights: [
                numbers("expand", expand.weight_len()),
                numbers("depthwise", shape.depthwise.depthwise_weight_len()),
                numbers("project", project.weight_len()),
            ],
            biases: [
                numbers("bias 1", expand.out_channels),
                numbers("bias 2", expand.out_channels),
                numbers("bias 3", project.out_channels),
            ],
            residual: numbers("residual", project.out_len()),
        }
    }

    fn packed(&self, machine: &Machine, shape: &ConvShape, layer: usize) -> PackedWeights {
        let mut packed = PackedWeights::new(machine.isa, shape, Direction::Forward, Precision::F32);
        conv::pack(machine, shape, &self.weights[layer], &mut packed);
        packed
    }

    /// The block's output for some images.
    fn run(&self, machine: &Machine, images: std::ops::Range<usize>) -> Vec<f32> {
        let batch = self.shape.depthwise.batch;
        let of = |numbers: &[f32]| {
            let each = numbers.len() / batch;
            numbers[images.start * each..images.end * each].to_vec()
        };
        let shape = BlockShape { depthwise: self.shape.depthwise.with_batch(images.len()), ..self.shape };
        let expand = self.expands.then(|| self.packed(machine, &shape.expand(), 0));
        let project = self.packed(machine, &shape.project(), 2);
        let residual = of(&self.residual);
        let [first, second, third] = [0, 1, 2].map(|layer| Some(&self.biases[layer][..]));
        let block = Block {
            shape,
            expand: expand.as_ref().map(|weights| Layer { weights, bias: first, clamp: CLAMPS[0] }),
            depthwise: Layer { weights: &self.weights[1], bias: second, clamp: CLAMPS[1] },
            project: Layer { weights: &project, bias: third, clamp: CLAMPS[2] },
            residual: Some(&residual),
        };
        let mut output = vec![f32::NAN; shape.project().out_len()];
        forward(machine, &block, &of(&self.input), &mut output);
        output
    }

    /// The three convolutions one after the other.
    fn run_one_by_one(&self, machine: &Machine) -> Vec<f32> {
        let (expand, middle, project) = (self.shape.expand(), self.shape.depthwise, self.shape.project());
        let epilogue = |layer: usize| Epilogue {
            bias: Some(&self.biases[layer]),
            clamp: CLAMPS[layer],
            ..Epilogue::NONE
        };
        let mut wide = self.input.clone();
        if self.expands {
            wide = vec![f32::NAN; expand.out_len()];
            let weights = self.packed(machine, &expand, 0);
            conv::forward(
                machine,
                &expand,
                (&self.input[..]).into(),
                &weights,
                epilogue(0),
                (&mut wide[..]).into(),
            );
        }
        let mut filtered = vec![f32::NAN; middle.out_len()];
        depthwise::forward(machine, &middle, &wide, &self.weights[1], epilogue(1), &mut filtered);
        let mut output = vec![f32::NAN; project.out_len()];
        let weights = self.packed(machine, &project, 2);
        let last = Epilogue { residual: Some((&self.residual[..]).into()), ..epilogue(2) };
        conv::forward(machine, &project, (&filtered[..]).into(), &weights, last, (&mut output[..]).into());
        output
    }

    /// The definition.
    fn expected(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.input.iter().map(|&value| f64::from(value)).collect();
        let layers = [
            (self.shape.expand(), Kind::Full),
            (self.shape.depthwise, Kind::Depthwise),
            (self.shape.project(), Kind::Full),
        ];
        for (layer, (shape, kind)) in layers.into_iter().enumerate().skip(usize::from(!self.expands)) {
            let mut sums: Vec<f64> = (0..shape.out_len())
                .map(|index| f64::from(self.biases[layer][index % shape.out_channels]))
                .collect();
            for_each_product(&shape, kind, |from, weight, to| {
                sums[to] += values[from] * f64::from(self.weights[layer][weight]);
            });
            let (low, high) = CLAMPS[layer].limits();
            values = sums.into_iter().map(|sum| sum.clamp(f64::from(low), f64::from(high))).collect();
        }
        values.iter().zip(&self.residual).map(|(value, &residual)| value + f64::from(residual)).collect()
    }
}

fn examples() -> impl Iterator<Item = Example> {
    shapes().flat_map(|shape| [true, false].map(|expands| Example::new(shape, expands)))
}

#[test]
fn one_pass_is_the_definition_and_the_three_convolutions() {
    for example in examples() {
        let expected = example.expected();
        for machine in machines() {
            let found = example.run(&machine, 0..example.shape.depthwise.batch);
            let error = error(&found, &expected);
            assert!(error < TOLERANCE, "{error:.1e} {:?} {:?}", machine.isa, example.shape);
            assert!(found == example.run_one_by_one(&machine), "{:?} {:?}", machine.isa, example.shape);
        }
    }
}

#[test]
fn threads_and_companions_do_not_change_a_bit() {
    for example in examples() {
        let batch = example.shape.depthwise.batch;
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let run = |threads: usize| example.run(&Machine { isa, pool: Pool::new(threads) }, 0..batch);
            let together = run(1);
            assert!(together == run(2) && together == run(3), "{isa:?} {:?}", example.shape);
            let single = Machine { isa, pool: Pool::new(1) };
            let alone: Vec<f32> =
                (0..batch).flat_map(|image| example.run(&single, image..image + 1)).collect();
            assert!(together == alone, "{isa:?} {:?}", example.shape);
        }
    }
}

#[test]
fn blocks_are_cut_where_little_is_widened_twice() {
    let block = |batch, extent, stride, channels: [usize; 3]| {
        let depthwise = ConvShape {
            height: extent,
            width: extent,
            kernel: [3, 3],
            stride: [stride; 2],
            padding: [1; 4],
            ..ConvShape::linear(batch, channels[1], channels[1])
        };
        BlockShape { in_channels: channels[0], depthwise, out_channels: channels[2] }
    };
    let cases = [
        (block(4, 112, 2, [16, 96, 24]), 4, true),
        (block(4, 56, 1, [24, 144, 24]), 4, true),
        (block(4, 14, 1, [64, 384, 64]), 1, true),
        (block(1, 112, 2, [16, 96, 24]), 15, true),
        (block(1, 14, 1, [64, 384, 64]), 1, false),
        (block(4, 7, 1, [160, 960, 160]), 1, false),
    ];
    for (shape, strips, pays) in cases {
        assert_eq!((shape.strips(), shape.pays()), (strips, pays), "{shape:?}");
    }
}
