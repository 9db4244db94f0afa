//! The preprocessing of every preset of the catalog beside timm's evaluation transform, on real photographs.
//!
//! `tests/parity/preprocess.py` wrote the expected numbers. JPEG decoders may differ by a level or two where colour is subsampled, so
//! pixels agree when they differ by less than one level of 255 on average.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tk_image::catalog;
use tk_image::data::{CropMode, Interpolation, Picture, Preprocess};

#[derive(Deserialize)]
struct Expected {
    photographs: Vec<Photograph>,
}

#[derive(Deserialize)]
struct Photograph {
    file: String,
    decoded: Pixels,
    presets: Vec<Preset>,
}

#[derive(Deserialize)]
struct Preset {
    size: u32,
    interpolation: Interpolation,
    crop: f64,
    mean: [f32; 3],
    std: [f32; 3],
    pixels: Pixels,
}

/// Channels first: the shape, moments of each channel, and values spread over the flat order.
#[derive(Deserialize)]
struct Pixels {
    shape: [usize; 3],
    mean: [f64; 3],
    std: [f64; 3],
    values: Vec<f64>,
}

impl Preset {
    fn preprocess(&self) -> Preprocess {
        Preprocess {
            input_size: [self.size; 2],
            interpolation: self.interpolation,
            crop_fraction: self.crop,
            crop_mode: CropMode::Center,
            mean: self.mean,
            std: self.std,
        }
    }
}

fn expected() -> Expected {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity/expected/preprocess.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn photographs() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.ancestors().map(|folder| folder.join("shared/data/ants-bees")).find(|path| path.exists())
}

/// The mean difference in levels of 255 between what was made, channels last, and what timm made.
fn difference(made: &[f64], expected: &Pixels, level: [f64; 3]) -> f64 {
    let [channels, height, width] = expected.shape;
    let (plane, count) = (height * width, expected.values.len());
    assert_eq!(made.len(), channels * plane);
    let spread = (0..count).map(|part| (2 * part + 1) * made.len() / (2 * count));
    let differences = spread.zip(&expected.values).map(|(position, value)| {
        let (channel, pixel) = (position / plane, position % plane);
        (made[pixel * channels + channel] - value).abs() / level[channel]
    });
    let mut total = differences.sum::<f64>() / count as f64;
    for (channel, level) in level.iter().enumerate() {
        let values = || made.iter().skip(channel).step_by(channels);
        let mean = values().sum::<f64>() / plane as f64;
        let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / plane as f64).sqrt();
        let moments = [mean - expected.mean[channel], deviation - expected.std[channel]];
        total = moments.iter().fold(total, |most, moment| most.max(moment.abs() / level));
    }
    total
}

#[test]
fn every_preset_of_the_catalog_has_expected_pixels() {
    for photograph in expected().photographs {
        for entry in catalog::entries() {
            let is_there = photograph.presets.iter().any(|preset| preset.preprocess() == entry.preprocess());
            assert!(is_there, "{} is not in preprocess.json: run tests/parity/preprocess.py", entry.name);
        }
    }
}

#[test]
fn pixels_are_timms() {
    let Some(folder) = photographs() else {
        eprintln!("skipped: no shared/data/ants-bees");
        return;
    };
    for photograph in expected().photographs {
        let picture = Picture::open(folder.join(&photograph.file)).unwrap();
        let decoded: Vec<f64> = picture.pixels().iter().map(|&level| f64::from(level)).collect();
        let off = difference(&decoded, &photograph.decoded, [1.0; 3]);
        assert!(off < 1.0, "{}: decoded pixels are off by {off:.2} levels", photograph.file);
        for preset in &photograph.presets {
            let made: Vec<f64> =
                preset.preprocess().apply(&picture).iter().map(|&value| f64::from(value)).collect();
            let level = preset.std.map(|std| 1.0 / (255.0 * f64::from(std)));
            let off = difference(&made, &preset.pixels, level);
            let what =
                format!("{} at {} {:?} {}", photograph.file, preset.size, preset.interpolation, preset.crop);
            assert!(off < 1.0, "{what}: off by {off:.2} levels");
        }
    }
}
