//! Counts of edits, WER and CER against jiwer's; edit_distance.py made the numbers.

use serde::Deserialize;
use tk_transfer::metrics::{Edits, character_edits, word_edits};

#[derive(Deserialize)]
struct Reference {
    wer: f64,
    cer: f64,
    rows: Vec<(String, String, [usize; 4], [usize; 4])>,
}

fn counts(edits: Edits) -> [usize; 4] {
    [edits.hits, edits.substitutions, edits.insertions, edits.deletions]
}

#[test]
fn counts_are_jiwers() {
    let reference: Reference = serde_json::from_str(include_str!("edit_distance.json")).unwrap();
    assert!(reference.rows.len() > 50);
    let (mut words, mut characters) = (Edits::default(), Edits::default());
    for (said, heard, of_words, of_characters) in &reference.rows {
        let (word, character) = (word_edits(said, heard), character_edits(said, heard));
        assert_eq!(counts(word), *of_words, "words of {said:?} and {heard:?}");
        assert_eq!(counts(character), *of_characters, "characters of {said:?} and {heard:?}");
        words += word;
        characters += character;
    }
    assert!((words.rate().unwrap() - reference.wer).abs() < 1e-12);
    assert!((characters.rate().unwrap() - reference.cer).abs() < 1e-12);
}
