//! Dropout and drop-path: masks that follow from the step's key, so that nothing is stored.

use super::{Mode, Step};
use crate::Result;
use crate::cpu::Workspace;
use crate::cpu::kernels::{Accumulate, dropout, elementwise};
use crate::graph::Value;
use crate::random::Stream;

/// `output = x` with parts zeroed and the rest scaled up, when training; else `x` itself.
pub(crate) struct Drop {
    pub x: Value,
    pub output: Value,
    pub name: String,
    /// 0 where the specification switches it off.
    pub rate: f64,
    pub scope: Scope,
}

/// What is zeroed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Each element by itself.
    Element,
    /// Whole samples.
    Sample,
}

impl Drop {
    /// `into (+)= mask(x)` with the masks of the step that runs.
    fn masked(
        &self,
        workspace: &Workspace,
        x: &[f32],
        into: &mut [f32],
        accumulate: Accumulate,
    ) -> Result<()> {
        let key = workspace.key()?;
        let stream = |sample: &u64| {
            Stream::new(key.seed, &[key.step.into(), (*sample).into(), self.name.as_str().into()])
        };
        let streams: Vec<Stream> = key.samples.iter().map(stream).collect();
        match self.scope {
            Scope::Element => dropout::dropout(&workspace.machine, self.rate, &streams, x, into, accumulate),
            Scope::Sample => dropout::drop_path(&workspace.machine, self.rate, &streams, x, into, accumulate),
        }
        Ok(())
    }
}

impl Step for Drop {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, mode: Mode) -> Result<()> {
        let length = workspace.len(self.x);
        let mut y = workspace.allocate(length);
        match mode {
            Mode::Training if self.rate > 0.0 => {
                self.masked(workspace, workspace.get(self.x), &mut y[..length], Accumulate::Overwrite)?;
            }
            _ => y[..length].copy_from_slice(workspace.get(self.x)),
        }
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        if workspace.wants(self.x) {
            let length = workspace.len(self.x);
            let (mut dx, accumulate) = workspace.gradient_buffer(self.x);
            match self.rate > 0.0 {
                true => self.masked(workspace, &dy[..length], &mut dx[..length], accumulate)?,
                false => {
                    elementwise::scale(&workspace.machine, 1.0, &dy[..length], &mut dx[..length], accumulate)
                }
            }
            workspace.put_gradient(self.x, dx);
        }
        workspace.recycle(dy);
        Ok(())
    }
}
