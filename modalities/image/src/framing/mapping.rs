//! Which parts of which pictures lie where in a frame, and where that brings what is marked in them.

use crate::data::Region;
use crate::detection::Corners;

/// A part of a picture, and where in the frame it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Which of the pictures.
    pub picture: usize,
    /// What is shown of it.
    pub source: Region,
    /// Where.
    pub target: Region,
}

/// All that is shown in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrangement {
    /// The parts; they do not overlap.
    pub tiles: Vec<Tile>,
    /// Whether all of it is mirrored left and right afterwards.
    pub is_mirrored: bool,
    /// The width of the frame in pixels.
    pub width: u32,
}

/// An object of which less is seen is no longer one.
const LEAST_SEEN: f32 = 0.35;

/// A box with a shorter side, in pixels of the frame, is no longer one.
const LEAST_SIDE: f32 = 2.0;

impl Arrangement {
    /// A whole picture of this width and height, brought to a frame of another.
    pub fn whole([width, height]: [u32; 2], [frame_width, frame_height]: [u32; 2]) -> Self {
        let region = |width, height| Region { left: 0, top: 0, width, height };
        let tile =
            Tile { picture: 0, source: region(width, height), target: region(frame_width, frame_height) };
        Self { tiles: vec![tile], is_mirrored: false, width: frame_width }
    }

    /// Where a box of a picture is seen through a tile; `None` where too little of it is. All of a picture loses no box.
    pub fn corners(&self, tile: &Tile, corners: Corners) -> Option<Corners> {
        let [source, target] = [tile.source, tile.target]
            .map(|region| [region.left as f32, region.top as f32, region.width as f32, region.height as f32]);
        let mapped =
            |axis: usize, at: f32| (at - source[axis]) * (target[2 + axis] / source[2 + axis]) + target[axis];
        let [left, top, right, bottom] = corners.0;
        let full = Corners([mapped(0, left), mapped(1, top), mapped(0, right), mapped(1, bottom)]);
        let within = |axis: usize, at: f32| at.clamp(target[axis], target[axis] + target[2 + axis]);
        let [left, top, right, bottom] = full.0;
        let mut seen = Corners([within(0, left), within(1, top), within(0, right), within(1, bottom)]);
        let is_whole = self.tiles.len() == 1 && seen == full;
        let is_enough = seen.area() >= LEAST_SEEN * full.area()
            && seen.0[2] - seen.0[0] >= LEAST_SIDE
            && seen.0[3] - seen.0[1] >= LEAST_SIDE;
        if !(is_whole || is_enough) || seen.area() <= 0.0 {
            return None;
        }
        if self.is_mirrored {
            let [left, top, right, bottom] = seen.0;
            seen = Corners([self.width as f32 - right, top, self.width as f32 - left, bottom]);
        }
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(left: u32, top: u32, width: u32, height: u32) -> Region {
        Region { left, top, width, height }
    }

    #[test]
    fn boxes_follow_their_part() {
        let tile = Tile { picture: 0, source: region(10, 20, 50, 40), target: region(100, 0, 100, 80) };
        let mut arrangement = Arrangement { tiles: vec![tile], is_mirrored: false, width: 200 };
        let through = |arrangement: &Arrangement, corners| {
            arrangement.corners(&tile, Corners(corners)).map(|found| found.0)
        };
        assert_eq!(through(&arrangement, [20.0, 30.0, 40.0, 50.0]), Some([120.0, 20.0, 160.0, 60.0]));
        // Half of it is seen, then a fifth.
        assert_eq!(through(&arrangement, [0.0, 30.0, 20.0, 50.0]), Some([100.0, 20.0, 120.0, 60.0]));
        assert_eq!(through(&arrangement, [0.0, 30.0, 12.5, 50.0]), None);
        assert_eq!(through(&arrangement, [0.0, 0.0, 5.0, 5.0]), None);
        arrangement.is_mirrored = true;
        assert_eq!(through(&arrangement, [20.0, 30.0, 40.0, 50.0]), Some([40.0, 20.0, 80.0, 60.0]));
    }

    #[test]
    fn a_whole_picture_keeps_small_boxes() {
        let arrangement = Arrangement::whole([400, 400], [40, 40]);
        let found = arrangement.corners(&arrangement.tiles[0], Corners([10.0, 10.0, 15.0, 15.0]));
        assert_eq!(found, Some(Corners([1.0, 1.0, 1.5, 1.5])));
    }
}
