//! Convolutions in groups of several channels: each group is a convolution by itself, and a task.

use super::convolution::{conv_shape, hand_on};
use super::{Mode, Step};
use crate::cpu::kernels::conv::{self, ConvShape, Direction};
use crate::cpu::kernels::{Accumulate, Clamp, Epilogue, Scratch, elementwise};
use crate::cpu::{Machine, Workspace};
use crate::graph::{Activation, Convolution, Value};
use crate::{Precision, Result};

/// `output = curve(convolution(x, weight) + bias)`, where output channels read the input channels of their group.
pub(crate) struct ConvolveGroups {
    pub x: Value,
    pub weight: Value,
    pub bias: Option<Value>,
    /// Only where nobody asks for gradients, which would need what it was applied to.
    pub curve: Option<Activation>,
    pub output: Value,
    pub walk: Convolution,
}

/// How many groups there are, and the sizes of one.
struct Sizes {
    groups: usize,
    shape: ConvShape,
}

impl ConvolveGroups {
    fn sizes(&self, workspace: &Workspace) -> Sizes {
        let (x, weight) = (workspace.shape(self.x), workspace.shape(self.weight));
        let groups = self.walk.groups;
        let whole = conv_shape(x, weight, &self.walk);
        let shape = ConvShape {
            in_channels: whole.in_channels / groups,
            out_channels: whole.out_channels / groups,
            ..whole
        };
        Sizes { groups, shape }
    }

    fn backward_weights(&self, workspace: &mut Workspace, sizes: &Sizes, dy: &[f32]) {
        let Sizes { groups, shape } = sizes;
        let mut x = workspace.allocate(groups * shape.in_len());
        let (mut dw, accumulate) = workspace.gradient_buffer(self.weight);
        let machine = &workspace.machine;
        split(machine, workspace.get(self.x), shape.in_channels, &mut x[..groups * shape.in_len()], *groups);
        let each = shape.weight_len();
        machine.pool.for_each_chunk(&mut dw[..groups * each], each, |group, dw| {
            let operands = [part(&x, shape.in_len(), group), part(dy, shape.out_len(), group)];
            let mut scratch = Scratch::new();
            conv::backward_weights(machine, shape, Precision::F32, operands, dw, accumulate, &mut scratch);
        });
        workspace.put_gradient(self.weight, dw);
        workspace.recycle(x);
    }

    fn backward_input(&self, workspace: &mut Workspace, sizes: &Sizes, dy: &[f32]) {
        let Sizes { groups, shape } = sizes;
        let way = (Direction::Input, Precision::F32);
        let packed = workspace.take_packed_groups(self.weight, *groups, shape, way);
        let length = groups * shape.in_len();
        let (mut parts, mut dx) = (workspace.allocate(length), workspace.allocate(length));
        let machine = &workspace.machine;
        machine.pool.for_each_chunk(&mut parts[..length], shape.in_len(), |group, dx| {
            let dy = part(dy, shape.out_len(), group);
            conv::backward_input(
                machine,
                shape,
                dy.into(),
                &packed[group].weights,
                dx,
                Accumulate::Overwrite,
            );
        });
        join(machine, &parts[..length], shape.in_channels, &mut dx[..length], *groups);
        packed.into_iter().for_each(|copy| workspace.keep_packed(copy));
        workspace.recycle(parts);
        hand_on(workspace, Some(self.x), dx);
    }
}

impl Step for ConvolveGroups {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let sizes = self.sizes(workspace);
        let Sizes { groups, shape } = sizes;
        let way = (Direction::Forward, Precision::F32);
        let packed = workspace.take_packed_groups(self.weight, groups, &shape, way);
        let (of_x, of_y) = (groups * shape.in_len(), groups * shape.out_len());
        let (mut x, mut parts) = (workspace.allocate(of_x), workspace.allocate(of_y));
        let mut y = workspace.allocate(of_y);
        let machine = &workspace.machine;
        split(machine, workspace.get(self.x), shape.in_channels, &mut x[..of_x], groups);
        let bias = self.bias.map(|bias| workspace.get(bias));
        machine.pool.for_each_chunk(&mut parts[..of_y], shape.out_len(), |group, y| {
            let epilogue = Epilogue {
                bias: bias.map(|bias| part(bias, shape.out_channels, group)),
                residual: None,
                clamp: Clamp::None,
                curve: self.curve,
            };
            let x = part(&x, shape.in_len(), group);
            conv::forward(machine, &shape, x.into(), &packed[group].weights, epilogue, y.into());
        });
        join(machine, &parts[..of_y], shape.out_channels, &mut y[..of_y], groups);
        packed.into_iter().for_each(|copy| workspace.keep_packed(copy));
        workspace.recycle(x);
        workspace.recycle(parts);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(gradient) = workspace.take_gradient(self.output) else { return Ok(()) };
        let sizes = self.sizes(workspace);
        let Sizes { groups, shape } = &sizes;
        let length = groups * shape.out_len();
        let mut dy = workspace.allocate(length);
        split(&workspace.machine, &gradient[..length], shape.out_channels, &mut dy[..length], *groups);
        if workspace.wants(self.weight) {
            self.backward_weights(workspace, &sizes, &dy);
        }
        if let Some(bias) = self.bias.filter(|&bias| workspace.wants(bias)) {
            let (mut db, accumulate) = workspace.gradient_buffer(bias);
            let channels = groups * shape.out_channels;
            conv::backward_bias(&workspace.machine, &gradient[..length], &mut db[..channels], accumulate);
            workspace.put_gradient(bias, db);
        }
        if workspace.wants(self.x) {
            self.backward_input(workspace, &sizes, &dy);
        }
        workspace.recycle(dy);
        workspace.recycle(gradient);
        Ok(())
    }
}

/// A group's part of numbers of which each group has so many.
fn part(numbers: &[f32], each: usize, group: usize) -> &[f32] {
    &numbers[group * each..][..each]
}

/// `[pixels, groups · channels]` to `[groups, pixels, channels]`.
fn split(machine: &Machine, from: &[f32], channels: usize, into: &mut [f32], groups: usize) {
    let each = into.len() / groups;
    let mut parts: Vec<_> = into.chunks_exact_mut(each).map(|part| (Some(part), channels)).collect();
    elementwise::split(machine, from, &mut parts, Accumulate::Overwrite);
}

/// `[groups, pixels, channels]` to `[pixels, groups · channels]`.
fn join(machine: &Machine, from: &[f32], channels: usize, into: &mut [f32], groups: usize) {
    let parts: Vec<_> = from.chunks_exact(from.len() / groups).map(|part| (part, channels)).collect();
    elementwise::concat(machine, &parts, into);
}
