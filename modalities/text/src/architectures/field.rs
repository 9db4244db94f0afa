//! What a graph reads of a batch of texts.

/// An input of an encoder's graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Token numbers, `[batch, length]`.
    Tokens,
    /// The text of a pair that each token belongs to, 0 or 1, `[batch, length]`.
    TokenTypes,
    /// What is added to attention's scores, `[batch, 1, 1, length]`: 0 for tokens, [`Field::MASKED`] for padding.
    Mask,
    /// The share of each token in the mean of its text, `[batch, 1, length]`: 1 / tokens for tokens, 0 for padding.
    PoolingWeights,
}

impl Field {
    /// What [`Field::Mask`] adds to padding: so much that its share is exactly 0, and little enough to stay finite.
    pub const MASKED: f32 = -1e30;

    /// The name of the graph's input.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::TokenTypes => "token_types",
            Self::Mask => "mask",
            Self::PoolingWeights => "pooling",
        }
    }
}
