//! What transformers, sentence-transformers and peft compute from folders that we wrote, and from a real one.
//!
//! Run by hand: it needs a Python with these libraries and the folder of all-MiniLM-L6-v2.
//!
//!     PEERS_PYTHON=…/bin/python MINILM=… cargo test --workspace peers -- --ignored --nocapture

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tk_engine::cpu::{Machine, Plan};
use tk_engine::testing::fill_input;
use tk_engine::{GraphBuilder, Inference, Parameters, Tensor};
use tk_text::architectures::{ARCHITECTURES, Config, Field, Head, Pooling};
use tk_text::model::{Folder, Model, Start, save_adapter, save_model};
use tk_transfer::checkpoint::{Precision, SaveTensor, save};
use tk_transfer::data::LabelKind;
use tk_transfer::low_rank::{Adapter, merge};

/// Relative to the greatest number, f32 on both sides.
const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Peer {
    tokens: Vec<f32>,
    types: Vec<f32>,
    hidden: Vec<f64>,
    outputs: Vec<f64>,
}

fn ask_peer(folder: &Path, texts: &[&str]) -> Vec<Peer> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity/text/open_with_peers.py");
    let python = std::env::var_os("PEERS_PYTHON").unwrap();
    let output = Command::new(python).arg(program).arg(folder).args(texts).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The greatest difference between our hidden states and outputs and the peer's, relative to the greatest number.
fn compare(what: &str, model: &Model, peers: &[Peer]) {
    let stages = model.graph.stages();
    let hidden = stages.iter().rfind(|stage| stage.name.starts_with("layer")).unwrap().output;
    let last = stages.last().unwrap().output;
    let graph = GraphBuilder::from_stages(&model.graph, stages.len() - 1)
        .finish(&[("hidden", hidden), ("last", last)])
        .unwrap();
    let mut plan = Plan::new(&Machine::new(2), &graph, &model.parameters).unwrap();
    let mut worst = [0f64; 2];
    for peer in peers {
        let length = peer.tokens.len();
        let input = |field| match field {
            Field::Tokens => Tensor::new(&[1, length], peer.tokens.clone()),
            Field::TokenTypes => Tensor::new(&[1, length], peer.types.clone()),
            Field::Mask => Ok(Tensor::zeros(&[1, 1, 1, length])),
            Field::PoolingWeights => Tensor::new(&[1, 1, length], vec![1.0 / length as f32; length]),
        };
        let inputs: Vec<Tensor> = model.fields().into_iter().map(|field| input(field).unwrap()).collect();
        let found = plan.run(&inputs).unwrap();
        let mut outputs = found[1].to_f64();
        if model.is_normalized && model.head.classes().is_none() {
            let norm = outputs.iter().map(|value| value * value).sum::<f64>().sqrt();
            outputs.iter_mut().for_each(|value| *value /= norm);
        }
        for ((found, expected), worst) in
            [(found[0].to_f64(), &peer.hidden), (outputs, &peer.outputs)].iter().zip(&mut worst)
        {
            assert_eq!(found.len(), expected.len(), "{what}");
            let scale = expected.iter().fold(0.0, |most, value| f64::max(most, value.abs()));
            let differences = found.iter().zip(*expected).map(|(a, b)| (a - b).abs() / scale);
            *worst = differences.fold(*worst, |most, difference| {
                assert!(difference <= TOLERANCE, "{what}: {difference:e}");
                most.max(difference)
            });
        }
    }
    println!("{what}: hidden {:.1e}, output {:.1e}", worst[0], worst[1]);
}

/// A narrow encoder of the parity test, its weights filled, and a tokenizer of 40 words.
///
/// Of RoBERTa's tokenizer transformers keeps nothing but the vocabulary and splits words its own way; short words stay whole. Padding
/// within a text, which other words would become, moves RoBERTa's positions there; tokenizers never give that.
fn narrow(folder: &Path, model_type: &str) {
    let architecture = tk_text::architectures::find(model_type).unwrap();
    let file = format!("../../tests/parity/expected/text_{model_type}.json");
    let expected: Value =
        serde_json::from_str(&fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap())
            .unwrap();
    let config = Config::from_json(&expected["config"].to_string()).unwrap();
    let (_, settings) = config.encoder().unwrap();
    let graph = architecture.build(&settings, Head::Embedding { pooling: Pooling::Mean }).unwrap();
    let parameters = tk_engine::testing::fill_all(&graph).unwrap();
    let tensors: Vec<SaveTensor> = parameters
        .iter()
        .map(|(name, tensor)| SaveTensor { name, shape: tensor.shape(), values: tensor.as_f32().unwrap() })
        .collect();
    save(&folder.join("model.safetensors"), &tensors, Precision::F32, &Default::default()).unwrap();
    let config = config.with_classes(architecture.encoder_class, &[], LabelKind::Single);
    fs::write(folder.join("config.json"), config.to_json().unwrap()).unwrap();
    let vocabulary: Map<String, Value> = (0..40).map(|word| (format!("w{word}"), json!(word))).collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "w3"},
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let class = json!({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "w1", "unk_token": "w3"});
    fs::write(folder.join("tokenizer_config.json"), class.to_string()).unwrap();
}

