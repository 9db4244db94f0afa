//! From a picture to network input without chance: resize, crop, normalise. Stored in the bundle as data and executed by this code when
//! training, predicting and serving.
//!
//! The steps and their roundings are those of timm's evaluation transform over torchvision, so that published weights see
//! the pixels they were scored on.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::data::picture::Picture;
use crate::data::resize::{Interpolation, Region, Size, resize_window};

/// How a picture is brought to a network's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Height and width of the input in pixels.
    pub input_size: [u32; 2],
    /// How pixels between pixels are estimated.
    pub interpolation: Interpolation,
    /// The share of the resized picture's (shorter) side that the crop keeps, in (0, 1].
    pub crop_fraction: f64,
    /// What is resized to what before the crop.
    pub crop_mode: CropMode,
    /// Subtracted from red, green and blue, which lie in 0–1.
    pub mean: [f32; 3],
    /// Divides red, green and blue after the subtraction.
    pub std: [f32; 3],
}

/// What is resized to what before the centre is cut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CropMode {
    /// The shorter side to the input's side over the crop fraction; proportions are kept, ends of the longer side are lost.
    Center,
    /// Each side to the input's side over the crop fraction; proportions are lost.
    Squash,
}

/// A preprocessing description that cannot be followed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PreprocessError {
    /// A field that must be there is not.
    #[error("preprocessing: `{field}` is missing; expected {expected}")]
    Missing {
        /// The field's name.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// A field's value is of the wrong kind or out of range.
    #[error("preprocessing: `{field}` is {found}; expected {expected}")]
    Invalid {
        /// The field's name.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
}

/// The means and deviations of ImageNet's training pixels, which most published weights expect.
const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

const INPUT_SIZE: &str = "[3, height, width], each side 1–16384";
const INTERPOLATION: &str = "\"bilinear\" or \"bicubic\"";
const CROP_FRACTION: &str = "a number above 0, at most 1";
const CROP_MODE: &str = "\"center\" or \"squash\"";
const MEAN: &str = "three finite numbers";
const STD: &str = "three finite numbers above 0";

impl Preprocess {
    /// The commonest preprocessing at a square size: bilinear, 87.5 % centre crop, ImageNet's means and deviations.
    pub fn imagenet(side: u32) -> Self {
        Self {
            input_size: [side, side],
            interpolation: Interpolation::Bilinear,
            crop_fraction: 0.875,
            crop_mode: CropMode::Center,
            mean: IMAGENET_MEAN,
            std: IMAGENET_STD,
        }
    }

    /// The preprocessing that the `pretrained_cfg` of a timm `config.json` describes. `input_size` must be there; the others, when
    /// absent, are timm's defaults: bicubic, 0.875, centre, ImageNet's means and deviations.
    ///
    /// # Errors
    /// A field is missing, of the wrong kind, out of range, or asks for what is not supported (`crop_mode: "border"`).
    pub fn from_timm(config: &Map<String, Value>) -> Result<Self, PreprocessError> {
        let input_size = match config.get("input_size") {
            None => {
                return Err(PreprocessError::Missing { field: "input_size", expected: INPUT_SIZE });
            }
            Some(value) => match serde_json::from_value::<[u32; 3]>(value.clone()) {
                Ok([3, height, width]) => [height, width],
                _ => return Err(invalid("input_size", INPUT_SIZE, value)),
            },
        };
        let preprocess = Self {
            input_size,
            interpolation: field(config, "interpolation", INTERPOLATION, Interpolation::Bicubic)?,
            crop_fraction: field(config, "crop_pct", CROP_FRACTION, 0.875)?,
            crop_mode: field(config, "crop_mode", CROP_MODE, CropMode::Center)?,
            mean: field(config, "mean", MEAN, IMAGENET_MEAN)?,
            std: field(config, "std", STD, IMAGENET_STD)?,
        };
        preprocess.check()?;
        Ok(preprocess)
    }

    /// The same as fields of a timm `pretrained_cfg`.
    pub fn to_timm(&self) -> Map<String, Value> {
        let [height, width] = self.input_size;
        let mut config = Map::new();
        config.insert("input_size".to_owned(), json!([3, height, width]));
        config.insert("interpolation".to_owned(), json!(self.interpolation));
        config.insert("crop_pct".to_owned(), json!(self.crop_fraction));
        config.insert("crop_mode".to_owned(), json!(self.crop_mode));
        config.insert("mean".to_owned(), json!(self.mean.map(shortest)));
        config.insert("std".to_owned(), json!(self.std.map(shortest)));
        config
    }

    /// Checks the ranges of a description that came from outside, such as a bundle.
    ///
    /// # Errors
    /// A side is zero or above 16384, the crop fraction is not in (0, 1], a mean is not finite, or a deviation is not
    /// finite and positive.
    pub fn check(&self) -> Result<(), PreprocessError> {
        let [height, width] = self.input_size;
        let sides = 1..=16_384;
        if !sides.contains(&height) || !sides.contains(&width) {
            return Err(invalid("input_size", INPUT_SIZE, &json!([3, height, width])));
        }
        // A fraction so small that the picture before the crop would not fit in memory is no better than zero.
        if !(self.crop_fraction > 0.01 && self.crop_fraction <= 1.0) {
            return Err(invalid("crop_pct", CROP_FRACTION, &json!(self.crop_fraction)));
        }
        if !self.mean.iter().all(|mean| mean.is_finite()) {
            return Err(invalid("mean", MEAN, &json!(self.mean)));
        }
        if !self.std.iter().all(|std| std.is_finite() && *std > 0.0) {
            return Err(invalid("std", STD, &json!(self.std)));
        }
        Ok(())
    }

    /// What distinguishes this preprocessing from every other, for cache keys. Changes when the arithmetic changes.
    pub fn fingerprint(&self) -> String {
        const ARITHMETIC_VERSION: u32 = 1;
        let [height, width] = self.input_size;
        let bits = |values: [f32; 3]| values.map(|value| format!("{:08x}", value.to_bits())).join(",");
        format!(
            "preprocess{ARITHMETIC_VERSION}:{height}x{width}:{:?}:{:?}:{:016x}:{}:{}",
            self.interpolation,
            self.crop_mode,
            self.crop_fraction.to_bits(),
            bits(self.mean),
            bits(self.std),
        )
    }

    /// The network input of a picture: `[height, width, 3]`, f32, normalised.
    ///
    /// # Panics
    /// Where [`Preprocess::check`] fails.
    pub fn apply(&self, picture: &Picture) -> Vec<f32> {
        self.normalise(&self.crop(picture))
    }

    /// The pixels that the network sees, before they are normalised: `[height, width, 3]`, u8.
    ///
    /// # Panics
    /// Where [`Preprocess::check`] fails.
    pub fn crop(&self, picture: &Picture) -> Vec<u8> {
        let [height, width] = self.input_size;
        let size = self.resized(picture);
        let window =
            Region { left: center(size.width, width), top: center(size.height, height), width, height };
        resize_window(picture, size, window, self.interpolation)
    }

    /// Bytes to normalised numbers: `(byte/255 − mean)/std` for each channel. Takes and gives `[…, 3]`.
    pub fn normalise(&self, bytes: &[u8]) -> Vec<f32> {
        let tables: [[f32; 256]; 3] = std::array::from_fn(|channel| {
            std::array::from_fn(|byte| (byte as f32 / 255.0 - self.mean[channel]) / self.std[channel])
        });
        let mut normalised = vec![0.0; bytes.len()];
        for (out, pixel) in normalised.chunks_exact_mut(3).zip(bytes.chunks_exact(3)) {
            for channel in 0..3 {
                out[channel] = tables[channel][usize::from(pixel[channel])];
            }
        }
        normalised
    }

    /// The size that the whole picture would have before the crop.
    fn resized(&self, picture: &Picture) -> Size {
        let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
        let [target_height, target_width] =
            self.input_size.map(|side| (f64::from(side) / self.crop_fraction).floor().max(1.0));
        let (width, height) = match self.crop_mode {
            CropMode::Squash => (target_width, target_height),
            // torchvision's `Resize` of the shorter side: the longer one is cut to an integer.
            CropMode::Center if self.input_size[0] == self.input_size[1] => {
                let long = |long: f64, short: f64| (target_width * long / short).floor();
                if width <= height {
                    (target_width, long(height, width))
                } else {
                    (long(width, height), target_width)
                }
            }
            // timm's `ResizeKeepRatio` with `longest=0`: both sides rounded.
            CropMode::Center => {
                let ratio = (height / target_height).min(width / target_width);
                ((width / ratio).round_ties_even(), (height / ratio).round_ties_even())
            }
        };
        // The cast saturates: a picture of one by many millions of pixels is cut, not wrapped.
        Size { width: width as u32, height: height as u32 }
    }
}

/// Where torchvision's `CenterCrop` begins on one axis. A crop fraction of at most 1 leaves at least `crop` pixels.
fn center(length: u32, crop: u32) -> u32 {
    (f64::from(length.saturating_sub(crop)) / 2.0).round_ties_even() as u32
}

/// A field of a configuration, or its default where it is absent or null.
fn field<T: for<'a> Deserialize<'a>>(
    config: &Map<String, Value>,
    name: &'static str,
    expected: &'static str,
    default: T,
) -> Result<T, PreprocessError> {
    match config.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => T::deserialize(value).map_err(|_| invalid(name, expected, value)),
    }
}

