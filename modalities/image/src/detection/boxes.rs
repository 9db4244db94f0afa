//! Boxes by their corners.

/// A box: left, top, right, bottom, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Corners(pub [f32; 4]);

impl Corners {
    /// The box of left, top, width and height, as COCO writes them.
    pub fn from_bounds([left, top, width, height]: [f64; 4]) -> Self {
        Self([left, top, left + width, top + height].map(|at| at as f32))
    }

    /// Left, top, width and height, as COCO writes them.
    pub fn bounds(&self) -> [f64; 4] {
        let [left, top, right, bottom] = self.0.map(f64::from);
        [left, top, right - left, bottom - top]
    }

    /// The area; 0 of a box whose right or lower side is not beyond the other.
    pub fn area(&self) -> f32 {
        let [left, top, right, bottom] = self.0;
        (right - left).max(0.0) * (bottom - top).max(0.0)
    }

    /// The share of two boxes' common area in the area that they cover together, 0 to 1; 0 where both are empty.
    pub fn overlap(&self, other: &Self) -> f32 {
        let common = self.common(other).area();
        let together = self.area() + other.area() - common;
        if together > 0.0 { common / together } else { 0.0 }
    }

    /// The overlap, less the share of the smallest box around both that neither covers, −1 to 1 (generalised IoU, arXiv 1902.09630).
    pub fn generalised_overlap(&self, other: &Self) -> f32 {
        let common = self.common(other).area();
        let together = self.area() + other.area() - common;
        let around = self.around(other).area();
        match together > 0.0 {
            true => common / together - (around - together) / around,
            false => 0.0,
        }
    }

    /// The part within a picture.
    #[must_use]
    pub fn within(&self, [height, width]: [usize; 2]) -> Self {
        let [left, top, right, bottom] = self.0;
        let (height, width) = (height as f32, width as f32);
        Self([
            left.clamp(0.0, width),
            top.clamp(0.0, height),
            right.clamp(0.0, width),
            bottom.clamp(0.0, height),
        ])
    }

    /// The part that both cover; without area where they do not meet.
    fn common(&self, other: &Self) -> Self {
        let ([left, top, right, bottom], there) = (self.0, other.0);
        Self([left.max(there[0]), top.max(there[1]), right.min(there[2]), bottom.min(there[3])])
    }

    /// The smallest box around both.
    fn around(&self, other: &Self) -> Self {
        let ([left, top, right, bottom], there) = (self.0, other.0);
        Self([left.min(there[0]), top.min(there[1]), right.max(there[2]), bottom.max(there[3])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_shares() {
        let a = Corners([0.0, 0.0, 10.0, 10.0]);
        // other, overlap, generalised
        for (other, overlap, generalised) in [
            ([0.0, 0.0, 10.0, 10.0], 1.0, 1.0),
            ([5.0, 0.0, 15.0, 10.0], 50.0 / 150.0, 50.0 / 150.0),
            ([5.0, 5.0, 15.0, 15.0], 25.0 / 175.0, 25.0 / 175.0 - 50.0 / 225.0),
            ([20.0, 0.0, 30.0, 10.0], 0.0, -100.0 / 300.0),
            ([3.0, 3.0, 3.0, 8.0], 0.0, 0.0),
        ] {
            let other = Corners(other);
            for (left, right) in [(a, other), (other, a)] {
                assert!((left.overlap(&right) - overlap).abs() < 1e-6, "{other:?}");
                assert!((left.generalised_overlap(&right) - generalised).abs() < 1e-6, "{other:?}");
            }
        }
        let empty = Corners([4.0, 4.0, 4.0, 4.0]);
        assert_eq!((empty.overlap(&empty), empty.generalised_overlap(&empty)), (0.0, 0.0));
    }

    #[test]
    fn boxes_go_to_bounds_and_back_and_into_pictures() {
        let bounds = [2.5, 3.0, 4.0, 0.5];
        assert_eq!(Corners::from_bounds(bounds).bounds(), bounds);
        assert_eq!(Corners([-3.0, 2.0, 50.0, 9.0]).within([8, 20]), Corners([0.0, 2.0, 20.0, 8.0]));
        assert_eq!(Corners([30.0, 2.0, 50.0, 9.0]).within([8, 20]).area(), 0.0);
    }
}
