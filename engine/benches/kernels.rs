//! Speed of the convolution kernels on the layers of ResNet-50, VGG16, MobileNetV2, EfficientNet-B0, ConvNeXt-T, a MiniLM encoder (of 104
//! tokens) and an Audio Spectrogram Transformer at batch 8, as a share of what the processor can do at best in f32, which is measured first.
//! Winograd's algorithm, where large images take it, is counted as if it multiplied everything.
//!
//! `cargo bench -p tk-engine --bench kernels -- [WORD…]`: words are an instruction set (`avx2`), a precision (`bf16`, `int8`), or parts of
//! layers' names.

mod measure;

use measure::{filled, peak, shortest, stored};
use tk_engine::Precision;
use tk_engine::cpu::kernels::conv::{self, ConvShape, Direction, PackedWeights};
use tk_engine::cpu::kernels::{Accumulate, Epilogue, Scratch, depthwise};
use tk_engine::cpu::{Isa, Machine};

const BATCH: usize = 8;

/// A layer and how often its network has it.
struct Layer {
    name: String,
    count: usize,
    shape: ConvShape,
    depthwise: bool,
    /// The first layer needs no gradient of its input.
    first: bool,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let isa = Isa::ALL
        .into_iter()
        .find(|isa| words.iter().any(|word| word == isa.name()))
        .unwrap_or_else(Isa::best);
    let machine = Machine::new(0).with_isa(isa);
    let precision = words.iter().find_map(|word| word.parse().ok()).unwrap_or_default();
    let is_name = |word: &&String| **word != isa.name() && word.parse::<Precision>().is_err();
    let parts: Vec<&String> = words.iter().filter(is_name).collect();
    let peak = peak(&machine);
    let threads = machine.pool.threads();
    println!("{precision}, {} on {threads} threads: {peak:.0} GFLOP/s from registers in f32", isa.name());
    for (network, layers) in [
        ("resnet50", resnet50()),
        ("vgg16", vgg16()),
        ("mobilenetv2", mobilenetv2()),
        ("efficientnet", efficientnet()),
        ("convnext", convnext()),
        ("encoder", encoder(BATCH * 104, 384, 6)),
        ("spectrogram", encoder(BATCH * 1214, 768, 12)),
    ] {
        println!(
            "\n{network:<34}{:>28}{:>20}{:>20}{:>16}",
            "forward  ms GFLOP/s  %", "input", "weights", "pack ms"
        );
        let mut total = [0.0; 4];
        for layer in layers {
            let name = format!("{network} {}", layer.name);
            if !parts.is_empty() && !parts.iter().all(|part| name.contains(*part)) {
                continue;
            }
            let seconds = if layer.depthwise {
                time_depthwise(&machine, &layer)
            } else {
                time_conv(&machine, &layer, precision)
            };
            let flops = 2.0
                * if layer.depthwise {
                    layer.shape.macs() / layer.shape.in_channels
                } else {
                    layer.shape.macs()
                } as f64;
            print!("{:>2} × {:<29}", layer.count, layer.name);
            for (pass, seconds) in seconds.into_iter().enumerate() {
                total[pass] += seconds * layer.count as f64;
                let speed = if seconds > 0.0 { flops / seconds / 1e9 } else { 0.0 };
                match pass {
                    3 => println!("{:>16.3}", seconds * 1e3),
                    _ => print!("{:>8.2} {speed:>5.0} {:>4.0}%", seconds * 1e3, 100.0 * speed / peak),
                }
            }
        }
        let [forward, input, weights, pack] = total.map(|seconds| seconds * 1e3);
        let sum = forward + input + weights + pack;
        println!(
            "sum: forward {forward:.1}, input {input:.1}, weights {weights:.1}, pack {pack:.1}; together {sum:.1} ms"
        );
    }
}