fn invalid(field: &'static str, expected: &'static str, found: &Value) -> PreprocessError {
    PreprocessError::Invalid { field, expected, found: found.to_string() }
}

/// The f64 that prints as the f32 does: 0.485, not 0.48500001430511475.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn config(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn sizes_and_corners_round_as_in_torchvision_and_timm() {
        // Expected: torchvision 0.29 `Resize` + `CenterCrop` and timm 1.0.31 `ResizeKeepRatio`, as timm combines them.
        type Case = (u32, u32, [u32; 2], f64, CropMode, (u32, u32));
        let cases: [Case; 7] = [
            (500, 375, [224, 224], 0.875, CropMode::Center, (341, 256)),
            (375, 500, [224, 224], 0.875, CropMode::Center, (256, 341)),
            (333, 333, [96, 96], 0.95, CropMode::Center, (101, 101)),
            (500, 375, [224, 224], 0.875, CropMode::Squash, (256, 256)),
            (500, 375, [128, 256], 1.0, CropMode::Center, (256, 192)),
            (300, 500, [128, 256], 0.9, CropMode::Center, (284, 473)),
            (1, 3000, [64, 64], 1.0, CropMode::Center, (64, 192_000)),
        ];
        for (width, height, input_size, crop_fraction, crop_mode, expected) in cases {
            let preprocess = Preprocess { input_size, crop_fraction, crop_mode, ..Preprocess::imagenet(1) };
            let picture = Picture::rgb8(width, height, &vec![7; (width * height * 3) as usize]).unwrap();
            let size = preprocess.resized(&picture);
            assert_eq!((size.width, size.height), expected, "{width}×{height} {input_size:?}");
            let input = preprocess.crop(&picture);
            assert_eq!(input, vec![7; (input_size[0] * input_size[1] * 3) as usize]);
        }
        for (length, crop, expected) in [(257, 224, 16), (259, 224, 18), (8, 8, 0)] {
            assert_eq!(center(length, crop), expected, "{crop} of {length}");
        }
    }

    #[test]
    fn normalising_is_per_channel() {
        let preprocess =
            Preprocess { mean: [0.5, 0.0, 1.0], std: [0.5, 1.0, 0.25], ..Preprocess::imagenet(1) };
        let picture = Picture::rgb8(1, 1, &[255, 51, 0]).unwrap();
        assert_eq!(preprocess.apply(&picture), [1.0, 0.2, -4.0]);
    }

    #[test]
    fn timm_fields_go_in_and_out() {
        let text = r#"{"input_size":[3,160,128],"interpolation":"bicubic","crop_pct":0.9,"crop_mode":"squash",
                       "mean":[0.5,0.25,0.125],"std":[0.229,0.224,0.225],"num_classes":1000}"#;
        let preprocess = Preprocess::from_timm(&config(text)).unwrap();
        assert_eq!(preprocess.input_size, [160, 128]);
        assert_eq!(Preprocess::from_timm(&preprocess.to_timm()).unwrap(), preprocess);
        assert_eq!(preprocess.to_timm()["std"].to_string(), "[0.229,0.224,0.225]");
        let defaults = Preprocess::from_timm(&config(r#"{"input_size":[3,224,224]}"#)).unwrap();
        let bicubic = Preprocess { interpolation: Interpolation::Bicubic, ..Preprocess::imagenet(224) };
        assert_eq!(defaults, bicubic);
        let stored = serde_json::to_string(&preprocess).unwrap();
        assert_eq!(serde_json::from_str::<Preprocess>(&stored).unwrap(), preprocess);
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        for (text, message) in [
            ("{}", "preprocessing: `input_size` is missing; expected [3, height, width], each side 1–16384"),
            (r#"{"input_size":[1,28,28]}"#, "`input_size` is [1,28,28]"),
            (r#"{"input_size":[3,0,28]}"#, "`input_size` is [3,0,28]"),
            (r#"{"input_size":[3,8,8],"interpolation":"lanczos"}"#, "expected \"bilinear\" or \"bicubic\""),
            (r#"{"input_size":[3,8,8],"crop_mode":"border"}"#, "`crop_mode` is \"border\""),
            (r#"{"input_size":[3,8,8],"crop_pct":0}"#, "`crop_pct` is 0"),
            (r#"{"input_size":[3,8,8],"crop_pct":1.5}"#, "`crop_pct` is 1.5"),
            (r#"{"input_size":[3,8,8],"std":[1,0,1]}"#, "`std` is [1.0,0.0,1.0]"),
            (r#"{"input_size":[3,8,8],"mean":[1,0]}"#, "`mean` is [1,0]"),
        ] {
            let error = Preprocess::from_timm(&config(text)).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn fingerprints_differ_when_anything_differs() {
        let base = Preprocess::imagenet(96);
        let others = [
            Preprocess { input_size: [96, 97], ..base.clone() },
            Preprocess { interpolation: Interpolation::Bicubic, ..base.clone() },
            Preprocess { crop_fraction: 0.9, ..base.clone() },
            Preprocess { crop_mode: CropMode::Squash, ..base.clone() },
            Preprocess { mean: [0.485, 0.456, 0.407], ..base.clone() },
            Preprocess { std: [0.5; 3], ..base.clone() },
        ];
        for other in &others {
            assert_ne!(other.fingerprint(), base.fingerprint());
        }
        assert_eq!(base.clone().fingerprint(), base.fingerprint());
    }
}
