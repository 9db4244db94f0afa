//! The Audio Spectrogram Transformer (Gong et al. 2021, arXiv 2104.01778): a vision transformer over overlapping patches of a log filter
//! bank, with a token for the class and one for distillation.
//!
//! Stages: `embeddings`, `layer0`, `layer1`, …, the last of which ends in the features, the mean of both tokens through the final norm and
//! the classifier's; `head`. Names are those of transformers' `ASTForAudioClassification`.

use tk_engine::blocks::{head, residual};
use tk_engine::graph::{Activation, Attention, Conv2d, Dimension, Init, Kind, Op, Reduction, SliceRange};
use tk_engine::{EngineError, Graph, GraphBuilder, Value};

/// The head's linear layer.
pub const HEAD: &str = "classifier.dense";

/// The embeddings of places, `[1, 2 + patches, width]`.
pub const POSITIONS: &str = "audio_spectrogram_transformer.embeddings.position_embeddings";

const ENCODER: &str = "audio_spectrogram_transformer";

/// What a network is built with.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The width of every token's vector.
    pub width: usize,
    /// The count of layers.
    pub layers: usize,
    /// The count of heads of attention, which divides the width.
    pub heads: usize,
    /// The width between the two linear layers of a layer.
    pub hidden: usize,
    /// The side of a patch.
    pub patch: usize,
    /// From one patch to the next: bins, frames.
    pub strides: [usize; 2],
    /// Filters of the bank.
    pub bins: usize,
    /// Frames of the input.
    pub frames: usize,
    /// What layer-norm adds to the variance.
    pub epsilon: f64,
    /// Whether queries, keys and values have biases.
    pub has_biases: bool,
    /// The deviation that new weights are drawn with.
    pub initializer_range: f64,
    /// Dropout of vectors.
    pub dropout: f64,
    /// Dropout of attention's shares.
    pub attention_dropout: f64,
    /// The count of classes.
    pub classes: usize,
}

impl Settings {
    /// Rows of patches (over bins) and columns (over frames).
    pub fn grid(&self) -> [usize; 2] {
        let along = |size: usize, stride: usize| (size.saturating_sub(self.patch)) / stride.max(1) + 1;
        [along(self.bins, self.strides[0]), along(self.frames, self.strides[1])]
    }
}

/// The graph: an input `spectrogram`, `[batch, bins, frames, 1]`, and an output `logits`, `[batch, classes]`.
///
/// # Errors
/// When the graph is malformed.
pub fn build(settings: &Settings) -> Result<Graph, EngineError> {
    let Settings { width, layers, .. } = *settings;
    let [rows, columns] = settings.grid();
    let of = |part: &str| format!("{ENCODER}.embeddings.{part}");

    let mut b = GraphBuilder::new();
    b.begin_stage("embeddings");
    let spectrogram = b.input("spectrogram", 4, Some(1));
    let mut patches = Conv2d::same(width, settings.patch).padding(0).with_bias();
    patches.walk.stride = settings.strides;
    let x = b.conv2d(&of("patch_embeddings.projection"), spectrogram, patches);
    let places = vec![Dimension::Same(0), Dimension::Rest, Dimension::Same(3)];
    let x = b.add(&of("flatten"), Op::Reshape(places), &[x]);
    let mut parts = Vec::new();
    for name in ["cls_token", "distillation_token"] {
        // Like biases, tokens and places are added to what is learnt from sound, and do not decay.
        let token = b.parameter(&of(name), &[1, 1, width], Kind::Bias, Init::Constant(0.0));
        parts.push(b.add(&of(&format!("{name}.repeat")), Op::ExpandLike { axis: 0 }, &[token, x]));
    }
    parts.push(x);
    let x = b.add(&of("tokens"), Op::Concat { axis: 1 }, &parts);
    let positions = b.parameter(POSITIONS, &[1, 2 + rows * columns, width], Kind::Bias, Init::Constant(0.0));
    let x = b.add(&of("position_embeddings.add"), Op::Add, &[x, positions]);
    let mut x = dropout(&mut b, &of("dropout"), x, settings.dropout);
    b.end_stage(x);

    for index in 0..layers {
        b.begin_stage(&format!("layer{index}"));
        let is_last = index + 1 == layers;
        x = layer(&mut b, settings, index, x, is_last);
        if is_last {
            x = pool(&mut b, settings, x);
        }
        b.end_stage(x);
    }
    Ok(head(b, x, HEAD, settings.classes, 0.0)?)
}

