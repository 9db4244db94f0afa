//! From a picture to network input with chance: random resized crop, flip, TrivialAugment, colour changes, erasing.
//!
//! All chance comes from the stream that the caller names by seed, epoch and sample, so a view can be made again at any time on any
//! thread. Every view takes its values from the stream in the same order. Crop and erasing are drawn as torchvision draws them.

use serde::{Deserialize, Serialize};
use tk_engine::random::Stream;

use crate::data::jitter::{Jitter, to_grey};
use crate::data::picture::Picture;
use crate::data::resize::{Region, Size, resize_region};
use crate::data::transform::Preprocess;
use crate::data::trivial_augment::Operation;

/// Named strengths of augmentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The picture as it is when predicting.
    None,
    /// Mild crops and mirroring: for small data where colour and framing matter.
    Light,
    /// Crops, mirroring and some colour: the usual choice.
    #[default]
    Standard,
    /// Small crops, strong colour, some grey and erased pictures: for long training.
    Strong,
    /// Crops, mirroring, and one of TrivialAugment's operations of any strength (arXiv 2103.10158): much variety, nothing to tune.
    Trivial,
}

/// What may happen to a picture on its way to the network, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// A random part of the picture is resized to the input; otherwise the evaluation crop is taken.
    pub crop: Option<RandomCrop>,
    /// The probability of mirroring left and right.
    pub flip: f64,
    /// One operation of TrivialAugment.
    #[serde(default)]
    pub trivial: bool,
    /// Changes of colour.
    pub jitter: Option<Jitter>,
    /// The probability of dropping colour.
    pub grey: f64,
    /// A rectangle may be blotted out.
    pub erasing: Option<Erasing>,
}

/// A random part of a picture, as torchvision's `RandomResizedCrop` draws it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomCrop {
    /// Least and greatest share of the picture's area.
    pub scale: [f64; 2],
    /// Least and greatest width over height.
    pub ratio: [f64; 2],
}

/// A random rectangle set to the mean colour (Zhong et al., arXiv 1708.04896), as torchvision's `RandomErasing` draws it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erasing {
    /// The probability that it happens.
    pub probability: f64,
    /// Least and greatest share of the input's area.
    pub scale: [f64; 2],
    /// Least and greatest height over width.
    pub ratio: [f64; 2],
}

/// Draws that may fail to fit before a crop or rectangle is settled otherwise.
const TRIES: usize = 10;

impl From<Level> for Augment {
    fn from(level: Level) -> Self {
        let crop = |least: f64| Some(RandomCrop { scale: [least, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0] });
        let jitter = |strength: f32, hue: f32| {
            Some(Jitter { brightness: strength, contrast: strength, saturation: strength, hue })
        };
        let none = Self { crop: None, flip: 0.0, trivial: false, jitter: None, grey: 0.0, erasing: None };
        match level {
            Level::None => none,
            Level::Light => Self { crop: crop(0.6), flip: 0.5, ..none },
            Level::Standard => Self { crop: crop(0.35), flip: 0.5, jitter: jitter(0.2, 0.0), ..none },
            Level::Trivial => Self { crop: crop(0.35), flip: 0.5, trivial: true, ..none },
            Level::Strong => Self {
                crop: crop(0.2),
                flip: 0.5,
                jitter: jitter(0.4, 0.1),
                grey: 0.1,
                trivial: false,
                erasing: Some(Erasing { probability: 0.25, scale: [0.02, 0.33], ratio: [0.3, 3.3] }),
            },
        }
    }
}

impl Augment {
    /// One random view of a picture: `[height, width, 3]`, f32, normalised. `Level::None` gives [`Preprocess::apply`].
    ///
    /// # Panics
    /// Where [`Preprocess::check`] fails.
    pub fn apply(&self, picture: &Picture, preprocess: &Preprocess, stream: &mut Stream) -> Vec<f32> {
        let [height, width] = preprocess.input_size;
        let mut bytes = match &self.crop {
            None => preprocess.crop(picture),
            Some(crop) => {
                let region = crop.region(picture.width(), picture.height(), stream);
                resize_region(picture, region, Size { width, height }, preprocess.interpolation)
            }
        };
        let is_mirrored = stream.unit() < self.flip;
        let is_grey = stream.unit() < self.grey;
        if is_mirrored {
            mirror(&mut bytes, width as usize);
        }
        if self.trivial {
            Operation::draw(stream).apply(&mut bytes, width as usize);
        }
        let mut input = if self.jitter.is_some() || is_grey {
            let mut pixels: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
            if let Some(jitter) = &self.jitter {
                jitter.apply(&mut pixels, stream);
            }
            if is_grey {
                to_grey(&mut pixels);
            }
            for pixel in pixels.chunks_exact_mut(3) {
                for (value, (mean, std)) in pixel.iter_mut().zip(preprocess.mean.iter().zip(&preprocess.std))
                {
                    *value = (*value - mean) / std;
                }
            }
            pixels
        } else {
            preprocess.normalise(&bytes)
        };
        if let Some(erasing) = &self.erasing {
            erasing.apply(&mut input, width, height, stream);
        }
        input
    }
}

