//! Servers that misbehave: what is made good by asking again, and what is an error that says so.

use std::fs;
use std::time::{Duration, Instant};

use tk_transfer::hub::{Files, HubError, PullEvent};

use crate::server::{Fault, Kept};
use crate::support::{Place, names, weights};

const FILE: &str = "model.safetensors";

#[test]
fn what_passes_is_made_good() {
    let silent = |count| Fault::SilentAfter(count, Duration::from_secs(2));
    for (faults, ranges) in [
        (vec![Fault::Status(429, "Retry-After: 0\r\n")], vec!["", ""]),
        (vec![Fault::Status(503, ""), Fault::Status(500, "")], vec!["", "", ""]),
        (vec![Fault::CutAfter(0)], vec!["", ""]),
        (
            vec![Fault::CutAfter(500_000), Fault::CutAfter(200_000)],
            vec!["", "bytes=500000-", "bytes=700000-"],
        ),
        (vec![silent(1000)], vec!["", "bytes=1000-"]),
        // Each attempt gets further, so that their number does not matter.
        (
            (0..6).map(|_| Fault::CutAfter(100_000)).collect(),
            vec![
                "",
                "bytes=100000-",
                "bytes=200000-",
                "bytes=300000-",
                "bytes=400000-",
                "bytes=500000-",
                "bytes=600000-",
            ],
        ),
        (vec![Fault::CutAfter(500_000), Fault::IgnoresRange], vec!["", "bytes=500000-"]),
        (vec![Fault::CutAfter(500_000), Fault::WrongRange], vec!["", "bytes=500000-", ""]),
        (vec![Fault::Slow(100_000, Duration::from_millis(50))], vec![""]),
    ] {
        let place = Place::new();
        place.server.fail(FILE, &faults);
        let snapshot = place.pull().unwrap_or_else(|error| panic!("{faults:?}: {error}"));
        assert!(fs::read(snapshot.folder.join(FILE)).unwrap() == weights(), "{faults:?}");
        let asked: Vec<String> =
            place.server.ranges(FILE).into_iter().map(Option::unwrap_or_default).collect();
        assert_eq!(asked, ranges, "{faults:?}");
        assert_eq!(names(&place.repository("blobs")).len(), 2, "{faults:?}");
        let again = place
            .events
            .lock()
            .unwrap()
            .iter()
            .filter(|event| matches!(event, PullEvent::Again { .. }))
            .count();
        assert!(
            again >= ranges.len() - 1 || matches!(faults[..], [_, Fault::IgnoresRange]),
            "{faults:?}: {again}"
        );
    }
}

#[test]
fn what_stays_is_an_error_that_says_so() {
    for (faults, expected, keeps) in [
        (vec![Fault::OtherBytes], "is damaged: digest", false),
        (vec![Fault::Longer], "1200004 bytes; 1200000 were announced", false),
        (vec![Fault::Status(401, "")], "refuses (401)", false),
        (vec![Fault::Status(403, "X-Error-Code: GatedRepo\r\n")], "refuses (403, GatedRepo)", false),
        (vec![Fault::Status(404, "")], "is not at", false),
        (vec![Fault::Status(418, "")], "status 418", false),
        (vec![Fault::Loop; 20], "more than 10 redirects", false),
        (vec![Fault::Status(302, "")], "without Location", false),
        (vec![Fault::Status(302, "Location: ftp://x/y\r\n")], "no address", false),
        (vec![Fault::Status(503, ""); 3], "is busy (status 503 after 3 attempts)", false),
        (vec![Fault::Status(429, "Retry-After: 3600\r\n")], "is busy (status 429 after 1 attempts)", false),
        (
            [vec![Fault::CutAfter(5000)], vec![Fault::CutAfter(0); 3]].concat(),
            "at byte 5000 (after 3 attempts)",
            true,
        ),
    ] {
        let place = Place::new();
        place.server.fail(FILE, &faults);
        let error = place.pull().expect_err(expected);
        let text = error.to_string();
        assert!(text.contains(expected) && !text.contains('\n'), "{faults:?}: {text}");
        let blobs = names(&place.repository("blobs"));
        let partial = blobs.iter().find(|name| name.ends_with(".incomplete"));
        let kept =
            partial.map_or(0, |name| fs::metadata(place.repository("blobs").join(name)).unwrap().len());
        assert_eq!(kept > 0, keeps, "{faults:?}: {blobs:?}");
        // The revision means nothing yet, and the next attempt succeeds.
        assert!(!place.repository("refs/main").exists(), "{faults:?}");
        place.server.fail(FILE, &[]);
        assert!(place.pull().unwrap().holds_model(), "{faults:?}");
    }
}

#[test]
fn errors_have_a_way_out() {
    for (fault, token, expected) in [
        (Fault::Status(401, ""), None, "HF_TOKEN"),
        (Fault::Status(401, ""), Some("t"), "the token in use"),
        (Fault::Status(403, "X-Error-Code: GatedRepo\r\n"), Some("t"), "accept its conditions"),
        (Fault::OtherBytes, None, "try again"),
        (Fault::Status(429, "Retry-After: 3600\r\n"), None, "try again in 3600 seconds"),
    ] {
        let mut place = Place::new();
        place.remote.token = token.map(str::to_owned);
        place.server.fail(FILE, &[fault]);
        let help = place.pull().unwrap_err().help().unwrap_or_default();
        assert!(help.contains(expected), "{help}");
    }
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let place = Place::new();
    for (name, files, expected) in [
        ("org/model@v2", Files::Model, "revision `v2` of org/model is not at"),
        ("org/model@v2", Files::Model, "; there are main, dev, v1"),
        ("org/none", Files::Model, "repository `org/none` is not at"),
        ("org/model", Files::Named("x.bin"), "`x.bin` is not at"),
        ("org/model", Files::Named("x.bin"), "; there are README.md, config.json, model.safetensors"),
    ] {
        let text = place.pull_from(name, files).unwrap_err().to_string();
        assert!(text.contains(expected), "{name}: {text}");
    }
    let place = Place::with(&[("model.gguf", Kept::InStorage, b"x")]);
    let text = place.pull().unwrap_err().to_string();
    assert!(
        text.contains("pytorch_model.bin is not at") && text.ends_with("; there are model.gguf"),
        "{text}"
    );
}

#[test]
fn tags_that_are_no_digest_are_refused() {
    let place = Place::new();
    place.server.state().tags.insert(FILE.to_owned(), "../../evil".to_owned());
    let error = place.pull().unwrap_err();
    assert!(matches!(error, HubError::Protocol { .. }), "{error}");
    assert!(error.to_string().contains("could not be verified"), "{error}");
}

#[test]
fn a_hub_that_is_down_or_silent_is_given_up() {
    let place = Place::new();
    place.server.state().down = Some((502, ""));
    let error = place.pull().unwrap_err();
    assert!(matches!(error, HubError::Busy { status: 502, attempts: 3, .. }), "{error}");

    let mut place = Place::new();
    // Nobody listens on a port that was just free.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.remote.endpoint = format!("http://{free}");
    assert!(matches!(place.pull().unwrap_err(), HubError::Unreachable { attempts: 3, .. }));

    // Connections are taken, and nothing is ever said.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    place.remote.endpoint = format!("http://{}", silent.local_addr().unwrap());
    let began = Instant::now();
    assert!(matches!(place.pull().unwrap_err(), HubError::Unreachable { attempts: 3, .. }));
    assert!(began.elapsed() >= place.remote.patience.silence * 3);
}
