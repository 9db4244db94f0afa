//! What only moves numbers: reshapes, slices, repetitions and permutations.

use super::arithmetic::{collect, give};
use super::convolution::hand_on;
use super::{Mode, Step};
use crate::Result;
use crate::cpu::Workspace;
use crate::cpu::kernels::movement::{self, Walk};
use crate::cpu::kernels::{Accumulate, elementwise};
use crate::graph::Value;

/// `output = x` under another shape.
pub(crate) struct RenameAxes {
    pub x: Value,
    pub output: Value,
}

impl Step for RenameAxes {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.x);
        let mut y = workspace.allocate(length);
        elementwise::copy(&workspace.machine, workspace.get(self.x), &mut y[..length]);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        if let Some(dy) = workspace.take_gradient(self.output) {
            hand_on(workspace, Some(self.x), dy);
        }
        Ok(())
    }
}

/// `output` = a range of an axis of `x`, as many as the output has, from `start` on.
pub(crate) struct SliceAxis {
    pub x: Value,
    pub axis: usize,
    pub start: usize,
    pub output: Value,
}

impl SliceAxis {
    /// Numbers of the axis and those after it: of `x`, before the range, of the range.
    fn sizes(&self, workspace: &Workspace) -> [usize; 3] {
        let (x, y) = (workspace.shape(self.x), workspace.shape(self.output));
        let after: usize = x[self.axis + 1..].iter().product();
        [x[self.axis], self.start, y[self.axis]].map(|count| count * after)
    }
}

impl Step for SliceAxis {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.output);
        let mut y = workspace.allocate(length);
        let sizes = self.sizes(workspace);
        movement::slice(&workspace.machine, sizes, workspace.get(self.x), &mut y[..length]);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        give(workspace, self.x, |workspace, into, accumulate| {
            let dy = &dy[..workspace.len(self.output)];
            movement::unslice(&workspace.machine, self.sizes(workspace), dy, into, accumulate);
        });
        workspace.recycle(dy);
        Ok(())
    }
}

/// `output = x`, repeated along the axes that are 1 in it and not in the output.
pub(crate) struct RepeatAxis {
    pub x: Value,
    pub output: Value,
}

impl Step for RepeatAxis {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.output);
        let mut y = workspace.allocate(length);
        let walk = Walk::broadcast(workspace.shape(self.output), [workspace.shape(self.x)]);
        let (machine, x) = (&workspace.machine, workspace.get(self.x));
        movement::spread(machine, &walk, 1.0, x, &mut y[..length], Accumulate::Overwrite);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        give(workspace, self.x, |workspace, into, accumulate| {
            let share = &dy[..workspace.len(self.output)];
            collect(workspace, (self.output, share), self.x, None, into, accumulate);
        });
        workspace.recycle(dy);
        Ok(())
    }
}

/// `output = x` with its axes in another order.
pub(crate) struct PermuteAxes {
    pub x: Value,
    pub order: Vec<usize>,
    pub output: Value,
}

impl Step for PermuteAxes {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.x);
        let mut y = workspace.allocate(length);
        let walk = Walk::permuted(workspace.shape(self.x), &self.order);
        let (machine, x) = (&workspace.machine, workspace.get(self.x));
        movement::spread(machine, &walk, 1.0, x, &mut y[..length], Accumulate::Overwrite);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        give(workspace, self.x, |workspace, into, accumulate| {
            let mut inverse = vec![0; self.order.len()];
            self.order.iter().enumerate().for_each(|(place, &axis)| inverse[axis] = place);
            let walk = Walk::permuted(workspace.shape(self.output), &inverse);
            movement::spread(&workspace.machine, &walk, 1.0, &dy[..into.len()], into, accumulate);
        });
        workspace.recycle(dy);
        Ok(())
    }
}
