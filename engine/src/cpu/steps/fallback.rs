//! A node without a kernel: it runs as the reference executor would, on copies.

use super::{Mode, Step};
use crate::cpu::Workspace;
use crate::cpu::kernels::elementwise;
use crate::graph::{Node, Value};
use crate::reference::{Behaviour, fallback};
use crate::{Result, Tensor};

/// `output = node(inputs…)` by way of the reference executor.
pub(crate) struct Fallback {
    pub node: Node,
    pub output: Value,
    /// Whether dropout acts when it trains.
    pub drops: bool,
}

impl Fallback {
    fn inputs(&self, workspace: &Workspace) -> Result<Vec<Tensor>> {
        let copy = |&value: &Value| Tensor::new(workspace.shape(value), workspace.get(value).to_vec());
        self.node.inputs.iter().map(copy).collect()
    }

    fn behaviour<'a>(&self, workspace: &'a Workspace, mode: Mode) -> Result<Behaviour<'a>> {
        let drops = self.drops && mode == Mode::Training;
        Ok(Behaviour { dropout: drops.then(|| workspace.key()).transpose()?, ..Behaviour::default() })
    }
}

impl Step for Fallback {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, mode: Mode) -> Result<()> {
        let behaviour = self.behaviour(workspace, mode)?;
        let made = fallback::forward(&self.node, &self.inputs(workspace)?, behaviour)?;
        workspace.put_slice(self.output, made.as_f32()?);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(gradient) = workspace.take_gradient(self.output) else { return Ok(()) };
        let length = workspace.len(self.output);
        let dy = Tensor::new(workspace.shape(self.output), gradient[..length].to_vec())?;
        workspace.recycle(gradient);
        let wanted: Vec<bool> = self.node.inputs.iter().map(|&input| workspace.wants(input)).collect();
        let behaviour = self.behaviour(workspace, Mode::Training)?;
        let shares = fallback::backward(&self.node, &self.inputs(workspace)?, &dy, &wanted, behaviour)?;
        for (&input, share) in self.node.inputs.iter().zip(shares) {
            let Some(share) = share else { continue };
            let (mut buffer, accumulate) = workspace.gradient_buffer(input);
            let length = share.len();
            elementwise::scale(&workspace.machine, 1.0, share.as_f32()?, &mut buffer[..length], accumulate);
            workspace.put_gradient(input, buffer);
        }
        Ok(())
    }

    fn fallback(&self) -> Option<&str> {
        Some(&self.node.name)
    }
}
