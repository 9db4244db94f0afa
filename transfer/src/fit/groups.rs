//! Parameter groups: one for each stage and for whether weight decay applies.

use tk_engine::{Graph, GroupRate};

/// The groups of a graph's parameters, and their rates.
#[derive(Clone, Debug, PartialEq)]
pub struct Groups {
    /// The group of each parameter of the graph.
    of: Vec<usize>,
    /// For each group the factor of the learning rate, and whether weight decay applies.
    rates: Vec<(f64, bool)>,
}

impl Groups {
    /// The groups of a graph whose last stage is its head: the head has the full rate, and each stage with parameters before it
    /// `decay` times the next one's.
    pub fn new(graph: &Graph, decay: f64) -> Self {
        let stages = graph.parameter_stages();
        let mut depths = vec![0; graph.stages().len()];
        let mut depth = 0;
        for stage in (0..depths.len()).rev() {
            depths[stage] = depth;
            depth += i32::from(stages.contains(&stage));
        }
        let of = graph
            .parameters()
            .iter()
            .zip(&stages)
            .map(|(spec, stage)| 2 * stage + usize::from(spec.kind.decays()));
        let rates = depths.iter().flat_map(|&depth| [(decay.powi(depth), false), (decay.powi(depth), true)]);
        Self { of: of.collect(), rates: rates.collect() }
    }

    /// The group of a parameter, by its position in the graph.
    pub fn group(&self, parameter: usize) -> usize {
        self.of[parameter]
    }

    /// The rates of all groups at a learning rate.
    pub fn rates(&self, learning_rate: f64, weight_decay: f64) -> Vec<GroupRate> {
        let rate = |&(factor, decays): &(f64, bool)| GroupRate {
            learning_rate: learning_rate * factor,
            weight_decay: if decays { weight_decay } else { 0.0 },
        };
        self.rates.iter().map(rate).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tk_engine::GraphBuilder;
    use tk_engine::graph::Activation;

    #[test]
    fn rates_fall_with_depth_and_only_kernels_decay() {
        let mut b = GraphBuilder::new();
        b.begin_stage("one");
        let mut x = b.input("x", 2, Some(3));
        x = b.linear("a", x, 4);
        b.end_stage(x);
        b.begin_stage("pool");
        x = b.activation("relu", x, Activation::Relu);
        b.end_stage(x);
        b.begin_stage("head");
        x = b.linear("fc", x, 2);
        b.end_stage(x);
        let graph = b.finish(&[("y", x)]).unwrap();
        let groups = Groups::new(&graph, 0.5);
        let rates = groups.rates(0.1, 0.01);
        let of = |parameter: usize| rates[groups.group(parameter)];
        assert_eq!([of(0).learning_rate, of(0).weight_decay], [0.05, 0.01]);
        assert_eq!([of(1).learning_rate, of(1).weight_decay], [0.05, 0.0]);
        assert_eq!([of(2).learning_rate, of(2).weight_decay], [0.1, 0.01]);
    }
}
