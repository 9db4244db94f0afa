//! What a pull leaves, asks and tells when all goes well.

use std::fs;
use std::sync::Arc;

use tk_transfer::hub::{Files, PullEvent};

use crate::server::{COMMIT, Kept, tag};
use crate::support::{Place, names, weights};

#[test]
fn files_lie_as_huggingface_hub_lays_them() {
    let place = Place::new();
    let snapshot = place.pull().unwrap();
    assert_eq!(
        (&snapshot.folder, snapshot.commit.as_str()),
        (&place.repository(&format!("snapshots/{COMMIT}")), COMMIT)
    );
    assert_eq!(names(&snapshot.folder), ["config.json", "model.safetensors"]);
    assert_eq!(fs::read(snapshot.folder.join("model.safetensors")).unwrap(), weights());
    assert_eq!(fs::read_to_string(place.repository("refs/main")).unwrap(), COMMIT);
    let mut tags = vec![tag(Kept::InGit, b"{}"), tag(Kept::InStorage, &weights())];
    tags.sort();
    assert_eq!(names(&place.repository("blobs")), tags);
    #[cfg(unix)]
    assert_eq!(
        fs::read_link(snapshot.folder.join("config.json")).unwrap(),
        std::path::Path::new("../../blobs").join(tag(Kept::InGit, b"{}"))
    );
    assert!(snapshot.holds_model());
    assert_eq!(place.hub.snapshot(&"org/model".parse().unwrap()), Some(snapshot));
}

#[test]
fn address_licence_and_size_are_told_before_the_first_byte() {
    let place = Place::new();
    place.pull().unwrap();
    let events = place.events.lock().unwrap();
    let bytes = weights().len() as u64 + 2;
    assert_eq!(
        events[0],
        PullEvent::Found {
            address: format!("{}/org/model", place.server.hub),
            commit: Some(COMMIT.to_owned()),
            licence: Some("apache-2.0".to_owned()),
            files: 2,
            missing_bytes: bytes,
            bytes,
        }
    );
    let last = events.iter().rev().find(|event| matches!(event, PullEvent::Fetched { .. })).unwrap();
    let total = weights().len() as u64;
    let file = "model.safetensors".to_owned();
    assert_eq!(*last, PullEvent::Fetched { file, done: total, total: Some(total) });
}

#[test]
fn what_is_here_is_not_fetched_again_unless_it_is_damaged() {
    let place = Place::new();
    let snapshot = place.pull().unwrap();
    place.pull().unwrap();
    assert_eq!(place.server.ranges("model.safetensors"), [None]);
    let blob = place.repository("blobs").join(tag(Kept::InStorage, &weights()));
    fs::write(&blob, "damaged").unwrap();
    place.pull().unwrap();
    assert_eq!(place.server.ranges("model.safetensors"), [None, None]);
    assert_eq!(fs::read(snapshot.folder.join("model.safetensors")).unwrap(), weights());
    let damaged = PullEvent::Damaged { file: "model.safetensors".to_owned() };
    assert!(place.events.lock().unwrap().contains(&damaged));
}

#[test]
fn a_part_that_is_here_is_gone_on_with() {
    let place = Place::new();
    fs::create_dir_all(place.repository("blobs")).unwrap();
    let partial = place.repository("blobs").join(format!("{}.incomplete", tag(Kept::InStorage, &weights())));
    fs::write(&partial, &weights()[..1000]).unwrap();
    let snapshot = place.pull().unwrap();
    assert_eq!(place.server.ranges("model.safetensors"), [Some("bytes=1000-".to_owned())]);
    assert_eq!(fs::read(snapshot.folder.join("model.safetensors")).unwrap(), weights());
    assert!(!partial.exists());
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let mut place = Place::new();
    place.server.state().token = Some("secret");
    place.remote.token = Some("secret".to_owned());
    place.pull().unwrap();
    let requests = place.server.state().requests.clone();
    for request in &requests {
        assert_eq!(request.authorization.is_some(), request.port == "hub", "{request:?}");
    }
    assert!(requests.iter().any(|request| request.port == "storage"));
}

#[test]
fn revisions_renamed_repositories_and_single_files() {
    let place = Place::new();
    let snapshot = place.pull_from("org/model@v1", Files::Named("config.json")).unwrap();
    assert_eq!(names(&snapshot.folder), ["config.json"]);
    assert!(!snapshot.holds_model());
    assert_eq!(names(&place.repository("refs")), ["v1"]);
    // A commit needs no reference.
    place.pull_from(&format!("org/model@{COMMIT}"), Files::Model).unwrap();
    assert_eq!(names(&place.repository("refs")), ["v1"]);
    let renamed = place.pull_from("org/old", Files::Named("config.json")).unwrap();
    assert!(renamed.folder.ends_with(format!("models--org--old/snapshots/{COMMIT}")));
}

#[test]
fn folders_of_modules_are_kept() {
    let place = Place::with(&[
        ("modules.json", Kept::InGit, b"[]"),
        ("config.json", Kept::InGit, b"{}"),
        ("pytorch_model.bin", Kept::InStorage, b"weights"),
        ("1_Pooling/config.json", Kept::InGit, b"{\"a\": 1}"),
        ("onnx/model.onnx", Kept::InStorage, b"other"),
    ]);
    let snapshot = place.pull().unwrap();
    assert_eq!(names(&snapshot.folder), ["1_Pooling", "config.json", "modules.json", "pytorch_model.bin"]);
    assert_eq!(fs::read(snapshot.folder.join("1_Pooling/config.json")).unwrap(), b"{\"a\": 1}");
}

#[test]
fn two_at_once_fetch_each_file_once() {
    let place = Arc::new(Place::new());
    place.server.fail(
        "model.safetensors",
        &[crate::server::Fault::Slow(400_000, std::time::Duration::from_millis(60))],
    );
    let pulls: Vec<_> = (0..2)
        .map(|_| {
            let place = Arc::clone(&place);
            std::thread::spawn(move || place.pull().unwrap())
        })
        .collect();
    for pull in pulls {
        let snapshot = pull.join().unwrap();
        assert_eq!(fs::read(snapshot.folder.join("model.safetensors")).unwrap(), weights());
    }
    assert_eq!(place.server.ranges("model.safetensors"), [None]);
}
