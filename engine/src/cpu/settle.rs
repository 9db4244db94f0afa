//! What depends on parameters alone, such as a weight-normed kernel, is computed once where parameters do not change.

use crate::graph::{Graph, Op, Value};
use crate::reference::{Behaviour, fallback};
use crate::{Parameters, Result, Tensor};

/// The same function with parameters in place of every value that depends on parameters alone, and with their values.
///
/// # Errors
/// When a parameter has no value, or one of another shape.
pub(super) fn settle(graph: &Graph, mut parameters: Parameters) -> Result<(Graph, Parameters)> {
    let settled = graph.parameter_only();
    let is_made = |value: Value| settled[value.index()] && !matches!(graph.node(value).op, Op::Parameter(_));
    let mut values: Vec<Option<Tensor>> = vec![None; graph.nodes().len()];
    for (position, node) in graph.nodes().iter().enumerate().filter(|(at, _)| is_made(Value::at(*at))) {
        let inputs: Vec<Tensor> = (node.inputs.iter())
            .map(|&input| match (&values[input.index()], &graph.node(input).op) {
                (Some(value), _) => Ok(value.clone()),
                (None, Op::Parameter(index)) => Ok(parameters.get(&graph.parameters()[*index].name)?.clone()),
                (None, _) => unreachable!("nodes read earlier ones"),
            })
            .collect::<Result<_>>()?;
        values[position] = Some(fallback::forward(node, &inputs, Behaviour::default())?);
    }
    // Where what changes begins.
    let mut wanted: Vec<Value> = graph.outputs().iter().map(|(_, value)| *value).collect();
    wanted.extend(graph.stages().iter().map(|stage| stage.output));
    for (_, node) in graph.nodes().iter().enumerate().filter(|(at, _)| !settled[*at]) {
        wanted.extend(&node.inputs);
    }
    wanted.sort_unstable();
    wanted.dedup();
    let mut replaced = Vec::new();
    for value in wanted.into_iter().filter(|&value| is_made(value)) {
        if let Some(tensor) = values[value.index()].take() {
            replaced.push((value, tensor.shape().to_vec()));
            parameters.set(&graph.node(value).name, tensor);
        }
    }
    if replaced.is_empty() {
        return Ok((graph.clone(), parameters));
    }
    Ok((graph.with_parameters_for(&replaced), parameters))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::Inference;
    use crate::cpu::{Machine, Plan};
    use crate::graph::{GraphBuilder, Init, Kind, Unary};

    #[test]
    fn a_weight_is_made_once_and_gives_what_it_gave() {
        let mut b = GraphBuilder::new();
        b.begin_stage("only");
        let x = b.input("x", 2, Some(2));
        let root = b.parameter("root", &[3, 2], Kind::Weight, Init::Zeros);
        let weight = b.add("weight", Op::Unary(Unary::Square), &[root]);
        let twice = b.add("twice", Op::Affine { scale: 2.0, shift: 1.0 }, &[weight]);
        let y = b.add("y", Op::Linear, &[x, twice]);
        b.end_stage(y);
        let graph = b.finish(&[("y", y)]).unwrap();
        let mut parameters = Parameters::default();
        let root = vec![1.0, 2.0, 3.0, 0.0, -1.0, 0.5];
        parameters.set("root", Tensor::new(&[3, 2], root).unwrap());

        let (settled, values) = settle(&graph, parameters.clone()).unwrap();
        let names: Vec<&str> = settled.nodes().iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["x", "twice", "y"]);
        assert_eq!(values.get("twice").unwrap().to_f32(), [3.0, 9.0, 19.0, 1.0, 3.0, 1.5]);

        let mut plan = Plan::new(&Machine::new(1), &graph, &parameters).unwrap();
        let x = Tensor::new(&[1, 2], vec![1.0, 10.0]).unwrap();
        assert_eq!(plan.run(&[x]).unwrap()[0].to_f32(), [93.0, 29.0, 18.0]);
    }
}
