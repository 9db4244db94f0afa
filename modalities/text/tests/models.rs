//! Folders: opened with new and stored heads, written and opened again, refused with a reason; adapters.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tk_engine::testing::{fill, fill_all, fill_input};
use tk_engine::{Parameters, Tensor};
use tk_text::architectures::{ARCHITECTURES, Architecture, Config, Head, Pooling, find};
use tk_text::model::{Folder, Model, Start, save_adapter, save_model};
use tk_transfer::checkpoint::{Checkpoint, Precision, SaveTensor, save};
use tk_transfer::data::LabelKind;
use tk_transfer::low_rank::{Adapter, merge};

const PUBLISHED: Head = Head::Published { classes: 3 };
const MEAN: Head = Head::Pooled { pooling: Pooling::Mean, classes: 3 };
const LABELS: [&str; 3] = ["good", "bad", "unclear"];

fn labels() -> Vec<String> {
    LABELS.map(str::to_owned).to_vec()
}

fn new(head: Head) -> Start {
    Start::New { head, seed: 7 }
}

/// The configuration of the parity test's encoder.
fn config(architecture: &Architecture) -> Config {
    let file = format!("../../tests/parity/expected/text_{}.json", architecture.model_type);
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    Config::from_json(&expected["config"].to_string()).unwrap()
}

/// Writes a checkpoint, each parameter under the name that `name` gives it, if any.
fn write_weights(file: &Path, parameters: &Parameters, name: impl Fn(&str) -> Option<String>) {
    let named: Vec<_> = parameters.iter().filter_map(|(own, tensor)| Some((name(own)?, tensor))).collect();
    let tensors: Vec<SaveTensor> = named
        .iter()
        .map(|(name, tensor)| SaveTensor { name, shape: tensor.shape(), values: tensor.as_f32().unwrap() })
        .collect();
    save(file, &tensors, Precision::F32, &Default::default()).unwrap();
}

fn filled(architecture: &Architecture, head: Head) -> Parameters {
    fill_all(&architecture.build(&config(architecture).encoder().unwrap().1, head).unwrap()).unwrap()
}

/// A folder of an encoder alone, without a pooler.
fn encoder(architecture: &Architecture) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let parameters = filled(architecture, Head::Embedding { pooling: Pooling::Mean });
    write_weights(&folder.path().join("model.safetensors"), &parameters, |name| Some(name.to_owned()));
    let config = config(architecture).with_classes(architecture.encoder_class, &[], LabelKind::Single);
    fs::write(folder.path().join("config.json"), config.to_json().unwrap()).unwrap();
    fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    folder
}

/// A folder of a classifier as transformers writes it.
fn classifier(architecture: &Architecture) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let parameters = filled(architecture, PUBLISHED);
    let published = |name: &str| Some(architecture.published_name(name));
    write_weights(&folder.path().join("model.safetensors"), &parameters, published);
    let config =
        config(architecture).with_classes(architecture.classifier_class, &labels(), LabelKind::Single);
    fs::write(folder.path().join("config.json"), config.to_json().unwrap()).unwrap();
    folder
}

#[test]
fn new_heads_start_on_encoders_and_on_classifiers() {
    for architecture in ARCHITECTURES {
        let of_folder = encoder(architecture);
        let of_classifier = classifier(architecture);
        for (folder, has_head) in [(&of_folder, false), (&of_classifier, true)] {
            for head in [MEAN, PUBLISHED, Head::Embedding { pooling: Pooling::Cls }] {
                let model = Model::open(folder.path(), new(head)).unwrap();
                let what = format!("{} {head:?}", architecture.model_type);
                let words = &model.graph.parameters()[0];
                let expected = fill(&words.name, &words.shape, tk_engine::graph::Kind::Weight).unwrap();
                assert_eq!(
                    (words.shape[0], model.parameters.get(&words.name).unwrap()),
                    (40, &expected),
                    "{what}"
                );
                assert_eq!((model.labels.as_ref(), model.digest.len()), (None, 64));
                assert_eq!(model.graph.parameters().len(), model.parameters.iter().count());
                let head_new = model.report.initialised.len() + model.report.replaced.len();
                assert_eq!(model.report.loaded + head_new, model.report.parameters, "{what}");
                if let Some(layer) = model.head_name() {
                    // The new head is the seed's and not the checkpoint's.
                    let weight = format!("{layer}.weight");
                    let initial = Parameters::initial(&model.graph, 7);
                    assert_eq!(
                        model.parameters.get(&weight).unwrap(),
                        initial.get(&weight).unwrap(),
                        "{what}"
                    );
                }
                let takes_pooler = architecture.model_type == "bert" && head == PUBLISHED && has_head;
                let pooler = "pooler.dense.weight";
                if takes_pooler {
                    let expected = fill(pooler, &[16, 16], tk_engine::graph::Kind::Weight).unwrap();
                    assert_eq!(model.parameters.get(pooler).unwrap(), &expected);
                }
            }
        }
    }
}

