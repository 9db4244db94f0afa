//! What tells tags: loaded from a folder, and written to one as transformers opens it.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};
use tk_engine::cpu::{Machine, Plan};
use tk_engine::{EngineError, Inference, Precision};
use tk_transfer::atomic::write_bytes_atomic;
use tk_transfer::bundle::Bundle;
use tk_transfer::classification::HeadForm;
use tk_transfer::low_rank::Adapter;

use super::task::most_probable;
use super::{TaggerError, Window, Windows};
use crate::architectures::Head;
use crate::data::{Layout, Tokenizer, Tokens};
use crate::model::{BundleError, Model, Start, save_adapter, save_model};

/// The folder of the low-rank pairs that were merged into the weights.
const ADAPTER_FOLDER: &str = "adapter";

/// Windows of one length that run at once.
const BATCH: usize = 32;

/// A tagger with its weights. `Send + Sync`; tags through `&self`.
pub struct Tagger {
    model: Model,
    tokenizer: Tokenizer,
    tags: Vec<String>,
    adapter: Option<Adapter>,
    machine: Machine,
    plan: Mutex<Plan>,
}

/// What is told of a word.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedWord {
    /// Its tag, by its number; `None` where the word has no token, as one of control characters.
    pub tag: Option<usize>,
    /// How probable the tag is.
    pub score: f32,
}

impl Tagger {
    /// A tagger from a model whose head tells `tags` of every token.
    ///
    /// # Errors
    /// When the graph cannot be compiled.
    pub fn new(
        model: Model,
        tokenizer: Tokenizer,
        tags: Vec<String>,
        machine: &Machine,
    ) -> Result<Self, TaggerError> {
        let plan = Mutex::new(Plan::new(machine, &model.graph, &model.parameters)?);
        Ok(Self { model, tokenizer, tags, adapter: None, machine: machine.clone(), plan })
    }

    /// With the low-rank pairs that were merged into its weights, to be written as an adapter too.
    #[must_use]
    pub fn with_adapter(mut self, adapter: Option<Adapter>) -> Self {
        self.adapter = adapter;
        self
    }

    /// In another precision from now on: bf16, or f32, as it begins. What is saved stays f32.
    ///
    /// # Errors
    /// When it is int8, which would need samples to calibrate with.
    pub fn in_precision(mut self, precision: Precision) -> Result<Self, TaggerError> {
        self.plan.get_mut().unwrap_or_else(PoisonError::into_inner).set_precision(precision)?;
        Ok(self)
    }

    /// Loads what [`Tagger::save`] wrote, or a token classifier's folder of transformers or PEFT.
    ///
    /// # Errors
    /// When files are missing, damaged, or of another version, or the folder holds no tagger.
    pub fn load(folder: &Path, machine: &Machine) -> Result<Self, TaggerError> {
        let bundle = Bundle::read(folder)?;
        let model = Model::open(folder, Start::Stored)?;
        let Head::Tokens { classes } = model.head else {
            return Err(TaggerError::NoTagger { path: folder.to_owned() });
        };
        let mut tokenizer = Tokenizer::open(&model.folder)?.for_words()?;
        let asked = bundle.as_ref().and_then(|bundle| bundle.fields.get("max_tokens")?.as_u64());
        let most = asked.and_then(|most| usize::try_from(most).ok()).unwrap_or(model.max_length);
        tokenizer.set_max_length(most.min(tokenizer.max_length()))?;
        tokenizer.check(model.settings.vocabulary)?;
        let tags =
            model.labels.clone().unwrap_or_else(|| (0..classes).map(|tag| format!("LABEL_{tag}")).collect());
        Self::new(model, tokenizer, tags, machine)
    }

    /// Writes the folder's files, each aside and then renamed. `card` is the text of its `README.md`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path, mut fields: Map<String, Value>, card: &str) -> Result<(), TaggerError> {
        save_model(folder, &self.model, &self.tags)?;
        if let Some(adapter) = &self.adapter {
            let folder = folder.join(ADAPTER_FOLDER);
            std::fs::create_dir_all(&folder)
                .map_err(|problem| BundleError::Copy { path: folder.clone(), problem })?;
            save_adapter(&folder, &self.model, adapter).map_err(BundleError::from)?;
        }
        fields.insert("classes".into(), json!(self.tags));
        fields.insert("max_tokens".into(), json!(self.tokenizer.max_length()));
        Bundle::new(HeadForm::Linear, fields).write(folder)?;
        Ok(write_bytes_atomic(&folder.join("README.md"), card.as_bytes())?)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The tags' names.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// What it says of each word of sentences, in their order. Each answer is the same whatever the other sentences are.
    ///
    /// # Errors
    /// When a word cannot be encoded, or the engine fails.
    pub fn tag_all(&self, sentences: &[Vec<&str>]) -> Result<Vec<Vec<TaggedWord>>, TaggerError> {
        let cut = Windows::of_all(&self.tokenizer, sentences, &self.machine.pool)?;
        let silent = TaggedWord { tag: None, score: 0.0 };
        let mut told: Vec<Vec<TaggedWord>> =
            sentences.iter().map(|words| vec![silent.clone(); words.len()]).collect();
        let mut windows: Vec<(usize, &Window)> = cut
            .iter()
            .enumerate()
            .flat_map(|(sentence, cut)| cut.windows.iter().map(move |window| (sentence, window)))
            .collect();
        // Windows of one length run together, without padding, so that none depends on the others; the longest first, so that memory is made once.
        windows.sort_by_key(|(_, window)| Reverse(window.tokens.ids.len()));
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let layout = Layout { fields: self.model.fields(), pad_id: self.tokenizer.pad_id(), batch: BATCH };
        let alike = windows.chunk_by(|a, b| a.1.tokens.ids.len() == b.1.tokens.ids.len());
        for some in alike.flat_map(|alike| alike.chunks(BATCH)) {
            let tokens: Vec<&Tokens> = some.iter().map(|(_, window)| &window.tokens).collect();
            let outputs = plan.run(&layout.stack(&tokens)?)?;
            let logits = outputs.first().ok_or(EngineError::Order("a tagger without outputs"))?.as_f32()?;
            let count = self.tags.len();
            let of_window = logits.chunks_exact(logits.len() / some.len());
            for ((sentence, window), logits) in some.iter().zip(of_window) {
                for &(word, token) in &window.words {
                    told[*sentence][word] = told_of(&logits[token * count..][..count]);
                }
            }
        }
        Ok(told)
    }
}

/// The most probable tag, and how probable it is.
fn told_of(logits: &[f32]) -> TaggedWord {
    let best = most_probable(logits);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - logits[best]).exp()).sum();
    TaggedWord { tag: Some(best), score: (1.0 / sum) as f32 }
}
