//! Which files of a repository a model needs.

/// Small files that are read where they are there: configurations and tokenizers.
#[cfg(feature = "hub")]
const SMALL: [&str; 15] = [
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spm.model",
    "spiece.model",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
];

/// The weights in one file, the index of several, and PyTorch's.
const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const TORCH: &str = "pytorch_model.bin";

/// Whether a file's name says that it holds weights, or which files do.
pub(super) fn is_weights(name: &str) -> bool {
    [WHOLE, INDEX, TORCH].contains(&name)
}

/// The number of a module's folder as sentence-transformers names them, such as 1 for `1_Pooling`.
pub(super) fn numbered(folder: &str) -> Option<u32> {
    let (number, name) = folder.split_once('_')?;
    let is_plain =
        !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    number.parse().ok().filter(|_| is_plain)
}

/// The files of a model, in the order of the listing: small ones, and weights in one form, in the repository itself and in the folders of
/// modules. Nothing when there are no weights in either the repository or its first module.
#[cfg(feature = "hub")]
pub(super) fn choose(files: &[String]) -> Vec<&str> {
    let parts = |file: &'_ str| -> Option<(String, String)> {
        match file.split_once('/') {
            None => Some((String::new(), file.to_owned())),
            Some((folder, name)) if numbered(folder).is_some() => Some((folder.to_owned(), name.to_owned())),
            Some(_) => None,
        }
    };
    let has = |folder: &str, wanted: &str| {
        files.iter().any(|file| parts(file).is_some_and(|(inside, name)| inside == folder && name == wanted))
    };
    let is_wanted = |folder: &str, name: &str| match name {
        _ if SMALL.contains(&name) => true,
        WHOLE => true,
        INDEX => !has(folder, WHOLE),
        TORCH => !has(folder, WHOLE) && !has(folder, INDEX),
        _ => is_shard(name) && !has(folder, WHOLE) && has(folder, INDEX),
    };
    let chosen: Vec<&str> = files
        .iter()
        .filter(|file| parts(file).is_some_and(|(folder, name)| is_wanted(&folder, &name)))
        .map(String::as_str)
        .collect();
    let is_main = |file: &str| {
        let (folder, name) = parts(file).unwrap_or_default();
        is_weights(&name) && (folder.is_empty() || numbered(&folder) == Some(0))
    };
    if chosen.iter().any(|file| is_main(file)) { chosen } else { Vec::new() }
}

/// `model-00001-of-00003.safetensors`.
#[cfg(feature = "hub")]
fn is_shard(name: &str) -> bool {
    let numbers = name.strip_prefix("model-").and_then(|rest| rest.strip_suffix(".safetensors"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers
        .and_then(|numbers| numbers.split_once("-of-"))
        .is_some_and(|(number, count)| is_number(number) && is_number(count))
}

#[cfg(all(test, feature = "hub"))]
mod tests {
    use super::*;

    #[test]
    fn one_form_of_the_weights_is_chosen_with_what_else_is_read() {
        for (files, chosen) in [
            (
                "README.md config.json model.safetensors pytorch_model.bin tf_model.h5",
                "config.json model.safetensors",
            ),
            (
                "config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors model-x-of-y.safetensors \
                 model.safetensors.index.json pytorch_model.bin",
                "config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors \
                 model.safetensors.index.json",
            ),
            ("config.json pytorch_model.bin", "config.json pytorch_model.bin"),
            (
                "config.json pytorch_model.bin spm.model rust_model.ot.model",
                "config.json pytorch_model.bin spm.model",
            ),
            (
                "1_Pooling/config.json config.json model.safetensors modules.json onnx/model.onnx tokenizer.json vocab.txt \
                 2_Dense/config.json 2_Dense/model.safetensors 2_Dense/pytorch_model.bin",
                "1_Pooling/config.json config.json model.safetensors modules.json tokenizer.json vocab.txt \
                 2_Dense/config.json 2_Dense/model.safetensors",
            ),
            (
                "0_Transformer/config.json 0_Transformer/pytorch_model.bin 1_Pooling/config.json modules.json",
                "0_Transformer/config.json 0_Transformer/pytorch_model.bin 1_Pooling/config.json modules.json",
            ),
            ("config.json tokenizer.json model.gguf", ""),
            ("2_Dense/config.json 2_Dense/model.safetensors config.json", ""),
            ("../model.safetensors /model.safetensors 0_x/../model.safetensors config.json", ""),
        ] {
            let files: Vec<String> = files.split_whitespace().map(str::to_owned).collect();
            assert_eq!(choose(&files), chosen.split_whitespace().collect::<Vec<_>>());
        }
    }
}
