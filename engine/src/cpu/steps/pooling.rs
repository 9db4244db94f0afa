//! Pooling: windows, bins and the whole image.

use super::{Mode, Step};
use crate::Result;
use crate::cpu::Workspace;
use crate::cpu::kernels::pooling::adaptive::{self, AdaptiveShape};
use crate::cpu::kernels::pooling::{PoolShape, Rounding, average, global, max};
use crate::graph::{AveragePool, Value, Window};

/// `output = pool(x)`.
pub(crate) struct Pool {
    x: Value,
    output: Value,
    kind: PoolKind,
    /// For a maximum, where in its window each was found.
    places: Vec<u8>,
}

/// The kinds of pooling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PoolKind {
    /// The maximum of each window.
    Max(Window),
    /// The mean of each window.
    Average(AveragePool),
    /// The mean of everything between batch and channels.
    Global,
    /// The mean of as many bins as the output has pixels.
    Adaptive,
}

impl Pool {
    pub fn new(x: Value, output: Value, kind: PoolKind) -> Self {
        Self { x, output, kind, places: Vec::new() }
    }

    fn window(&self, workspace: &Workspace, window: &Window) -> PoolShape {
        let x = workspace.shape(self.x);
        PoolShape {
            batch: x[0],
            height: x[1],
            width: x[2],
            channels: x[3],
            kernel: window.kernel,
            stride: window.stride,
            padding: window.padding,
            rounding: if window.ceil { Rounding::Ceil } else { Rounding::Floor },
        }
    }

    fn bins(&self, workspace: &Workspace) -> AdaptiveShape {
        let (x, y) = (workspace.shape(self.x), workspace.shape(self.output));
        AdaptiveShape { batch: x[0], height: x[1], width: x[2], channels: x[3], size: [y[1], y[2]] }
    }

    fn channels(&self, workspace: &Workspace) -> usize {
        workspace.shape(self.x).last().copied().unwrap_or(1)
    }
}

impl Step for Pool {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.output);
        let mut buffer = workspace.allocate(length);
        let y = &mut buffer[..length];
        let (machine, x) = (&workspace.machine, workspace.get(self.x));
        match &self.kind {
            PoolKind::Max(window) => {
                let shape = self.window(workspace, window);
                self.places.resize(length, 0);
                max::forward(machine, &shape, x, y, &mut self.places);
            }
            PoolKind::Average(pool) => {
                average::forward(machine, &self.window(workspace, &pool.window), pool.divisor, x, y);
            }
            PoolKind::Global => global::forward(machine, self.channels(workspace), x, y),
            PoolKind::Adaptive => adaptive::forward(machine, &self.bins(workspace), x, y),
        }
        workspace.put(self.output, buffer);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(gradient) = workspace.take_gradient(self.output) else { return Ok(()) };
        if workspace.wants(self.x) {
            let dy = &gradient[..workspace.len(self.output)];
            let (mut buffer, accumulate) = workspace.gradient_buffer(self.x);
            let dx = &mut buffer[..workspace.len(self.x)];
            let machine = &workspace.machine;
            match &self.kind {
                PoolKind::Max(window) => {
                    max::backward(machine, &self.window(workspace, window), &self.places, dy, dx, accumulate);
                }
                PoolKind::Average(pool) => {
                    let shape = self.window(workspace, &pool.window);
                    average::backward(machine, &shape, pool.divisor, dy, dx, accumulate);
                }
                PoolKind::Global => global::backward(machine, self.channels(workspace), dy, dx, accumulate),
                PoolKind::Adaptive => adaptive::backward(machine, &self.bins(workspace), dy, dx, accumulate),
            }
            workspace.put_gradient(self.x, buffer);
        }
        workspace.recycle(gradient);
        Ok(())
    }
}
