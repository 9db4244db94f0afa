//! Rows of a table by number.

use super::arithmetic::give;
use super::{Mode, Step};
use crate::cpu::Workspace;
use crate::cpu::kernels::lookup;
use crate::graph::Value;
use crate::{EngineError, Result};

/// `output = table[indices]`.
pub(crate) struct LookUp {
    pub name: String,
    pub indices: Value,
    pub table: Value,
    pub output: Value,
    /// The rows of the last pass.
    pub numbers: Vec<usize>,
}

impl Step for LookUp {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let &[rows, width] = workspace.shape(self.table) else {
            return Err(EngineError::Order("a look-up needs a table that is bound"));
        };
        self.numbers =
            lookup::row_numbers(workspace.get(self.indices), rows).map_err(|index| EngineError::Tensor {
                what: format!("an index that `{}` looks up", self.name),
                expected: format!("a whole number below the table's {rows} rows"),
                found: format!("{index}"),
            })?;
        let length = workspace.len(self.output);
        let mut y = workspace.allocate(length);
        lookup::gather(&workspace.machine, width, &self.numbers, workspace.get(self.table), &mut y[..length]);
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(dy) = workspace.take_gradient(self.output) else { return Ok(()) };
        give(workspace, self.table, |workspace, into, accumulate| {
            let width = workspace.shape(self.table).last().copied().unwrap_or(0);
            let dy = &dy[..workspace.len(self.output)];
            lookup::scatter_add(&workspace.machine, width, &self.numbers, dy, into, accumulate);
        });
        workspace.recycle(dy);
        Ok(())
    }
}
