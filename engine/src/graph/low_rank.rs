//! Low-rank pairs beside linear layers (LoRA, Hu et al., arXiv 2106.09685) and convolutions, with PEFT's names and shapes.

use super::{Convolution, Graph, GraphError, Init, Kind, Node, Op, ParameterSpec, Value};

/// The walk of a pair's second convolution.
const POINT: Convolution = Convolution { stride: [1; 2], padding: [0; 4], dilation: [1; 2], groups: 1 };

/// What a selected node must be.
const EXPECTED: &str = "a linear layer, or a convolution in one group without dilation and with equal padding on opposite sides, with a \
                        weight of its own, under each selected name";

impl Graph {
    /// The graph with a low-rank pair beside each selected layer: `NAME(x) + alpha / rank · B(A(x))`. Beside a linear layer `A` is
    /// the parameter `NAME.lora_A.weight`, `[rank, in]`, and `B` is `NAME.lora_B.weight`, `[out, rank]`. Beside a convolution `A`
    /// is one of the same kernel and walk, `[rank, in, …]`, and `B` one of single points, `[out, rank, 1, …]`. `A` is uniform within
    /// ±1/√fan-in and `B` zero, so at the start the graph computes what it did. Other nodes that read a selected layer's weight share its
    /// pair.
    ///
    /// # Errors
    /// When a selected node cannot have a pair ([`Graph::takes_low_rank`]), or nothing is selected.
    pub fn low_rank(
        &self,
        select: impl Fn(&str) -> bool,
        rank: usize,
        alpha: f64,
    ) -> Result<Self, GraphError> {
        let selected: Vec<&str> = self
            .nodes
            .iter()
            .filter(|node| select(&node.name) && !matches!(node.op, Op::Input(_) | Op::Parameter(_)))
            .map(|node| node.name.as_str())
            .collect();
        if selected.is_empty() {
            return Err(GraphError::Missing("a layer for a low-rank pair"));
        }
        let is_alone = |node: &Node| selected.contains(&node.name.as_str()) && !self.takes_low_rank(node);
        if self.nodes.iter().any(is_alone) {
            return Err(GraphError::Missing(EXPECTED));
        }
        let mut rewritten =
            Self { inputs: self.inputs.clone(), parameters: self.parameters.clone(), ..Self::default() };
        let mut renumbered: Vec<Value> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let inputs: Vec<Value> = node.inputs.iter().map(|input| renumbered[input.index()]).collect();
            let mut value = rewritten.push(Node { inputs: inputs.clone(), ..node.clone() });
            if let Some(layer) = self.layer_of(node).filter(|layer| selected.contains(layer)) {
                let pair = self.pair_beside(node, rank).ok_or(GraphError::Missing(EXPECTED))?;
                value = rewritten.add_pair(node, layer, [value, inputs[0]], pair, alpha / rank as f64);
            }
            renumbered.push(value);
        }
        rewritten.stages = self.stages.clone();
        rewritten.stages.iter_mut().for_each(|stage| stage.output = renumbered[stage.output.index()]);
        rewritten.outputs = self.outputs.clone();
        rewritten.outputs.iter_mut().for_each(|(_, value)| *value = renumbered[value.index()]);
        rewritten.check()?;
        Ok(rewritten)
    }

    /// Whether a node can have a low-rank pair: a linear layer, or a convolution in one group, without dilation and with equal
    /// padding on opposite sides (what else there is, PEFT's pairs do not follow), whose weight is the parameter `NAME.weight`.
    pub fn takes_low_rank(&self, node: &Node) -> bool {
        self.layer_of(node) == Some(node.name.as_str()) && self.pair_beside(node, 1).is_some()
    }

    /// The layer whose weight, the parameter `NAME.weight`, a node multiplies with.
    fn layer_of(&self, node: &Node) -> Option<&str> {
        let Op::Parameter(index) = self.node(*node.inputs.get(1)?).op else { return None };
        let weight = &self.parameters[index];
        let multiplies = matches!(node.op, Op::Linear | Op::Convolution(_));
        weight.name.strip_suffix(".weight").filter(|_| multiplies)
    }

    /// Operators and weights' shapes of the pair beside a layer.
    fn pair_beside(&self, node: &Node, rank: usize) -> Option<[(Op, Vec<usize>); 2]> {
        let Op::Parameter(index) = self.node(*node.inputs.get(1)?).op else { return None };
        let weight = &self.parameters[index];
        let [out, inner @ ..] = &weight.shape[..] else { return None };
        let down = [&[rank], inner].concat();
        match &node.op {
            Op::Linear => Some([(Op::Linear, down), (Op::Linear, vec![*out, rank])]),
            Op::Convolution(walk) => {
                let [top, bottom, left, right] = walk.padding;
                let is_plain = walk.groups == 1 && walk.dilation == [1; 2] && (top, left) == (bottom, right);
                let mut up = vec![1; down.len()];
                up[..2].copy_from_slice(&[*out, rank]);
                is_plain.then_some([(Op::Convolution(*walk), down), (Op::Convolution(POINT), up)])
            }
            _ => None,
        }
    }

    fn push(&mut self, node: Node) -> Value {
        self.nodes.push(node);
        Value::at(self.nodes.len() - 1)
    }

    /// Adds a layer's pair beside a node that multiplies with its weight, given the node's result and what it reads; returns the sum of
    /// both.
    fn add_pair(
        &mut self,
        node: &Node,
        layer: &str,
        [value, x]: [Value; 2],
        [down, up]: [(Op, Vec<usize>); 2],
        scale: f64,
    ) -> Value {
        let (name, stage) = (&node.name, node.stage);
        let mut reduced = x;
        for (part, (op, shape), init) in [("lora_A", down, Init::UniformFanIn), ("lora_B", up, Init::Zeros)] {
            let parameter = format!("{layer}.{part}.weight");
            let there = self.nodes.iter().position(|node| node.name == parameter).map(Value::at);
            let weight = there.unwrap_or_else(|| {
                self.parameters.push(ParameterSpec {
                    name: parameter.clone(),
                    shape,
                    kind: Kind::Weight,
                    init,
                });
                let read = Op::Parameter(self.parameters.len() - 1);
                self.push(Node { name: parameter, op: read, inputs: vec![], stage })
            });
            let inputs = vec![reduced, weight];
            reduced = self.push(Node { name: format!("{name}.{part}"), op, inputs, stage });
        }
        let op = Op::Affine { scale, shift: 0.0 };
        let scaled =
            self.push(Node { name: format!("{name}.lora_scaled"), op, inputs: vec![reduced], stage });
        self.push(Node { name: format!("{name}.lora"), op: Op::Add, inputs: vec![value, scaled], stage })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::{Activation, Conv2d, GraphBuilder};
    use super::*;
    use crate::testing::{check_gradients, fill_all, fill_input};
    use crate::{Inference, Optimizer, Parameters, Tensor, TrainSpec};

    fn two_layers() -> Graph {
        let mut b = GraphBuilder::new();
        b.begin_stage("body");
        let x = b.input("x", 2, Some(5));
        let x = b.linear("first", x, 4);
        let x = b.activation("tanh", x, Activation::Tanh);
        b.end_stage(x);
        b.begin_stage("head");
        let y = b.linear("second", x, 3);
        b.end_stage(y);
        b.finish(&[("y", y)]).unwrap()
    }

    /// Convolutions with what decides whether they can have pairs.
    fn convolutions() -> Graph {
        let mut b = GraphBuilder::new();
        b.begin_stage("body");
        let x = b.input("x", 4, Some(3));
        let x = b.conv2d("stem", x, Conv2d::same(4, 3).stride(2).with_bias());
        let x = b.activation("tanh", x, Activation::Tanh);
        let x = b.conv2d("depthwise", x, Conv2d::same(4, 3).groups(4));
        let mut dilated = Conv2d::same(4, 3).padding(2);
        dilated.walk.dilation = [2; 2];
        let x = b.conv2d("dilated", x, dilated);
        let mut lopsided = Conv2d::same(4, 2);
        lopsided.walk.padding = [0, 1, 0, 1];
        let x = b.conv2d("lopsided", x, lopsided);
        let x = b.conv2d("point", x, Conv2d::same(5, 1));
        b.end_stage(x);
        b.finish(&[("y", x)]).unwrap()
    }

    /// Two layers, of which the first is used twice.
    fn used_twice() -> Graph {
        let mut b = GraphBuilder::new();
        b.begin_stage("body");
        let x = b.input("x", 2, Some(4));
        let y = b.linear("first", x, 4);
        let y = b.activation("tanh", y, Activation::Tanh);
        let weight = b.parameter("first.weight", &[4, 4], Kind::Weight, Init::Zeros);
        let y = b.add("first.again", Op::Linear, &[y, weight]);
        let y = b.linear("second", y, 3);
        b.end_stage(y);
        b.finish(&[("y", y)]).unwrap()
    }

    fn outputs(graph: &Graph, parameters: &Parameters, shape: &[usize]) -> Vec<f32> {
        let x = fill_input("x", shape).unwrap();
        let mut plan = crate::cpu::Plan::new(&crate::cpu::Machine::new(1), graph, parameters).unwrap();
        plan.run(&[x]).unwrap()[0].to_f32()
    }

    #[test]
    fn a_new_pair_changes_nothing_and_a_filled_one_is_a_change_of_the_weight() {
        for (plain, layer, shape) in [
            (two_layers(), "first", &[6, 5][..]),
            (convolutions(), "stem", &[2, 7, 6, 3]),
            (used_twice(), "first", &[5, 4]),
        ] {
            let graph = plain.low_rank(|name| name == layer, 2, 6.0).unwrap();
            let mut parameters = fill_all(&plain).unwrap();
            parameters.initialise(&graph, 7);
            let before = outputs(&plain, &parameters, shape);
            assert_eq!(outputs(&graph, &parameters, shape), before, "{layer}");
            let filled = fill_all(&graph).unwrap();
            let weight_name = format!("{layer}.weight");
            let [down, up] = ["lora_A", "lora_B"]
                .map(|part| filled.get(&format!("{layer}.{part}.weight")).unwrap().to_f32());
            let weight = filled.get(&weight_name).unwrap();
            let width = weight.len() / 4;
            let merged: Vec<f32> = (0..weight.len())
                .map(|at| {
                    let sum: f32 =
                        (0..2).map(|r| up[at / width * 2 + r] * down[r * width + at % width]).sum();
                    weight.to_f32()[at] + 3.0 * sum
                })
                .collect();
            let expected = outputs(&graph, &filled, shape);
            let mut folded = filled.clone();
            folded.set(&weight_name, Tensor::new(weight.shape(), merged).unwrap());
            let found = outputs(&plain, &folded, shape);
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{layer}");
            assert!(found.iter().zip(&before).any(|(a, b)| (a - b).abs() > 1e-2), "{layer}");
        }
    }

    #[test]
    fn gradients_are_the_slopes() {
        for (plain, shape) in
            [(two_layers(), &[3, 5][..]), (convolutions(), &[2, 5, 6, 3]), (used_twice(), &[3, 4])]
        {
            let takes =
                |name: &str| plain.nodes().iter().any(|node| node.name == name && plain.takes_low_rank(node));
            let graph = plain.low_rank(takes, 2, 4.0).unwrap();
            let inputs = [fill_input("x", shape).unwrap()];
            let spec = TrainSpec::everything(&graph, Optimizer::ADAMW);
            check_gradients(&graph, &fill_all(&graph).unwrap(), &inputs, &spec).unwrap();
        }
    }

    #[test]
    fn only_layers_that_peft_can_follow_take_a_pair() {
        let graph = convolutions();
        let takers: Vec<&str> = graph
            .nodes()
            .iter()
            .filter(|node| graph.takes_low_rank(node))
            .map(|node| node.name.as_str())
            .collect();
        assert_eq!(takers, ["stem", "point"]);
        let shapes = graph.low_rank(|name| name == "stem", 2, 4.0).unwrap();
        let shape = |name: &str| shapes.parameters()[shapes.parameter(name).unwrap()].shape.clone();
        assert_eq!(shape("stem.lora_A.weight"), [2, 3, 3, 3]);
        assert_eq!(shape("stem.lora_B.weight"), [4, 2, 1, 1]);
        for name in ["tanh", "nothing", "depthwise", "dilated", "lopsided"] {
            assert!(graph.low_rank(|node| node == name, 2, 4.0).is_err(), "{name}");
        }
    }
}
