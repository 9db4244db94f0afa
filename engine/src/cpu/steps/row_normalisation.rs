//! Layer-norm and softmax: what normalises the last axis.

use super::arithmetic::give;
use super::{Mode, Step};
use crate::Result;
use crate::cpu::Workspace;
use crate::cpu::kernels::layer_norm::{self, Gradients, RowMoments};
use crate::cpu::kernels::softmax;
use crate::graph::Value;

/// `output = layer-norm(x)`.
pub(crate) struct NormaliseRows {
    pub x: Value,
    pub weight: Value,
    pub bias: Option<Value>,
    pub epsilon: f64,
    pub output: Value,
    /// What the rows of the last pass were normalised with.
    pub moments: Vec<RowMoments>,
}

impl Step for NormaliseRows {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.x);
        let mut y = workspace.allocate(length);
        self.moments.resize(length / workspace.len(self.weight).max(1), RowMoments::default());
        let parameters = (workspace.get(self.weight), self.bias.map(|bias| workspace.get(bias)));
        let (machine, x) = (&workspace.machine, workspace.get(self.x));
        layer_norm::forward(machine, self.epsilon, x, parameters, &mut y[..length], &mut self.moments);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        let (x, weight) = (self.x, self.weight);
        let values = [Some(x), Some(weight), self.bias];
        let mut buffers = values.map(|value| {
            let value = value.filter(|&value| workspace.wants(value))?;
            Some((value, workspace.len(value), workspace.gradient_buffer(value)))
        });
        let [dx, dweight, dbias] = buffers
            .each_mut()
            .map(|buffer| buffer.as_mut().map(|(_, length, (buffer, add))| (&mut buffer[..*length], *add)));
        let gradients = Gradients { x: dx, parameters: [dweight, dbias] };
        let (machine, dy_) = (&workspace.machine, &dy[..workspace.len(x)]);
        let moments = &self.moments;
        layer_norm::backward(machine, workspace.get(x), workspace.get(weight), moments, dy_, gradients);
        for (value, _, (buffer, _)) in buffers.into_iter().flatten() {
            workspace.put_gradient(value, buffer);
        }
        workspace.recycle(dy);
        Ok(())
    }
}

/// `output = softmax(x)`.
pub(crate) struct ShareRows {
    pub x: Value,
    pub output: Value,
}

impl ShareRows {
    fn width(&self, workspace: &Workspace) -> usize {
        workspace.shape(self.x).last().copied().unwrap_or(1)
    }
}

impl Step for ShareRows {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.x);
        let mut y = workspace.allocate(length);
        let width = self.width(workspace);
        softmax::forward(&workspace.machine, width, workspace.get(self.x), &mut y[..length]);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        give(workspace, self.x, |workspace, into, accumulate| {
            let (y, dy) = (workspace.get(self.output), &dy[..into.len()]);
            softmax::backward(&workspace.machine, self.width(workspace), y, dy, into, accumulate);
        });
        workspace.recycle(dy);
        Ok(())
    }
}
