//! What tells attention how far apart tokens are: turned queries and keys, numbers by distance.

use super::arithmetic::give;
use super::{Mode, Step};
use crate::Result;
use crate::cpu::Workspace;
use crate::cpu::kernels::rotary::{Direction, TurnShape};
use crate::cpu::kernels::{Accumulate, distances, rotary};
use crate::graph::{Rotary, Value};

/// `output = x`, turned by positions.
pub(crate) struct Turn {
    pub x: Value,
    pub rotary: Rotary,
    pub output: Value,
    /// Cosines and sines of every position's angles, made by the first pass.
    pub turns: Vec<f32>,
}

impl Turn {
    fn shape(&self, workspace: &Workspace) -> TurnShape {
        let shape = workspace.shape(self.x);
        TurnShape { length: shape[1], width: shape[2], half: shape[2] / self.rotary.heads / 2 }
    }
}

impl Step for Turn {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let shape = self.shape(workspace);
        if self.turns.len() != shape.length * 2 * shape.half {
            let angles: Vec<f64> = self.rotary.angles(shape.length, shape.half).collect();
            let turns = angles.chunks(shape.half).flat_map(|row| {
                row.iter().map(|angle| angle.cos() as f32).chain(row.iter().map(|angle| angle.sin() as f32))
            });
            self.turns = turns.collect();
        }
        let length = workspace.len(self.output);
        let mut y = workspace.allocate(length);
        let (machine, x, y_) = (&workspace.machine, workspace.get(self.x), &mut y[..length]);
        rotary::turn(machine, shape, &self.turns, Direction::Forth, x, y_, Accumulate::Overwrite);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        give(workspace, self.x, |workspace, into, accumulate| {
            let (machine, shape, dy) = (&workspace.machine, self.shape(workspace), &dy[..into.len()]);
            rotary::turn(machine, shape, &self.turns, Direction::Back, dy, into, accumulate);
        });
        workspace.recycle(dy);
        Ok(())
    }
}

/// `output` = of each row of `x` the columns of the distances from it.
pub(crate) struct PickByDistance {
    pub x: Value,
    pub columns: Vec<usize>,
    pub output: Value,
}

impl PickByDistance {
    /// Rows and columns of `x`, and the column of each distance.
    fn line(&self, workspace: &Workspace) -> ([usize; 2], Vec<usize>) {
        let sizes = workspace.shape(self.x).last_chunk().copied().unwrap_or_default();
        (sizes, distances::line(&self.columns, sizes[0]))
    }
}

impl Step for PickByDistance {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let length = workspace.len(self.output);
        let mut y = workspace.allocate(length);
        let (sizes, line) = self.line(workspace);
        distances::pick(&workspace.machine, sizes, &line, workspace.get(self.x), &mut y[..length]);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        give(workspace, self.x, |workspace, into, accumulate| {
            let ((sizes, line), dy) = (self.line(workspace), &dy[..workspace.len(self.output)]);
            distances::unpick(&workspace.machine, sizes, &line, dy, into, accumulate);
        });
        workspace.recycle(dy);
        Ok(())
    }
}
