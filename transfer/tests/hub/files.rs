//! Files of no repository, which have an address alone.

use std::fs;

use tk_transfer::hub::{HubError, PullEvent, Verdict};

use crate::server::{Fault, Kept, tag};
use crate::support::{Place, weights};

/// A file whose name says its digest.
fn place() -> (Place, String) {
    let weights = weights();
    let name = format!("net-{}.pth", &tag(Kept::InStorage, &weights)[..9]);
    (Place::with(&[(&name, Kept::InStorage, &weights)]), name)
}

fn pull(place: &Place, name: &str) -> Result<std::path::PathBuf, HubError> {
    let url = format!("{}/files/{name}", place.server.hub);
    let observe = |event: &PullEvent| place.events.lock().unwrap().push(event.clone());
    place.remote.pull_file(&place.hub, "net.tag", &url, Some("MIT"), &observe)
}

#[test]
fn they_are_fetched_once_gone_on_with_and_verified() {
    let (place, name) = place();
    place.server.fail(&name, &[Fault::CutAfter(1000)]);
    for _ in 0..2 {
        let path = pull(&place, &name).unwrap();
        assert_eq!(path, place.path("files/net.tag").join(&name));
        assert!(fs::read(&path).unwrap() == weights());
    }
    let ranges: Vec<_> =
        place.server.state().requests.iter().filter_map(|request| request.range.clone()).collect();
    assert_eq!(ranges, ["bytes=1000-"]);
    let found = place.events.lock().unwrap()[0].clone();
    let bytes = weights().len() as u64;
    assert!(
        matches!(found, PullEvent::Found { licence: Some(_), missing_bytes, .. } if missing_bytes == bytes),
        "{found:?}"
    );
    let url = format!("http://elsewhere/{name}");
    assert!(place.hub.file("net.tag", &url).is_some());
    let verify = || place.hub.verify_file("net.tag", &url).unwrap().unwrap().verdict;
    assert_eq!(verify(), Verdict::Good);
    fs::write(place.path("files/net.tag").join(&name), "damaged").unwrap();
    assert!(matches!(verify(), Verdict::Damaged { .. }));
    pull(&place, &name).unwrap();
    assert_eq!(verify(), Verdict::Good);
}

#[test]
fn wrong_bytes_are_not_kept() {
    let (place, name) = place();
    place.server.fail(&name, &[Fault::OtherBytes]);
    let error = pull(&place, &name).unwrap_err();
    assert!(matches!(error, HubError::Digest { .. }), "{error}");
    let url = format!("http://elsewhere/{name}");
    assert_eq!(place.hub.verify_file("net.tag", &url).unwrap(), None);
}
