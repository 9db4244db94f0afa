//! Entities of tags that follow no rule, as seqeval counts them (`entities.py`).

use std::path::Path;

use serde::Deserialize;
use tk_transfer::metrics::{EntityScores, entities};

#[derive(Deserialize)]
struct Expected {
    truth: Vec<String>,
    told: Vec<String>,
    entities: Vec<Vec<(usize, usize, String)>>,
    scores: [f64; 4],
}

#[test]
fn entities_and_their_scores_are_those_of_seqeval() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/entities.json");
    let expected: Expected = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut scores = EntityScores::default();
    assert_eq!(expected.truth.len(), 60);
    for ((truth, told), listed) in expected.truth.iter().zip(&expected.told).zip(&expected.entities) {
        let [truth, told] = [truth, told].map(|tags| tags.split(' ').collect::<Vec<_>>());
        let found: Vec<_> = entities(truth.iter().copied())
            .into_iter()
            .map(|entity| (entity.start, entity.end, entity.class.to_owned()))
            .collect();
        assert_eq!(&found, listed, "{truth:?}");
        scores.add(&truth, &told);
    }
    let metrics = scores.metrics();
    for (name, expected) in ["precision", "recall", "f1", "macro_f1"].into_iter().zip(expected.scores) {
        assert!((metrics[name] - expected).abs() < 1e-9, "{name}: {} and {expected}", metrics[name]);
    }
}
