//! One less the generalised overlap of two boxes (Rezatofighi et al. 2019, arXiv 1902.09630), with its slopes.

use super::Corners;

/// Keeps quotients finite, as torchvision's `generalized_box_iou_loss` does.
const EPSILON: f64 = 1e-7;

/// The loss of a box that was found beside the one that is there, 0 to 2, and its slope for each corner of the found one. The found box's right
/// and lower side do not lie before the others.
pub(crate) fn overlap_loss(found: Corners, truth: Corners) -> (f64, [f64; 4]) {
    let [f, t] = [found.0, truth.0].map(|corners| corners.map(f64::from));
    let area = |corners: [f64; 4]| (corners[2] - corners[0]) * (corners[3] - corners[1]);
    // The common part, and the smallest box around both.
    let inner = [f[0].max(t[0]), f[1].max(t[1]), f[2].min(t[2]), f[3].min(t[3])];
    let outer = [f[0].min(t[0]), f[1].min(t[1]), f[2].max(t[2]), f[3].max(t[3])];
    let overlaps = inner[2] > inner[0] && inner[3] > inner[1];
    let common = if overlaps { area(inner) } else { 0.0 };
    let (together, around) = (area(f) + area(t) - common, area(outer));
    let loss = 1.0 - common / (together + EPSILON) + (around - together) / (around + EPSILON);
    // How the area of a box changes with a corner of it.
    let slope = |corners: [f64; 4], side: usize| {
        let [width, height] = [corners[2] - corners[0], corners[3] - corners[1]];
        [-height, -width, height, width][side]
    };
    let mut slopes = [0.0; 4];
    for (side, out) in slopes.iter_mut().enumerate() {
        // Of equal corners each is half of what is taken, as PyTorch has it.
        let share = |takes_least: bool| match f[side] == t[side] {
            true => 0.5,
            false => f64::from(u8::from((f[side] < t[side]) == takes_least)),
        };
        let is_first = side < 2;
        let of_common = if overlaps { slope(inner, side) * share(!is_first) } else { 0.0 };
        let of_around = slope(outer, side) * share(is_first);
        let of_together = slope(f, side) - of_common;
        *out = -of_common / (together + EPSILON)
            + common * of_together / (together + EPSILON).powi(2)
            + ((of_around - of_together) * (around + EPSILON) - (around - together) * of_around)
                / (around + EPSILON).powi(2);
    }
    (loss, slopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: [([f32; 4], [f32; 4]); 5] = [
        ([10.0, 10.0, 50.0, 40.0], [20.0, 15.0, 60.0, 45.0]),
        ([10.0, 10.0, 20.0, 20.0], [30.0, 30.0, 60.0, 45.0]),
        ([10.0, 10.0, 80.0, 80.0], [30.0, 30.0, 60.0, 45.0]),
        ([30.5, 31.0, 50.0, 44.0], [30.0, 30.0, 60.0, 45.0]),
        ([0.0, 0.0, 100.0, 5.0], [40.0, -20.0, 44.0, 60.0]),
    ];

    #[test]
    fn slopes_are_those_of_the_loss() {
        for (found, truth) in CASES {
            let (_, slopes) = overlap_loss(Corners(found), Corners(truth));
            for side in 0..4 {
                let at = |by: f32| {
                    let mut moved = found;
                    moved[side] += by;
                    overlap_loss(Corners(moved), Corners(truth)).0
                };
                let slope = (at(1.0 / 64.0) - at(-1.0 / 64.0)) / (2.0 / 64.0);
                assert!((slope - slopes[side]).abs() < 2e-5, "{found:?} {side}: {slope} {}", slopes[side]);
            }
        }
    }

    #[test]
    fn the_loss_is_one_less_the_generalised_overlap() {
        for (found, truth) in CASES {
            let (loss, _) = overlap_loss(Corners(found), Corners(truth));
            let expected = 1.0 - f64::from(Corners(found).generalised_overlap(&Corners(truth)));
            assert!((loss - expected).abs() < 1e-5, "{loss} {expected}");
        }
        assert!(overlap_loss(Corners([1.0, 2.0, 3.0, 5.0]), Corners([1.0, 2.0, 3.0, 5.0])).0.abs() < 1e-6);
    }
}
