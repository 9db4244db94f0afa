//! The steps of convolutions and linear layers, with what follows them.

use super::Compiler;
use crate::Precision;
use crate::cpu::kernels::conv::{self, Direction, PackedWeights};
use crate::cpu::steps::{Convolve, ConvolveGroups, Form, InvertedResidual, Step};
use crate::graph::{Node, Op};

impl Compiler<'_> {
    /// The form of a convolution or linear layer, where it has a kernel.
    fn form(&self, node: &Node) -> Option<Form> {
        let Op::Convolution(walk) = node.op else { return Some(Form::Linear) };
        if walk.groups == 1 {
            return Some(Form::Full(walk));
        }
        // Depthwise: as many groups as output channels, and each reads one channel.
        match self.graph.node(node.inputs[1]).op {
            Op::Parameter(index) => {
                let shape = &self.graph.parameters()[index].shape;
                (shape[0] == walk.groups && shape[1] == 1).then_some(Form::Depthwise(walk))
            }
            _ => None,
        }
    }

    /// The step of a convolution or linear layer.
    pub(super) fn convolution_step(&mut self, position: usize) -> Box<dyn Step> {
        if let Some((step, nodes)) = self.inverted_residual(position) {
            self.take_in(&nodes);
            return Box::new(step);
        }
        if let Some((step, nodes)) = self.convolution(position) {
            self.take_in(&nodes);
            return Box::new(step);
        }
        self.grouped_convolution(position).unwrap_or_else(|| self.fallback(position))
    }

    /// A convolution in groups of several channels.
    fn grouped_convolution(&mut self, position: usize) -> Option<Box<dyn Step>> {
        let node = &self.graph.nodes()[position];
        let Op::Convolution(walk) = node.op else { return None };
        if self.shapes[position].contains(&0) {
            return None;
        }
        let (curve, output) = self.curve_behind(position);
        Some(Box::new(ConvolveGroups {
            x: node.inputs[0],
            weight: node.inputs[1],
            bias: node.inputs.get(2).copied(),
            curve,
            output,
            walk,
        }))
    }

    /// A convolution or linear layer with what follows it, and the nodes that follow; where it has a kernel.
    fn convolution(&self, position: usize) -> Option<(Convolve, Vec<usize>)> {
        let node = &self.graph.nodes()[position];
        let form = self.form(node)?;
        let mut tail = self.tail(position);
        let curve = self.curve(&mut tail);
        let mut step = Convolve {
            x: node.inputs[0],
            weight: node.inputs[1],
            bias: node.inputs.get(2).copied(),
            residual: tail.residual,
            clamp: tail.clamp,
            curve,
            output: tail.output,
            form,
            precision: Precision::F32,
        };
        step.precision = self.precision(&step);
        Some((step, tail.nodes))
    }

    /// The convolution that alone reads a step's result.
    fn next_convolution(&self, step: &Convolve) -> Option<(Convolve, Vec<usize>)> {
        let (reader, node) = self.only_reader(step.output)?;
        if !matches!(node.op, Op::Convolution(_)) || node.inputs[0] != step.output {
            return None;
        }
        let (next, mut nodes) = self.convolution(reader)?;
        nodes.push(reader);
        Some((next, nodes))
    }

    /// `[1 × 1 convolution] → depthwise convolution → 1 × 1 convolution`, each with what follows it, where nothing is trained
    /// and all of it is in f32.
    fn inverted_residual(&self, position: usize) -> Option<(InvertedResidual, Vec<usize>)> {
        if self.spec.is_some() || self.lowering.precision != Precision::F32 || self.lowering.is_observed {
            return None;
        }
        let (first, mut nodes) = self.convolution(position)?;
        let (second, more) = self.next_convolution(&first)?;
        nodes.extend(more);
        let (expand, depthwise, project) = match first.form {
            Form::Depthwise(_) => (None, first, second),
            Form::Full(_) | Form::Linear => {
                let (third, more) = self.next_convolution(&second)?;
                nodes.extend(more);
                (Some(first), second, third)
            }
        };
        // The summand must be there when the first convolution runs.
        if project.residual.is_some_and(|residual| residual.index() >= position) {
            return None;
        }
        let step = InvertedResidual::of(expand, depthwise, project, self.shapes)?;
        Some((step, nodes))
    }

    /// In how few bits a step may multiply. Convolutions that need fewer multiplications in f32 are left there, when there are bf16.
    fn precision(&self, step: &Convolve) -> Precision {
        let wanted = self.lowering.precision;
        let shape = step.shape(self.shapes);
        let known = match wanted {
            Precision::Int8 => self.lowering.quantizations.get(step.x.index()).is_some_and(Option::is_some),
            Precision::F32 | Precision::Bf16 => true,
        };
        let is_parameter = matches!(self.graph.node(step.weight).op, Op::Parameter(_));
        let is_winograd = self.spec.is_none() && wanted == Precision::Bf16 && conv::suits_winograd(&shape);
        let is_suited = PackedWeights::suits(&shape, Direction::Forward, wanted);
        let suits =
            !matches!(step.form, Form::Depthwise(_)) && known && is_parameter && is_suited && !is_winograd;
        if suits { wanted } else { Precision::F32 }
    }
}
