//! `tk text-classify` and what is done with its runs, on a small encoder with random weights that the test writes.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tk_engine::Parameters;
use tk_text::architectures::{Config, Head, Pooling};
use tk_transfer::checkpoint::{Precision, SaveTensor, save};

use crate::support::{Place, json as read_json};

const WORDS: [&str; 14] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "is", "good", "great", "bad", "awful",
    "and", "long",
];

/// A BERT of two narrow layers in `m`, as transformers writes it.
pub fn write_encoder(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let text = json!({
        "architectures": ["BertModel"], "model_type": "bert", "vocab_size": WORDS.len(), "hidden_size": 16,
        "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32, "hidden_act": "gelu",
        "max_position_embeddings": 24, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0,
        "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
    })
    .to_string();
    let (architecture, settings) = Config::from_json(&text).unwrap().encoder().unwrap();
    let graph = architecture.build(&settings, Head::Embedding { pooling: Pooling::Mean }).unwrap();
    let parameters = Parameters::initial(&graph, 3);
    let tensors: Vec<SaveTensor> = parameters
        .iter()
        .map(|(name, tensor)| SaveTensor { name, shape: tensor.shape(), values: tensor.as_f32().unwrap() })
        .collect();
    save(&folder.join("model.safetensors"), &tensors, Precision::F32, &Default::default()).unwrap();
    fs::write(folder.join("config.json"), text).unwrap();
    fs::write(folder.join("vocab.txt"), WORDS.join("\n")).unwrap();
    let config = json!({ "do_lower_case": true, "tokenizer_class": "BertTokenizer" });
    fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
}

/// Reviews whose words say their class.
pub fn reviews(count: usize) -> String {
    let mut table = String::from("review,stars,author\n");
    for number in 0..count {
        let word = [["bad", "awful"], ["good", "great"]][number % 2][number / 2 % 2];
        let long = " and long".repeat(number % 5);
        writeln!(table, "the film is {word}{long},{},a{}", [1, 5][number % 2], number / 4).unwrap();
    }
    table
}

fn place() -> Place {
    let place = Place::new();
    write_encoder(&place.path("m"));
    fs::write(place.path("r.csv"), reviews(80)).unwrap();
    place
}

#[test]
fn every_mode_and_head_trains_predicts_and_is_audited() {
    let place = place();
    for (run, arguments, file) in [
        ("features", vec![], "2_Dense/model.safetensors"),
        ("svm", vec!["--head", "svm"], "2_Dense/model.safetensors"),
        ("mlp", vec!["--head", "mlp"], "head.safetensors"),
        ("linear", vec!["--head", "linear", "--epochs", "2"], "2_Dense/model.safetensors"),
        ("partial", vec!["--mode", "partial", "--epochs", "2"], "model.safetensors"),
        (
            "full",
            vec!["--mode", "full", "--epochs", "30", "--batch", "8", "--lr", "3e-3"],
            "model.safetensors",
        ),
        ("lora", vec!["--mode", "lora", "--epochs", "2"], "adapter/adapter_model.safetensors"),
    ] {
        let mut all = vec!["text-classify", "r.csv", "-m", "m", "--out", run];
        all.extend(arguments);
        let ended = place.ok(&all);
        assert!(ended.out.contains("audit ok"), "{run}: {}", ended.out);
        assert!(place.path(run).join(file).is_file(), "{run}: {file}");
        let summary = read_json(&place.path(run).join("summary.json"));
        assert_eq!(summary["task"], "text-classify");
        let ended = place.ok(&["predict", run, "--text", "the film is great", "r.csv"]);
        let lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[0]["text"]), (81, &json!("the film is great")));
        assert_eq!(lines[1]["file"], "r.csv:2");
        // What a folder predicts is what the run that wrote it measured.
        let scored = place.ok(&["evaluate", run, "r.csv", "--json"]);
        let scored: Value = serde_json::from_str(scored.out.lines().last().unwrap()).unwrap();
        let right = lines[1..].iter().enumerate().filter(|(row, line)| line["label"] == ["1", "5"][row % 2]);
        assert!((right.count() as f64 / 80.0 - scored["metrics"]["accuracy"].as_f64().unwrap()).abs() < 1e-9);
    }
    let learned = read_json(&place.path("full/summary.json"));
    assert!(learned["metrics"]["accuracy"].as_f64().unwrap() > 0.9, "{learned}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_a_second_head_reuses_the_cache() {
    let place = place();
    for run in ["a", "b"] {
        place.ok(&["text-classify", "r.csv", "-m", "m", "--mode", "full", "--epochs", "1", "--out", run]);
    }
    let weights = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(weights("a") == weights("b"));
    place.ok(&["text-classify", "r.csv", "-m", "m", "--out", "c"]);
    place.ok(&["text-classify", "r.csv", "-m", "m", "--head", "mlp", "--out", "d"]);
    assert_eq!(read_json(&place.path("d/summary.json"))["cache"], json!({ "hits": 80, "misses": 0 }));
}

