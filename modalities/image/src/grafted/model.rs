//! A network with its weights.

use tk_engine::{Graph, Parameters, Tensor};
use tk_transfer::checkpoint::LoadReport;
use tk_transfer::low_rank::{Adapter, LowRank};

use super::{Graft, GraftError};
use crate::architectures::{Architecture, Settings};
use crate::framing::Input;

/// A backbone and a head with their weights.
#[derive(Clone, Debug)]
pub struct Grafted<H> {
    /// What it is called in messages.
    pub name: String,
    /// The backbone.
    pub architecture: &'static Architecture,
    /// What the backbone was built with.
    pub settings: Settings,
    /// The head.
    pub head: H,
    /// Backbone and head.
    pub graph: Graph,
    /// Every parameter's value.
    pub parameters: Parameters,
    /// How pictures become input.
    pub input: Input,
    /// The classes' names, in the order of the head's channels.
    pub labels: Vec<String>,
    /// What was loaded; `None` for random weights.
    pub report: Option<LoadReport>,
    /// A digest of where the weights came from.
    pub digest: String,
    /// Where the weights came from: a name, a folder or a file.
    pub base: String,
    /// The low-rank pairs that it trains with.
    pub low_rank: Option<LowRank>,
    /// The low-rank pairs that were merged into its weights.
    pub adapter: Option<Adapter>,
}

impl<H: Graft> Grafted<H> {
    /// The name of a parameter on disk.
    pub fn published_name(&self, parameter: &str) -> String {
        self.on_disk(parameter).0
    }

    /// The name of a parameter on disk, and what its numbers are less there.
    pub(super) fn on_disk(&self, parameter: &str) -> (String, f32) {
        on_disk(&self.head, &self.graph, parameter)
    }

    /// The same network with random values in place of all that were loaded, to see what those are worth.
    #[must_use]
    pub fn from_scratch(mut self, seed: u64) -> Self {
        self.parameters = Parameters::initial(&self.graph, seed);
        self.report = None;
        self.digest = format!("random {seed}");
        self
    }

    /// With low-rank pairs beside every layer of the backbone that can have one; the seed decides their values.
    ///
    /// # Errors
    /// When no layer can have one.
    pub fn with_low_rank(mut self, rank: usize, alpha: f64, seed: u64) -> Result<Self, GraftError> {
        let head = self.graph.stages().len().saturating_sub(1);
        let (low_rank, graph) = LowRank::add(&self.graph, |node| node.stage < head, rank, alpha)?;
        self.graph = graph;
        self.parameters.initialise(&self.graph, seed);
        self.low_rank = Some(low_rank);
        Ok(self)
    }

    /// With its low-rank pairs, if it has any, merged into the weights that they stand beside, and kept apart as an adapter.
    ///
    /// # Errors
    /// When a value is missing.
    pub fn merged(mut self) -> Result<Self, GraftError> {
        if let Some(low_rank) = self.low_rank.take() {
            let (graph, adapter) = low_rank.merged(&mut self.parameters, self.base.clone())?;
            self.graph = graph;
            self.adapter = Some(adapter);
        }
        Ok(self)
    }

    /// Pictures of its usual size that are all of the mean colour, for measuring.
    pub fn blank(&self, samples: usize) -> Vec<Tensor> {
        let [height, width] = self.input.framing.frame(4, 3).padded;
        vec![Tensor::zeros(&[samples, height, width, 3])]
    }
}

/// The name of a network's parameter on disk, and what its numbers are less there: of the head its own.
pub(super) fn on_disk<H: Graft>(head: &H, graph: &Graph, parameter: &str) -> (String, f32) {
    let last = graph.stages().len() - 1;
    let index = graph.parameter(parameter);
    match index.is_some_and(|index| graph.parameter_stages()[index] == last) {
        true => (parameter.to_owned(), 0.0),
        false => head.published(graph, parameter),
    }
}
