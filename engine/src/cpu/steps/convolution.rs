//! Convolutions, full or depthwise, and linear layers, with the addition and the activation that follow them.

use super::{Mode, Step};
use crate::cpu::kernels::conv::{self, ConvShape, Direction, PackedWeights};
use crate::cpu::kernels::narrow::{Numbers, NumbersMut, Storage, narrow};
use crate::cpu::kernels::{Clamp, Epilogue, depthwise, elementwise};
use crate::cpu::{Buffer, Machine, Workspace};
use crate::graph::{Activation, Convolution, Value};
use crate::{Precision, Result};

/// `output = curve(clamp(convolution(x, weight) + bias + residual))`.
pub(crate) struct Convolve {
    pub x: Value,
    pub weight: Value,
    pub bias: Option<Value>,
    pub residual: Option<Value>,
    pub clamp: Clamp,
    /// Only where nobody asks for gradients, which would need what it was applied to.
    pub curve: Option<Activation>,
    pub output: Value,
    pub form: Form,
    /// The fewest bits in which it may multiply.
    pub precision: Precision,
}

/// Which of its forms a convolution has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Every output channel reads every input channel.
    Full(Convolution),
    /// Every channel is convolved by itself.
    Depthwise(Convolution),
    /// One pixel for each row of the last axis.
    Linear,
}

impl Convolve {
    fn is_depthwise(&self) -> bool {
        matches!(self.form, Form::Depthwise(_))
    }

    /// The sizes for the shapes of all values; a single axis counts as one row.
    pub fn shape(&self, shapes: &[Vec<usize>]) -> ConvShape {
        let (x, weight) = (&shapes[self.x.index()], &shapes[self.weight.index()]);
        let walk = match self.form {
            Form::Full(walk) | Form::Depthwise(walk) => walk,
            Form::Linear => {
                let rows = x.iter().product::<usize>() / weight[1];
                return ConvShape::linear(rows, weight[1], weight[0]);
            }
        };
        conv_shape(x, weight, &walk)
    }
}

impl Step for Convolve {
    fn output(&self) -> Value {
        self.output
    }

    fn precision(&self) -> Option<Precision> {
        Some(self.precision)
    }

    fn forward(&mut self, workspace: &mut Workspace, mode: Mode) -> Result<()> {
        let shape = self.shape(&workspace.shapes);
        let words = workspace.words(self.output);
        let mut y = workspace.allocate(words);
        if self.is_depthwise() {
            let (x, weight) = (workspace.get(self.x), workspace.get(self.weight));
            let epilogue = self.epilogue(workspace);
            depthwise::forward(&workspace.machine, &shape, x, weight, epilogue, &mut y[..words]);
        } else {
            let (direction, precision) = self.way(workspace, &shape, mode);
            let packed = workspace.take_packed(self.weight, &shape, direction, precision);
            let storage = workspace.operand_storage(self.x, precision);
            let mut copy = None;
            if workspace.storage[self.x.index()] != storage {
                let memory = workspace.allocate(storage.words(shape.in_len()));
                copy = Some(narrowed(&workspace.machine, workspace.get(self.x), storage, memory));
            }
            let x = match &copy {
                Some(copy) => Numbers { storage, words: &copy[..storage.words(shape.in_len())] },
                None => workspace.numbers(self.x),
            };
            let into = NumbersMut { storage: workspace.storage[self.output.index()], words: &mut y[..words] };
            conv::forward(&workspace.machine, &shape, x, &packed.weights, self.epilogue(workspace), into);
            workspace.keep_packed(packed);
            copy.into_iter().for_each(|copy| workspace.recycle(copy));
        }
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(mut gradient) = workspace.take_gradient(self.output) else { return Ok(()) };
        let shape = self.shape(&workspace.shapes);
        let dy = &mut gradient[..shape.out_len()];
        mask(workspace, self.clamp, self.output, dy);
        if workspace.wants(self.weight) {
            self.backward_weights(workspace, &shape, dy);
        }
        if let Some(bias) = self.bias.filter(|&bias| workspace.wants(bias)) {
            let (mut db, accumulate) = workspace.gradient_buffer(bias);
            conv::backward_bias(&workspace.machine, dy, &mut db[..shape.out_channels], accumulate);
            workspace.put_gradient(bias, db);
        }
        if workspace.wants(self.x) {
            self.backward_input(workspace, &shape, dy);
        }
        hand_on(workspace, self.residual, gradient);
        Ok(())
    }
}

/// With fewer pixels in a batch, evaluating kernels anew in each step costs more than it saves.
const LEAST_PIXELS: usize = 512;

