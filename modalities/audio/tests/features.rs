//! Front ends beside transformers', on real recordings. `features.py` made the numbers.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use serde::Deserialize;
use tk_audio::data::Clip;
use tk_audio::features::FilterBank;

#[derive(Deserialize)]
struct Expected {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    settings: serde_json::Value,
    file: String,
    shape: [usize; 2],
    sum: f64,
    values: Vec<Vec<f32>>,
}

#[test]
fn filter_banks_agree_with_transformers() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("../../../shared/data/fsdd/recordings");
    if !folder.is_dir() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    let text = std::fs::read_to_string(here.join("tests/features.json")).unwrap();
    let expected: Expected = serde_json::from_str(&text).unwrap();
    assert_eq!(expected.cases.len(), 9);
    for case in expected.cases {
        let bank = FilterBank::from_json(&case.settings.to_string()).unwrap();
        let clip = Clip::open(folder.join(&case.file)).unwrap();
        assert_eq!(clip.rate(), 8000);
        // As if it were at 16 kHz, as the program takes it.
        let clip = Clip::samples(clip.values(), 16_000).unwrap();
        let found = bank.extractor().features(&clip).unwrap();
        let [frames, bins] = case.shape;
        assert_eq!(found.len(), frames * bins);
        let sum: f64 = found.iter().map(|&value| f64::from(value)).sum();
        assert!((sum - case.sum).abs() < 1e-4 * (frames * bins) as f64, "{} {sum} {}", case.file, case.sum);
        for (row, values) in case.values.iter().enumerate() {
            for (column, expected) in values.iter().enumerate() {
                let found = found[row * 7 * bins + column * 9];
                assert!((found - expected).abs() < 1e-4, "{} {row} {column}: {found} {expected}", case.file);
            }
        }
    }
}
