//! Default boxes: where a network looks, and how an object's box is told from one of them.

use crate::detection::Corners;

/// How many maps there are.
pub(super) const LEVELS: usize = 6;

/// What the told numbers are multiplied by: of the middle, and of the logarithms of the sides.
const WEIGHTS: [f64; 2] = [10.0, 5.0];

/// A box is at most so many times as wide and as high as its default box.
const MOST_STRETCHED: f64 = 1000.0 / 16.0;

/// Sizes and places of a network's default boxes. Sizes are shares of the picture's sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DefaultBoxes {
    /// The size of the square boxes of each map. Each has a second square, whose size is the geometric mean of this and the next.
    scales: [f64; LEVELS + 1],
    /// Each map's boxes are also so many times as wide as high, and as high as wide.
    ratios: [&'static [f64]; LEVELS],
    /// For pictures of this side: pixels from a place of each map to the next. On others, places are spread evenly.
    steps: Option<(usize, [f64; LEVELS])>,
}

/// Those of `ssd300_vgg16`: maps of strides 8, 16, 32, 64 and two that are coarser yet.
pub static PLAIN: DefaultBoxes = DefaultBoxes {
    scales: [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
    ratios: [&[2.0], &[2.0, 3.0], &[2.0, 3.0], &[2.0, 3.0], &[2.0], &[2.0]],
    steps: Some((300, [8.0, 16.0, 32.0, 64.0, 100.0, 300.0])),
};

/// Those of `ssdlite320_mobilenet_v3_large`: maps of stride 16 and on.
pub static LITE: DefaultBoxes = DefaultBoxes {
    scales: [0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0],
    ratios: [&[2.0, 3.0]; LEVELS],
    steps: None,
};

/// A default box, in pixels of the network's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DefaultBox {
    /// Its middle, across and down.
    pub centre: [f64; 2],
    /// Its width and height.
    pub sides: [f64; 2],
}

impl DefaultBoxes {
    /// How many boxes each place of a map has; 0 of a map that there is not.
    pub fn per_place(&self, level: usize) -> usize {
        self.ratios.get(level).map_or(0, |ratios| 2 + 2 * ratios.len())
    }

    /// All boxes over a picture of this height and width in pixels, map by map, row by row, place by place, as torchvision's
    /// `DefaultBoxGenerator` has them. `grids` are each map's places down and across.
    pub fn over(&self, grids: &[[usize; 2]], [height, width]: [usize; 2]) -> Vec<DefaultBox> {
        let picture = [width as f64, height as f64];
        let steps = self.steps.filter(|(side, _)| [height, width] == [*side; 2]).map(|(_, steps)| steps);
        let mut boxes = Vec::new();
        for (level, &[rows, columns]) in grids.iter().enumerate().take(LEVELS) {
            let between = match steps {
                Some(steps) => [steps[level]; 2],
                None => [picture[0] / columns as f64, picture[1] / rows as f64],
            };
            let shapes = self.shapes(level);
            for place in 0..rows * columns {
                let at = [place % columns, place / columns];
                let centre = [0, 1].map(|axis| (at[axis] as f64 + 0.5) * between[axis]);
                let of = |&shape: &[f64; 2]| DefaultBox {
                    centre,
                    sides: [0, 1].map(|axis| shape[axis] * picture[axis]),
                };
                boxes.extend(shapes.iter().map(of));
            }
        }
        boxes
    }

    /// Width and height of the boxes of a map's places, as shares of the picture's.
    fn shapes(&self, level: usize) -> Vec<[f64; 2]> {
        let scale = self.scales[level];
        let between = (scale * self.scales[level + 1]).sqrt();
        let mut shapes = vec![[scale; 2], [between; 2]];
        for ratio in self.ratios[level] {
            let [long, short] = [scale * ratio.sqrt(), scale / ratio.sqrt()];
            shapes.extend([[long, short], [short, long]]);
        }
        // In torchvision these numbers are f32, and none is greater than the picture.
        shapes.iter().map(|shape| shape.map(|side| f64::from((side as f32).min(1.0)))).collect()
    }
}

impl DefaultBox {
    /// Its corners.
    pub fn corners(&self) -> Corners {
        let [[x, y], [width, height]] = [self.centre, self.sides];
        Corners([x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0].map(|at| at as f32))
    }

