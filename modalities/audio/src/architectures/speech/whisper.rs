//! The encoder of Whisper (Radford et al. 2022, arXiv 2212.04356) as transformers' `WhisperForAudioClassification` uses it.
//!
//! Stages: `embeddings`, `layer0` …, the last of which ends in the encoder's norm, and `head`. Parameters carry the names of transformers'
//! checkpoints without the prefix of the encoder. The decoder is not here. Layers are not dropped in training.

use serde_json::Value as Json;
use tk_engine::Graph;
use tk_engine::graph::{Activation, Convolution, GraphBuilder, Init, Kind, Op, Value};
use tk_transfer::checkpoint::Rule;

use super::fields::Fields;
use super::layers::{LayerNames, Layers, Norm, dropout};
use super::{ArchitectureError, End};

/// What such an encoder is built with, from `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct Whisper {
    /// Filters of the log-mel spectrogram.
    pub bins: usize,
    /// Places of the encoder: one for two frames of the spectrogram.
    pub places: usize,
    /// The transformer.
    pub layers: Layers,
    /// The width between the two linear layers of the classifier.
    pub classifier_width: usize,
}

/// The embeddings of places, `[places, width]`.
pub const PLACES: &str = "embed_positions.weight";

/// Frames of the spectrogram for each place.
pub const FRAMES_PER_PLACE: usize = 2;

const LAYERS: LayerNames = LayerNames {
    projections: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    has_key_bias: false,
    mixed: "self_attn.out_proj",
    norms: ["self_attn_layer_norm", "final_layer_norm"],
    feed_forward: ["fc1", "fc2"],
};

/// PyTorch's epsilon of norms.
const EPSILON: f64 = 1e-5;

/// How names in checkpoints, of classifiers and of whole networks, become those of the graph.
pub static WHISPER_RENAMES: &[Rule] =
    &[Rule::Prefix { from: "model.encoder.", to: "" }, Rule::Prefix { from: "encoder.", to: "" }];

impl Whisper {
    /// Reads the text of a `config.json`.
    ///
    /// # Errors
    /// When it is another network's, or a setting is out of range or not built here.
    pub fn from_json(text: &str) -> Result<Self, ArchitectureError> {
        let read = Fields::read(text, &["whisper"], "whisper")?;
        read.only("use_weighted_layer_sum", &Json::from(false), "false: the other form is not built here")?;
        let layers = Layers {
            width: read.size("d_model", 384)?,
            count: read.size("encoder_layers", 4)?,
            heads: read.size("encoder_attention_heads", 6)?,
            hidden: read.size("encoder_ffn_dim", 1536)?,
            activation: read.activation("activation_function")?,
            epsilon: EPSILON,
            initializer_range: read.positive("init_std", 0.02)?,
            dropout: read.rate("dropout", 0.0)?,
            attention_dropout: read.rate("attention_dropout", 0.0)?,
            activation_dropout: read.rate("activation_dropout", 0.0)?,
        };
        if !layers.width.is_multiple_of(layers.heads) {
            let found = format!("{} for width {}", layers.heads, layers.width);
            return Err(read.error("encoder_attention_heads", "a divisor of the width", found));
        }
        Ok(Self {
            bins: read.size("num_mel_bins", 80)?,
            places: read.size("max_source_positions", 1500)?,
            layers,
            classifier_width: read.size("classifier_proj_size", 256)?,
        })
    }

    /// Frames of its input.
    pub fn frames(&self) -> usize {
        FRAMES_PER_PLACE * self.places
    }

    /// The graph of a classifier. Its input is `spectrogram`, `[batch, frames, bins]`.
    ///
    /// # Errors
    /// When there are no classes, or the graph is malformed.
    pub fn build_classifier(&self, end: End) -> Result<Graph, ArchitectureError> {
        let b = &mut GraphBuilder::new();
        let layers = &self.layers;
        b.begin_stage("embeddings");
        let mut x = b.input("spectrogram", 3, Some(self.bins));
        for (name, stride) in [("conv1", 1), ("conv2", FRAMES_PER_PLACE)] {
            x = self.convolution(b, name, x, stride);
        }
        let shape = [self.places, layers.width];
        let places = b.parameter(PLACES, &shape, Kind::Fixed, Init::Zeros);
        x = b.add("embed_positions", Op::Add, &[x, places]);
        x = dropout(b, "dropout", x, layers.dropout);
        b.end_stage(x);

        for layer in 0..layers.count {
            b.begin_stage(&format!("layer{layer}"));
            x = layers.layer(b, (&format!("layers.{layer}"), &LAYERS), Norm::Before, x, None);
            if layer + 1 == layers.count {
                x = b.layer_norm("layer_norm", x, layers.epsilon);
                if let End::Probe { .. } = end {
                    x = mean(b, x);
                }
            }
            b.end_stage(x);
        }
        end.build(b, x, (layers, self.classifier_width), mean)
    }

    /// `[batch, length, in]` to `[batch, ⌈length / stride⌉, width]`, activated.
    fn convolution(&self, b: &mut GraphBuilder, name: &str, x: Value, stride: usize) -> Value {
        let (width, channels) = (self.layers.width, b.channels(x));
        let init = Init::Normal(self.layers.initializer_range);
        let weight = b.parameter(&format!("{name}.weight"), &[width, channels, 3], Kind::Weight, init);
        let bias = b.parameter(&format!("{name}.bias"), &[width], Kind::Bias, Init::Zeros);
        let walk = Convolution { stride: [1, stride], padding: [0, 0, 1, 1], dilation: [1; 2], groups: 1 };
        let x = b.add(name, Op::Convolution(walk), &[x, weight, bias]);
        b.activation(&format!("{name}.activation"), x, Activation::Gelu)
    }
}

fn mean(b: &mut GraphBuilder, x: Value) -> Value {
    b.add("pooler.mean", Op::GlobalAveragePool, &[x])
}
