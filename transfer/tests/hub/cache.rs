//! The standard cache: what is verified in it.

use std::fs;

use tk_transfer::hub::Verdict;

use crate::server::{COMMIT, Kept, tag};
use crate::support::{Place, weights};

#[test]
fn digests_are_recomputed() {
    let place = Place::new();
    place.pull().unwrap();
    let repository = place.hub.repositories().unwrap().pop().unwrap();
    assert_eq!(repository.to_string(), "org/model");
    let verify = || place.hub.verify(&repository).unwrap();
    let found = verify();
    let files: Vec<&str> = found.iter().map(|checked| checked.file.as_str()).collect();
    assert_eq!(files, ["config.json", "model.safetensors"]);
    assert!(found.iter().all(|checked| checked.verdict == Verdict::Good));
    assert_eq!(found[0].commit.as_deref(), Some(COMMIT));

    let expected = tag(Kept::InStorage, &weights());
    let blob = place.repository("blobs").join(&expected);
    fs::write(&blob, "damaged").unwrap();
    let damaged = tag(Kept::InStorage, b"damaged");
    assert_eq!(verify()[1].verdict, Verdict::Damaged { expected, found: damaged });
    fs::remove_file(&blob).unwrap();
    assert_eq!(verify()[1].verdict, Verdict::Gone);
    // A file that is no link, as where links cannot be made.
    fs::remove_file(place.repository(&format!("snapshots/{COMMIT}/config.json"))).unwrap();
    fs::write(place.repository(&format!("snapshots/{COMMIT}/config.json")), "{}").unwrap();
    assert_eq!(verify()[0].verdict, Verdict::Unknown);
}