impl RandomCrop {
    /// A random part of a picture of these sides.
    pub fn region(&self, width: u32, height: u32, stream: &mut Stream) -> Region {
        let area = f64::from(width) * f64::from(height);
        for _ in 0..TRIES {
            let (across, down) = draw_sides(area, self.scale, self.ratio, stream);
            if (1.0..=f64::from(width)).contains(&across) && (1.0..=f64::from(height)).contains(&down) {
                return place(width, height, across as u32, down as u32, stream);
            }
        }
        // The middle, as much of it as the ratios allow.
        let [least, greatest] = self.ratio;
        let ratio = f64::from(width) / f64::from(height);
        let (across, down) = if ratio < least {
            (width, (f64::from(width) / least).round_ties_even() as u32)
        } else if ratio > greatest {
            ((f64::from(height) * greatest).round_ties_even() as u32, height)
        } else {
            (width, height)
        };
        let (across, down) = (across.clamp(1, width), down.clamp(1, height));
        Region { left: (width - across) / 2, top: (height - down) / 2, width: across, height: down }
    }
}

impl Erasing {
    /// Sets a random rectangle of normalised pixels (`[height, width, 3]`) to zero, which is the mean colour, or nothing at all.
    fn apply(&self, input: &mut [f32], width: u32, height: u32, stream: &mut Stream) {
        if stream.unit() >= self.probability {
            return;
        }
        for _ in 0..TRIES {
            // torchvision's ratio is height over width here, width over height in the crop.
            let (down, across) =
                draw_sides(f64::from(width) * f64::from(height), self.scale, self.ratio, stream);
            if (1.0..f64::from(width)).contains(&across) && (1.0..f64::from(height)).contains(&down) {
                let hole = place(width, height, across as u32, down as u32, stream);
                let (begin, count) = (hole.left as usize * 3, hole.width as usize * 3);
                let rows = input.chunks_exact_mut(width as usize * 3);
                for row in rows.skip(hole.top as usize).take(hole.height as usize) {
                    row[begin..begin + count].fill(0.0);
                }
                return;
            }
        }
    }
}

/// Sides of a rectangle, in whole pixels, whose share of the area is uniform and whose ratio (first over second) is log-uniform.
fn draw_sides(area: f64, scale: [f64; 2], ratio: [f64; 2], stream: &mut Stream) -> (f64, f64) {
    let target = area * stream.range(scale[0], scale[1]);
    let ratio = stream.range(ratio[0].ln(), ratio[1].ln()).exp();
    ((target * ratio).sqrt().round_ties_even(), (target / ratio).sqrt().round_ties_even())
}

/// A rectangle anywhere within `width` × `height`, which it fits into.
fn place(width: u32, height: u32, across: u32, down: u32, stream: &mut Stream) -> Region {
    let top = stream.below((height - down) as usize + 1) as u32;
    let left = stream.below((width - across) as usize + 1) as u32;
    Region { left, top, width: across, height: down }
}

