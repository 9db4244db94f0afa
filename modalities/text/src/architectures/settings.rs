//! The sizes and rates of an encoder, read from the fields of `config.json`.

use serde_json::{Map, Value};
use tk_engine::graph::Activation;

use super::{Architecture, ArchitectureError};

/// What an encoder is built with.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The count of tokens in the vocabulary.
    pub vocabulary: usize,
    /// The width of every token's vector.
    pub width: usize,
    /// The count of layers.
    pub layers: usize,
    /// The count of heads of attention.
    pub heads: usize,
    /// The width between the two linear layers of a layer.
    pub hidden: usize,
    /// Rows of the table of positions.
    pub positions: usize,
    /// Rows of the table of token types; 0 where there is none.
    pub token_types: usize,
    /// The token of padding.
    pub padding: usize,
    /// The activation within a layer.
    pub activation: Activation,
    /// What layer-norm adds to the variance.
    pub epsilon: f64,
    /// The deviation that new weights are drawn with.
    pub initializer_range: f64,
    /// Dropout of vectors.
    pub hidden_dropout: f64,
    /// Dropout of attention's shares.
    pub attention_dropout: f64,
    /// Dropout in the head.
    pub classifier_dropout: f64,
}

/// How one architecture's `config.json` calls its settings.
#[derive(Debug)]
pub(super) struct Spelling {
    pub(super) width: &'static str,
    pub(super) layers: &'static str,
    pub(super) heads: &'static str,
    pub(super) hidden: &'static str,
    /// Absent where there is no such table.
    pub(super) token_types: Option<&'static str>,
    pub(super) activation: &'static str,
    /// Absent where it is always 1e-12.
    pub(super) epsilon: Option<&'static str>,
    pub(super) hidden_dropout: &'static str,
    pub(super) attention_dropout: &'static str,
    pub(super) classifier_dropout: &'static str,
    /// What the last is if not given; `None` stands for the hidden dropout.
    pub(super) classifier_default: Option<f64>,
    /// The token of padding if not given.
    pub(super) padding: usize,
}

/// BERT's epsilon, where the configuration has none.
const EPSILON: f64 = 1e-12;

/// Every dropout, where the configuration has none.
const DROPOUT: f64 = 0.1;

/// The deviation of new weights, where the configuration has none.
const INITIALIZER_RANGE: f64 = 0.02;

impl Settings {
    /// Reads them from the fields of a `config.json`. Sizes must be there; rates have transformers' defaults.
    pub(super) fn read(
        architecture: &Architecture,
        fields: &Map<String, Value>,
    ) -> Result<Self, ArchitectureError> {
        let read = Reader { architecture, fields };
        read.refuse_variants()?;
        let names = &architecture.spelling;
        let hidden_dropout = read.rate(names.hidden_dropout, DROPOUT)?;
        let settings = Self {
            vocabulary: read.size("vocab_size")?,
            width: read.size(names.width)?,
            layers: read.size(names.layers)?,
            heads: read.size(names.heads)?,
            hidden: read.size(names.hidden)?,
            positions: read.size("max_position_embeddings")?,
            token_types: names.token_types.map_or(Ok(0), |name| read.size(name))?,
            padding: match read.given("pad_token_id") {
                Some(value) => read.whole("pad_token_id", value)?,
                None => names.padding,
            },
            activation: read.activation(names.activation)?,
            epsilon: names.epsilon.map_or(Ok(EPSILON), |name| read.positive(name, EPSILON))?,
            initializer_range: read.positive("initializer_range", INITIALIZER_RANGE)?,
            hidden_dropout,
            attention_dropout: read.rate(names.attention_dropout, DROPOUT)?,
            classifier_dropout: read
                .rate(names.classifier_dropout, names.classifier_default.unwrap_or(hidden_dropout))?,
        };
        if !settings.width.is_multiple_of(settings.heads) {
            let expected = "a number of heads that divides the width";
            let found = format!("{} heads for width {}", settings.heads, settings.width);
            return Err(architecture.setting(names.heads, expected, found));
        }
        if architecture.max_length(&settings) == 0 {
            let found = settings.positions;
            return Err(architecture.setting(
                "max_position_embeddings",
                "room for at least one token",
                found,
            ));
        }
        Ok(settings)
    }
}

/// Fields of a `config.json`, and whose they are.
struct Reader<'a> {
    architecture: &'a Architecture,
    fields: &'a Map<String, Value>,
}

impl Reader<'_> {
    /// Refuses what changes the arithmetic and is not built here.
    fn refuse_variants(&self) -> Result<(), ArchitectureError> {
        for (name, expected, known) in [
            ("position_embedding_type", "\"absolute\"", Value::from("absolute")),
            ("is_decoder", "false: these are encoders", Value::from(false)),
            ("add_cross_attention", "false: these are encoders", Value::from(false)),
        ] {
            if let Some(value) = self.given(name)
                && *value != known
            {
                return Err(self.architecture.setting(name, expected, value));
            }
        }
        Ok(())
    }

    /// A field's value; null is none.
    fn given(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn whole(&self, name: &str, value: &Value) -> Result<usize, ArchitectureError> {
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| self.architecture.setting(name, "a whole number", value))
    }

    fn size(&self, name: &str) -> Result<usize, ArchitectureError> {
        let expected = "a whole number of at least 1";
        let value = self.given(name).ok_or_else(|| self.architecture.setting(name, expected, "nothing"))?;
        match self.whole(name, value)? {
            0 => Err(self.architecture.setting(name, expected, value)),
            size => Ok(size),
        }
    }

    fn number(
        &self,
        name: &str,
        default: f64,
        expected: &'static str,
        fits: impl Fn(f64) -> bool,
    ) -> Result<f64, ArchitectureError> {
        let Some(value) = self.given(name) else { return Ok(default) };
        value
            .as_f64()
            .filter(|&number| fits(number))
            .ok_or_else(|| self.architecture.setting(name, expected, value))
    }

    fn rate(&self, name: &str, default: f64) -> Result<f64, ArchitectureError> {
        self.number(name, default, "a probability in [0, 1)", |rate| (0.0..1.0).contains(&rate))
    }

    fn positive(&self, name: &str, default: f64) -> Result<f64, ArchitectureError> {
        self.number(name, default, "a number above 0", |number| number > 0.0)
    }

    fn activation(&self, name: &str) -> Result<Activation, ArchitectureError> {
        match self.given(name).map(|value| (value, value.as_str())) {
            None | Some((_, Some("gelu"))) => Ok(Activation::Gelu),
            Some((_, Some("gelu_new" | "gelu_pytorch_tanh"))) => Ok(Activation::GeluTanh),
            Some((_, Some("relu"))) => Ok(Activation::Relu),
            Some((value, _)) => Err(self.architecture.setting(name, "gelu, gelu_new or relu", value)),
        }
    }
}