/// The features, `[batch, width]`, of the two tokens `[batch, 2, width]`.
fn pool(b: &mut GraphBuilder, settings: &Settings, x: Value) -> Value {
    let x = b.layer_norm(&format!("{ENCODER}.layernorm"), x, settings.epsilon);
    let mean = b.add("pool.mean", Op::Reduce { reduction: Reduction::Mean, axes: vec![1] }, &[x]);
    let flat = vec![Dimension::Same(0), Dimension::Same(2)];
    let mean = b.add("pool.flatten", Op::Reshape(flat), &[mean]);
    b.layer_norm("classifier.layernorm", mean, settings.epsilon)
}

/// Attention, then two linear layers, each of a norm's result and added to what came in. Of the last layer only the two tokens in front are
/// read, so that only they ask and are gone on with: what the patches would become there is not computed.
fn layer(b: &mut GraphBuilder, settings: &Settings, index: usize, x: Value, is_last: bool) -> Value {
    let of = |part: &str| format!("{ENCODER}.encoder.layer.{index}.{part}");
    let width = settings.width;
    let tokens = |b: &mut GraphBuilder, part: &str, x: Value| match is_last {
        true => {
            let range = SliceRange::Fixed { start: 0, length: 2 };
            b.add(&of(&format!("{part}.tokens")), Op::Slice { axis: 1, range }, &[x])
        }
        false => x,
    };
    let y = b.layer_norm(&of("layernorm_before"), x, settings.epsilon);
    let asking = tokens(b, "attention.attention.query", y);
    let operands = [("query", asking), ("key", y), ("value", y)].map(|(part, y)| {
        let name = of(&format!("attention.attention.{part}"));
        match settings.has_biases {
            true => linear(b, &name, y, width, settings),
            false => {
                let init = Init::Normal(settings.initializer_range);
                let weight = b.parameter(&format!("{name}.weight"), &[width, width], Kind::Weight, init);
                b.add(&name, Op::Linear, &[y, weight])
            }
        }
    });
    let x = tokens(b, "attention", x);
    let attention = Attention { heads: settings.heads, dropout: settings.attention_dropout };
    let y = b.add(&of("attention"), Op::Attention(attention), &operands);
    let y = linear(b, &of("attention.output.dense"), y, width, settings);
    let y = dropout(b, &of("attention.output.dropout"), y, settings.dropout);
    let x = residual(b, &of("attention"), y, x, 0.0);

    let y = b.layer_norm(&of("layernorm_after"), x, settings.epsilon);
    let y = linear(b, &of("intermediate.dense"), y, settings.hidden, settings);
    let y = b.activation(&of("intermediate.activation"), y, Activation::Gelu);
    let y = linear(b, &of("output.dense"), y, width, settings);
    let y = dropout(b, &of("output.dropout"), y, settings.dropout);
    residual(b, &of("output"), y, x, 0.0)
}

/// A linear layer whose weight starts as transformers starts it.
fn linear(b: &mut GraphBuilder, name: &str, x: Value, out: usize, settings: &Settings) -> Value {
    b.linear_from(name, x, out, Init::Normal(settings.initializer_range))
}

fn dropout(b: &mut GraphBuilder, name: &str, x: Value, rate: f64) -> Value {
    if rate > 0.0 { b.add(name, Op::Dropout { rate }, &[x]) } else { x }
}

/// Where the columns of a shorter input lie among those that embeddings of places were trained for: in their middle, as the paper's
/// program takes them. `None` when there are more columns than places.
pub fn place_of_crop(trained: usize, columns: usize) -> Option<usize> {
    // The program counts from the middle, half of the columns before it.
    (columns <= trained).then(|| (trained / 2).saturating_sub(columns / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_overlap_as_published() {
        let settings = Settings {
            width: 768,
            layers: 12,
            heads: 12,
            hidden: 3072,
            patch: 16,
            strides: [10, 10],
            bins: 128,
            frames: 1024,
            epsilon: 1e-12,
            has_biases: true,
            initializer_range: 0.02,
            dropout: 0.0,
            attention_dropout: 0.0,
            classes: 527,
        };
        // 1,212 patches, as the paper says.
        assert_eq!(settings.grid(), [12, 101]);
        assert_eq!(Settings { frames: 16, ..settings }.grid(), [12, 1]);
    }

    #[test]
    fn a_shorter_input_has_the_places_in_the_middle() {
        for (trained, columns, expected) in [
            (101, 101, Some(0)),
            (101, 51, Some(25)),
            (101, 1, Some(50)),
            (101, 100, Some(0)),
            (101, 102, None),
        ] {
            assert_eq!(place_of_crop(trained, columns), expected, "{columns} of {trained}");
        }
        for columns in 1..=101 {
            assert!(place_of_crop(101, columns).is_some_and(|start| start + columns <= 101), "{columns}");
        }
    }
}
