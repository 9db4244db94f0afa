//! Convolutions, full or depthwise, and linear layers, with the addition and the activation that follow them.

use super::{Mode, Step};
use crate::Result;
use crate::cpu::kernels::conv::{self, ConvShape, Direction};
use crate::cpu::kernels::{Clamp, Epilogue, depthwise, elementwise};
use crate::cpu::{Buffer, Workspace};
use crate::graph::{Activation, Convolution, Value};

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

    /// The sizes at the shapes that are bound now; a single axis counts as one row.
    fn shape(&self, workspace: &Workspace) -> ConvShape {
        let (x, weight) = (workspace.shape(self.x), workspace.shape(self.weight));
        let walk = match self.form {
            Form::Full(walk) | Form::Depthwise(walk) => walk,
            Form::Linear => {
                return ConvShape::linear(workspace.len(self.x) / weight[1], weight[1], weight[0]);
            }
        };
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
}

impl Step for Convolve {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, mode: Mode) -> Result<()> {
        let shape = self.shape(workspace);
        let mut y = workspace.allocate(shape.out_len());
        let into = &mut y[..shape.out_len()];
        let packed = (!self.is_depthwise()).then(|| {
            let is_winograd = conv::suits_winograd(&shape) && self.pays(workspace, &shape, mode);
            let direction = if is_winograd { Direction::Winograd } else { Direction::Forward };
            workspace.take_packed(self.weight, &shape, direction)
        });
        let (machine, x) = (&workspace.machine, workspace.get(self.x));
        let epilogue = Epilogue {
            bias: self.bias.map(|bias| workspace.get(bias)),
            residual: self.residual.map(|residual| workspace.get(residual)),
            clamp: self.clamp,
            curve: self.curve,
        };
        match &packed {
            Some(packed) => conv::forward(machine, &shape, x, &packed.weights, epilogue, into),
            None => depthwise::forward(machine, &shape, x, workspace.get(self.weight), epilogue, into),
        }
        packed.into_iter().for_each(|packed| workspace.keep_packed(packed));
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(mut gradient) = workspace.take_gradient(self.output) else { return Ok(()) };
        let shape = self.shape(workspace);
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
const LEAST_PIXELS: usize = 2048;

impl Convolve {
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
            false => conv::backward_weights(machine, shape, x, dy, into, accumulate, &mut scratch),
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
            let direction = if is_winograd { Direction::WinogradInput } else { Direction::Input };
            let packed = workspace.take_packed(self.weight, shape, direction);
            conv::backward_input(&workspace.machine, shape, dy, &packed.weights, into, accumulate);
            workspace.keep_packed(packed);
        }
        workspace.put_gradient(self.x, dx);
    }
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
