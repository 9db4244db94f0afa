//! Group-norm, with the activation that follows it: batch-norm's kernels, one sample at a time.

use super::normalisation::add_share;
use super::{Mode, Step};
use crate::Result;
use crate::cpu::Workspace;
use crate::cpu::kernels::Clamp;
use crate::cpu::kernels::batch_norm::{self, Affine, Finish, InputGradient, Moments};
use crate::graph::{Activation, Value};

/// `output = curve(group-norm(x))`.
pub(crate) struct NormaliseSamples {
    pub x: Value,
    pub weight: Value,
    pub bias: Value,
    /// Groups of channels that are normalised together.
    pub groups: usize,
    pub epsilon: f64,
    /// Only where nobody asks for gradients, which would need what it was applied to.
    pub curve: Option<Activation>,
    pub output: Value,
    /// Whether the output may be written over `x`, which nothing else reads and no backward pass needs.
    pub owns_input: bool,
    /// What each sample was normalised with in the last training pass.
    pub saved: Vec<Moments>,
}

impl NormaliseSamples {
    /// The numbers of a sample.
    fn sample_len(&self, workspace: &Workspace) -> usize {
        workspace.shape(self.x)[1..].iter().product()
    }

    fn channels(&self, workspace: &Workspace) -> usize {
        workspace.len(self.weight)
    }
}

impl Step for NormaliseSamples {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, mode: Mode) -> Result<()> {
        let (length, sample) = (workspace.len(self.x), self.sample_len(workspace));
        let channels = self.channels(workspace);
        let finish = Finish { residual: None, clamp: Clamp::None, curve: self.curve };
        self.saved.clear();
        let own = if self.owns_input { workspace.take(self.x) } else { None };
        let is_own = own.is_some();
        let mut z = own.unwrap_or_else(|| workspace.allocate(length));
        if sample > 0 {
            let (weight, bias) = (workspace.get(self.weight), workspace.get(self.bias));
            let machine = &workspace.machine;
            for (index, z) in z[..length].chunks_exact_mut(sample).enumerate() {
                let x = (!is_own).then(|| &workspace.get(self.x)[index * sample..][..sample]);
                let moments = batch_norm::statistics(machine, x.unwrap_or(z), channels);
                let moments = moments.pooled(channels / self.groups);
                let affine = Affine::new(&moments, weight, bias, self.epsilon);
                match x {
                    Some(x) => batch_norm::forward(machine, &affine, x, finish, z),
                    None => batch_norm::forward_in_place(machine, &affine, finish, z),
                }
                if mode == Mode::Training {
                    self.saved.push(moments);
                }
            }
        }
        workspace.put(self.output, z);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(mut gradient) = workspace.take_gradient(self.output) else { return Ok(()) };
        let (length, sample) = (workspace.len(self.x), self.sample_len(workspace));
        let channels = self.channels(workspace);
        let mut shares = vec![0.0; 2 * channels];
        let (dweight, dbias) = shares.split_at_mut(channels);
        let mut input = workspace.wants(self.x).then(|| workspace.gradient_buffer(self.x));
        let dz = &mut gradient[..length];
        for (index, moments) in self.saved.drain(..).enumerate() {
            let machine = &workspace.machine;
            let x = &workspace.get(self.x)[index * sample..][..sample];
            let dz = &mut dz[index * sample..][..sample];
            let sums = batch_norm::gradient_sums(machine, &moments, x, None, dz);
            sums.add_to(&moments, self.epsilon, dweight, dbias);
            if let Some((dx, accumulate)) = &mut input {
                let gamma = workspace.get(self.weight);
                let map = InputGradient::new(&moments, &sums, gamma, self.epsilon, sample / channels);
                map.apply(machine, x, dz, &mut dx[index * sample..][..sample], *accumulate);
            }
        }
        if let Some((dx, _)) = input {
            workspace.put_gradient(self.x, dx);
        }
        add_share(workspace, self.weight, dweight);
        add_share(workspace, self.bias, dbias);
        workspace.recycle(gradient);
        Ok(())
    }
}
