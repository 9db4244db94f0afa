//! What comes after the encoder.

use serde::{Deserialize, Serialize};

/// How the vectors of a text's tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean over the tokens, padding excluded.
    Mean,
    /// The vector of the first token.
    Cls,
}

/// The end of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Head {
    /// None: the output is `embedding`, `[batch, width]`.
    Embedding {
        /// How the embedding is made.
        pooling: Pooling,
    },
    /// One linear layer over the pooled vectors; the output is `logits`, `[batch, classes]`.
    Pooled {
        /// How they are pooled.
        pooling: Pooling,
        /// The count of classes.
        classes: usize,
    },
    /// That of transformers' `…ForSequenceClassification`; the output is `logits`, `[batch, classes]`.
    Published {
        /// The count of classes.
        classes: usize,
    },
    /// That of transformers' `…ForTokenClassification`, one linear layer over every token; the output is `logits`,
    /// `[batch, length, classes]`.
    Tokens {
        /// The count of classes.
        classes: usize,
    },
}

impl Head {
    /// The count of classes, if it has any.
    pub fn classes(self) -> Option<usize> {
        match self {
            Self::Embedding { .. } => None,
            Self::Pooled { classes, .. } | Self::Published { classes } | Self::Tokens { classes } => {
                Some(classes)
            }
        }
    }

    /// How tokens are pooled; published heads read the first token, those over every token none.
    pub fn pooling(self) -> Pooling {
        match self {
            Self::Embedding { pooling } | Self::Pooled { pooling, .. } => pooling,
            Self::Published { .. } | Self::Tokens { .. } => Pooling::Cls,
        }
    }
}
