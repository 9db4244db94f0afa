//! Activations, addition, multiplication and concatenation.

use super::convolution::hand_on;
use super::{Mode, Step};
use crate::Result;
use crate::cpu::Workspace;
use crate::cpu::kernels::{Accumulate, Clamp, activation, elementwise};
use crate::graph::{Activation, Value};

/// `output = activation(x)`.
pub(crate) struct Activate {
    pub x: Value,
    pub activation: Activation,
    pub output: Value,
}

impl Step for Activate {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.x);
        let mut y = workspace.allocate(length);
        activation::forward(&workspace.machine, self.activation, workspace.get(self.x), &mut y[..length]);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        if workspace.wants(self.x) {
            let length = workspace.len(self.x);
            let (mut dx, accumulate) = workspace.gradient_buffer(self.x);
            let (x, into) = (workspace.get(self.x), &mut dx[..length]);
            activation::backward(&workspace.machine, self.activation, x, &dy[..length], into, accumulate);
            workspace.put_gradient(self.x, dx);
        }
        workspace.recycle(dy);
        Ok(())
    }
}

/// `output = a + b`, of one shape.
pub(crate) struct AddValues {
    pub a: Value,
    pub b: Value,
    pub output: Value,
}

impl Step for AddValues {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.output);
        let mut y = workspace.allocate(length);
        let (a, b) = (workspace.get(self.a), workspace.get(self.b));
        elementwise::add(&workspace.machine, a, b, Clamp::None, &mut y[..length]);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        if workspace.wants(self.a) {
            let length = workspace.len(self.a);
            let (mut da, accumulate) = workspace.gradient_buffer(self.a);
            elementwise::scale(&workspace.machine, 1.0, &dy[..length], &mut da[..length], accumulate);
            workspace.put_gradient(self.a, da);
        }
        hand_on(workspace, Some(self.b), dy);
        Ok(())
    }
}

/// `output = a · b`.
pub(crate) struct MultiplyValues {
    pub a: Value,
    pub b: Value,
    /// How often each number of `b` stands for one of `a`.
    pub factors: Factors,
    pub output: Value,
}

/// What the factors of a value are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Factors {
    /// Each for one number.
    Numbers,
    /// Each for a channel of a sample.
    SampleChannels,
    /// Each for a channel.
    Channels,
}

impl Step for MultiplyValues {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.output);
        let mut y = workspace.allocate(length);
        self.scaled(workspace, workspace.get(self.a), &mut y[..length], Accumulate::Overwrite);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        let length = workspace.len(self.a);
        if workspace.wants(self.a) {
            let (mut da, accumulate) = workspace.gradient_buffer(self.a);
            self.scaled(workspace, &dy[..length], &mut da[..length], accumulate);
            workspace.put_gradient(self.a, da);
        }
        if workspace.wants(self.b) {
            let (mut db, accumulate) = workspace.gradient_buffer(self.b);
            let into = &mut db[..workspace.len(self.b)];
            let (machine, a, dy) = (&workspace.machine, workspace.get(self.a), &dy[..length]);
            match self.factors {
                Factors::Numbers => elementwise::multiply(machine, a, dy, into, accumulate),
                Factors::SampleChannels => {
                    elementwise::gate_gradient(machine, a, dy, self.channels(workspace), into, accumulate);
                }
                Factors::Channels => elementwise::sum_products(machine, [a, dy], into, accumulate),
            }
            workspace.put_gradient(self.b, db);
        }
        workspace.recycle(dy);
        Ok(())
    }
}

impl MultiplyValues {
    fn channels(&self, workspace: &Workspace) -> usize {
        workspace.shape(self.a).last().copied().unwrap_or(1)
    }

    /// `into (+)= x · b`.
    fn scaled(&self, workspace: &Workspace, x: &[f32], into: &mut [f32], accumulate: Accumulate) {
        let (machine, b) = (&workspace.machine, workspace.get(self.b));
        match self.factors {
            Factors::Numbers => elementwise::multiply(machine, x, b, into, accumulate),
            Factors::SampleChannels => {
                elementwise::gate(machine, x, b, self.channels(workspace), into, accumulate);
            }
            Factors::Channels => elementwise::scale_channels(machine, b, x, into, accumulate),
        }
    }
}

/// `output = [inputs…]` along an axis.
pub(crate) struct Concatenate {
    pub inputs: Vec<Value>,
    pub axis: usize,
    pub output: Value,
}

impl Concatenate {
    /// Numbers of the axis and those after it, which lie together.
    fn width(&self, workspace: &Workspace, value: Value) -> usize {
        workspace.shape(value)[self.axis..].iter().product()
    }
}

impl Step for Concatenate {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.output);
        let mut y = workspace.allocate(length);
        let parts: Vec<(&[f32], usize)> =
            self.inputs.iter().map(|&input| (workspace.get(input), self.width(workspace, input))).collect();
        elementwise::concat(&workspace.machine, &parts, &mut y[..length]);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        // One input at a time: they may be the same value, and each adds or overwrites by itself.
        for wanted in 0..self.inputs.len() {
            let input = self.inputs[wanted];
            if !workspace.wants(input) {
                continue;
            }
            let (mut dx, accumulate) = workspace.gradient_buffer(input);
            let mut into = Some(&mut dx[..workspace.len(input)]);
            let mut parts: Vec<(Option<&mut [f32]>, usize)> = (0..self.inputs.len())
                .map(|part| {
                    let share = if part == wanted { into.take() } else { None };
                    (share, self.width(workspace, self.inputs[part]))
                })
                .collect();
            elementwise::split(&workspace.machine, &dy[..workspace.len(self.output)], &mut parts, accumulate);
            workspace.put_gradient(input, dx);
        }
        workspace.recycle(dy);
        Ok(())
    }
}