#[test]
fn classes_are_balanced_by_weights_or_by_draws() {
    let place = place();
    // 40 reviews of one class and 5 of the other.
    let table: String = reviews(80)
        .lines()
        .enumerate()
        .filter(|(at, _)| at % 2 == 1 || at % 16 == 0)
        .fold(String::new(), |table, (_, line)| table + line + "\n");
    fs::write(place.path("rare.csv"), &table).unwrap();
    let arguments = ["text-classify", "rare.csv", "-m", "m", "--label", "stars", "--out"];
    for (run, balance) in [("n", "none"), ("w", "weights"), ("s", "sampler"), ("again", "sampler")] {
        place.ok(&[&arguments[..], &[run, "--mode", "full", "--epochs", "1", "--balance", balance]].concat());
        let written = fs::read_to_string(place.path(run).join("run.toml")).unwrap();
        assert!(written.contains(&format!("balance = \"{balance}\"")), "{written}");
    }
    let weights = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(weights("s") == weights("again"));
    assert!(weights("n") != weights("w") && weights("w") != weights("s") && weights("n") != weights("s"));
    let recall = |balance: &str| {
        place.ok(&[&arguments[..], &[balance, "--balance", balance]].concat());
        let lines = place.ok(&["predict", balance, "rare.csv"]).out;
        lines.lines().filter(|line| line.contains("\"label\":\"5\"")).count()
    };
    assert!(recall("weights") >= recall("none"));
    let refused = place.tk(&[&arguments[..], &["r", "--balance", "sampler"]].concat());
    assert!(refused.code == 2 && refused.err.contains("say --balance weights"), "{}", refused.err);
}

#[test]
fn groups_are_not_divided_and_said_columns_are_taken() {
    let place = place();
    let arguments =
        ["text-classify", "r.csv", "-m", "m", "--input", "review", "--label", "stars", "--group", "author"];
    let ended = place.ok(&[&arguments[..], &["--val", "25%", "--out", "g"]].concat());
    assert!(ended.err.contains("label `stars`"), "{}", ended.err);
    // Each author has four reviews, and authors are whole.
    assert_eq!(read_json(&place.path("g/summary.json"))["samples"]["val"], 20);
}