/// Writes every kind of folder over a base, and asks the peers.
fn check_written(what: &str, base: &Path, texts: &[&str]) {
    let labels: Vec<String> = ["good", "bad", "unclear"].map(str::to_owned).to_vec();
    let heads = [
        Head::Published { classes: 3 },
        Head::Pooled { pooling: Pooling::Mean, classes: 3 },
        Head::Pooled { pooling: Pooling::Cls, classes: 3 },
    ];
    for head in heads {
        let mut model = Model::open(base, Start::New { head, seed: 5 }).unwrap();
        // New heads are drawn narrow: wider ones show more.
        let layer = format!("{}.weight", model.head_name().unwrap());
        let shape = [3, model.feature_count()];
        model.parameters.set(&layer, fill_input("head", &shape).unwrap());
        let folder = tempfile::tempdir().unwrap();
        save_model(folder.path(), &model, &labels).unwrap();
        compare(&format!("{what} {head:?}"), &model, &ask_peer(folder.path(), texts));
    }
    let mut model = Model::open(base, Start::New { head: heads[0], seed: 5 }).unwrap();
    let mut pairs = Parameters::default();
    let mut scaled = model.parameters.clone();
    for spec in model.graph.parameters() {
        let layer = spec.name.strip_suffix(".weight").unwrap_or_default();
        if !model.architecture.adapted.iter().any(|end| layer.ends_with(end)) {
            continue;
        }
        let [down, up] =
            [("lora_A", [2, spec.shape[1]]), ("lora_B", [spec.shape[0], 2])].map(|(part, shape)| {
                let name = format!("{layer}.{part}.weight");
                let values =
                    fill_input(&name, &shape).unwrap().to_f32().iter().map(|value| 0.2 * value).collect();
                let tensor = Tensor::new(&shape, values).unwrap();
                pairs.set(&name, tensor.clone());
                tensor
            });
        merge(&mut scaled, layer, [&down, &up], 4.0).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let base = base.display().to_string();
    let adapter = Adapter { pairs: pairs.clone(), rank: 2, alpha: 8.0, base };
    save_adapter(folder.path(), &model, &adapter).unwrap();
    model.parameters = scaled;
    compare(&format!("{what} adapter"), &model, &ask_peer(folder.path(), texts));
}

#[test]
#[ignore = "needs Python with transformers, sentence-transformers and peft: PEERS_PYTHON"]
fn narrow_encoders_are_read_by_peers() {
    for architecture in ARCHITECTURES {
        let base = tempfile::tempdir().unwrap();
        narrow(base.path(), architecture.model_type);
        check_written(architecture.model_type, base.path(), &["w5 w9 w8 w2 w7 w6", "w4 w7 w8"]);
    }
}

#[test]
#[ignore = "needs PEERS_PYTHON, and the folder of all-MiniLM-L6-v2: MINILM"]
fn a_real_encoder_is_that_of_its_peers() {
    let base = PathBuf::from(std::env::var_os("MINILM").unwrap());
    let texts = [
        "The cat sat on the mat.",
        "Transfer learning reuses what a network has learned from much data, where there is little.",
        "Größe, naïve café — 東京!",
    ];
    let folder = Folder::open(&base).unwrap();
    assert_eq!((folder.pooling(), folder.is_normalized()), (Pooling::Mean, true));
    assert_eq!(folder.max_length().unwrap(), 256);
    let head = Head::Embedding { pooling: folder.pooling() };
    let model = Model::load(&folder, Start::New { head, seed: 0 }).unwrap();
    println!("{}", model.report);
    compare("MiniLM", &model, &ask_peer(&base, &texts));
    check_written("MiniLM", &base, &texts);
}
