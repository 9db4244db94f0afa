//! Chance on the way into a frame: zoom, mirroring, four pictures in one, colours.

use serde::{Deserialize, Serialize};
use tk_engine::random::Stream;

use super::{Arrangement, Frame, Tile};
use crate::data::{Jitter, Level, Region};

/// What may happen to a picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variation {
    /// It is enlarged by a factor between these, or made smaller where that is below 1.
    pub zoom: Option<[f64; 2]>,
    /// The probability of mirroring left and right.
    pub flip: f64,
    /// The probability that it shares the frame with three others (Bochkovskiy et al. 2020, arXiv 2004.10934).
    pub mosaic: f64,
    /// Changes of colour.
    pub jitter: Option<Jitter>,
}

/// Pictures in a mosaic.
const FOUR: usize = 4;

/// Where a mosaic's pictures meet, as a share of the frame's sides.
const MEETING: [f64; 2] = [0.3, 0.7];

/// How much of the largest part that fits is shown of a mosaic's picture, by its sides.
const SHOWN: [f64; 2] = [0.6, 1.0];

impl From<Level> for Variation {
    fn from(level: Level) -> Self {
        let jitter = |strength: f32, hue: f32| {
            Some(Jitter { brightness: strength, contrast: strength, saturation: strength, hue })
        };
        match level {
            Level::None => Self { zoom: None, flip: 0.0, mosaic: 0.0, jitter: None },
            Level::Light => Self { zoom: None, flip: 0.5, mosaic: 0.0, jitter: None },
            Level::Standard => {
                Self { zoom: Some([0.75, 1.6]), flip: 0.5, mosaic: 0.0, jitter: jitter(0.2, 0.0) }
            }
            Level::Strong | Level::Trivial => {
                Self { zoom: Some([0.5, 2.0]), flip: 0.5, mosaic: 0.5, jitter: jitter(0.4, 0.05) }
            }
        }
    }
}

impl Variation {
    /// How many pictures besides its own a view shows: drawn first, so that the others can be chosen.
    pub fn others(&self, stream: &mut Stream) -> usize {
        if stream.unit() < self.mosaic { FOUR - 1 } else { 0 }
    }

    /// A random arrangement of pictures, given by width and height, in a frame.
    pub fn arrange(&self, pictures: &[[u32; 2]], frame: &Frame, stream: &mut Stream) -> Arrangement {
        let [height, width] = frame.size.map(|side| side as u32);
        let is_mirrored = stream.unit() < self.flip;
        let tiles = match pictures {
            [] => Vec::new(),
            [own] => vec![self.zoomed(*own, [width, height], stream)],
            several => mosaic(several, [width, height], stream),
        };
        Arrangement { tiles, is_mirrored, width }
    }

    /// A picture that is enlarged, so that a part of it fills the frame, or made smaller, so that it fills a part of the frame.
    fn zoomed(&self, picture: [u32; 2], frame: [u32; 2], stream: &mut Stream) -> Tile {
        let factor = self.zoom.map_or(1.0, |[least, most]| stream.range(least.ln(), most.ln()).exp());
        let part = |[width, height]: [u32; 2], share: f64, stream: &mut Stream| {
            let side = |side: u32| ((f64::from(side) * share).round() as u32).clamp(1, side);
            let (across, down) = (side(width), side(height));
            let left = stream.below((width - across) as usize + 1) as u32;
            let top = stream.below((height - down) as usize + 1) as u32;
            Region { left, top, width: across, height: down }
        };
        let source = part(picture, (1.0 / factor).min(1.0), stream);
        let target = part(frame, factor.min(1.0), stream);
        Tile { picture: 0, source, target }
    }
}

/// Four pictures around a random point of the frame; of each a part that has the sides' ratio of its place.
fn mosaic(pictures: &[[u32; 2]], [width, height]: [u32; 2], stream: &mut Stream) -> Vec<Tile> {
    let mut meet = |side: u32| {
        let at = (f64::from(side) * stream.range(MEETING[0], MEETING[1])).round() as u32;
        at.clamp(1, side.saturating_sub(1).max(1))
    };
    let [x, y] = [meet(width), meet(height)];
    let region =
        |left, top, right: u32, bottom: u32| Region { left, top, width: right - left, height: bottom - top };
    let mut places = vec![
        region(0, 0, x, y),
        region(x, 0, width, y),
        region(0, y, x, height),
        region(x, y, width, height),
    ];
    stream.shuffle(&mut places);
    let mut tiles = Vec::with_capacity(FOUR);
    for (picture, (&[across, down], target)) in pictures.iter().zip(places).enumerate() {
        if target.width == 0 || target.height == 0 {
            continue;
        }
        let fit =
            (f64::from(across) / f64::from(target.width)).min(f64::from(down) / f64::from(target.height));
        let scale = fit * stream.range(SHOWN[0], SHOWN[1]);
        let side = |target: u32, most: u32| ((f64::from(target) * scale).round() as u32).clamp(1, most);
        let (source_width, source_height) = (side(target.width, across), side(target.height, down));
        let left = stream.below((across - source_width) as usize + 1) as u32;
        let top = stream.below((down - source_height) as usize + 1) as u32;
        let source = Region { left, top, width: source_width, height: source_height };
        tiles.push(Tile { picture, source, target });
    }
    tiles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(region: Region, width: u32, height: u32) -> bool {
        region.width > 0
            && region.height > 0
            && region.left + region.width <= width
            && region.top + region.height <= height
    }

    #[test]
    fn parts_stay_within_pictures_and_frame() {
        let frame = Frame { size: [120, 200], padded: [128, 224] };
        let pictures = [[640, 427], [50, 300], [33, 33], [1000, 700]];
        let variation = Variation::from(Level::Strong);
        let mut seen = [0, 0];
        for seed in 0..300 {
            let mut stream = Stream::new(seed, &["view".into()]);
            let others = variation.others(&mut stream);
            let arrangement = variation.arrange(&pictures[..=others], &frame, &mut stream);
            seen[usize::from(others > 0)] += 1;
            for tile in &arrangement.tiles {
                let [width, height] = pictures[tile.picture];
                assert!(within(tile.source, width, height) && within(tile.target, 200, 120), "{tile:?}");
            }
            let covered: u32 =
                arrangement.tiles.iter().map(|tile| tile.target.width * tile.target.height).sum();
            assert!(others == 0 || covered == 200 * 120, "a mosaic fills the frame");
        }
        assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
    }

    #[test]
    fn without_variation_the_whole_picture_is_seen() {
        let frame = Frame { size: [120, 200], padded: [128, 224] };
        let variation = Variation::from(Level::None);
        let mut stream = Stream::new(1, &[]);
        assert_eq!(variation.others(&mut stream), 0);
        let arrangement = variation.arrange(&[[640, 427]], &frame, &mut stream);
        assert_eq!(arrangement, Arrangement::whole([640, 427], [200, 120]));
    }
}
