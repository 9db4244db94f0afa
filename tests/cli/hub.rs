//! Published weights: fetched from a server on loopback, found in the standard cache, used without a network.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tk_engine::Parameters;
use tk_transfer::checkpoint::{Checkpoint, Precision, SaveTensor, save};
use transferkit::classify::Settings;

use crate::server::{COMMIT, Fault, Kept, Server, tag};
use crate::support::{Ended, Place, assert_one_error, ended};
use crate::texts::{reviews, write_encoder};

const ENCODER: &str = "hf:org/model";

/// A place with reviews, and a server that has an encoder.
fn place_and_server() -> (Place, Server) {
    let place = Place::new();
    fs::write(place.path("r.csv"), reviews(40)).unwrap();
    write_encoder(&place.path("m"));
    let files: Vec<(String, Vec<u8>)> = fs::read_dir(place.path("m"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    fs::remove_dir_all(place.path("m")).unwrap();
    let kept = |name: &str| if name.ends_with(".safetensors") { Kept::InStorage } else { Kept::InGit };
    let files: Vec<_> =
        files.iter().map(|(name, bytes)| (name.as_str(), kept(name), bytes.as_slice())).collect();
    let server = Server::start(&files);
    (place, server)
}

fn run(mut command: Command) -> Ended {
    ended(&command.output().unwrap())
}

/// Runs the program with a server.
fn with(place: &Place, server: &Server, arguments: &[&str]) -> Ended {
    let mut command = place.command(arguments);
    command.env("HF_ENDPOINT", &server.hub);
    run(command)
}

fn settings(run: &Path) -> Settings {
    Settings::from_toml(&fs::read_to_string(run.join("run.toml")).unwrap(), "run.toml").unwrap()
}

#[test]
fn a_named_repository_is_fetched_once_and_its_run_needs_no_network() {
    let (place, server) = place_and_server();
    let train = ["text-classify", "r.csv", "-m", ENCODER, "--out"];
    let ended = with(&place, &server, &[&train[..], &["R"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.err);
    let place_of = |text: &str| ended.err.find(text).unwrap_or_else(|| panic!("{text}: {}", ended.err));
    assert!(
        place_of(&format!("address  {}/org/model at {COMMIT}", server.hub)) < place_of("size     4 files")
    );
    assert!(place_of("size     4 files") < place_of("licence  apache-2.0"));
    assert!(place_of("licence") < place_of("fetched  config.json"));
    assert!(ended.err.contains("model    model (bert"), "{}", ended.err);

    let found = settings(&place.path("R"));
    assert_eq!(found.model, Some(format!("hf:org/model@{COMMIT}")));
    let provenance = found.provenance.unwrap();
    assert_eq!(
        (provenance.repository.as_deref(), provenance.revision.as_deref()),
        (Some("org/model"), Some(COMMIT))
    );
    let snapshot = place.path(&format!("hf/hub/models--org--model/snapshots/{COMMIT}"));
    let checkpoint = Checkpoint::open(snapshot.join("model.safetensors")).unwrap();
    assert_eq!(provenance.weights, checkpoint.digest().to_hex().to_string());

    // From here on nobody is asked.
    let asked = server.state().requests.len();
    with(&place, &server, &[&train[..], &["again"]].concat());
    assert_eq!(server.state().requests.len(), asked);
    for arguments in [
        &[&train[..], &["offline", "--offline"]].concat()[..],
        &["text-classify", "r.csv", "--config", "R/run.toml", "--out", "repeated"],
        &["text-classify", "r.csv", "-m", ENCODER, "--dry-run"],
        &["evaluate", "R", "r.csv"],
        &["predict", "R", "--text", "the film is good"],
        &["embed", ENCODER, "r.csv", "-o", "e.npy", "--offline"],
        &["bench", ENCODER, "--batch", "1", "--tokens", "4", "--only", "inference"],
    ] {
        place.ok(arguments);
    }
    let model = |run: &str| fs::read(place.path(run).join("2_Dense/model.safetensors")).unwrap();
    assert!(model("R") == model("repeated") && model("R") == model("offline"));
    // A run that was stopped before its end.
    fs::remove_file(place.path("R/summary.json")).unwrap();
    fs::remove_dir_all(place.path("R/2_Dense")).unwrap();
    place.ok(&["resume", "R"]);
    assert!(model("R") == model("offline"));
}

#[test]
fn nothing_is_fetched_where_that_is_forbidden_or_nobody_asked() {
    let (place, server) = place_and_server();
    place.draw_few("d", 12);
    let text = ["text-classify", "r.csv", "-m", ENCODER];
    let cases: [(&[&str], &str, &str); 6] = [
        (&[&text[..], &["--offline"]].concat(), "", "--offline forbids"),
        (&text, "HF_HUB_OFFLINE", "HF_HUB_OFFLINE forbids"),
        (&[&text[..], &["--dry-run"]].concat(), "", "tk models pull hf:org/model"),
        (&["embed", ENCODER, "r.csv", "-o", "e.npy", "--offline"], "", "tk models pull hf:org/model"),
        (&["image-classify", "d", "-m", "resnet10t"], "", "tk models pull resnet10t"),
        (&["models", "pull", ENCODER, "--offline"], "", "--offline forbids"),
    ];
    for (arguments, variable, expected) in cases {
        let mut command = place.command(arguments);
        command.env("HF_ENDPOINT", &server.hub);
        if !variable.is_empty() {
            command.env(variable, "1");
        }
        let ended = run(command);
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(expected), "{arguments:?}: {}", ended.err);
        assert_one_error(&ended, expected);
    }
    assert_eq!(server.state().requests, []);
    assert!(!place.path("hf").exists());
}

#[test]
fn errors_are_one_line_with_a_way_out() {
    let (place, server) = place_and_server();
    for (name, code, expected) in [
        ("hf:org/none", 1, "repository `org/none` is not at"),
        ("hf:org/model@v2", 1, "there are main, dev, v1"),
        ("hf:org/a/b", 2, "expected ORG/NAME"),
        ("org/model", 2, "tk models pull hf:org/model"),
        ("small", 2, "is embedded"),
        ("resnet51", 2, "tk models list"),
    ] {
        let ended = with(&place, &server, &["models", "pull", name]);
        assert_eq!(ended.code, code, "{name}: {}", ended.err);
        assert!(ended.err.contains(expected), "{name}: {}", ended.err);
        assert_one_error(&ended, name);
    }
    server.fail("model.safetensors", &[Fault::OtherBytes]);
    let ended = with(&place, &server, &["text-classify", "r.csv", "-m", ENCODER, "--out", "R"]);
    assert_eq!(ended.code, 1, "{}", ended.err);
    assert!(
        ended.err.contains("is damaged: digest") && ended.err.contains("help: try again"),
        "{}",
        ended.err
    );
    assert!(!place.path("R").exists());
}

#[test]
fn tokens_come_from_the_environment_or_the_token_s_file() {
    let (place, server) = place_and_server();
    server.state().token = Some("secret");
    let pull = ["models", "pull", ENCODER];
    let ended = with(&place, &server, &pull);
    assert_eq!(ended.code, 1, "{}", ended.err);
    assert!(ended.err.contains("refuses (401") && ended.err.contains("HF_TOKEN"), "{}", ended.err);
    fs::create_dir_all(place.path("hf")).unwrap();
    fs::write(place.path("hf/token"), "secret\n").unwrap();
    assert_eq!(with(&place, &server, &pull).code, 0);
    let mut command = place.command(&pull);
    command.env("HF_ENDPOINT", &server.hub).env("HF_TOKEN", "wrong");
    let ended = run(command);
    assert!(ended.err.contains("the token in use"), "{}", ended.err);
}

#[test]
fn what_is_damaged_is_found_and_fetched_anew() {
    let (place, server) = place_and_server();
    let pulled = with(&place, &server, &["models", "pull", ENCODER]);
    assert_eq!(pulled.code, 0, "{}", pulled.err);
    let snapshot = place.path(&format!("hf/hub/models--org--model/snapshots/{COMMIT}"));
    assert_eq!(pulled.out.trim(), snapshot.display().to_string());
    let all = place.ok(&["models", "verify"]).out;
    assert_eq!(all.lines().filter(|line| line.starts_with("good     org/model ")).count(), 4, "{all}");
    let bytes = fs::read(snapshot.join("model.safetensors")).unwrap();
    let blob = place.path("hf/hub/models--org--model/blobs").join(tag(Kept::InStorage, &bytes));
    fs::write(&blob, &bytes[1..]).unwrap();
    let ended = place.tk(&["models", "verify", ENCODER, "--json"]);
    assert_eq!(ended.code, 1, "{}", ended.err);
    assert!(ended.err.contains("help: fetch them anew: tk models pull hf:org/model\n"), "{}", ended.err);
    let lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let damaged: Vec<_> = lines.iter().filter(|line| line["verdict"] == "damaged").collect();
    assert_eq!((lines.len(), damaged.len()), (4, 1));
    assert_eq!(damaged[0]["file"], "model.safetensors");
    assert_eq!(with(&place, &server, &["models", "pull", ENCODER]).code, 0);
    place.ok(&["models", "verify", ENCODER]);
    assert_eq!(place.tk(&["models", "verify", "resnet50"]).code, 2);
}

#[test]
fn a_name_of_the_catalog_is_fetched_by_pull_and_found_by_its_name() {
    let place = Place::new();
    place.draw_few("d", 12);
    let name = "mobilenetv2_050.lamb_in1k";
    let architecture = tk_image::architectures::find(name).unwrap();
    let graph = architecture.build(&tk_image::architectures::Settings::classes(1000)).unwrap();
    let parameters = Parameters::initial(&graph, 1);
    let tensors: Vec<SaveTensor> = parameters
        .iter()
        .map(|(name, tensor)| SaveTensor { name, shape: tensor.shape(), values: tensor.as_f32().unwrap() })
        .collect();
    save(&place.path("w"), &tensors, Precision::F32, &Default::default()).unwrap();
    let bytes = fs::read(place.path("w")).unwrap();
    let files: [(&str, Kept, &[u8]); 2] =
        [("config.json", Kept::InGit, b"{}"), ("model.safetensors", Kept::InStorage, &bytes)];
    let server = Server::start_with(&format!("timm/{name}"), &files);
    let pulled = with(&place, &server, &["models", "pull", "mobilenetv2_050"]);
    assert_eq!(pulled.code, 0, "{}", pulled.err);
    assert!(pulled.out.trim().ends_with(&format!("snapshots/{COMMIT}/model.safetensors")), "{}", pulled.out);
    // The file alone is what timm keeps too.
    assert!(!Path::new(pulled.out.trim()).with_file_name("config.json").exists());
    place.ok(&["image-classify", "d", "-m", "mobilenetv2_050", "--size", "48", "--out", "R"]);
    let found = settings(&place.path("R"));
    assert_eq!(found.model, Some(format!("{name}@{COMMIT}")));
    assert_eq!(found.provenance.unwrap().repository, Some(format!("timm/{name}")));
    place.ok(&["image-classify", "d", "--config", "R/run.toml", "--out", "again"]);
    place.ok(&["predict", name, "d/stars/00.jpg", "--top", "1"]);
    place.ok(&["models", "verify", "mobilenetv2_050"]);
}

/// The layout is written by hand, as `huggingface_hub` documents it ("Understand caching").
#[cfg(unix)]
#[test]
fn a_cache_that_other_tools_laid_is_used() {
    let place = Place::new();
    fs::write(place.path("r.csv"), reviews(40)).unwrap();
    write_encoder(&place.path("m"));
    let repository = place.path("elsewhere/models--sentence-transformers--tiny");
    let snapshot = repository.join("snapshots").join(COMMIT);
    for folder in [&snapshot, &repository.join("blobs"), &repository.join("refs")] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(repository.join("refs/main"), COMMIT).unwrap();
    for entry in fs::read_dir(place.path("m")).unwrap().map(|entry| entry.unwrap()) {
        let bytes = fs::read(entry.path()).unwrap();
        let blob = tag(Kept::InGit, &bytes);
        fs::write(repository.join("blobs").join(&blob), bytes).unwrap();
        let target = Path::new("../../blobs").join(blob);
        std::os::unix::fs::symlink(target, snapshot.join(entry.file_name())).unwrap();
    }
    let model = "hf:sentence-transformers/tiny";
    let mut command = place.command(&["text-classify", "r.csv", "-m", model, "--out", "R"]);
    command.env("HF_HUB_CACHE", place.path("elsewhere")).env("HF_HUB_OFFLINE", "1");
    let ended = run(command);
    assert_eq!(ended.code, 0, "{}", ended.err);
    place.ok(&["text-classify", "r.csv", "-m", "m", "--out", "plain"]);
    let weights = |run: &str| fs::read(place.path(run).join("2_Dense/model.safetensors")).unwrap();
    assert!(weights("R") == weights("plain"));
}
