//! From token numbers to vectors: the sum of tables, normalised.

use tk_engine::graph::{GraphBuilder, Init, Kind, Op, SliceRange, Value};

use super::encoder::dropout;
use super::{Field, Settings};

/// How an architecture embeds tokens.
#[derive(Debug)]
pub(super) struct Embeddings {
    /// Whether the graph reads which text of a pair each token belongs to; otherwise all are of the first, where there is a table.
    pub(super) reads_token_types: bool,
    /// Whether positions are counted from the one after the padding token's, as RoBERTa does.
    pub(super) counts_after_padding: bool,
}

impl Embeddings {
    /// The row of the first token's position.
    pub(super) fn first_position(&self, settings: &Settings) -> usize {
        if self.counts_after_padding { settings.padding + 1 } else { 0 }
    }

    /// The stage `embeddings`: tokens `[batch, length]` to vectors `[batch, length, width]`. Texts are padded on the right.
    pub(super) fn build(&self, b: &mut GraphBuilder, settings: &Settings) -> Value {
        let table = |b: &mut GraphBuilder, name: &str, rows: usize| {
            let (name, shape) = (format!("embeddings.{name}.weight"), [rows, settings.width]);
            b.parameter(&name, &shape, Kind::Weight, Init::Normal(settings.initializer_range))
        };
        b.begin_stage("embeddings");
        let tokens = b.input(Field::Tokens.name(), 2, None);
        let words = table(b, "word_embeddings", settings.vocabulary);
        let mut sum = b.add("embeddings.words", Op::Gather, &[tokens, words]);
        if settings.token_types > 0 {
            let types = table(b, "token_type_embeddings", settings.token_types);
            let types = if self.reads_token_types {
                let which = b.input(Field::TokenTypes.name(), 2, None);
                b.add("embeddings.types", Op::Gather, &[which, types])
            } else {
                let first = Op::Slice { axis: 0, range: SliceRange::Fixed { start: 0, length: 1 } };
                b.add("embeddings.types", first, &[types])
            };
            sum = b.add("embeddings.add_types", Op::Add, &[sum, types]);
        }
        let mut positions = table(b, "position_embeddings", settings.positions);
        let start = self.first_position(settings);
        if start > 0 {
            let range = SliceRange::Fixed { start, length: settings.positions.saturating_sub(start) };
            positions = b.add("embeddings.usable_positions", Op::Slice { axis: 0, range }, &[positions]);
        }
        let as_many = Op::Slice { axis: 0, range: SliceRange::Like { axis: 1 } };
        let positions = b.add("embeddings.positions", as_many, &[positions, tokens]);
        let sum = b.add("embeddings.add_positions", Op::Add, &[sum, positions]);
        let x = b.layer_norm("embeddings.LayerNorm", sum, settings.epsilon);
        let x = dropout(b, "embeddings.dropout", x, settings.hidden_dropout);
        b.end_stage(x)
    }
}
