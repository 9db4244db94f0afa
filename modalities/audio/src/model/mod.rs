//! A network with its weights, as transformers publishes it.

mod error;
mod open;
mod save;

use std::path::PathBuf;

use tk_engine::{EngineError, Graph, Parameters, Tensor};
use tk_transfer::checkpoint::LoadReport;
use tk_transfer::classification::with_hidden_layer;
use tk_transfer::data::LabelKind;
use tk_transfer::low_rank::{Adapter, LowRank};

use crate::architectures::speech::{End, PLACES};
use crate::architectures::{Architecture, Config, FRAMES_PER_SECOND, POSITIONS, Start, place_of_crop};
use crate::features::FrontEnd;

pub use error::ModelError;
pub use open::EMBEDDED;

/// A network and its weights.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it is called in messages.
    pub name: String,
    /// The configuration that it came with.
    pub config: Config,
    /// What it was built with.
    pub architecture: Architecture,
    /// What it ends in.
    pub end: End,
    /// How sounds become its input.
    pub front_end: FrontEnd,
    /// Backbone and head.
    pub graph: Graph,
    /// Every parameter's value.
    pub parameters: Parameters,
    /// Tensors that the graph does not need and transformers does, by their published names.
    pub kept: Vec<(String, Tensor)>,
    /// The classes' names, where the weights came with them and their head was kept.
    pub labels: Option<Vec<String>>,
    /// Whether its classes exclude each other.
    pub kind: LabelKind,
    /// What was loaded.
    pub report: LoadReport,
    /// A digest of where the weights came from.
    pub digest: String,
    /// Where they are.
    pub folder: PathBuf,
    /// The low-rank pairs that it trains with.
    pub low_rank: Option<LowRank>,
    /// The low-rank pairs that were merged into its weights.
    pub adapter: Option<Adapter>,
}

/// Which head a model gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// The one that the weights came with.
    Published,
    /// transformers' own for this many classes, whose last layer is new; the seed decides its values.
    New {
        /// The count of classes.
        classes: usize,
        /// The seed.
        seed: u64,
    },
    /// A new linear layer over the embedding, which is what probes learn.
    Probe {
        /// The count of classes.
        classes: usize,
        /// The seed.
        seed: u64,
    },
}

impl Model {
    /// The same model that looks at other seconds of a recording, its beginning. Of AST's embeddings of places those in the middle of
    /// what they were trained for are kept, as the paper's program takes them; of Whisper's the first ones.
    ///
    /// # Errors
    /// When there are more frames than places, or too little is left for one frame.
    pub fn with_seconds(mut self, seconds: f64) -> Result<Self, ModelError> {
        let start = Start { architecture: self.architecture.clone(), front_end: self.front_end.clone() };
        let fail = |expected| ModelError::Seconds { model: self.name.clone(), seconds, expected };
        let Start { architecture, front_end } = start.with_seconds(seconds).map_err(fail)?;
        match (&self.architecture, &architecture) {
            (Architecture::Ast(before), Architecture::Ast(after)) => {
                let ([rows, trained], columns) = (before.grid(), after.grid()[1]);
                let first = place_of_crop(trained, columns).unwrap_or(0);
                let width = before.width;
                let places = self.parameters.get(POSITIONS)?.to_f32();
                let (tokens, patches) = places.split_at(2 * width);
                let mut kept = tokens.to_vec();
                for row in patches.chunks_exact(trained * width).take(rows) {
                    kept.extend_from_slice(&row[first * width..(first + columns) * width]);
                }
                self.parameters.set(POSITIONS, Tensor::new(&[1, 2 + rows * columns, width], kept)?);
            }
            (Architecture::Whisper(_), Architecture::Whisper(after)) => {
                let shape = [after.places, after.layers.width];
                let mut kept = self.parameters.get(PLACES)?.to_f32();
                kept.truncate(shape[0] * shape[1]);
                self.parameters.set(PLACES, Tensor::new(&shape, kept)?);
            }
            _ => {}
        }
        self.graph = architecture.build(self.end)?;
        (self.architecture, self.front_end) = (architecture, front_end);
        Ok(self)
    }

    /// How much of a recording it looks at as [`Model::with_seconds`] takes it, in seconds: AST's frames overlap, so that what they show is
    /// a little longer.
    pub fn asked_seconds(&self) -> f64 {
        match &self.architecture {
            Architecture::Ast(settings) => settings.frames as f64 / FRAMES_PER_SECOND,
            _ => self.front_end.seconds(),
        }
    }

    /// The prefix of the head's parameters.
    pub fn head(&self) -> &'static str {
        self.architecture.head()
    }

    /// The graph that ends in the embedding: what probes learn from, `[batch, width]`.
    ///
    /// # Errors
    /// When the graph cannot be cut.
    pub fn embedding_graph(&self) -> Result<Graph, EngineError> {
        let pooled = match self.end {
            End::Published { .. } if self.architecture.has_projector() => {
                Some(self.architecture.build(End::Probe { classes: 1 })?)
            }
            _ => None,
        };
        let graph = pooled.as_ref().unwrap_or(&self.graph);
        Ok(graph.cut(graph.stages().len().saturating_sub(2))?.prefix)
    }

    /// Inputs of silence, of usual length, for so many samples.
    ///
    /// # Errors
    /// When there are none.
    pub fn blank(&self, samples: usize) -> Result<Vec<Tensor>, EngineError> {
        let silence = self.architecture.blank(&self.front_end);
        self.architecture.stack(&vec![silence.as_slice(); samples])
    }

    /// With low-rank pairs beside every layer of the backbone that can have one; the seed decides their values.
    ///
    /// # Errors
    /// When no layer can have one.
    pub fn with_low_rank(mut self, rank: usize, alpha: f64, seed: u64) -> Result<Self, ModelError> {
        let stages: Vec<bool> =
            self.graph.stages().iter().map(|stage| stage.name.starts_with("layer")).collect();
        let (low_rank, graph) = LowRank::add(&self.graph, |node| stages[node.stage], rank, alpha)?;
        self.graph = graph;
        self.parameters.initialise(&self.graph, seed);
        self.low_rank = Some(low_rank);
        Ok(self)
    }

    /// With its low-rank pairs, if it has any, merged into the weights that they stand beside, and kept apart as an adapter.
    ///
    /// # Errors
    /// When a value is missing.
    pub fn merged(mut self) -> Result<Self, ModelError> {
        if let Some(low_rank) = self.low_rank.take() {
            let base = self.folder.display().to_string();
            let (graph, adapter) = low_rank.merged(&mut self.parameters, base)?;
            self.graph = graph;
            self.adapter = Some(adapter);
        }
        Ok(self)
    }

    /// Replaces the linear head by one hidden layer with ReLU: `HEAD.0`, `HEAD.2`. Their values are the caller's to set.
    ///
    /// # Errors
    /// When the graph cannot be built.
    pub fn with_hidden_layer(mut self, hidden: usize) -> Result<Self, ModelError> {
        let (head, classes) = (self.head(), self.end.classes());
        self.graph = with_hidden_layer(&self.graph, &mut self.parameters, head, hidden, classes)?;
        Ok(self)
    }
}
