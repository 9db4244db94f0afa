//! Folding batch-norm and layer scale into the convolution or linear layer before them, for graphs that are only run.

use super::{Graph, Init, Kind, Node, Op, ParameterSpec, Value};
use crate::{Parameters, Result, Tensor};

impl Graph {
    /// The same function with every frozen batch-norm, and every factor per channel, that directly follows a convolution or linear layer
    /// folded into its weight and bias. Norms and factors elsewhere stay. Folding is computed in f64 and rounded once.
    ///
    /// # Errors
    /// When a parameter has no value.
    pub fn fold(&self, parameters: &Parameters) -> Result<(Self, Parameters)> {
        let uses = self.use_counts();
        let mut folded = self.clone();
        let mut values = parameters.clone();
        // A norm that is folded becomes its convolution: readers of the one read the other.
        let mut replaced: Vec<Value> = (0..self.nodes.len()).map(Value::at).collect();
        let mut new_biases: Vec<(usize, String, usize)> = Vec::new();
        for (position, node) in self.nodes.iter().enumerate() {
            if !matches!(node.op, Op::BatchNorm { .. } | Op::Multiply) {
                continue;
            }
            let conv = node.inputs[0];
            let Some(weight) = self.own_weight(conv, &uses) else { continue };
            let Some((scale, shift)) = self.scale_and_shift(node, parameters)? else { continue };
            if [scale.len()] != self.parameters[weight].shape[..1] {
                continue;
            }

            let old_bias = match self.node(conv).inputs.get(2) {
                Some(bias) => match self.node(*bias).op {
                    Op::Parameter(index) => Some(self.parameters[index].name.clone()),
                    _ => continue,
                },
                None => None,
            };
            let weight_name = &self.parameters[weight].name;
            let tensor = parameters.get(weight_name)?;
            let row = tensor.len() / scale.len().max(1);
            let scaled =
                tensor.to_f64().iter().enumerate().map(|(at, w)| (w * scale[at / row]) as f32).collect();
            values.set(weight_name, Tensor::new(tensor.shape(), scaled)?);

            let start = match &old_bias {
                Some(name) => parameters.get(name)?.to_f64(),
                None => vec![0.0; scale.len()],
            };
            let bias = (0..scale.len()).map(|c| (start[c] * scale[c] + shift[c]) as f32).collect();
            let bias_name =
                old_bias.clone().unwrap_or_else(|| format!("{}.folded_bias", self.node(conv).name));
            values.set(&bias_name, Tensor::new(&[scale.len()], bias)?);
            if old_bias.is_none() {
                new_biases.push((conv.index(), bias_name, scale.len()));
            }
            replaced[position] = conv;
        }
        for node in &mut folded.nodes {
            for input in &mut node.inputs {
                *input = replaced[input.index()];
            }
        }
        for stage in &mut folded.stages {
            stage.output = replaced[stage.output.index()];
        }
        for (_, value) in &mut folded.outputs {
            *value = replaced[value.index()];
        }
        Ok((folded.rebuilt(&new_biases), values))
    }

    /// The graph with parameters, of the shapes given, in place of some nodes; what only those needed is gone.
    pub(crate) fn with_parameters_for(&self, replaced: &[(Value, Vec<usize>)]) -> Self {
        let mut graph = self.clone();
        for (value, shape) in replaced {
            let node = &mut graph.nodes[value.index()];
            node.op = Op::Parameter(graph.parameters.len());
            node.inputs.clear();
            let (name, shape) = (node.name.clone(), shape.clone());
            graph.parameters.push(ParameterSpec { name, shape, kind: Kind::Weight, init: Init::Zeros });
        }
        graph.rebuilt(&[])
    }

    /// What a batch-norm with running statistics, or a product with a parameter of one axis, multiplies each channel by and adds to it.
    fn scale_and_shift(&self, node: &Node, parameters: &Parameters) -> Result<Option<(Vec<f64>, Vec<f64>)>> {
        let mut values = Vec::with_capacity(4);
        for input in &node.inputs[1..] {
            let Op::Parameter(index) = self.node(*input).op else { return Ok(None) };
            if self.parameters[index].shape.len() != 1 {
                return Ok(None);
            }
            values.push(parameters.get(&self.parameters[index].name)?.to_f64());
        }
        Ok(match (&node.op, values.as_slice()) {
            (Op::BatchNorm { epsilon, .. }, [gamma, beta, mean, variance]) => {
                let scale: Vec<f64> =
                    gamma.iter().zip(variance).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
                let shift = beta.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
                Some((scale, shift))
            }
            (Op::Multiply, [scale]) => Some((scale.clone(), vec![0.0; scale.len()])),
            _ => None,
        })
    }