/// Seconds of forward pass, gradient of the input, gradient of the weights, packing for both passes. What a precision does not suit is
/// computed in f32; there are no gradients in int8.
fn time_conv(machine: &Machine, layer: &Layer, precision: Precision) -> [f64; 4] {
    let shape = &layer.shape;
    let mut weights = filled(shape.weight_len());
    let suited = |direction: Direction| match PackedWeights::suits(shape, direction, precision) {
        true => precision,
        false => Precision::F32,
    };
    let (forward, backward) = match precision {
        Precision::Int8 => (Direction::Forward, Direction::Input),
        _ => (
            if conv::suits_winograd(shape) { Direction::Winograd } else { Direction::Forward },
            if conv::winograd_transposed(shape).is_some() {
                Direction::WinogradInput
            } else {
                Direction::Input
            },
        ),
    };
    let [there, back] = [forward, backward].map(suited);
    let mut packed = PackedWeights::new(machine.isa, shape, forward, there);
    let mut transposed = PackedWeights::new(machine.isa, shape, backward, back);
    let mut scratch = Scratch::default();
    let pack = shortest(|| {
        conv::pack(machine, shape, &weights, &mut packed);
        if !layer.first {
            conv::pack(machine, shape, &weights, &mut transposed);
        }
    });
    let input = stored(machine, there, &filled(shape.in_len()));
    let mut output = stored(machine, there, &filled(shape.out_len()));
    let forward = shortest(|| {
        conv::forward(machine, shape, input.numbers(), &packed, Epilogue::NONE, output.numbers_mut());
    });
    if precision == Precision::Int8 {
        return [forward, 0.0, 0.0, pack];
    }
    let (mut input, output) = (filled(shape.in_len()), filled(shape.out_len()));
    let by_weights = shortest(|| {
        let overwrite = Accumulate::Overwrite;
        conv::backward_weights(
            machine,
            shape,
            precision,
            [&input, &output],
            &mut weights,
            overwrite,
            &mut scratch,
        );
    });
    let output = stored(machine, back, &output);
    let overwrite = Accumulate::Overwrite;
    let by_input = match layer.first {
        true => 0.0,
        false => shortest(|| {
            conv::backward_input(machine, shape, output.numbers(), &transposed, &mut input, overwrite);
        }),
    };
    [forward, by_input, by_weights, pack]
}

/// As [`time_conv`], for a depthwise layer, which packs within its passes.
fn time_depthwise(machine: &Machine, layer: &Layer) -> [f64; 4] {
    let shape = &layer.shape;
    let (mut input, mut output) = (filled(shape.in_len()), filled(shape.out_len()));
    let mut weights = filled(shape.depthwise_weight_len());
    let mut scratch = Scratch::default();
    let forward =
        shortest(|| depthwise::forward(machine, shape, &input, &weights, Epilogue::NONE, &mut output));
    let by_weights = shortest(|| {
        depthwise::backward_weights(
            machine,
            shape,
            &input,
            &output,
            &mut weights,
            Accumulate::Overwrite,
            &mut scratch,
        );
    });
    let by_input = shortest(|| {
        depthwise::backward_input(machine, shape, &output, &weights, &mut input, Accumulate::Overwrite)
    });
    [forward, by_input, by_weights, 0.0]
}

/// A square convolution with the usual padding.
fn square(extent: usize, channels: [usize; 2], kernel: usize, stride: usize) -> ConvShape {
    ConvShape {
        batch: BATCH,
        height: extent,
        width: extent,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 4],
        ..ConvShape::linear(BATCH, channels[0], channels[1])
    }
}

/// Adds a layer, or counts it once more.
fn add(layers: &mut Vec<Layer>, shape: ConvShape, depthwise: bool) {
    if let Some(layer) = layers.iter_mut().find(|layer| layer.shape == shape && layer.depthwise == depthwise)
    {
        layer.count += 1;
        return;
    }
    let ConvShape { in_channels, out_channels, height, kernel, stride, .. } = shape;
    let kind = if depthwise { "depthwise " } else { "" };
    let channels =
        if depthwise { format!("{in_channels}") } else { format!("{in_channels}→{out_channels}") };
    let name = format!("{kind}{channels} {}×{}/{} @{height}", kernel[0], kernel[1], stride[0]);
    layers.push(Layer { name, count: 1, shape, depthwise, first: layers.is_empty() });
}

