//! Cutting a graph after a stage: a prefix that can be run once and remembered, a suffix that goes on from what it left.

use super::{Graph, GraphError, InputSpec, Node, Op, Value};

/// The two halves of a graph. Both name parameters as the whole did, so the same [`crate::Parameters`] serve both.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// What comes before the boundary. Its outputs are the live set: every value that the suffix reads.
    pub prefix: Graph,
    /// What comes after. Its inputs are listed in `sources`.
    pub suffix: Graph,
    /// Where each input of the suffix comes from, in order.
    pub sources: Vec<Source>,
}

/// Where an input of a suffix comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An input of the whole graph, by position: supplied again, never cached.
    Input(usize),
    /// An output of the prefix, by position.
    Prefix(usize),
}

impl Graph {
    /// Cuts after a stage. Values that depend on parameters alone are computed again on the other side; an input of the graph
    /// that the suffix reads is supplied again; everything else that crosses the boundary is the live set.
    ///
    /// # Errors
    /// When one side would be empty.
    pub fn cut(&self, boundary: usize) -> Result<Cut, GraphError> {
        let name = |index: usize| {
            self.stages.get(index).map_or_else(|| index.to_string(), |stage| stage.name.clone())
        };
        if boundary + 1 >= self.stages.len() {
            return Err(GraphError::EmptyCut { stage: name(boundary), side: "after" });
        }
        let is_prefix = |value: Value| self.node(value).stage <= boundary;
        let parameter_only = self.parameter_only();

        // What the suffix needs: its own nodes, and what they read on the other side.
        let mut wanted = vec![false; self.nodes.len()];
        let mut live = Vec::new();
        let mut inputs = Vec::new();
        let mut visit: Vec<Value> = self.outputs.iter().map(|(_, value)| *value).collect();
        visit.extend((0..self.nodes.len()).map(Value::at).filter(|&value| !is_prefix(value)));
        while let Some(value) = visit.pop() {
            if std::mem::replace(&mut wanted[value.index()], true) {
                continue;
            }
            let node = self.node(value);
            match node.op {
                Op::Input(index) => inputs.push(index),
                _ if is_prefix(value) && !parameter_only[value.index()] => live.push(value),
                _ => visit.extend(&node.inputs),
            }
        }
        live.sort_unstable();
        inputs.sort_unstable();
        if live.is_empty() {
            return Err(GraphError::EmptyCut { stage: name(boundary), side: "of use before" });
        }

        let sources: Vec<Source> =
            inputs.into_iter().map(Source::Input).chain((0..live.len()).map(Source::Prefix)).collect();
        Ok(Cut {
            prefix: self.prefix(boundary, &live),
            suffix: self.suffix(boundary, &wanted, &live, &sources),
            sources,
        })
    }

    /// Nodes up to the boundary that the live set needs.
    fn prefix(&self, boundary: usize, live: &[Value]) -> Graph {
        let mut needed = vec![false; self.nodes.len()];
        let mut visit = live.to_vec();
        while let Some(value) = visit.pop() {
            if !std::mem::replace(&mut needed[value.index()], true) {
                visit.extend(&self.node(value).inputs);
            }
        }
        let mut copy = Copy::of(self, self.inputs.clone());
        for (position, node) in self.nodes.iter().enumerate().filter(|(position, _)| needed[*position]) {
            copy.push(Value::at(position), node, node.stage);
        }
        copy.graph.stages = self.stages[..=boundary].to_vec();
        for stage in &mut copy.graph.stages {
            // A stage whose result nothing reads keeps a result: the first value of the live set stands in.
            stage.output = copy.renumbered[stage.output.index()]
                .or(copy.renumbered[live[0].index()])
                .unwrap_or(Value(0));
        }
        copy.graph.outputs = live
            .iter()
            .filter_map(|value| {
                copy.renumbered[value.index()].map(|new| (self.node(*value).name.clone(), new))
            })
            .collect();
        copy.graph
    }