    /// The weight parameter of a convolution or linear layer that only one node reads and whose weight and bias nobody shares.
    fn own_weight(&self, conv: Value, uses: &[usize]) -> Option<usize> {
        let node = self.node(conv);
        let own = |value: &Value| uses[value.index()] == 1;
        match node.op {
            Op::Convolution(_) | Op::Linear
                if uses[conv.index()] == 1 && node.inputs[1..].iter().all(own) =>
            {
                match self.node(node.inputs[1]).op {
                    Op::Parameter(index) => Some(index),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Copies the nodes that outputs and stages still need, giving convolutions their new biases.
    fn rebuilt(&self, new_biases: &[(usize, String, usize)]) -> Self {
        let mut needed = vec![false; self.nodes.len()];
        let mut visit: Vec<Value> = self.outputs.iter().map(|(_, value)| *value).collect();
        visit.extend(self.stages.iter().map(|stage| stage.output));
        while let Some(value) = visit.pop() {
            if !std::mem::replace(&mut needed[value.index()], true) {
                visit.extend(&self.node(value).inputs);
            }
        }
        let mut graph = Self { inputs: self.inputs.clone(), ..Self::default() };
        let mut renumbered = vec![Value(0); self.nodes.len()];
        for (position, node) in self.nodes.iter().enumerate().filter(|(position, _)| needed[*position]) {
            let mut node = node.clone();
            node.inputs.iter_mut().for_each(|input| *input = renumbered[input.index()]);
            if let Op::Parameter(index) = node.op {
                graph.parameters.push(self.parameters[index].clone());
                node.op = Op::Parameter(graph.parameters.len() - 1);
            }
            if let Some((_, name, channels)) = new_biases.iter().find(|(conv, ..)| *conv == position) {
                let spec = ParameterSpec {
                    name: name.clone(),
                    shape: vec![*channels],
                    kind: Kind::Bias,
                    init: Init::Zeros,
                };
                graph.parameters.push(spec);
                let op = Op::Parameter(graph.parameters.len() - 1);
                node.inputs.push(Value::at(graph.nodes.len()));
                graph.nodes.push(Node { name: name.clone(), op, inputs: vec![], stage: node.stage });
            }
            renumbered[position] = Value::at(graph.nodes.len());
            graph.nodes.push(node);
        }
        graph.stages = self.stages.clone();
        graph.stages.iter_mut().for_each(|stage| stage.output = renumbered[stage.output.index()]);
        graph.outputs = self.outputs.clone();
        graph.outputs.iter_mut().for_each(|(_, value)| *value = renumbered[value.index()]);
        graph
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::{Conv2d, GraphBuilder};
    use super::*;
    use crate::parameters::Parameters;

    #[test]
    fn a_norm_disappears_into_its_convolution() {
        let mut b = GraphBuilder::new();
        b.begin_stage("stem");
        let x = b.input("pixels", 4, Some(1));
        let y = b.conv2d("conv", x, Conv2d::same(2, 1));
        let z = b.batch_norm("bn", y, 0.0);
        b.end_stage(z);
        let graph = b.finish(&[("z", z)]).unwrap();
        let mut parameters = Parameters::default();
        for (name, shape, values) in [
            ("conv.weight", vec![2, 1, 1, 1], [3.0, 5.0]),
            ("bn.weight", vec![2], [2.0, 1.0]),
            ("bn.bias", vec![2], [1.0, 0.0]),
            ("bn.running_mean", vec![2], [4.0, 1.0]),
            ("bn.running_var", vec![2], [4.0, 1.0]),
        ] {
            parameters.set(name, Tensor::new(&shape, values.to_vec()).unwrap());
        }
        let (folded, values) = graph.fold(&parameters).unwrap();
        assert!(folded.nodes().iter().all(|node| !matches!(node.op, Op::BatchNorm { .. })));
        assert_eq!(values.get("conv.weight").unwrap().to_f32(), [3.0, 5.0]);
        assert_eq!(values.get("conv.folded_bias").unwrap().to_f32(), [-3.0, -1.0]);
        folded.check().unwrap();
    }

    #[test]
    fn a_factor_per_channel_disappears_into_its_layer_and_others_stay() {
        // shape of the factors, whether they disappear
        for (shape, folds) in [(vec![2], true), (vec![1], false), (vec![1, 2], false)] {
            let mut b = GraphBuilder::new();
            b.begin_stage("only");
            let x = b.input("x", 2, Some(3));
            let y = b.linear("fc", x, 2);
            let scale = b.parameter("gamma", &shape, Kind::NormWeight, Init::Constant(0.5));
            let z = b.add("scale", Op::Multiply, &[y, scale]);
            b.end_stage(z);
            let graph = b.finish(&[("z", z)]).unwrap();
            let mut parameters = Parameters::initial(&graph, 0);
            parameters.set("fc.bias", Tensor::new(&[2], vec![4.0, -6.0]).unwrap());
            let (folded, values) = graph.fold(&parameters).unwrap();
            assert_eq!(folded.nodes().iter().all(|node| node.op != Op::Multiply), folds, "{shape:?}");
            let bias = if folds { [2.0, -3.0] } else { [4.0, -6.0] };
            assert_eq!(values.get("fc.bias").unwrap().to_f32(), bias, "{shape:?}");
        }
    }

    #[test]
    fn a_norm_after_a_computed_bias_stays_and_so_does_the_weight() {
        let mut b = GraphBuilder::new();
        b.begin_stage("stem");
        let x = b.input("pixels", 4, Some(1));
        let weight = b.parameter("conv.weight", &[2, 1, 1, 1], Kind::Weight, Init::Ones);
        let bias = b.parameter("conv.bias", &[2], Kind::Bias, Init::Ones);
        let doubled = b.add("doubled", Op::Affine { scale: 2.0, shift: 0.0 }, &[bias]);
        let y = b.add("conv", Op::Convolution(Conv2d::same(2, 1).walk), &[x, weight, doubled]);
        let z = b.batch_norm("bn", y, 1.0);
        b.end_stage(z);
        let graph = b.finish(&[("z", z)]).unwrap();
        let parameters = Parameters::initial(&graph, 0);
        let (folded, values) = graph.fold(&parameters).unwrap();
        assert_eq!(folded, graph);
        assert_eq!(values, parameters);
    }
}
