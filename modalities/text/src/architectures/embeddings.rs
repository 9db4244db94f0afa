//! From token numbers to vectors: the sum of tables, normalised.

use tk_engine::graph::{GraphBuilder, Init, Kind, Op, SliceRange, Value};

use super::encoder::{dropout, linear, norm};
use super::{Field, Settings};

/// How an architecture embeds tokens.
#[derive(Debug)]
pub(super) struct Embeddings {
    /// The table of tokens.
    pub(super) words: &'static str,
    /// The norm of the sum.
    pub(super) norm: &'static str,
    /// Whether the graph reads which text of a pair each token belongs to; otherwise all are of the first, where there is a table.
    pub(super) reads_token_types: bool,
    /// Which positions have vectors.
    pub(super) positions: Positions,
}

/// How positions are counted in their table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Positions {
    /// From the first row.
    FromZero,
    /// From the row after the padding token's number, as RoBERTa does.
    AfterPadding,
    /// There is no table: attention knows where tokens are.
    InAttention,
}

/// The linear layer from narrower tables to the encoder's width.
const PROJECTION: &str = "embeddings_project";

impl Embeddings {
    /// The row of the first token's position.
    pub(super) fn first_position(&self, settings: &Settings) -> usize {
        if self.positions == Positions::AfterPadding { settings.padding + 1 } else { 0 }
    }

    /// The stage `embeddings`: tokens `[batch, length]` to vectors `[batch, length, width]`. Texts are padded on the right.
    pub(super) fn build(&self, b: &mut GraphBuilder, settings: &Settings) -> Value {
        let table = |b: &mut GraphBuilder, name: &str, rows: usize| {
            let (name, shape) = (format!("{name}.weight"), [rows, settings.embedding_width]);
            b.parameter(&name, &shape, Kind::Weight, Init::Normal(settings.initializer_range))
        };
        b.begin_stage("embeddings");
        let tokens = b.input(Field::Tokens.name(), 2, None);
        let words = table(b, self.words, settings.vocabulary);
        let mut sum = b.add("embeddings.words", Op::Gather, &[tokens, words]);
        if settings.token_types > 0 {
            let types = table(b, "embeddings.token_type_embeddings", settings.token_types);
            let types = if self.reads_token_types {
                let which = b.input(Field::TokenTypes.name(), 2, None);
                b.add("embeddings.types", Op::Gather, &[which, types])
            } else {
                let first = Op::Slice { axis: 0, range: SliceRange::Fixed { start: 0, length: 1 } };
                b.add("embeddings.types", first, &[types])
            };
            sum = b.add("embeddings.add_types", Op::Add, &[sum, types]);
        }
        if self.positions != Positions::InAttention {
            let mut positions = table(b, "embeddings.position_embeddings", settings.positions);
            let start = self.first_position(settings);
            if start > 0 {
                let range = SliceRange::Fixed { start, length: settings.positions.saturating_sub(start) };
                positions = b.add("embeddings.usable_positions", Op::Slice { axis: 0, range }, &[positions]);
            }
            let as_many = Op::Slice { axis: 0, range: SliceRange::Like { axis: 1 } };
            let positions = b.add("embeddings.positions", as_many, &[positions, tokens]);
            sum = b.add("embeddings.add_positions", Op::Add, &[sum, positions]);
        }
        let x = norm(b, self.norm, sum, settings);
        let mut x = dropout(b, "embeddings.dropout", x, settings.hidden_dropout);
        if settings.embedding_width != settings.width {
            x = linear(b, PROJECTION, x, settings.width, settings);
        }
        b.end_stage(x)
    }
}
