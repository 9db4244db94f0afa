//! What stands behind an encoder that classifies.

use tk_engine::Graph;
use tk_engine::graph::{GraphBuilder, Value};

use super::ArchitectureError;
use super::layers::Layers;

/// The classifier of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// What probes learn: one linear layer, `classifier`, over the embedding, the mean over frames, with which the last layer's stage ends.
    Probe {
        /// The count of classes.
        classes: usize,
    },
    /// transformers' own: a linear layer, `projector`, of each frame, the mean over frames, and a linear layer, `classifier`.
    Published {
        /// The count of classes.
        classes: usize,
    },
}

impl End {
    /// The count of classes.
    pub fn classes(self) -> usize {
        let (Self::Probe { classes } | Self::Published { classes }) = self;
        classes
    }

    /// Adds the stage `head` to `x`, `[batch, width]` before a probe, else `[batch, frames, width]`. The output is `logits`,
    /// `[batch, classes]`.
    pub(super) fn build(
        self,
        b: &mut GraphBuilder,
        mut x: Value,
        (layers, projected): (&Layers, usize),
        mean: impl FnOnce(&mut GraphBuilder, Value) -> Value,
    ) -> Result<Graph, ArchitectureError> {
        if self.classes() == 0 {
            return Err(ArchitectureError::Setting {
                architecture: "a classifier".into(),
                setting: "num_labels".into(),
                expected: "at least 1",
                found: "0".into(),
            });
        }
        b.begin_stage("head");
        if let Self::Published { .. } = self {
            x = layers.linear(b, "projector", x, projected);
            x = mean(b, x);
        }
        x = layers.linear(b, "classifier", x, self.classes());
        b.end_stage(x);
        Ok(std::mem::take(b).finish(&[("logits", x)])?)
    }
}