/// Mirrors `[height, width, 3]` left and right.
fn mirror<T>(pixels: &mut [T], width: usize) {
    for row in pixels.chunks_exact_mut(width * 3) {
        let (left, right) = row.split_at_mut(width / 2 * 3);
        for (a, b) in left.chunks_exact_mut(3).zip(right.rchunks_exact_mut(3)) {
            a.swap_with_slice(b);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn picture() -> Picture {
        let pixels: Vec<u8> =
            (0..40 * 30).flat_map(|index| [index % 40 * 6, index / 40 * 8, 128]).map(|v| v as u8).collect();
        Picture::rgb8(40, 30, &pixels).unwrap()
    }

    fn stream(seed: u64) -> Stream {
        Stream::new(seed, &["view".into()])
    }

    #[test]
    fn no_augmentation_is_the_evaluation_transform() {
        let preprocess = Preprocess::imagenet(16);
        let view = Augment::from(Level::None).apply(&picture(), &preprocess, &mut stream(1));
        assert_eq!(view, preprocess.apply(&picture()));
    }

    #[test]
    fn a_view_is_a_function_of_its_stream() {
        let preprocess = Preprocess::imagenet(16);
        for level in [Level::Light, Level::Standard, Level::Strong, Level::Trivial] {
            let view = |seed| Augment::from(level).apply(&picture(), &preprocess, &mut stream(seed));
            assert_eq!(view(1), view(1), "{level:?}");
            assert_ne!(view(1), view(2), "{level:?}");
            assert_eq!(view(1).len(), 16 * 16 * 3);
            assert!(view(3).iter().all(|value| value.is_finite() && value.abs() < 3.0));
        }
    }

    #[test]
    fn crops_keep_to_their_scale_and_ratio_and_cover_the_picture() {
        let crop = RandomCrop { scale: [0.3, 0.8], ratio: [0.75, 4.0 / 3.0] };
        let mut stream = stream(4);
        let (mut lefts, mut count) = (0.0, 0.0);
        for _ in 0..500 {
            let region = crop.region(200, 160, &mut stream);
            assert!(region.left + region.width <= 200 && region.top + region.height <= 160);
            let share = f64::from(region.width * region.height) / 32_000.0;
            let ratio = f64::from(region.width) / f64::from(region.height);
            assert!((0.29..0.81).contains(&share) && (0.74..1.35).contains(&ratio), "{region:?}");
            if region.width < 200 {
                lefts += f64::from(region.left) / f64::from(200 - region.width);
                count += 1.0;
            }
        }
        // The mean of uniform positions; five standard errors.
        assert!((lefts / count - 0.5f64).abs() < 5.0 * (1.0 / 12.0 / count).sqrt());
    }

    #[test]
    fn pictures_that_no_crop_fits_give_their_middle() {
        let crop = RandomCrop { scale: [0.9, 1.0], ratio: [0.75, 4.0 / 3.0] };
        for (width, height, expected) in [
            (1000, 10, Region { left: 493, top: 0, width: 13, height: 10 }),
            (12, 1200, Region { left: 0, top: 592, width: 12, height: 16 }),
            (1, 1, Region { left: 0, top: 0, width: 1, height: 1 }),
        ] {
            assert_eq!(crop.region(width, height, &mut stream(5)), expected);
        }
    }

    #[test]
    fn mirroring_swaps_columns() {
        let mut pixels = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        mirror(&mut pixels, 3);
        assert_eq!(pixels, [7.0, 8.0, 9.0, 4.0, 5.0, 6.0, 1.0, 2.0, 3.0]);
        let flip = Augment { flip: 1.0, ..Level::None.into() };
        let preprocess = Preprocess::imagenet(8);
        let mut plain = preprocess.apply(&picture());
        mirror(&mut plain, 8);
        assert_eq!(flip.apply(&picture(), &preprocess, &mut stream(6)), plain);
    }

    #[test]
    fn erasing_blots_out_a_rectangle_of_the_wanted_size() {
        let erasing = Erasing { probability: 1.0, scale: [0.1, 0.2], ratio: [0.5, 2.0] };
        for seed in 0..20 {
            let mut input = vec![1.0; 32 * 24 * 3];
            erasing.apply(&mut input, 32, 24, &mut stream(seed));
            let share = input.iter().filter(|&&value| value == 0.0).count() as f64 / input.len() as f64;
            assert!((0.08..0.22).contains(&share), "{share}");
        }
        let never = Erasing { probability: 0.0, ..erasing };
        let mut input = vec![1.0; 12];
        never.apply(&mut input, 2, 2, &mut stream(1));
        assert_eq!(input, vec![1.0; 12]);
    }

    #[test]
    fn grey_views_have_equal_channels_before_normalisation() {
        let augment = Augment { grey: 1.0, ..Level::Light.into() };
        let preprocess = Preprocess { mean: [0.0; 3], std: [1.0; 3], ..Preprocess::imagenet(8) };
        let view = augment.apply(&picture(), &preprocess, &mut stream(1));
        assert!(view.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
    }
}