    /// How an object's box, which has an area, is told from here: its middle in sides of this box, and the logarithms of its sides in sides of
    /// this box, weighted.
    pub fn offsets(&self, object: Corners) -> [f64; 4] {
        let [left, top, right, bottom] = object.0.map(f64::from);
        let middle = [(left + right) / 2.0, (top + bottom) / 2.0];
        let sides = [right - left, bottom - top];
        let moved = [0, 1].map(|axis| WEIGHTS[0] * (middle[axis] - self.centre[axis]) / self.sides[axis]);
        let stretched = [0, 1].map(|axis| WEIGHTS[1] * (sides[axis] / self.sides[axis]).ln());
        [moved[0], moved[1], stretched[0], stretched[1]]
    }

    /// The box that is told so.
    pub fn moved(&self, offsets: [f32; 4]) -> Corners {
        let offsets = offsets.map(f64::from);
        let middle = [0, 1].map(|axis| self.centre[axis] + offsets[axis] / WEIGHTS[0] * self.sides[axis]);
        let stretch = |axis: usize| (offsets[2 + axis] / WEIGHTS[1]).min(MOST_STRETCHED.ln()).exp();
        Self { centre: middle, sides: [0, 1].map(|axis| stretch(axis) * self.sides[axis]) }.corners()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED_PLAIN: [(usize, [f32; 4]); 7] = [
        (0, [-6.5, -6.5, 14.5, 14.5]),
        (3, [-3.4246, -10.8492, 11.4246, 18.8492]),
        (1234, [21.1508, 60.5754, 50.8492, 75.4246]),
        (5776, [-14.5, -14.5, 30.5, 30.5]),
        (8532, [201.9964, 268.9982, 342.0036, 339.0018]),
        (8702, [103.6289, -23.1856, 396.3711, 123.1856]),
        (8731, [57.7226, 0.0, 242.2774, 300.0]),
    ];

    const EXPECTED_LITE: [(usize, [f32; 4]); 7] = [
        (0, [-24.0, -24.0, 40.0, 40.0]),
        (3, [-14.6274, -37.2548, 30.6274, 53.2548]),
        (160, [48.5744, 5.5248, 159.4256, 42.4752]),
        (2400, [-40.0, -40.0, 72.0, 72.0]),
        (3034, [-106.5641, 49.812, 170.5641, 142.188]),
        (3204, [-48.0, -48.0, 208.0, 208.0]),
        (3233, [72.2428, 0.0, 247.7572, 320.0]),
    ];

    /// By torchvision 0.29's `DefaultBoxGenerator` of the two networks.
    #[test]
    fn boxes_are_torchvisions() {
        let of_300 = [[38, 38], [19, 19], [10, 10], [5, 5], [3, 3], [1, 1]];
        let of_320 = [[20, 20], [10, 10], [5, 5], [3, 3], [2, 2], [1, 1]];
        for (layout, grids, side, count, expected) in
            [(&PLAIN, of_300, 300, 8732, EXPECTED_PLAIN), (&LITE, of_320, 320, 3234, EXPECTED_LITE)]
        {
            let boxes = layout.over(&grids, [side; 2]);
            assert_eq!(boxes.len(), count);
            let all: usize =
                (0..LEVELS).map(|level| layout.per_place(level) * grids[level][0] * grids[level][1]).sum();
            assert_eq!(all, count);
            for (at, corners) in expected {
                for (found, expected) in boxes[at].corners().0.iter().zip(corners) {
                    assert!(
                        (found - expected).abs() < 2e-4,
                        "{at}: {:?}, expected {corners:?}",
                        boxes[at].corners()
                    );
                }
            }
        }
    }

    #[test]
    fn on_other_sizes_places_are_spread_evenly() {
        let boxes = PLAIN.over(&[[40, 48]], [320, 384]);
        assert_eq!(boxes[0].centre, [4.0, 4.0]);
        assert_eq!(boxes[4 * (48 + 2)].centre, [20.0, 12.0]);
        let expected = [0.07 * 384.0, 0.07 * 320.0];
        assert!((0..2).all(|axis| (boxes[0].sides[axis] - expected[axis]).abs() < 1e-5), "{:?}", boxes[0]);
    }

    #[test]
    fn what_is_told_leads_back() {
        let from = DefaultBox { centre: [50.0, 60.0], sides: [20.0, 40.0] };
        for object in [[30.0, 40.0, 80.0, 90.0], [49.0, 59.0, 51.0, 61.0], from.corners().0] {
            let found = from.moved(from.offsets(Corners(object)).map(|number| number as f32));
            for (found, expected) in found.0.iter().zip(object) {
                assert!((found - expected).abs() < 1e-3, "{found} {expected}");
            }
        }
        assert_eq!(from.offsets(from.corners()), [0.0; 4]);
        let [left, _, right, _] = from.moved([0.0, 0.0, 1000.0, 0.0]).0;
        assert!((right - left - 20.0 * 62.5).abs() < 1e-2, "no box grows without limit");
    }
}
