//! Batch-norm, with the addition and the clamp that follow it.

use super::convolution::{hand_on, mask};
use super::{Mode, Step};
use crate::Result;
use crate::cpu::Workspace;
use crate::cpu::kernels::batch_norm::{self, Affine, Finish, InputGradient, Moments};
use crate::cpu::kernels::{Clamp, elementwise};
use crate::graph::Value;

/// `output = clamp(norm(x) + residual)`.
pub(crate) struct Normalise {
    pub x: Value,
    /// Weight, bias, running mean, running variance.
    pub parameters: [Value; 4],
    pub epsilon: f64,
    pub statistics: Statistics,
    pub residual: Option<Value>,
    pub clamp: Clamp,
    pub output: Value,
    /// Whether the gradient of `x` may be written over `x`, which nothing else reads.
    pub owns_input: bool,
    /// What the last forward pass normalised with.
    pub saved: Option<Moments>,
}

/// What batch-norm normalises with when it trains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Statistics {
    /// The batch's, which also move the running ones.
    Batch {
        /// The share of the batch's in the running ones.
        momentum: f64,
    },
    /// The running ones, as they are.
    Running,
}

impl Normalise {
    fn channels(&self, workspace: &Workspace) -> usize {
        workspace.len(self.parameters[0])
    }

    fn moments(&self, workspace: &mut Workspace, mode: Mode) -> Moments {
        let [_, _, mean, variance] = self.parameters;
        match self.statistics {
            Statistics::Batch { momentum } if mode == Mode::Training => {
                let channels = self.channels(workspace);
                let moments = batch_norm::statistics(&workspace.machine, workspace.get(self.x), channels);
                let rows = workspace.len(self.x) / channels;
                if let (Some(mut means), Some(mut variances)) =
                    (workspace.take(mean), workspace.take(variance))
                {
                    moments.update_stored(rows, momentum, &mut means[..channels], &mut variances[..channels]);
                    workspace.put(mean, means);
                    workspace.put(variance, variances);
                }
                moments
            }
            _ => Moments::stored(workspace.get(mean), workspace.get(variance)),
        }
    }
}

impl Step for Normalise {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, mode: Mode) -> Result<()> {
        let moments = self.moments(workspace, mode);
        let length = workspace.len(self.x);
        let mut z = workspace.allocate(length);
        let [weight, bias, ..] = self.parameters;
        let affine = Affine::new(&moments, workspace.get(weight), workspace.get(bias), self.epsilon);
        let finish = Finish {
            residual: self.residual.map(|residual| workspace.get(residual)),
            clamp: self.clamp,
            curve: None,
        };
        batch_norm::forward(&workspace.machine, &affine, workspace.get(self.x), finish, &mut z[..length]);
        workspace.put(self.output, z);
        self.saved = Some(moments);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let (Some(mut gradient), Some(moments)) = (workspace.take_gradient(self.output), self.saved.take())
        else {
            return Ok(());
        };
        let [weight, bias, ..] = self.parameters;
        let (length, channels) = (workspace.len(self.x), self.channels(workspace));
        let dz = &mut gradient[..length];
        let batch = matches!(self.statistics, Statistics::Batch { .. });
        let trains = workspace.wants(weight) || workspace.wants(bias);
        // Fixed statistics and frozen parameters need no sums: the norm is a mere scale.
        let sums = if batch || trains {
            let output = (self.clamp != Clamp::None).then(|| (workspace.get(self.output), self.clamp));
            Some(batch_norm::gradient_sums(&workspace.machine, &moments, workspace.get(self.x), output, dz))
        } else {
            mask(workspace, self.clamp, self.output, dz);
            None
        };
        if let (Some(sums), true) = (&sums, trains) {
            let mut shares = vec![0.0; 2 * channels];
            let (dweight, dbias) = shares.split_at_mut(channels);
            sums.add_to(&moments, self.epsilon, dweight, dbias);
            add_share(workspace, weight, dweight);
            add_share(workspace, bias, dbias);
        }
        if workspace.wants(self.x) {
            let gamma = workspace.get(weight);
            match &sums {
                Some(sums) if batch => {
                    let map = InputGradient::new(&moments, sums, gamma, self.epsilon, length / channels);
                    self.write_input_gradient(workspace, &map, dz);
                }
                _ => {
                    let scale = Affine::new(&moments, gamma, workspace.get(bias), self.epsilon).scale;
                    let (mut dx, accumulate) = workspace.gradient_buffer(self.x);
                    elementwise::scale_channels(
                        &workspace.machine,
                        &scale,
                        dz,
                        &mut dx[..length],
                        accumulate,
                    );
                    workspace.put_gradient(self.x, dx);
                }
            }
        }
        hand_on(workspace, self.residual, gradient);
        Ok(())
    }
}

impl Normalise {
    /// Writes the gradient of the input: over the input where nobody else reads it, else beside it.
    fn write_input_gradient(&self, workspace: &mut Workspace, map: &InputGradient, dz: &[f32]) {
        let own = if self.owns_input { workspace.take(self.x) } else { None };
        if let Some(mut x) = own {
            map.apply_over_input(&workspace.machine, &mut x[..dz.len()], dz);
            workspace.put_gradient(self.x, x);
            return;
        }
        let (mut dx, accumulate) = workspace.gradient_buffer(self.x);
        map.apply(&workspace.machine, workspace.get(self.x), dz, &mut dx[..dz.len()], accumulate);
        workspace.put_gradient(self.x, dx);
    }
}

/// Adds a small gradient to a parameter's, where it is wanted.
pub(super) fn add_share(workspace: &mut Workspace, parameter: Value, share: &[f32]) {
    if !workspace.wants(parameter) {
        return;
    }
    let (mut gradient, accumulate) = workspace.gradient_buffer(parameter);
    elementwise::scale(&workspace.machine, 1.0, share, &mut gradient[..share.len()], accumulate);
    workspace.put_gradient(parameter, gradient);
}
