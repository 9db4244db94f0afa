//! A published encoder: its names, and how it is built.

use tk_engine::Graph;
use tk_transfer::checkpoint::Rule;

use super::embeddings::Embeddings;
use super::encoder::Layer;
use super::{ArchitectureError, Field, Head, Pooling, Settings, pooling};

/// A published encoder. All of them are listed in [`super::ARCHITECTURES`].
#[derive(Debug)]
pub struct Architecture {
    /// transformers' `model_type`.
    pub model_type: &'static str,
    /// transformers' class of the encoder alone.
    pub encoder_class: &'static str,
    /// transformers' class of the encoder with [`Head::Published`].
    pub classifier_class: &'static str,
    /// What stands before the encoder's names in checkpoints of models with a head, such as `bert.`.
    pub prefix: &'static str,
    /// Modules of the published head, whose names have no such prefix; the last layer is [`Architecture::head_name`].
    pub head_modules: &'static [&'static str],
    /// Modules between the encoder and the head, whose names have no such prefix either; a new task keeps those that weights have.
    pub pooler_modules: &'static [&'static str],
    /// The projections that PEFT adapts unless told otherwise, by the ends of their names.
    pub adapted: &'static [&'static str],
    /// How names in checkpoints become those of the graph; the encoder's own pass unchanged.
    pub renames: &'static [Rule],
    /// The last linear layer of the published head.
    pub(super) published_layer: &'static str,
    /// How sizes are spelled in `config.json`.
    pub(super) spelling: super::settings::Spelling,
    /// How token numbers become vectors.
    pub(super) embeddings: Embeddings,
    /// One layer.
    pub(super) layer: Layer,
    /// From the pooled vectors, `[batch, width]`, to what the last linear layer reads.
    pub(super) published_pooler: pooling::Builder,
    /// From the vectors of tokens, `[batch, length, width]`, to what the linear layer of [`Head::Tokens`] reads, where they differ.
    pub(super) token_pooler: Option<pooling::Builder>,
}

/// The linear layer of [`Head::Pooled`] and of [`Head::Tokens`].
const POOLED_LAYER: &str = "classifier";

impl Architecture {
    /// The graph: its inputs are [`Architecture::fields`], its output `embedding` or `logits`, as the head says.
    ///
    /// Stages are `embeddings`, `layer0` …, `pooler` (but for most with [`Head::Tokens`]) and, with classes, `classifier`.
    ///
    /// # Errors
    /// When there are no classes, or the graph is malformed.
    pub fn build(&self, settings: &Settings, head: Head) -> Result<Graph, ArchitectureError> {
        if head.classes() == Some(0) {
            return Err(self.setting("classes", "at least 1", "0"));
        }
        let mut b = tk_engine::GraphBuilder::new();
        let mut x = self.embeddings.build(&mut b, settings);
        let mut mask = None;
        for layer in 0..settings.layers {
            b.begin_stage(&format!("layer{layer}"));
            let mask = *mask.get_or_insert_with(|| b.input(Field::Mask.name(), 4, None));
            x = (self.layer)(&mut b, settings, layer, [x, mask]);
            b.end_stage(x);
        }
        Ok(pooling::finish(b, self, settings, head, x)?)
    }

    /// What the graph reads, in the order of its inputs.
    pub fn fields(&self, settings: &Settings, head: Head) -> Vec<Field> {
        let mut fields = vec![Field::Tokens];
        if self.embeddings.reads_token_types {
            fields.push(Field::TokenTypes);
        }
        fields.push(Field::Mask);
        if settings.pooling(head) == Pooling::Mean {
            fields.push(Field::PoolingWeights);
        }
        fields
    }

    /// The name of the last linear layer, the prefix of `.weight` and `.bias`; `None` without classes.
    pub fn head_name(&self, head: Head) -> Option<&'static str> {
        match head {
            Head::Embedding { .. } => None,
            Head::Pooled { .. } | Head::Tokens { .. } => Some(POOLED_LAYER),
            Head::Published { .. } => Some(self.published_layer),
        }
    }

    /// transformers' class of the encoder with a head; those with another than the published ones are the encoder's.
    pub fn class_of_model(&self, head: Head) -> String {
        match head {
            Head::Embedding { .. } | Head::Pooled { .. } => self.encoder_class.to_owned(),
            Head::Published { .. } => self.classifier_class.to_owned(),
            Head::Tokens { .. } => {
                self.classifier_class.replace("ForSequenceClassification", "ForTokenClassification")
            }
        }
    }

    /// Whether a parameter belongs to the head, which a new task starts anew.
    pub fn is_of_head(&self, parameter: &str) -> bool {
        is_within(POOLED_LAYER, parameter)
            || self.head_modules.iter().any(|module| is_within(module, parameter))
    }

    /// Whether a parameter stands between the encoder and the head.
    pub fn is_of_pooler(&self, parameter: &str) -> bool {
        is_within("pooler", parameter)
            || self.pooler_modules.iter().any(|module| is_within(module, parameter))
    }

    /// The name of a parameter in a checkpoint of a model with a head, as transformers writes it.
    pub fn published_name(&self, parameter: &str) -> String {
        let is_beside = self.pooler_modules.iter().any(|module| is_within(module, parameter));
        match self.is_of_head(parameter) || is_beside {
            true => parameter.to_owned(),
            false => format!("{}{parameter}", self.prefix),
        }
    }

    /// The most tokens of a text, special ones included.
    pub fn max_length(&self, settings: &Settings) -> usize {
        settings.positions.saturating_sub(self.embeddings.first_position(settings))
    }

    /// The error that a setting is not as it must be.
    pub(super) fn setting(
        &self,
        setting: &str,
        expected: &'static str,
        found: impl ToString,
    ) -> ArchitectureError {
        ArchitectureError::Setting {
            architecture: self.model_type,
            setting: setting.to_owned(),
            expected,
            found: found.to_string(),
        }
    }
}

/// Whether a parameter belongs to a module.
fn is_within(module: &str, parameter: &str) -> bool {
    parameter.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'))
}