/// The convolutions of ResNet-50 (arXiv 1512.03385, strides in the 3 × 3 layers).
fn resnet50() -> Vec<Layer> {
    let mut layers = Vec::new();
    add(&mut layers, square(224, [3, 64], 7, 2), false);
    let (mut extent, mut channels) = (56, 64);
    for (middle, blocks, first_stride) in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)] {
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            add(&mut layers, square(extent, [channels, middle], 1, 1), false);
            add(&mut layers, square(extent, [middle, middle], 3, stride), false);
            if block == 0 {
                add(&mut layers, square(extent, [channels, 4 * middle], 1, stride), false);
            }
            extent /= stride;
            channels = 4 * middle;
            add(&mut layers, square(extent, [middle, channels], 1, 1), false);
        }
    }
    add(&mut layers, ConvShape::linear(BATCH, 2048, 1000), false);
    layers
}

/// The layers of VGG16 (arXiv 1409.1556, configuration D).
fn vgg16() -> Vec<Layer> {
    let mut layers = Vec::new();
    let (mut extent, mut channels) = (224, 3);
    for (out, count) in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)] {
        for _ in 0..count {
            add(&mut layers, square(extent, [channels, out], 3, 1), false);
            channels = out;
        }
        extent /= 2;
    }
    for (inputs, outputs) in [(25_088, 4096), (4096, 4096), (4096, 1000)] {
        add(&mut layers, ConvShape::linear(BATCH, inputs, outputs), false);
    }
    layers
}

/// The linear layers of an encoder: MiniLM (arXiv 2002.10957) has six layers of width 384, AST (arXiv 2104.01778) twelve of 768.
fn encoder(rows: usize, width: usize, layers: usize) -> Vec<Layer> {
    [(width, width, 4 * layers), (width, 4 * width, layers), (4 * width, width, layers)]
        .map(|(inputs, outputs, count)| Layer {
            name: format!("linear {inputs}→{outputs} × {rows}"),
            count,
            shape: ConvShape::linear(rows, inputs, outputs),
            depthwise: false,
            first: false,
        })
        .into()
}

/// The convolutions of MobileNetV2 (arXiv 1801.04381, table 2).
fn mobilenetv2() -> Vec<Layer> {
    inverted_residuals(&[
        (3, 1, 16, 1, 1),
        (3, 6, 24, 2, 2),
        (3, 6, 32, 3, 2),
        (3, 6, 64, 4, 2),
        (3, 6, 96, 3, 1),
        (3, 6, 160, 3, 2),
        (3, 6, 320, 1, 1),
    ])
}

/// The convolutions of EfficientNet-B0 (arXiv 1905.11946, table 1), but for those that squeeze.
fn efficientnet() -> Vec<Layer> {
    inverted_residuals(&[
        (3, 1, 16, 1, 1),
        (3, 6, 24, 2, 2),
        (5, 6, 40, 2, 2),
        (3, 6, 80, 3, 2),
        (5, 6, 112, 3, 1),
        (5, 6, 192, 4, 2),
        (3, 6, 320, 1, 1),
    ])
}

/// By kernel, expansion, channels, count of blocks and stride of the first.
fn inverted_residuals(rows: &[(usize, usize, usize, usize, usize)]) -> Vec<Layer> {
    let mut layers = Vec::new();
    add(&mut layers, square(224, [3, 32], 3, 2), false);
    let (mut extent, mut channels) = (112, 32);
    for &(kernel, expansion, out, blocks, first_stride) in rows {
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            let middle = channels * expansion;
            if expansion > 1 {
                add(&mut layers, square(extent, [channels, middle], 1, 1), false);
            }
            add(&mut layers, square(extent, [middle, middle], kernel, stride), true);
            extent /= stride;
            add(&mut layers, square(extent, [middle, out], 1, 1), false);
            channels = out;
        }
    }
    add(&mut layers, square(extent, [channels, 1280], 1, 1), false);
    add(&mut layers, ConvShape::linear(BATCH, 1280, 1000), false);
    layers
}

/// The blocks of ConvNeXt-T (arXiv 2201.03545).
fn convnext() -> Vec<Layer> {
    let mut layers = Vec::new();
    for (extent, channels, blocks) in [(56, 96, 3), (28, 192, 3), (14, 384, 9), (7, 768, 3)] {
        for _ in 0..blocks {
            add(&mut layers, square(extent, [channels, channels], 7, 1), true);
            add(&mut layers, square(extent, [channels, 4 * channels], 1, 1), false);
            add(&mut layers, square(extent, [4 * channels, channels], 1, 1), false);
        }
    }
    layers
}
