//! Pairs beside layers while they train, and their end in the layers' weights.

use tk_engine::graph::{Node, Op};
use tk_engine::{EngineError, Graph, Parameters, Result, Tensor};

use super::Adapter;

/// A graph whose layers have low-rank pairs: how it was before, and how the pairs are scaled.
#[derive(Clone, Debug)]
pub struct LowRank {
    plain: Graph,
    layers: Vec<String>,
    without: Vec<String>,
    rank: usize,
    alpha: f64,
}

impl LowRank {
    /// Adds a pair beside each linear layer and convolution that is selected and can have one; returns the graph with pairs too.
    ///
    /// # Errors
    /// When nothing that is selected can have one.
    pub fn add(
        plain: &Graph,
        select: impl Fn(&Node) -> bool,
        rank: usize,
        alpha: f64,
    ) -> Result<(Self, Graph)> {
        let is_layer = |node: &&Node| matches!(node.op, Op::Linear | Op::Convolution(_)) && select(node);
        let (taking, left): (Vec<&Node>, Vec<&Node>) =
            plain.nodes().iter().filter(is_layer).partition(|node| plain.takes_low_rank(node));
        let names = |nodes: Vec<&Node>| nodes.into_iter().map(|node| node.name.clone()).collect();
        let (layers, without): (Vec<String>, Vec<String>) = (names(taking), names(left));
        let graph = plain.low_rank(|name| layers.iter().any(|layer| layer == name), rank, alpha)?;
        Ok((Self { plain: plain.clone(), layers, without, rank, alpha }, graph))
    }

    /// The layers that have a pair.
    pub fn layers(&self) -> &[String] {
        &self.layers
    }

    /// The rank of every pair.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The layers that were selected but cannot have a pair, such as depthwise convolutions.
    pub fn without(&self) -> &[String] {
        &self.without
    }

    /// Merges the pairs into the weights that they stand beside; returns the graph as it was before, and the pairs as an adapter of
    /// `base`.
    ///
    /// # Errors
    /// When a value is missing, or does not fit.
    pub fn merged(self, parameters: &mut Parameters, base: String) -> Result<(Graph, Adapter)> {
        let Self { plain, layers, rank, alpha, .. } = self;
        let mut pairs = Parameters::default();
        for layer in &layers {
            let names = ["lora_A", "lora_B"].map(|part| format!("{layer}.{part}.weight"));
            let [down, up] = [parameters.get(&names[0])?.clone(), parameters.get(&names[1])?.clone()];
            merge(parameters, layer, [&down, &up], alpha / rank as f64)?;
            for (name, tensor) in names.iter().zip([down, up]) {
                parameters.remove(name);
                pairs.set(name, tensor);
            }
        }
        Ok((plain, Adapter { pairs, rank, alpha, base }))
    }
}

