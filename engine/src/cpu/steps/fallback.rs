//! A node without a kernel: it runs as the reference executor would, on copies.

use super::{Mode, Step};
use crate::cpu::Workspace;
use crate::graph::{Node, Value};
use crate::{EngineError, Result, Tensor};

/// `output = node(inputs…)` by way of the reference executor.
pub(crate) struct Fallback {
    pub node: Node,
    pub output: Value,
}

impl Fallback {
    fn inputs(&self, workspace: &Workspace) -> Result<Vec<Tensor>> {
        let copy = |&value: &Value| Tensor::new(workspace.shape(value), workspace.get(value).to_vec());
        self.node.inputs.iter().map(copy).collect()
    }
}

impl Step for Fallback {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, _workspace: &mut Workspace, _: Mode) -> Result<()> {
        Err(EngineError::Order("fallback is being written"))
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let _ = self.inputs(workspace)?;
        Ok(())
    }

    fn fallback(&self) -> Option<&str> {
        Some(&self.node.name)
    }
}