#[test]
fn stored_heads_come_back_with_their_labels() {
    for architecture in ARCHITECTURES {
        let folder = classifier(architecture);
        let model = Model::open(folder.path(), Start::Stored).unwrap();
        assert_eq!((model.head, model.labels.as_deref()), (PUBLISHED, Some(&labels()[..])));
        assert_eq!(model.parameters, filled(architecture, PUBLISHED));
        assert_eq!(model.report.loaded, model.report.parameters);
    }
}

#[test]
fn what_is_written_opens_as_it_was() {
    let cls = Head::Pooled { pooling: Pooling::Cls, classes: 3 };
    for architecture in ARCHITECTURES {
        let base = encoder(architecture);
        for head in [PUBLISHED, MEAN, cls] {
            let model = Model::open(base.path(), new(head)).unwrap();
            let folder = tempfile::tempdir().unwrap();
            save_model(folder.path(), &model, &labels()).unwrap();
            let again = Model::open(folder.path(), Start::Stored).unwrap();
            assert_eq!((again.head, &again.parameters), (head, &model.parameters), "{}", model.name);
            assert_eq!((again.labels, &again.settings), (Some(labels()), &model.settings));
            assert_eq!(again.report.loaded, again.report.parameters);
            assert_eq!(again.max_length, 12);
            assert!(again.report.initialised.is_empty() && again.report.replaced.is_empty());
            assert_eq!(fs::read_to_string(folder.path().join("tokenizer.json")).unwrap(), "{}");
        }
        let head = Head::Embedding { pooling: Pooling::Cls };
        let mut model = Model::open(base.path(), new(head)).unwrap();
        model.is_normalized = true;
        let folder = tempfile::tempdir().unwrap();
        save_model(folder.path(), &model, &[]).unwrap();
        let read = Folder::open(folder.path()).unwrap();
        assert_eq!((read.pooling(), read.is_normalized(), read.head().unwrap()), (Pooling::Cls, true, None));
        assert_eq!(Model::load(&read, new(head)).unwrap().parameters, model.parameters);
        let error = save_model(folder.path(), &model, &labels()).unwrap_err();
        assert_eq!(error.to_string(), "cannot save: 3 class names for 0 classes");
    }
}

#[test]
fn a_taggers_tokenizer_has_spaces_before_words() {
    let base = encoder(&ARCHITECTURES[0]);
    let saved = || {
        let model = Model::open(base.path(), new(Head::Tokens { classes: 3 })).unwrap();
        let folder = tempfile::tempdir().unwrap();
        save_model(folder.path(), &model, &labels()).unwrap();
        let json = |name: &str| -> Value {
            fs::read(folder.path().join(name))
                .map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap())
        };
        [json("tokenizer.json"), json("tokenizer_config.json")]
    };
    assert_eq!(saved(), [json!({}), Value::Null]);

    let bytes = |prefix: bool| json!({ "type": "ByteLevel", "add_prefix_space": prefix });
    let tokenizer = |prefix: bool| json!({ "pre_tokenizer": { "pretokenizers": [bytes(prefix)] } });
    put(base.path(), "tokenizer.json", tokenizer(false));
    put(base.path(), "tokenizer_config.json", json!({ "unk_token": "?" }));
    let expected = json!({ "unk_token": "?", "add_prefix_space": true });
    assert_eq!(saved(), [tokenizer(true), expected.clone()]);

    fs::remove_file(base.path().join("tokenizer.json")).unwrap();
    fs::write(base.path().join("merges.txt"), "").unwrap();
    assert_eq!(saved(), [Value::Null, expected]);
}

#[test]
fn old_names_are_read() {
    let bert = find("bert").unwrap();
    let folder = encoder(bert);
    let parameters = filled(bert, PUBLISHED);
    write_weights(&folder.path().join("model.safetensors"), &parameters, |name| {
        let old = match name.strip_suffix(".weight").filter(|name| name.ends_with("LayerNorm")) {
            Some(norm) => format!("{norm}.gamma"),
            None if name.ends_with("LayerNorm.bias") => name.replace(".bias", ".beta"),
            None => name.to_owned(),
        };
        Some(if old.starts_with("classifier") {
            "cls.predictions.bias".into()
        } else {
            format!("bert.{old}")
        })
        .filter(|_| name != "classifier.weight")
    });
    let model = Model::open(folder.path(), new(MEAN)).unwrap();
    let norm = "encoder.layer.1.output.LayerNorm.weight";
    assert_eq!(model.parameters.get(norm).unwrap(), parameters.get(norm).unwrap());
    assert_eq!(
        model.report.unused,
        ["bert.pooler.dense.bias", "bert.pooler.dense.weight", "cls.predictions.bias"]
    );
}

