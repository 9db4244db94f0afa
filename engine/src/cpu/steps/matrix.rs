//! Products of matrices that are both values.

use super::arithmetic::give;
use super::{Mode, Step};
use crate::Result;
use crate::cpu::Workspace;
use crate::cpu::kernels::Accumulate;
use crate::cpu::kernels::matrix::{Stored, product};
use crate::graph::Value;

/// `output = a · b` over the last two axes.
pub(crate) struct MultiplyMatrices {
    pub a: Value,
    pub b: Value,
    /// How `b` is stored.
    pub right: Stored,
    pub output: Value,
}

impl MultiplyMatrices {
    /// Rows, depth, columns.
    fn sizes(&self, workspace: &Workspace) -> [usize; 3] {
        let (a, y) = (workspace.shape(self.a), workspace.shape(self.output));
        let rank = a.len();
        [a[rank - 2], a[rank - 1], y[rank - 1]]
    }
}

impl Step for MultiplyMatrices {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let (length, sizes) = (workspace.len(self.output), self.sizes(workspace));
        let mut y = workspace.allocate(length);
        let (a, b) = ((workspace.get(self.a), Stored::Plain), (workspace.get(self.b), self.right));
        product(&workspace.machine, sizes, a, b, &mut y[..length], Accumulate::Overwrite);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        use Stored::{Plain, Transposed};
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        let [rows, depth, columns] = self.sizes(workspace);
        let share = &dy[..workspace.len(self.output)];
        give(workspace, self.a, |workspace, into, accumulate| {
            let flipped = if self.right == Plain { Transposed } else { Plain };
            let right = (workspace.get(self.b), flipped);
            product(&workspace.machine, [rows, columns, depth], (share, Plain), right, into, accumulate);
        });
        give(workspace, self.b, |workspace, into, accumulate| {
            let (machine, a) = (&workspace.machine, workspace.get(self.a));
            match self.right {
                Plain => {
                    let sizes = [depth, rows, columns];
                    product(machine, sizes, (a, Transposed), (share, Plain), into, accumulate);
                }
                Transposed => {
                    let sizes = [columns, rows, depth];
                    product(machine, sizes, (share, Transposed), (a, Plain), into, accumulate);
                }
            }
        });
        workspace.recycle(dy);
        Ok(())
    }
}
