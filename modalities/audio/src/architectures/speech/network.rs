//! wav2vec 2.0 (Baevski et al. 2020, arXiv 2006.11477) and HuBERT (Hsu et al. 2021, arXiv 2106.07447), base and large.
//!
//! Stages: `features`, `projection`, `positions`, `layer0` …, `norm` where layers normalise before their branches, and those of the head.
//! Layers are not dropped and frames are not masked in training: `layerdrop` and `mask_time_prob` have no effect here, and
//! `masked_spec_embed` of checkpoints is no parameter.

use serde_json::Value as Json;
use tk_engine::graph::{Dimension, Op, Value};
use tk_engine::{Graph, GraphBuilder};
use tk_transfer::checkpoint::Rule;

use super::features::{FeatureNorm, Features};
use super::fields::Fields;
use super::layers::{LayerNames, Layers, Norm, dropout};
use super::positions::Positions;
use super::{ArchitectureError, End};

/// What such a network is built with, from `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct Speech {
    /// transformers' `model_type`: `wav2vec2` or `hubert`.
    pub model_type: String,
    /// From the waveform to frames.
    pub features: Features,
    /// Whether frames are normed before they are projected.
    pub norms_projection: bool,
    /// The embedding of positions.
    pub positions: Positions,
    /// The transformer.
    pub layers: Layers,
    /// Whether layers normalise what their branches read (`do_stable_layer_norm`).
    pub is_stable: bool,
    /// Dropout of projected frames.
    pub projection_dropout: f64,
    /// Dropout before the layer of CTC.
    pub final_dropout: f64,
    /// The count of symbols, blank included.
    pub vocabulary: usize,
    /// The width between the two linear layers of the classifier.
    pub classifier_width: usize,
}

/// The end of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeechHead {
    /// None; the output is `embedding`, `[batch, width]`, the mean over frames, by the stage `pooler`.
    Embedding,
    /// transformers' `…ForCTC`: the stage `lm_head`; the output is `logits`, `[batch, frames, symbols]`.
    Ctc {
        /// The count of symbols, blank included.
        symbols: usize,
    },
    /// transformers' `…ForSequenceClassification`: the stages `pooler` and `classifier`; the output is `logits`, `[batch, classes]`.
    Classes {
        /// The count of classes.
        classes: usize,
    },
}

/// What the network is told of padding, which follows what the preprocessor's `return_attention_mask` was in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Nothing: padding is silence, as base networks are trained.
    Ignored,
    /// By inputs of the graph, as large networks are trained: `frames`, `[batch, frames, 1]`, 1 for frames and 0 for padding, and
    /// `mask`, `[batch, 1, 1, frames]`, which is added to attention's scores, 0 for frames and [`MASKED`] for padding; where frames
    /// are pooled also `pooling`, `[batch, 1, frames]`, 1 / frames for frames and 0 for padding.
    Masked,
}

/// What `mask` adds to padding: so much that its share is exactly 0, and little enough to stay finite.
pub const MASKED: f32 = -1e30;

const LAYERS: LayerNames = LayerNames {
    projections: ["attention.q_proj", "attention.k_proj", "attention.v_proj"],
    has_key_bias: true,
    mixed: "attention.out_proj",
    norms: ["layer_norm", "final_layer_norm"],
    feed_forward: ["feed_forward.intermediate_dense", "feed_forward.output_dense"],
};

/// How names in checkpoints become those of the graph: without their prefix, and weight-norm as PyTorch spells it since 2.0.
pub static RENAMES: &[Rule] = &[
    Rule::Prefix { from: "wav2vec2.", to: "" },
    Rule::Prefix { from: "hubert.", to: "" },
    Rule::Pattern {
        from: r"pos_conv_embed\.conv\.weight_g$",
        to: "pos_conv_embed.conv.parametrizations.weight.original0",
    },
    Rule::Pattern {
        from: r"pos_conv_embed\.conv\.weight_v$",
        to: "pos_conv_embed.conv.parametrizations.weight.original1",
    },
];

/// Modules of heads, whose names in checkpoints have no prefix.
pub const HEAD_MODULES: [&str; 3] = ["lm_head", "projector", "classifier"];

