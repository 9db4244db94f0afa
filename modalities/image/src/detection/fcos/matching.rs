//! Which place answers for which object.

use crate::detection::{Corners, Truth};

/// Sides of what a place of each level answers for, in pixels: the strides that the levels should have.
const SIZES: [f32; 5] = [8.0, 16.0, 32.0, 64.0, 128.0];

/// A place may lie so many sizes from the middle of its object (centre sampling).
const RADIUS: f32 = 1.5;

/// The farthest side of an object lies between so many sizes from a place that answers for it; the finest level takes smaller objects too,
/// the coarsest larger ones.
const REACH: [f32; 2] = [4.0, 8.0];

/// More than the area of any box.
const HUGE: f32 = 1e8;

/// A level of the pyramid over a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Places down and across.
    pub grid: [usize; 2],
    /// Pixels from a place to the next, down and across.
    pub stride: [usize; 2],
    /// Distances are told in this many pixels.
    pub size: f32,
}

impl Level {
    /// The levels whose grids are given, fine to coarse, over a picture of this height and width. Where a picture is no multiple of a stride,
    /// strides are rounded down, as torchvision's anchors have them.
    pub fn all(grids: &[[usize; 2]], [height, width]: [usize; 2]) -> Vec<Self> {
        let of = |(&grid, size): (&[usize; 2], f32)| Self {
            grid,
            stride: [height / grid[0].max(1), width / grid[1].max(1)],
            size,
        };
        grids.iter().zip(SIZES).map(of).collect()
    }

    /// How many places there are.
    pub fn places(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// Where a place lies: pixels across and down.
    pub fn centre(&self, place: usize) -> [f32; 2] {
        let [row, column] = [place / self.grid[1], place % self.grid[1]];
        [(column * self.stride[1]) as f32, (row * self.stride[0]) as f32]
    }

    /// The box whose sides lie as far from a place as is told: left, top, right, bottom, in sizes.
    pub fn corners(&self, place: usize, [left, top, right, bottom]: [f32; 4]) -> Corners {
        let [x, y] = self.centre(place);
        let of = |distance: f32| distance * self.size;
        Corners([x - of(left), y - of(top), x + of(right), y + of(bottom)])
    }
}

/// For every place, level after level, the object that it answers for: the smallest of those in whose middle it lies and whose reach its
/// level is made for.
pub fn assign(levels: &[Level], objects: &[Truth]) -> Vec<Option<usize>> {
    let mut found = Vec::with_capacity(levels.iter().map(Level::places).sum());
    for (number, level) in levels.iter().enumerate() {
        let least = if number == 0 { 0.0 } else { REACH[0] * level.size };
        let most = if number + 1 == levels.len() { f32::INFINITY } else { REACH[1] * level.size };
        for place in 0..level.places() {
            let [x, y] = level.centre(place);
            let mut best: Option<(usize, f32)> = None;
            for (index, object) in objects.iter().enumerate().filter(|(_, object)| !object.is_crowd) {
                let [left, top, right, bottom] = object.corners.0;
                let off = [(left + right) / 2.0 - x, (top + bottom) / 2.0 - y];
                let sides = [x - left, y - top, right - x, bottom - y];
                let farthest = sides.into_iter().fold(f32::NEG_INFINITY, f32::max);
                let answers = off.iter().all(|off| off.abs() < RADIUS * level.size)
                    && sides.iter().all(|&side| side > 0.0)
                    && farthest > least
                    && farthest < most;
                // What is compared is rounded as in torchvision, where small differences of area are lost.
                let worth = HUGE - (right - left) * (bottom - top);
                if answers && best.is_none_or(|(_, most)| worth > most) {
                    best = Some((index, worth));
                }
            }
            found.push(best.map(|(index, _)| index));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(corners: [f32; 4], is_crowd: bool) -> Truth {
        Truth { class: 0, corners: Corners(corners), is_crowd }
    }

    #[test]
    fn an_object_is_learned_on_the_level_of_its_size() {
        let levels = Level::all(&[[32, 32], [16, 16], [8, 8], [4, 4], [2, 2]], [256, 256]);
        let level_of = |side: f32| {
            let found = assign(
                &levels,
                &[object(
                    [128.0 - side / 2.0, 128.0 - side / 2.0, 128.0 + side / 2.0, 128.0 + side / 2.0],
                    false,
                )],
            );
            let mut start = 0;
            let mut with = Vec::new();
            for (number, level) in levels.iter().enumerate() {
                if found[start..start + level.places()].iter().any(Option::is_some) {
                    with.push(number);
                }
                start += level.places();
            }
            with
        };
        // side, levels
        for (side, expected) in [(20.0, vec![0]), (100.0, vec![0, 1]), (240.0, vec![1, 2])] {
            assert_eq!(level_of(side), expected, "{side}");
        }
    }

    #[test]
    fn the_smaller_of_two_wins_and_crowds_are_passed_over() {
        let levels = Level::all(&[[8, 8]], [64, 64]);
        let (large, small) = (object([8.0, 8.0, 56.0, 56.0], false), object([24.0, 24.0, 40.0, 40.0], false));
        let middle = 4 * 8 + 4;
        assert_eq!(assign(&levels, &[large, small])[middle], Some(1));
        assert_eq!(assign(&levels, &[large, object(small.corners.0, true)])[middle], Some(0));
        assert_eq!(assign(&levels, &[])[middle], None);
    }

    #[test]
    fn strides_are_rounded_down() {
        let levels = Level::all(&[[3, 5]], [320, 320]);
        assert_eq!((levels[0].stride, levels[0].centre(6)), ([106, 64], [64.0, 106.0]));
    }
}
