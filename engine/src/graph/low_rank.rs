//! Low-rank pairs beside linear layers (LoRA, Hu et al., arXiv 2106.09685), with PEFT's names.

use super::{Graph, GraphError, Init, Kind, Node, Op, ParameterSpec, Value};

impl Graph {
    /// The graph with a low-rank pair beside each selected linear layer: `NAME(x) + alpha / rank · B(A(x))`, where `A` is the parameter
    /// `NAME.lora_A.weight`, `[rank, in]`, uniform within ±1/√in, and `B` is `NAME.lora_B.weight`, `[out, rank]`, zero. At the start
    /// it therefore computes what it did.
    ///
    /// # Errors
    /// When a selected node is not a linear layer with a weight of its own, or nothing is selected.
    pub fn low_rank(
        &self,
        select: impl Fn(&str) -> bool,
        rank: usize,
        alpha: f64,
    ) -> Result<Self, GraphError> {
        let mut rewritten =
            Self { inputs: self.inputs.clone(), parameters: self.parameters.clone(), ..Self::default() };
        let mut renumbered: Vec<Value> = Vec::with_capacity(self.nodes.len());
        let mut pairs = 0;
        for node in &self.nodes {
            let inputs: Vec<Value> = node.inputs.iter().map(|input| renumbered[input.index()]).collect();
            let mut value = rewritten.push(Node { inputs: inputs.clone(), ..node.clone() });
            if select(&node.name) && !matches!(node.op, Op::Input(_) | Op::Parameter(_)) {
                let [out, width] = self.weight_of(node)?;
                value = rewritten.add_pair(node, value, inputs[0], [out, rank, width], alpha / rank as f64);
                pairs += 1;
            }
            renumbered.push(value);
        }
        if pairs == 0 {
            return Err(GraphError::Missing("a linear layer for a low-rank pair"));
        }
        rewritten.stages = self.stages.clone();
        rewritten.stages.iter_mut().for_each(|stage| stage.output = renumbered[stage.output.index()]);
        rewritten.outputs = self.outputs.clone();
        rewritten.outputs.iter_mut().for_each(|(_, value)| *value = renumbered[value.index()]);
        rewritten.check()?;
        Ok(rewritten)
    }

    /// The shape of a linear layer's weight.
    fn weight_of(&self, node: &Node) -> Result<[usize; 2], GraphError> {
        let weight = node.inputs.get(1).map(|weight| &self.node(*weight).op);
        match (&node.op, weight) {
            (Op::Linear, Some(Op::Parameter(index))) => {
                let shape = &self.parameters[*index].shape;
                shape[..].try_into().map_err(|_| GraphError::Missing("a weight of two axes"))
            }
            _ => {
                Err(GraphError::Missing("a linear layer, with a weight of its own, under each selected name"))
            }
        }
    }

    fn push(&mut self, node: Node) -> Value {
        self.nodes.push(node);
        Value::at(self.nodes.len() - 1)
    }

    /// Adds a pair beside a layer; returns the sum of both.
    fn add_pair(
        &mut self,
        layer: &Node,
        value: Value,
        x: Value,
        [out, rank, width]: [usize; 3],
        scale: f64,
    ) -> Value {
        let (name, stage) = (&layer.name, layer.stage);
        let mut reduced = x;
        for (part, shape, init) in
            [("lora_A", [rank, width], Init::UniformFanIn), ("lora_B", [out, rank], Init::Zeros)]
        {
            let parameter = format!("{name}.{part}.weight");
            self.parameters.push(ParameterSpec {
                name: parameter.clone(),
                shape: shape.to_vec(),
                kind: Kind::Weight,
                init,
            });
            let op = Op::Parameter(self.parameters.len() - 1);
            let weight = self.push(Node { name: parameter, op, inputs: vec![], stage });
            let inputs = vec![reduced, weight];
            reduced = self.push(Node { name: format!("{name}.{part}"), op: Op::Linear, inputs, stage });
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
    use super::super::GraphBuilder;
    use super::*;
    use crate::testing::{check_gradients, fill_all, fill_input};
    use crate::{Inference, Optimizer, Parameters, Tensor, TrainSpec};

    fn two_layers() -> Graph {
        let mut b = GraphBuilder::new();
        b.begin_stage("body");
        let x = b.input("x", 2, Some(5));
        let x = b.linear("first", x, 4);
        let x = b.activation("tanh", x, crate::graph::Activation::Tanh);
        b.end_stage(x);
        b.begin_stage("head");
        let y = b.linear("second", x, 3);
        b.end_stage(y);
        b.finish(&[("y", y)]).unwrap()
    }

    fn outputs(graph: &Graph, parameters: &Parameters) -> Vec<f32> {
        let x = fill_input("x", &[6, 5]).unwrap();
        let mut plan = crate::cpu::Plan::new(&crate::cpu::Machine::new(1), graph, parameters).unwrap();
        plan.run(&[x]).unwrap()[0].to_f32()
    }

    #[test]
    fn a_new_pair_changes_nothing_and_a_filled_one_is_a_change_of_the_weight() {
        let plain = two_layers();
        let graph = plain.low_rank(|name| name == "first", 2, 6.0).unwrap();
        let mut parameters = fill_all(&plain).unwrap();
        parameters.initialise(&graph, 7);
        let before = outputs(&plain, &parameters);
        assert_eq!(outputs(&graph, &parameters), before);
        let filled = fill_all(&graph).unwrap();
        let [weight, down, up] = ["first.weight", "first.lora_A.weight", "first.lora_B.weight"]
            .map(|name| filled.get(name).unwrap().to_f32());
        let merged: Vec<f32> = (0..4 * 5)
            .map(|at| {
                let sum: f32 = (0..2).map(|r| up[at / 5 * 2 + r] * down[r * 5 + at % 5]).sum();
                weight[at] + 3.0 * sum
            })
            .collect();
        let expected = outputs(&graph, &filled);
        let mut folded = filled.clone();
        folded.set("first.weight", Tensor::new(&[4, 5], merged).unwrap());
        let found = outputs(&plain, &folded);
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {expected:?}");
        assert!(found.iter().zip(&before).any(|(a, b)| (a - b).abs() > 1e-2));
    }

    #[test]
    fn gradients_are_the_slopes() {
        let graph = two_layers().low_rank(|name| name.len() > 4 && name != "tanh", 2, 4.0).unwrap();
        let inputs = [fill_input("x", &[3, 5]).unwrap()];
        let spec = TrainSpec::everything(&graph, Optimizer::ADAMW);
        check_gradients(&graph, &fill_all(&graph).unwrap(), &inputs, &spec).unwrap();
    }

    #[test]
    fn what_is_no_linear_layer_is_refused() {
        for name in ["tanh", "nothing"] {
            assert!(two_layers().low_rank(|node| node == name, 2, 4.0).is_err(), "{name}");
        }
    }
}
