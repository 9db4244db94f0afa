//! What norms of weights and of channels are made of: quotients, broadcast, and squares, roots and exponentials.

use super::arithmetic::{collect_numbers, give};
use super::{Mode, Step};
use crate::Result;
use crate::cpu::Workspace;
use crate::cpu::kernels::movement::{self, Walk};
use crate::cpu::kernels::{Accumulate, unary};
use crate::graph::{Unary, Value};

/// `output = a / b`, broadcast.
pub(crate) struct DivideBroadcast {
    pub operands: [Value; 2],
    pub output: Value,
}

impl Step for DivideBroadcast {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.output);
        let mut y = workspace.allocate(length);
        let [a, b] = self.operands;
        let walk = Walk::broadcast(workspace.shape(self.output), [workspace.shape(a), workspace.shape(b)]);
        let operands = [workspace.get(a), &reciprocals(workspace, b)];
        movement::multiply(&workspace.machine, &walk, operands, &mut y[..length], Accumulate::Overwrite);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(gradient) = workspace.take_gradient(self.output) else { return Ok(()) };
        let dy = &gradient[..workspace.len(self.output)];
        let [a, b] = self.operands;
        let reciprocals = reciprocals(workspace, b);
        give(workspace, a, |workspace, into, accumulate| {
            let other = Some((workspace.shape(b), &reciprocals[..]));
            collect_numbers(workspace, (self.output, dy), a, other, into, accumulate);
        });
        give(workspace, b, |workspace, into, accumulate| {
            // d(a / b) / db = −(a / b) / b, and 1 / b is the same wherever b is repeated.
            let quotients: Vec<f32> =
                workspace.get(self.output).iter().zip(dy).map(|(y, dy)| y * dy).collect();
            let mut sums = vec![0.0; into.len()];
            collect_numbers(workspace, (self.output, &quotients), b, None, &mut sums, Accumulate::Overwrite);
            for ((into, sum), reciprocal) in into.iter_mut().zip(&sums).zip(&reciprocals) {
                let share = -sum * reciprocal;
                *into = if accumulate == Accumulate::Add { *into + share } else { share };
            }
        });
        workspace.recycle(gradient);
        Ok(())
    }
}

/// `1 / b`, number by number.
fn reciprocals(workspace: &Workspace, b: Value) -> Vec<f32> {
    workspace.get(b).iter().map(|number| 1.0 / number).collect()
}

/// `output = f(x)`, element by element.
pub(crate) struct ApplyUnary {
    pub x: Value,
    pub unary: Unary,
    pub output: Value,
}

impl Step for ApplyUnary {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.output);
        let mut y = workspace.allocate(length);
        unary::forward(&workspace.machine, self.unary, workspace.get(self.x), &mut y[..length]);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        give(workspace, self.x, |workspace, into, accumulate| {
            let operands = [workspace.get(self.x), workspace.get(self.output), &dy[..into.len()]];
            unary::backward(&workspace.machine, self.unary, operands, into, accumulate);
        });
        workspace.recycle(dy);
        Ok(())
    }
}