impl Convolve {
    fn epilogue<'a>(&self, workspace: &'a Workspace) -> Epilogue<'a> {
        Epilogue {
            bias: self.bias.map(|bias| workspace.get(bias)),
            residual: self.residual.map(|residual| workspace.numbers(residual)),
            clamp: self.clamp,
            curve: self.curve,
        }
    }

    /// By which algorithm, and in how many bits, the forward pass multiplies.
    pub fn way(&self, workspace: &Workspace, shape: &ConvShape, mode: Mode) -> (Direction, Precision) {
        let is_winograd = self.precision != Precision::Int8
            && conv::suits_winograd(shape)
            && self.pays(workspace, shape, mode);
        match is_winograd {
            true => (Direction::Winograd, Precision::F32),
            false => (Direction::Forward, self.precision_of(shape, Direction::Forward)),
        }
    }

    /// The precision in which a pass multiplies.
    fn precision_of(&self, shape: &ConvShape, direction: Direction) -> Precision {
        let is_suited = PackedWeights::suits(shape, direction, self.precision);
        if is_suited { self.precision } else { Precision::F32 }
    }

    /// Whether kernels are worth evaluating for Winograd's algorithm: they do not change, or serve many pixels.
    fn pays(&self, workspace: &Workspace, shape: &ConvShape, mode: Mode) -> bool {
        mode == Mode::Inference
            || !workspace.wants(self.weight)
            || shape.out_len() / shape.out_channels >= LEAST_PIXELS
    }

    fn backward_weights(&self, workspace: &mut Workspace, shape: &ConvShape, dy: &[f32]) {
        let (mut dw, accumulate) = workspace.gradient_buffer(self.weight);
        let mut scratch = std::mem::take(&mut workspace.scratch);
        let into = &mut dw[..workspace.len(self.weight)];
        let (machine, x) = (&workspace.machine, workspace.get(self.x));
        match self.is_depthwise() {
            true => depthwise::backward_weights(machine, shape, x, dy, into, accumulate, &mut scratch),
            false => {
                conv::backward_weights(
                    machine,
                    shape,
                    self.precision,
                    [x, dy],
                    into,
                    accumulate,
                    &mut scratch,
                );
            }
        }
        workspace.scratch = scratch;
        workspace.put_gradient(self.weight, dw);
    }

    fn backward_input(&self, workspace: &mut Workspace, shape: &ConvShape, dy: &[f32]) {
        let (mut dx, accumulate) = workspace.gradient_buffer(self.x);
        let into = &mut dx[..shape.in_len()];
        if self.is_depthwise() {
            depthwise::backward_input(
                &workspace.machine,
                shape,
                dy,
                workspace.get(self.weight),
                into,
                accumulate,
            );
        } else {
            let is_winograd =
                conv::winograd_transposed(shape).is_some() && self.pays(workspace, shape, Mode::Training);
            let (direction, precision) = match is_winograd {
                true => (Direction::WinogradInput, Precision::F32),
                false => (Direction::Input, self.precision_of(shape, Direction::Input)),
            };
            let packed = workspace.take_packed(self.weight, shape, direction, precision);
            let mut copy = None;
            if precision != Precision::F32 {
                let memory = workspace.allocate(Storage::Bf16.words(dy.len()));
                copy = Some(narrowed(&workspace.machine, dy, Storage::Bf16, memory));
            }
            let from = match &copy {
                Some(copy) => {
                    Numbers { storage: Storage::Bf16, words: &copy[..Storage::Bf16.words(dy.len())] }
                }
                None => dy.into(),
            };
            conv::backward_input(&workspace.machine, shape, from, &packed.weights, into, accumulate);
            copy.into_iter().for_each(|copy| workspace.recycle(copy));
            workspace.keep_packed(packed);
        }
        workspace.put_gradient(self.x, dx);
    }
}

/// The sizes of a convolution of an input `[batch, height, width, in]` or `[batch, length, in]`; a single axis counts as one row.
pub(super) fn conv_shape(x: &[usize], weight: &[usize], walk: &Convolution) -> ConvShape {
    let single = x.len() == 3;
    let (height, kernel_height) = if single { (1, 1) } else { (x[1], weight[2]) };
    let vertical = |size: usize, alone: usize| if single { alone } else { size };
    let [top, bottom, left, right] = walk.padding;
    ConvShape {
        batch: x[0],
        height,
        width: x[x.len() - 2],
        in_channels: x[x.len() - 1],
        out_channels: weight[0],
        kernel: [kernel_height, weight[weight.len() - 1]],
        stride: [vertical(walk.stride[0], 1), walk.stride[1]],
        padding: [vertical(top, 0), vertical(bottom, 0), left, right],
        dilation: [vertical(walk.dilation[0], 1), walk.dilation[1]],
    }
}

/// Floats in another storage, in memory that is large enough.
fn narrowed(machine: &Machine, from: &[f32], storage: Storage, mut memory: Buffer) -> Buffer {
    narrow(machine, from, NumbersMut { storage, words: &mut memory[..storage.words(from.len())] });
    memory
}

/// Zeroes the gradient where a clamp held the output at a bound.
pub(super) fn mask(workspace: &Workspace, clamp: Clamp, output: Value, dy: &mut [f32]) {
    if clamp != Clamp::None {
        elementwise::clamp_backward(&workspace.machine, clamp, workspace.get(output), dy);
    }
}

/// Gives a gradient that nobody else needs to the value that was added: moved when it is the first share, else added.
pub(super) fn hand_on(workspace: &mut Workspace, to: Option<Value>, gradient: Buffer) {
    match to.filter(|&value| workspace.wants(value)) {
        None => workspace.recycle(gradient),
        Some(value) => match workspace.take_gradient(value) {
            None => workspace.put_gradient(value, gradient),
            Some(mut sum) => {
                let length = workspace.len(value);
                elementwise::add_assign(&workspace.machine, &mut sum[..length], &gradient[..length]);
                workspace.put_gradient(value, sum);
                workspace.recycle(gradient);
            }
        },
    }
}