#[test]
fn bad_input_is_one_clear_line_or_set_aside() {
    let place = place();
    let good = reviews(40);
    fs::write(place.path("one.csv"), good.replace(",5,", ",1,")).unwrap();
    let mut odd = good.clone().into_bytes();
    odd.extend(b"the film is \xff\xfe,1,x\n");
    odd.extend(format!("{},5,x\n", "long ".repeat(2 << 20)).into_bytes());
    odd.extend(b",1,x\n");
    fs::write(place.path("odd.csv"), odd).unwrap();
    fs::create_dir(place.path("split")).unwrap();
    fs::write(place.path("split/train.csv"), &good).unwrap();
    fs::write(place.path("split/val.csv"), reviews(10)).unwrap();
    write_encoder(&place.path("mismatch"));
    fs::write(place.path("mismatch/vocab.txt"), format!("{}\nmore\nwords", WORDS.join("\n"))).unwrap();
    let run =
        |data: &str, more: &[&str]| place.tk(&[&["text-classify", data, "--out", "never"], more].concat());
    for (data, more, code, expected) in [
        ("none.csv", vec!["-m", "m"], 2, "no such file or folder: `none.csv`"),
        ("r.csv", vec!["-m", "nowhere"], 2, "no model at `nowhere`"),
        ("r.csv", vec!["-m", "m", "--label", "star"], 2, "did you mean `stars`?"),
        ("r.csv", vec!["-m", "m", "--input", "revue"], 2, "no column `revue`"),
        ("one.csv", vec!["-m", "m"], 3, "class"),
        ("r.csv", vec!["-m", "mismatch"], 1, "embedding"),
        ("r.csv", vec!["-m", "m", "--mode", "full", "--unfreeze", "layer0"], 2, "--unfreeze has no effect"),
        ("r.csv", vec!["-m", "m", "--unfreeze", "layer7"], 2, "layer7"),
        ("r.csv", vec!["-m", "m", "--lora-rank", "4"], 2, "lora"),
        ("r.csv", vec!["-m", "m", "--max-tokens", "9999"], 2, "9999"),
        ("r.csv", vec!["-m", "m", "--set", "size=3"], 2, "`size` is no setting"),
    ] {
        let ended = run(data, &more);
        let line = ended.err.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert_eq!(ended.code, code, "{data} {more:?}: {}", ended.err);
        assert!(line.contains(expected), "{data} {more:?}: {}", ended.err);
        assert!(!place.path("never").exists(), "{data} {more:?}");
    }
    let ended = place.ok(&["text-classify", "odd.csv", "-m", "m", "--max-bad", "10%", "--out", "odd"]);
    let aside = read_json(&place.path("odd/quarantine.json"));
    let names: Vec<&str> =
        aside.as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["odd.csv:42", "odd.csv:43", "odd.csv:44"], "{}", ended.err);
    let ended = place.ok(&["text-classify", "split", "-m", "m", "--out", "split-run"]);
    assert!(ended.err.contains("the same text on two sides"), "{}", ended.err);
    let failed = place.tk(&["predict", "odd", "odd.csv"]);
    assert_eq!((failed.code, failed.out.lines().count()), (3, 43), "{}", failed.err);
}

#[test]
fn embeddings_of_an_encoder_have_its_width() {
    let place = place();
    place.ok(&["embed", "m", "r.csv", "-o", "e.csv"]);
    let table = fs::read_to_string(place.path("e.csv")).unwrap();
    assert_eq!((table.lines().count(), table.lines().nth(1).unwrap().split(',').count()), (81, 17));
}

#[test]
fn contrastive_mode_draws_classes_apart_and_fits_a_probe() {
    let place = place();
    fs::write(place.path("few.csv"), reviews(16)).unwrap();
    let few = ["text-classify", "few.csv", "-m", "m", "--label", "stars", "--val", "none", "--out"];
    place.ok(&[&few[..], &["probe"]].concat());
    for (run, more) in [("a", &[][..]), ("b", &[]), ("svm", &["--head", "svm"])] {
        let ended = place.ok(&[&few[..], &[run, "--mode", "contrastive", "--lr", "1e-3"], more].concat());
        assert!(ended.err.contains("on pairs, then"), "{}", ended.err);
        assert!(place.path(run).join("2_Dense/model.safetensors").is_file());
    }
    let weights = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(weights("a") == weights("b") && weights("a") != weights("probe"));
    let score = |run: &str| {
        let scored = place.ok(&["evaluate", run, "r.csv", "--json"]);
        let scored: Value = serde_json::from_str(scored.out.lines().last().unwrap()).unwrap();
        scored["metrics"]["accuracy"].as_f64().unwrap()
    };
    assert!(score("a") >= score("probe") && score("a") > 0.95, "{} {}", score("a"), score("probe"));
    for (more, expected) in [
        (&["--head", "linear"][..], "contrastive mode fits a probe"),
        (&["--monitor", "accuracy"], "`monitor` has no effect in contrastive mode"),
        (&["--multi"], "contrastive mode is for samples of one class each"),
    ] {
        let ended = place.tk(&[&few[..], &["r", "--mode", "contrastive"], more].concat());
        assert!(ended.code == 2 && ended.err.contains(expected), "{more:?}: {}", ended.err);
    }
}

