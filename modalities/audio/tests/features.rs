//! Front ends beside transformers', on real recordings. `features.py` made the numbers.

use std::path::Path;

use serde::Deserialize;
use tk_audio::data::Clip;
use tk_audio::features::{FilterBank, LogMel, Waveform};

#[derive(Deserialize)]
struct Expected {
    cases: Vec<Case>,
}

/// What a front end computes: every so many of its rows and columns, and the sum of all.
#[derive(Deserialize)]
struct Case {
    settings: serde_json::Value,
    file: String,
    repeat: usize,
    shape: [usize; 2],
    steps: [usize; 2],
    sum: f64,
    values: Vec<Vec<f32>>,
}

#[test]
fn filter_banks_agree_with_transformers() {
    agree("ASTFeatureExtractor", 9, |settings, clip| {
        FilterBank::from_json(settings).unwrap().extractor().features(clip).unwrap()
    });
}

#[test]
fn log_mel_spectrograms_agree_with_transformers() {
    agree("WhisperFeatureExtractor", 9, |settings, clip| {
        LogMel::from_json(settings).unwrap().extractor().features(clip).unwrap()
    });
}

#[test]
fn normalised_samples_agree_with_transformers() {
    agree("Wav2Vec2FeatureExtractor", 6, |settings, clip| {
        Waveform::from_json(settings).unwrap().features(clip).unwrap()
    });
}

/// Compares all cases of a front end. transformers computes in f32 or f64, ours in f64: 10⁻⁴ is what printed numbers and f32 differ by.
fn agree(kind: &str, count: usize, features: impl Fn(&str, &Clip) -> Vec<f32>) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("../../../shared/data/fsdd/recordings");
    if !folder.is_dir() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    let text = std::fs::read_to_string(here.join("tests/features.json")).unwrap();
    let expected: Expected = serde_json::from_str(&text).unwrap();
    let cases: Vec<Case> =
        expected.cases.into_iter().filter(|case| case.settings["feature_extractor_type"] == kind).collect();
    assert_eq!(cases.len(), count);
    let mut most = 0f32;
    for case in cases {
        let clip = Clip::open(folder.join(&case.file)).unwrap();
        assert_eq!(clip.rate(), 8000);
        // As if it were at 16 kHz, as the program takes it.
        let clip = Clip::samples(&clip.values().repeat(case.repeat), 16_000).unwrap();
        let found = features(&case.settings.to_string(), &clip);
        let [rows, columns] = case.shape;
        assert_eq!(found.len(), rows * columns);
        let sum: f64 = found.iter().map(|&value| f64::from(value)).sum();
        assert!((sum - case.sum).abs() < 1e-4 * (rows * columns) as f64, "{} {sum} {}", case.file, case.sum);
        let [row_step, column_step] = case.steps;
        assert_eq!(case.values.len(), rows.div_ceil(row_step));
        for (row, values) in case.values.iter().enumerate() {
            assert_eq!(values.len(), columns.div_ceil(column_step));
            for (column, expected) in values.iter().enumerate() {
                let found = found[row * row_step * columns + column * column_step];
                let difference = (found - expected).abs();
                assert!(difference < 1e-4, "{} {row} {column}: {found} {expected}", case.file);
                most = most.max(difference);
            }
        }
    }
    println!("{kind}: within {most:.1e}");
}