/// Adds `scale · up · down` to the weight of a layer, `[out, in, …]`, where `down` is `[rank, in, …]` and `up` is `[out, rank, 1, …]`.
///
/// # Errors
/// When there is no such weight, or shapes do not fit.
pub fn merge(parameters: &mut Parameters, layer: &str, [down, up]: [&Tensor; 2], scale: f64) -> Result<()> {
    let name = format!("{layer}.weight");
    let weight = parameters.get(&name)?.clone();
    let fail = || EngineError::Tensor {
        what: format!("the low-rank pair of `{layer}`"),
        expected: format!("[rank, in, …] and [out, rank, 1, …] for a weight {:?}", weight.shape()),
        found: format!("{:?} and {:?}", down.shape(), up.shape()),
    };
    let ([out, inner @ ..], [rank, down_inner @ ..], [up_out, up_rank, points @ ..]) =
        (weight.shape(), down.shape(), up.shape())
    else {
        return Err(fail());
    };
    let (rank, width) = (*rank, inner.iter().product::<usize>());
    let fits = inner == down_inner
        && (up_out, *up_rank, points.len() + 1) == (out, rank, inner.len())
        && points.iter().all(|&size| size == 1);
    if !fits || rank == 0 || width == 0 {
        return Err(fail());
    }
    let (down, up) = (down.as_f32()?, up.as_f32()?);
    let mut merged = weight.to_f32();
    for (row, shares) in merged.chunks_exact_mut(width).zip(up.chunks_exact(rank)) {
        for (column, value) in row.iter_mut().enumerate() {
            let along = down.iter().skip(column).step_by(width);
            let sum: f64 = shares.iter().zip(along).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            *value = (f64::from(*value) + scale * sum) as f32;
        }
    }
    parameters.set(&name, Tensor::new(weight.shape(), merged)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tk_engine::cpu::{Machine, Plan};
    use tk_engine::graph::Conv2d;
    use tk_engine::testing::{fill_all, fill_input};
    use tk_engine::{GraphBuilder, Inference};

    #[test]
    fn merged_pairs_compute_what_they_computed_beside_their_layers() {
        let mut b = GraphBuilder::new();
        b.begin_stage("body");
        let x = b.input("x", 4, Some(3));
        let x = b.conv2d("stem", x, Conv2d::same(6, 3).stride(2));
        let x = b.conv2d("depthwise", x, Conv2d::same(6, 3).groups(6));
        b.end_stage(x);
        b.begin_stage("head");
        let x = b.linear("fc", x, 2);
        b.end_stage(x);
        let plain = b.finish(&[("y", x)]).unwrap();
        let (low_rank, graph) = LowRank::add(&plain, |_| true, 2, 3.0).unwrap();
        assert_eq!(
            (low_rank.layers(), low_rank.without()),
            (&["stem".into(), "fc".into()][..], &["depthwise".into()][..])
        );
        let mut parameters = fill_all(&graph).unwrap();
        let run = |graph: &Graph, parameters: &Parameters| {
            let x = fill_input("x", &[2, 6, 5, 3]).unwrap();
            Plan::new(&Machine::new(1), graph, parameters).unwrap().run(&[x]).unwrap().remove(0).to_f32()
        };
        let (beside, without) = (run(&graph, &parameters), run(&plain, &parameters));
        let (merged, adapter) = low_rank.merged(&mut parameters, "base".into()).unwrap();
        assert_eq!((merged, adapter.pairs.iter().count()), (plain.clone(), 4));
        assert_eq!(parameters.iter().count(), plain.parameters().len());
        let found = run(&plain, &parameters);
        assert!(found.iter().zip(&beside).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {beside:?}");
        assert!(found.iter().zip(&without).any(|(a, b)| (a - b).abs() > 1e-2));
        assert!(LowRank::add(&plain, |node| node.name == "depthwise", 2, 3.0).is_err());
    }

    #[test]
    fn a_pair_is_added_by_its_definition() {
        let mut parameters = Parameters::default();
        parameters.set("x.weight", Tensor::new(&[2, 3], vec![1.0; 6]).unwrap());
        let down = Tensor::new(&[1, 3], vec![1.0, 2.0, 3.0]).unwrap();
        let up = Tensor::new(&[2, 1], vec![10.0, -1.0]).unwrap();
        merge(&mut parameters, "x", [&down, &up], 0.5).unwrap();
        assert_eq!(parameters.get("x.weight").unwrap().to_f32(), [6.0, 11.0, 16.0, 0.5, 0.0, -0.5]);
        let error = merge(&mut parameters, "x", [&up, &down], 0.5).unwrap_err().to_string();
        assert!(error.contains("for a weight [2, 3], found [2, 1] and [1, 3]"), "{error}");
    }

    #[test]
    fn pairs_that_do_not_fit_are_refused() {
        let mut parameters = Parameters::default();
        parameters.set("x.weight", Tensor::zeros(&[2, 3, 1, 1]));
        for (down, up) in [
            (vec![1, 3], vec![2, 1]),
            (vec![1, 3, 1, 1], vec![2, 1]),
            (vec![1, 3, 1, 1], vec![2, 1, 1, 2]),
            (vec![1, 3, 1, 1], vec![2, 2, 1, 1]),
            (vec![], vec![2, 1, 1, 1]),
        ] {
            let pair = [Tensor::zeros(&down), Tensor::zeros(&up)];
            assert!(merge(&mut parameters, "x", [&pair[0], &pair[1]], 1.0).is_err(), "{down:?} {up:?}");
        }
    }
}
