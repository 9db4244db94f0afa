//! Inverted residuals: a 1 × 1 convolution that widens, a depthwise one and a 1 × 1 convolution that narrows, in one pass.

use super::{Convolve, Form, Mode, Step};
use crate::cpu::Workspace;
use crate::cpu::kernels::conv::{ConvShape, Direction};
use crate::cpu::kernels::inverted_residual::{self, Block, BlockShape, Layer};
use crate::graph::Value;
use crate::{EngineError, Precision, Result};

/// Three convolutions of which only the last one's result is kept. Plans alone have it: there is no way back through it.
pub(crate) struct InvertedResidual {
    expand: Option<Convolve>,
    depthwise: Convolve,
    project: Convolve,
}

impl InvertedResidual {
    /// Convolutions that follow each other as one step, where they are of the kinds that the kernel computes and it pays for the
    /// shapes of all values.
    pub fn of(
        expand: Option<Convolve>,
        depthwise: Convolve,
        project: Convolve,
        shapes: &[Vec<usize>],
    ) -> Option<Self> {
        let is_plain = |step: &Convolve| step.residual.is_none() && step.curve.is_none();
        let fits = expand.as_ref().is_none_or(|step| is_plain(step) && is_pointwise(step, shapes))
            && matches!(depthwise.form, Form::Depthwise(_))
            && is_plain(&depthwise)
            && project.curve.is_none()
            && is_pointwise(&project, shapes);
        let step = Self { expand, depthwise, project };
        let shape = step.shape(shapes);
        (fits && shape.is_supported() && shape.pays()).then_some(step)
    }

    fn shape(&self, shapes: &[Vec<usize>]) -> BlockShape {
        let depthwise = self.depthwise.shape(shapes);
        BlockShape {
            in_channels: self
                .expand
                .as_ref()
                .map_or(depthwise.in_channels, |expand| expand.shape(shapes).in_channels),
            depthwise,
            out_channels: self.project.shape(shapes).out_channels,
        }
    }
}

/// Whether a step is a full convolution of single pixels, each to its own place.
fn is_pointwise(step: &Convolve, shapes: &[Vec<usize>]) -> bool {
    let ConvShape { kernel, stride, padding, .. } = step.shape(shapes);
    matches!(step.form, Form::Full(_)) && kernel == [1, 1] && stride == [1, 1] && padding == [0; 4]
}

impl Step for InvertedResidual {
    fn output(&self) -> Value {
        self.project.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let shape = self.shape(&workspace.shapes);
        let (expand, project) = (shape.expand(), shape.project());
        let expand = (self.expand.as_ref())
            .map(|step| workspace.take_packed(step.weight, &expand, Direction::Forward, Precision::F32));
        let packed = workspace.take_packed(self.project.weight, &project, Direction::Forward, Precision::F32);
        let mut y = workspace.allocate(project.out_len());
        let bias = |step: &Convolve| step.bias.map(|bias| workspace.get(bias));
        let block = Block {
            shape,
            expand: self.expand.as_ref().zip(expand.as_ref()).map(|(step, packed)| Layer {
                weights: &packed.weights,
                bias: bias(step),
                clamp: step.clamp,
            }),
            depthwise: Layer {
                weights: workspace.get(self.depthwise.weight),
                bias: bias(&self.depthwise),
                clamp: self.depthwise.clamp,
            },
            project: Layer { weights: &packed.weights, bias: bias(&self.project), clamp: self.project.clamp },
            residual: self.project.residual.map(|residual| workspace.get(residual)),
        };
        let x = workspace.get(self.expand.as_ref().unwrap_or(&self.depthwise).x);
        inverted_residual::forward(&workspace.machine, &block, x, &mut y[..project.out_len()]);
        expand.into_iter().chain([packed]).for_each(|packed| workspace.keep_packed(packed));
        workspace.put(self.project.output, y);
        Ok(())
    }

    fn backward(&mut self, _: &mut Workspace) -> Result<()> {
        Err(EngineError::Order("an inverted residual in one step is for inference"))
    }
}