/// Replaces a file of a folder.
fn put(folder: &Path, file: &str, contents: Value) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents.to_string()).unwrap();
}

#[test]
fn what_cannot_be_opened_says_why() {
    let bert = find("bert").unwrap();
    let refused = |change: &dyn Fn(&Path), start: Start, expected: &str| {
        let folder = encoder(bert);
        change(folder.path());
        let error = Model::open(folder.path(), start).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nexpected: {expected}");
    };
    let modules = |kinds: &[&str]| -> Value {
        kinds
            .iter()
            .enumerate()
            .map(|(at, kind)| json!({"idx": at, "path": if at == 0 { "" } else { "1_Pooling" }, "type": format!("x.{kind}")}))
            .collect()
    };
    let pooling = |modes: Value| {
        move |folder: &Path| {
            put(folder, "modules.json", modules(&["Transformer", "Pooling"]));
            put(folder, "1_Pooling/config.json", modes.clone());
        }
    };
    refused(&|_| {}, Start::Stored, "has no classifier: it holds BertModel");
    refused(
        &|folder| fs::remove_file(folder.join("config.json")).unwrap(),
        new(MEAN),
        "config.json, which names",
    );
    refused(
        &|folder| fs::remove_file(folder.join("model.safetensors")).unwrap(),
        new(MEAN),
        "it has none of model.safetensors, ",
    );
    refused(
        &|folder| {
            fs::copy(
                encoder(find("distilbert").unwrap()).path().join("model.safetensors"),
                folder.join("model.safetensors"),
            )
            .unwrap();
        },
        new(MEAN),
        "does not fit",
    );
    refused(
        &|folder| {
            let parameters = filled(bert, MEAN);
            write_weights(&folder.join("model.safetensors"), &parameters, |name| {
                (name != "encoder.layer.2.output.dense.bias").then(|| name.to_owned())
            });
        },
        new(MEAN),
        "1 missing: `encoder.layer.2.output.dense.bias`",
    );
    refused(
        &|folder| put(folder, "modules.json", modules(&["Transformer", "WeightedPooling"])),
        new(MEAN),
        "module 1 is a x.WeightedPooling",
    );
    refused(
        &|folder| put(folder, "modules.json", json!([{"path": "../x", "type": "x.Transformer"}])),
        new(MEAN),
        "`../x` leads elsewhere",
    );
    refused(
        &pooling(json!({"pooling_mode_max_tokens": true})),
        new(MEAN),
        "pools by [\"max_tokens\"]; expected mean or cls",
    );
    refused(&pooling(json!({"pooling_mode": ["mean", "cls"]})), new(MEAN), "expected mean or cls alone");
    refused(&pooling(json!({"pooling_mode": "cls"})), Start::Stored, "it holds a sentence encoder");
    refused(&|folder| fs::remove_dir_all(folder).unwrap(), new(MEAN), "no such folder");
}

/// Pairs of rank 2 beside some layers.
fn pairs(model: &Model, is_adapted: impl Fn(&str) -> bool) -> Parameters {
    let mut pairs = Parameters::default();
    for spec in model.graph.parameters() {
        let Some(layer) = spec.name.strip_suffix(".weight").filter(|layer| is_adapted(layer)) else {
            continue;
        };
        let &[out, width] = &spec.shape[..] else { continue };
        for (part, shape) in [("lora_A", [2, width]), ("lora_B", [out, 2])] {
            let name = format!("{layer}.{part}.weight");
            pairs.set(&name, fill_input(&name, &shape).unwrap());
        }
    }
    pairs
}

/// A model with the pairs merged by the definition.
fn merged(model: &Model, pairs: &Parameters, scale: f64) -> Parameters {
    let mut parameters = model.parameters.clone();
    for (name, down) in pairs.iter() {
        let Some(layer) = name.strip_suffix(".lora_A.weight") else { continue };
        let up = pairs.get(&format!("{layer}.lora_B.weight")).unwrap();
        merge(&mut parameters, layer, [down, up], scale).unwrap();
    }
    parameters
}