impl Speech {
    /// Reads the text of a `config.json`.
    ///
    /// # Errors
    /// When it is another network's, or a setting is out of range or not built here.
    pub fn from_json(text: &str) -> Result<Self, ArchitectureError> {
        let read = Fields::read(text, &["wav2vec2", "hubert"], "wav2vec2 or hubert")?;
        for name in ["add_adapter", "use_weighted_layer_sum", "conv_pos_batch_norm"] {
            read.only(name, &Json::from(false), "false: the other form is not built here")?;
        }
        read.only("adapter_attn_dim", &Json::Null, "null: adapters are not built here")?;

        let widths = read.sizes("conv_dim", &[512; 7])?;
        let kernels = read.sizes("conv_kernel", &[10, 3, 3, 3, 3, 2, 2])?;
        let strides = read.sizes("conv_stride", &[5, 2, 2, 2, 2, 2, 2])?;
        if widths.len() != kernels.len() || widths.len() != strides.len() {
            let found = format!("{}, {} and {}", widths.len(), kernels.len(), strides.len());
            return Err(read.error("conv_dim", "as many numbers as conv_kernel and conv_stride have", found));
        }
        let convolutions = widths.iter().zip(&kernels).zip(&strides);
        let convolutions = convolutions.map(|((&width, &kernel), &stride)| [width, kernel, stride]).collect();
        let norm = match read.text("feat_extract_norm", "group")? {
            "group" => FeatureNorm::Group,
            "layer" => FeatureNorm::Layer,
            other => return Err(read.error("feat_extract_norm", "group or layer", other)),
        };
        let activation = read.activation("feat_extract_activation")?;
        let layers = Layers {
            width: read.size("hidden_size", 768)?,
            count: read.size("num_hidden_layers", 12)?,
            heads: read.size("num_attention_heads", 12)?,
            hidden: read.size("intermediate_size", 3072)?,
            activation: read.activation("hidden_act")?,
            epsilon: read.positive("layer_norm_eps", 1e-5)?,
            initializer_range: read.positive("initializer_range", 0.02)?,
            dropout: read.rate("hidden_dropout", 0.1)?,
            attention_dropout: read.rate("attention_dropout", 0.1)?,
            activation_dropout: read.rate("activation_dropout", 0.1)?,
        };
        let kernel = read.size("num_conv_pos_embeddings", 128)?;
        let groups = read.size("num_conv_pos_embedding_groups", 16)?;
        for (name, count) in
            [("num_attention_heads", layers.heads), ("num_conv_pos_embedding_groups", groups)]
        {
            if !layers.width.is_multiple_of(count) {
                let found = format!("{count} for width {}", layers.width);
                return Err(read.error(name, "a divisor of the width", found));
            }
        }
        Ok(Self {
            features: Features { convolutions, bias: read.flag("conv_bias", false)?, norm, activation },
            norms_projection: read.model_type == "wav2vec2" || read.flag("feat_proj_layer_norm", true)?,
            positions: Positions { kernel, groups, activation },
            layers,
            is_stable: read.flag("do_stable_layer_norm", false)?,
            projection_dropout: read.rate("feat_proj_dropout", 0.0)?,
            final_dropout: read.rate("final_dropout", 0.1)?,
            vocabulary: read.size("vocab_size", 32)?,
            classifier_width: read.size("classifier_proj_size", 256)?,
            model_type: read.model_type,
        })
    }

    /// The graph. Its first input is `waves`, `[batch, samples, 1]`, the others as [`Padding`] says.
    ///
    /// # Errors
    /// When the head has no classes or symbols, or the graph is malformed.
    pub fn build(&self, head: SpeechHead, padding: Padding) -> Result<Graph, ArchitectureError> {
        if let SpeechHead::Ctc { symbols: 0 } | SpeechHead::Classes { classes: 0 } = head {
            return Err(ArchitectureError::Setting {
                architecture: self.model_type.clone(),
                setting: "num_labels".into(),
                expected: "at least 1",
                found: "0".into(),
            });
        }
        let b = &mut GraphBuilder::new();
        let mut x = self.encoder(b, padding, |_, x| x);
        if self.is_stable {
            b.begin_stage("norm");
            x = b.layer_norm("encoder.layer_norm", x, self.layers.epsilon);
            b.end_stage(x);
        }
        let (name, output) = self.head(b, head, padding, x);
        Ok(std::mem::take(b).finish(&[(name, output)])?)
    }

