//! The sizes and rates of an encoder, read from the fields of `config.json`.

use serde_json::{Map, Value};
use tk_engine::graph::Activation;

use super::own::{Own, ReadOwn};
use super::{Architecture, ArchitectureError, Head, Pooling};

/// What an encoder is built with.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The count of tokens in the vocabulary.
    pub vocabulary: usize,
    /// The width of every token's vector.
    pub width: usize,
    /// The width of the tables' rows.
    pub embedding_width: usize,
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
    /// Whether norms shift what they have scaled.
    pub norm_bias: bool,
    /// The deviation that new weights are drawn with.
    pub initializer_range: f64,
    /// Dropout of vectors.
    pub hidden_dropout: f64,
    /// Dropout of attention's shares.
    pub attention_dropout: f64,
    /// Dropout in the head.
    pub classifier_dropout: f64,
    /// How the published head pools.
    pub published_pooling: Pooling,
    /// What only this architecture has.
    pub own: Own,
}

/// How one architecture's `config.json` calls its settings.
#[derive(Debug)]
pub(super) struct Spelling {
    pub(super) width: &'static str,
    pub(super) layers: &'static str,
    pub(super) heads: &'static str,
    pub(super) hidden: &'static str,
    /// Absent where tables are as wide as the encoder.
    pub(super) embedding_width: Option<&'static str>,
    /// Absent where there is no such table.
    pub(super) token_types: Option<&'static str>,
    pub(super) activation: &'static str,
    /// Absent where it is always the usual one.
    pub(super) epsilon: Option<&'static str>,
    /// The epsilon if not given.
    pub(super) usual_epsilon: f64,
    /// Whether norms shift, false if not given; absent where they always do.
    pub(super) norm_bias: Option<&'static str>,
    pub(super) hidden_dropout: &'static str,
    pub(super) attention_dropout: &'static str,
    pub(super) classifier_dropout: &'static str,
    /// What the last is if not given; `None` stands for the hidden dropout.
    pub(super) classifier_default: Option<f64>,
    /// Every other dropout if not given.
    pub(super) usual_dropout: f64,
    /// Absent where the published head reads the first token.
    pub(super) pooling: Option<&'static str>,
    /// The token of padding if not given.
    pub(super) padding: usize,
    /// Reads what only this architecture has.
    pub(super) own: ReadOwn,
}

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
        let hidden_dropout = read.rate(names.hidden_dropout, names.usual_dropout)?;
        let settings = Self {
            vocabulary: read.size("vocab_size")?,
            width: read.size(names.width)?,
            embedding_width: read.size(names.embedding_width.unwrap_or(names.width))?,
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
            epsilon: match names.epsilon {
                Some(name) => read.positive(name, names.usual_epsilon)?,
                None => names.usual_epsilon,
            },
            norm_bias: names.norm_bias.map_or(Ok(true), |name| read.flag(name))?,
            initializer_range: read.positive("initializer_range", INITIALIZER_RANGE)?,
            hidden_dropout,
            attention_dropout: read.rate(names.attention_dropout, names.usual_dropout)?,
            classifier_dropout: read
                .rate(names.classifier_dropout, names.classifier_default.unwrap_or(hidden_dropout))?,
            published_pooling: names.pooling.map_or(Ok(Pooling::Cls), |name| read.pooling(name))?,
            own: (names.own)(&read)?,
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

    /// How tokens are pooled for a head.
    pub fn pooling(&self, head: Head) -> Pooling {
        match head {
            Head::Published { .. } => self.published_pooling,
            head => head.pooling(),
        }
    }
}

/// Fields of a `config.json`, and whose they are.
pub(super) struct Reader<'a> {
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
            self.refuse_other(name, expected, |value| *value == known)?;
        }
        Ok(())
    }

    /// The error that a field is not as it must be.
    pub(super) fn error(
        &self,
        name: &str,
        expected: &'static str,
        found: impl ToString,
    ) -> ArchitectureError {
        self.architecture.setting(name, expected, found)
    }

    /// Refuses a field that is given and says something else.
    pub(super) fn refuse_other(
        &self,
        name: &str,
        expected: &'static str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<(), ArchitectureError> {
        match self.given(name) {
            Some(value) if !fits(value) => Err(self.architecture.setting(name, expected, value)),
            _ => Ok(()),
        }
    }

    /// Refuses what a field says unless it fits; it must be given.
    pub(super) fn require(
        &self,
        name: &str,
        expected: &'static str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<(), ArchitectureError> {
        match self.given(name) {
            Some(_) => self.refuse_other(name, expected, fits),
            None => Err(self.architecture.setting(name, expected, "nothing")),
        }
    }

    /// A field's value; null is none.
    pub(super) fn given(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn whole(&self, name: &str, value: &Value) -> Result<usize, ArchitectureError> {
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| self.architecture.setting(name, "a whole number", value))
    }

    pub(super) fn size(&self, name: &str) -> Result<usize, ArchitectureError> {
        let expected = "a whole number of at least 1";
        let value = self.given(name).ok_or_else(|| self.architecture.setting(name, expected, "nothing"))?;
        match self.whole(name, value)? {
            0 => Err(self.architecture.setting(name, expected, value)),
            size => Ok(size),
        }
    }

    /// Yes or no; no if not given.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ArchitectureError> {
        let Some(value) = self.given(name) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.architecture.setting(name, "true or false", value))
    }

    fn pooling(&self, name: &str) -> Result<Pooling, ArchitectureError> {
        match self.given(name).map(|value| (value, value.as_str())) {
            None | Some((_, Some("cls"))) => Ok(Pooling::Cls),
            Some((_, Some("mean"))) => Ok(Pooling::Mean),
            Some((value, _)) => Err(self.architecture.setting(name, "cls or mean", value)),
        }
    }

    pub(super) fn number(
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

    pub(super) fn rate(&self, name: &str, default: f64) -> Result<f64, ArchitectureError> {
        self.number(name, default, "a probability in [0, 1)", |rate| (0.0..1.0).contains(&rate))
    }

    pub(super) fn positive(&self, name: &str, default: f64) -> Result<f64, ArchitectureError> {
        self.number(name, default, "a number above 0", |number| number > 0.0)
    }

    pub(super) fn activation(&self, name: &str) -> Result<Activation, ArchitectureError> {
        match self.given(name).map(|value| (value, value.as_str())) {
            None | Some((_, Some("gelu"))) => Ok(Activation::Gelu),
            Some((_, Some("gelu_new" | "gelu_pytorch_tanh"))) => Ok(Activation::GeluTanh),
            Some((_, Some("relu"))) => Ok(Activation::Relu),
            Some((value, _)) => Err(self.architecture.setting(name, "gelu, gelu_new or relu", value)),
        }
    }
}