#[test]
fn adapters_open_merged_as_they_were_written() {
    for architecture in ARCHITECTURES {
        let base = encoder(architecture);
        let model = Model::open(base.path(), new(PUBLISHED)).unwrap();
        for (every_layer, targets) in
            [(true, architecture.adapted.len()), (false, architecture.adapted.len())]
        {
            let pairs = pairs(&model, |layer| {
                architecture.adapted.iter().any(|end| layer.ends_with(end))
                    && (every_layer || layer.contains(".1."))
            });
            let folder = tempfile::tempdir().unwrap();
            let base_path = base.path().display().to_string();
            let adapter = Adapter { pairs: pairs.clone(), rank: 2, alpha: 8.0, base: base_path };
            save_adapter(folder.path(), &model, &adapter).unwrap();
            let text = fs::read_to_string(folder.path().join("adapter_config.json")).unwrap();
            let written: Value = serde_json::from_str(&text).unwrap();
            let listed = written["target_modules"].as_array().unwrap();
            assert_eq!(listed.len(), targets);
            assert_eq!(listed[0].as_str().unwrap().contains('.'), !every_layer, "{listed:?}");
            let opened = Model::open(folder.path(), Start::Stored).unwrap();
            assert_eq!(opened.parameters, merged(&model, &pairs, 4.0), "{}", architecture.model_type);
            assert!(opened.report.initialised.is_empty(), "{:?}", opened.report.initialised);
            // On another task the pairs count and the head is new.
            let other = Model::open_adapter(folder.path(), base.path(), new(MEAN)).unwrap();
            let query =
                format!("{}.weight", pairs.iter().next().unwrap().0.strip_suffix(".lora_A.weight").unwrap());
            assert_eq!(other.parameters.get(&query).unwrap(), opened.parameters.get(&query).unwrap());
        }
    }
}

#[test]
fn adapters_that_do_not_fit_are_refused() {
    let bert = find("bert").unwrap();
    let base = encoder(bert);
    let model = Model::open(base.path(), new(PUBLISHED)).unwrap();
    let pairs = pairs(&model, |layer| layer.ends_with("query"));
    let base_path = base.path().display().to_string();
    let adapter = Adapter { pairs: pairs.clone(), rank: 2, alpha: 8.0, base: base_path };
    let refused = |change: &dyn Fn(&Path, &mut Value), expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        save_adapter(folder.path(), &model, &adapter).unwrap();
        let file = folder.path().join("adapter_config.json");
        let mut config = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        change(folder.path(), &mut config);
        fs::write(file, config.to_string()).unwrap();
        let error = Model::open(folder.path(), Start::Stored).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nexpected: {expected}");
    };
    let renamed = |name: &'static str, to: Option<&'static str>| {
        move |folder: &Path, _: &mut Value| {
            let file = folder.join("adapter_model.safetensors");
            let checkpoint = Checkpoint::open(&file).unwrap();
            let mut parameters = Parameters::default();
            for found in checkpoint.names() {
                let (shape, values) =
                    (&checkpoint.info(found).unwrap().shape, checkpoint.f32(found).unwrap());
                parameters.set(found, Tensor::new(shape, values).unwrap());
            }
            drop(checkpoint);
            write_weights(&file, &parameters, |found| match found == name {
                true => to.map(str::to_owned),
                false => Some(found.to_owned()),
            });
        }
    };
    const DOWN: &str = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight";
    refused(&|_, config| config["use_dora"] = json!(true), "`use_dora`: expected it to be off, found true");
    refused(&|_, config| config["peft_type"] = json!("IA3"), "`peft_type`: expected LORA, found \"IA3\"");
    refused(&|_, config| config["r"] = json!(3), "query.lora_A.weight` (expected [3, 16], found [2, 16])");
    refused(&|_, config| config["rank_pattern"] = json!({"query": 4}), "`rank_pattern`");
    refused(
        &|_, config| config["base_model_name_or_path"] = json!("some/where"),
        "whose base `some/where` is no folder",
    );
    refused(
        &renamed(DOWN, None),
        "half of the low-rank pair of `encoder.layer.0.attention.self.query` is missing",
    );
    refused(
        &renamed(DOWN, Some("base_model.model.bert.x.lora_A.weight")),
        "bert.x.lora_A.weight` has no place",
    );
    refused(&renamed("base_model.model.classifier.weight", None), "low-rank pairs alone");
    refused(&renamed("base_model.model.bert.pooler.dense.weight", None), "1 missing: `pooler.dense.weight`");

    let head = Model::open(base.path(), new(MEAN)).unwrap();
    let error = save_adapter(base.path(), &head, &adapter).unwrap_err().to_string();
    assert!(error.contains("PEFT knows the published head only"), "{error}");
    let wide = Adapter { rank: 3, ..adapter.clone() };
    let error = save_adapter(base.path(), &model, &wide).unwrap_err().to_string();
    assert!(error.contains("expected [3, 16], found [2, 16]"), "{error}");
    let nothing = Parameters::default();
    let error =
        save_adapter(base.path(), &model, &Adapter { pairs: nothing, ..adapter.clone() }).unwrap_err();
    assert_eq!(error.to_string(), "cannot save an adapter: there is no low-rank pair");
}