    /// The graph of a classifier, with the same inputs. The last layer's stage ends in what the encoder leaves, its norm included, and
    /// the classifier is one stage, `head`, so that a count of last stages means what it says.
    ///
    /// # Errors
    /// When there are no classes, or the graph is malformed.
    pub fn build_classifier(&self, end: End, padding: Padding) -> Result<Graph, ArchitectureError> {
        let b = &mut GraphBuilder::new();
        let is_pooled = matches!(end, End::Probe { .. });
        let x = self.encoder(b, padding, |b, x| {
            let x = match self.is_stable {
                true => b.layer_norm("encoder.layer_norm", x, self.layers.epsilon),
                false => x,
            };
            if is_pooled { mean(b, padding, x) } else { x }
        });
        end.build(b, x, (&self.layers, self.classifier_width), |b, x| mean(b, padding, x))
    }

    /// The stages from the waveform to the last layer, which ends in what `end` makes of it.
    fn encoder(
        &self,
        b: &mut GraphBuilder,
        padding: Padding,
        mut end: impl FnMut(&mut GraphBuilder, Value) -> Value,
    ) -> Value {
        let layers = &self.layers;
        b.begin_stage("features");
        let waves = b.input("waves", 3, Some(1));
        let mut x = self.features.build(b, waves);
        b.end_stage(x);

        b.begin_stage("projection");
        if self.norms_projection {
            x = b.layer_norm("feature_projection.layer_norm", x, layers.epsilon);
        }
        x = layers.linear(b, "feature_projection.projection", x, layers.width);
        x = dropout(b, "feature_projection.dropout", x, self.projection_dropout);
        b.end_stage(x);

        b.begin_stage("positions");
        if padding == Padding::Masked {
            let frames = b.input("frames", 3, Some(1));
            x = b.add("encoder.frames", Op::Multiply, &[x, frames]);
        }
        let positions = self.positions.build(b, x);
        x = b.add("encoder.positions", Op::Add, &[x, positions]);
        if !self.is_stable {
            x = b.layer_norm("encoder.layer_norm", x, layers.epsilon);
        }
        x = dropout(b, "encoder.dropout", x, layers.dropout);
        b.end_stage(x);

        let norm = if self.is_stable { Norm::Before } else { Norm::After };
        let mut mask = None;
        for layer in 0..layers.count {
            b.begin_stage(&format!("layer{layer}"));
            if padding == Padding::Masked {
                mask = Some(*mask.get_or_insert_with(|| b.input("mask", 4, None)));
            }
            x = layers.layer(b, (&format!("encoder.layers.{layer}"), &LAYERS), norm, x, mask);
            if layer + 1 == layers.count {
                x = end(b, x);
            }
            b.end_stage(x);
        }
        x
    }

    /// The name of a parameter in a checkpoint of a model with a head, as transformers writes it.
    pub fn published_name(&self, parameter: &str) -> String {
        let within =
            |module: &&str| parameter.strip_prefix(*module).is_some_and(|rest| rest.starts_with('.'));
        match HEAD_MODULES.iter().any(within) {
            true => parameter.to_owned(),
            false => format!("{}.{parameter}", self.model_type),
        }
    }

    /// The stages of the head over `[batch, frames, width]`; the name of the output, and the output.
    fn head(
        &self,
        b: &mut GraphBuilder,
        head: SpeechHead,
        padding: Padding,
        mut x: Value,
    ) -> (&'static str, Value) {
        let classes = match head {
            SpeechHead::Ctc { symbols } => {
                b.begin_stage("lm_head");
                x = dropout(b, "lm_head.dropout", x, self.final_dropout);
                x = self.layers.linear(b, "lm_head", x, symbols);
                return ("logits", b.end_stage(x));
            }
            SpeechHead::Embedding => None,
            SpeechHead::Classes { classes } => Some(classes),
        };
        b.begin_stage("pooler");
        if classes.is_some() {
            x = self.layers.linear(b, "projector", x, self.classifier_width);
        }
        x = mean(b, padding, x);
        b.end_stage(x);
        let Some(classes) = classes else { return ("embedding", x) };
        b.begin_stage("classifier");
        x = self.layers.linear(b, "classifier", x, classes);
        ("logits", b.end_stage(x))
    }
}

/// The mean over frames, `[batch, width]`, of `[batch, frames, width]`.
fn mean(b: &mut GraphBuilder, padding: Padding, x: Value) -> Value {
    match padding {
        Padding::Ignored => b.add("pooler.mean", Op::GlobalAveragePool, &[x]),
        Padding::Masked => {
            let shape = vec![Dimension::Same(0), Dimension::Size(b.channels(x))];
            let weights = b.input("pooling", 3, None);
            let mean = b.add("pooler.mean", Op::MatMul { transpose_right: false }, &[weights, x]);
            b.add("pooler.embedding", Op::Reshape(shape), &[mean])
        }
    }
}