    fn suffix(&self, boundary: usize, wanted: &[bool], live: &[Value], sources: &[Source]) -> Graph {
        let first = boundary + 1;
        let mut copy = Copy::of(self, Vec::new());
        for source in sources {
            let (value, spec) = match *source {
                Source::Input(index) => {
                    let position =
                        self.nodes.iter().position(|node| node.op == Op::Input(index)).unwrap_or(0);
                    (Value::at(position), self.inputs[index].clone())
                }
                Source::Prefix(index) => {
                    let value = live[index];
                    (value, InputSpec { name: self.node(value).name.clone(), rank: None, channels: None })
                }
            };
            let op = Op::Input(copy.graph.inputs.len());
            copy.graph.inputs.push(spec);
            let node = Node { name: self.node(value).name.clone(), op, inputs: vec![], stage: 0 };
            copy.push(value, &node, 0);
        }
        for (position, node) in self.nodes.iter().enumerate() {
            let value = Value::at(position);
            if wanted[position] && copy.renumbered[position].is_none() {
                copy.push(value, node, node.stage.saturating_sub(first));
            }
        }
        copy.graph.stages = self.stages[first..].to_vec();
        for stage in &mut copy.graph.stages {
            if let Some(value) = copy.renumbered[stage.output.index()] {
                stage.output = value;
            }
        }
        copy.graph.outputs = self
            .outputs
            .iter()
            .filter_map(|(name, value)| copy.renumbered[value.index()].map(|new| (name.clone(), new)))
            .collect();
        copy.graph
    }
}

/// A graph into which some nodes of another are copied, with values and parameters renumbered.
struct Copy<'a> {
    from: &'a Graph,
    graph: Graph,
    renumbered: Vec<Option<Value>>,
}

impl<'a> Copy<'a> {
    fn of(from: &'a Graph, inputs: Vec<InputSpec>) -> Self {
        Self { from, graph: Graph { inputs, ..Graph::default() }, renumbered: vec![None; from.nodes.len()] }
    }

    fn push(&mut self, value: Value, node: &Node, stage: usize) {
        let op = match node.op {
            Op::Parameter(index) => {
                self.graph.parameters.push(self.from.parameters[index].clone());
                Op::Parameter(self.graph.parameters.len() - 1)
            }
            ref op => op.clone(),
        };
        let inputs = node.inputs.iter().filter_map(|input| self.renumbered[input.index()]).collect();
        self.renumbered[value.index()] = Some(Value::at(self.graph.nodes.len()));
        self.graph.nodes.push(Node { name: node.name.clone(), op, inputs, stage });
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::{Activation, Conv2d, GraphBuilder, Init, Interpolation, Kind};
    use super::*;

    /// Three stages; the last reads the first (a skip), the raw input, and a value made of parameters alone.
    fn graph() -> Graph {
        let mut b = GraphBuilder::new();
        b.begin_stage("one");
        let x = b.input("pixels", 4, Some(3));
        let gain = b.parameter("gain", &[4], Kind::Weight, Init::Ones);
        let gains = b.add("gains", Op::Add, &[gain, gain]);
        let one = b.conv2d("conv1", x, Conv2d::same(4, 3));
        b.end_stage(one);
        b.begin_stage("two");
        let two = b.conv2d("conv2", one, Conv2d::same(4, 3).stride(2));
        b.end_stage(two);
        b.begin_stage("three");
        let up = b.add("up", Op::ResizeLike(Interpolation::Nearest), &[two, x]);
        let sum = b.add("sum", Op::Add, &[up, one]);
        let scaled = b.add("scaled", Op::Multiply, &[sum, gains]);
        let out = b.activation("relu", scaled, Activation::Relu);
        b.end_stage(out);
        b.finish(&[("out", out)]).unwrap()
    }

    #[test]
    fn the_live_set_is_what_the_suffix_reads() {
        let graph = graph();
        let cut = graph.cut(1).unwrap();
        let names: Vec<&str> = cut.prefix.outputs().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["conv1", "conv2"]);
        assert_eq!(cut.sources, [Source::Input(0), Source::Prefix(0), Source::Prefix(1)]);
        let suffix_parameters: Vec<&str> = cut.suffix.parameters().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(suffix_parameters, ["gain"]);
        let prefix_parameters: Vec<&str> = cut.prefix.parameters().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(prefix_parameters, ["conv1.weight", "conv2.weight"]);
        cut.prefix.check().unwrap();
        cut.suffix.check().unwrap();
    }

    #[test]
    fn a_cut_that_leaves_nothing_is_refused() {
        let graph = graph();
        assert!(matches!(graph.cut(2), Err(GraphError::EmptyCut { side: "after", .. })));
    }
}
