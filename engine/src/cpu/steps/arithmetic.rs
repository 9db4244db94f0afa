//! Arithmetic on operands of several shapes: broadcast sums and products, reductions, and scaling with a shift.

use super::{Mode, Step};
use crate::Result;
use crate::cpu::Workspace;
use crate::cpu::kernels::movement::{self, Walk};
use crate::cpu::kernels::{Accumulate, elementwise};
use crate::graph::Value;

/// `output = a + b`, broadcast.
pub(crate) struct AddBroadcast {
    pub operands: [Value; 2],
    pub output: Value,
}

impl Step for AddBroadcast {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.output);
        let mut y = workspace.allocate(length);
        let walk = walk(workspace, self.output, self.operands);
        let operands = self.operands.map(|operand| workspace.get(operand));
        movement::add(&workspace.machine, &walk, operands, &mut y[..length]);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        for operand in self.operands {
            let share = &dy[..workspace.len(self.output)];
            give(workspace, operand, |workspace, into, accumulate| {
                collect(workspace, (self.output, share), operand, None, into, accumulate);
            });
        }
        workspace.recycle(dy);
        Ok(())
    }
}

/// `output = a · b`, broadcast.
pub(crate) struct MultiplyBroadcast {
    pub operands: [Value; 2],
    pub output: Value,
}

impl Step for MultiplyBroadcast {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.output);
        let mut y = workspace.allocate(length);
        let walk = walk(workspace, self.output, self.operands);
        let operands = self.operands.map(|operand| workspace.get(operand));
        movement::multiply(&workspace.machine, &walk, operands, &mut y[..length], Accumulate::Overwrite);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        let [a, b] = self.operands;
        for (operand, other) in [(a, b), (b, a)] {
            let share = &dy[..workspace.len(self.output)];
            give(workspace, operand, |workspace, into, accumulate| {
                collect(workspace, (self.output, share), operand, Some(other), into, accumulate);
            });
        }
        workspace.recycle(dy);
        Ok(())
    }
}

/// `output = factor · Σ x` over the axes that are 1 in the output.
pub(crate) struct ReduceAxes {
    pub x: Value,
    /// 1 for a sum; for a mean 1 / the count.
    pub factor: f64,
    pub output: Value,
}

impl Step for ReduceAxes {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.output);
        let mut y = workspace.allocate(length);
        let walk = walk(workspace, self.x, [self.output, self.x]);
        let (machine, x) = (&workspace.machine, workspace.get(self.x));
        movement::collect(machine, &walk, self.factor, x, None, &mut y[..length], Accumulate::Overwrite);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        give(workspace, self.x, |workspace, into, accumulate| {
            let walk = Walk::broadcast(workspace.shape(self.x), [workspace.shape(self.output)]);
            let dy = &dy[..workspace.len(self.output)];
            movement::spread(&workspace.machine, &walk, self.factor as f32, dy, into, accumulate);
        });
        workspace.recycle(dy);
        Ok(())
    }
}

/// `output = scale · x + shift`.
pub(crate) struct ScaleAndShift {
    pub x: Value,
    pub scale: f32,
    pub shift: f32,
    pub output: Value,
}

impl Step for ScaleAndShift {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.output);
        let mut y = workspace.allocate(length);
        let x = workspace.get(self.x);
        elementwise::affine(&workspace.machine, self.scale, self.shift, x, &mut y[..length]);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        give(workspace, self.x, |workspace, into, accumulate| {
            elementwise::scale(&workspace.machine, self.scale, &dy[..into.len()], into, accumulate);
        });
        workspace.recycle(dy);
        Ok(())
    }
}

/// Lets `write` write, or add, to the gradient of a value, if it is wanted.
pub(super) fn give(
    workspace: &mut Workspace,
    value: Value,
    write: impl FnOnce(&Workspace, &mut [f32], Accumulate),
) {
    if workspace.wants(value) {
        let (mut gradient, accumulate) = workspace.gradient_buffer(value);
        let length = workspace.len(value);
        write(workspace, &mut gradient[..length], accumulate);
        workspace.put_gradient(value, gradient);
    }
}

fn walk(workspace: &Workspace, full: Value, operands: [Value; 2]) -> Walk<2> {
    Walk::broadcast(workspace.shape(full), operands.map(|operand| workspace.shape(operand)))
}

/// `into (+)= Σ dy · other` over all places where an operand has the same number.
pub(super) fn collect(
    workspace: &Workspace,
    output: (Value, &[f32]),
    operand: Value,
    other: Option<Value>,
    into: &mut [f32],
    accumulate: Accumulate,
) {
    let other = other.map(|other| (workspace.shape(other), workspace.get(other)));
    collect_numbers(workspace, output, operand, other, into, accumulate);
}

/// As [`collect`], with the other operand given by shape and numbers.
pub(super) fn collect_numbers(
    workspace: &Workspace,
    (output, dy): (Value, &[f32]),
    operand: Value,
    other: Option<(&[usize], &[f32])>,
    into: &mut [f32],
    accumulate: Accumulate,
) {
    let machine = &workspace.machine;
    let (full, part) = (workspace.shape(output), workspace.shape(operand));
    let is_suffix = full.ends_with(part);
    match other {
        None if part == full => elementwise::scale(machine, 1.0, dy, into, accumulate),
        None if is_suffix && !into.is_empty() => elementwise::sum_rows(machine, dy, into, accumulate),
        Some((shape, numbers)) if part == full => {
            let walk = Walk::broadcast(full, [full, shape]);
            movement::multiply(machine, &walk, [dy, numbers], into, accumulate);
        }
        _ => {
            let shape = other.map_or(full, |(shape, _)| shape);
            let walk = Walk::broadcast(full, [part, shape]);
            movement::collect(machine, &walk, 1.0, dy, other.map(|(_, numbers)| numbers), into, accumulate);
        }
    }
}
