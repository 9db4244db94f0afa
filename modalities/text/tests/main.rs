//! What crosses the modality's modules: data sets, folders of models, encoders and tokenizers beside transformers.
#![expect(clippy::unwrap_used, reason = "tests")]

mod dataset;
mod models;
mod odd_texts;
mod parity;
mod peers;
mod tokens;
mod tokens_many;