/// Sentences about the weather and about cooking, which share few words; the second half is to be told by what words mean.
const SUBJECTS: [[&str; 16]; 2] = [
    [
        "heavy rain is falling over the hills",
        "the wind blew hard all night",
        "a thick fog covers the valley",
        "snow fell on the mountains this morning",
        "the sky is clear and the sun shines",
        "thunder rolled across the plain",
        "a cold front comes from the north",
        "the storm tore branches from the trees",
        "there was hail in the afternoon",
        "dark clouds gather in the west",
        "it will be frosty tomorrow",
        "a gentle breeze cools the coast",
        "lightning struck near the village",
        "the drought has lasted for months",
        "a hurricane is moving toward the shore",
        "the air is humid and warm today",
    ],
    [
        "stir the soup until it boils",
        "add a spoon of butter to the pan",
        "bake the bread for forty minutes",
        "she chopped onions for the stew",
        "fry the fish in hot oil",
        "the cake needs more sugar",
        "season the meat with salt and pepper",
        "he poured milk over the cereal",
        "roast the potatoes with garlic",
        "knead the dough and let it rest",
        "serve the salad with olives and cheese",
        "whisk the eggs with cream",
        "the sauce tastes of tomato and basil",
        "peel the carrots before you cook them",
        "a pie filled with apples and cinnamon",
        "grill the chicken on both sides",
    ],
];

#[test]
fn the_embedded_encoder_knows_what_words_mean() {
    let place = Place::new();
    for (name, half) in [("few.csv", 0..8), ("others.csv", 8..16)] {
        let row = |at: usize| format!("{},weather\n{},cooking\n", SUBJECTS[0][at], SUBJECTS[1][at]);
        fs::write(place.path(name), format!("text,label\n{}", half.map(row).collect::<String>())).unwrap();
    }
    for (run, mode) in [("probe", "features"), ("full", "full"), ("lora", "lora")] {
        let ended = place.ok(&[
            "text-classify",
            "few.csv",
            "--val",
            "none",
            "--mode",
            mode,
            "--offline",
            "--out",
            run,
        ]);
        assert!(ended.out.contains("audit ok"), "{}", ended.out);
        assert!(place.path(run).join("vocab.txt").is_file());
        place.ok(&["predict", run, "--text", "it rained"]);
    }
    place.ok(&["evaluate", "probe", "others.csv", "--gate", "accuracy>=0.85"]);
    let adapter = read_json(&place.path("lora/adapter/adapter_config.json"));
    assert_eq!(adapter["base_model_name_or_path"], "text");
    place.ok(&["embed", "text", "few.csv", "-o", "e.csv"]);
    let table = fs::read_to_string(place.path("e.csv")).unwrap();
    assert_eq!((table.lines().count(), table.lines().nth(1).unwrap().split(',').count()), (17, 161));
    assert!(place.ok(&["models", "show", "text"]).out.contains("layer"));
    // A folder of the default's name is another model.
    write_encoder(&place.path("text"));
    place.ok(&["text-classify", "few.csv", "--val", "none", "-m", "./text", "--out", "own"]);
    assert_eq!(read_json(&place.path("own/config.json"))["hidden_size"], 16);
}
