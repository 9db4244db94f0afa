//! Which default box answers for which object.

use super::DefaultBox;
use crate::detection::{Corners, Truth};

/// A box answers for an object that it overlaps by so much.
const LEAST_OVERLAP: f32 = 0.5;

/// For every default box the object that it answers for: the one that it overlaps most, if by at least half; and each object is answered for by
/// the box that overlaps it most, however little that is (torchvision's `SSDMatcher`; of boxes or objects alike the first, and of objects with
/// the same best box the last). Crowds, and boxes without area, are passed over.
pub fn assign(boxes: &[DefaultBox], objects: &[Truth]) -> Vec<Option<usize>> {
    let corners: Vec<Corners> = boxes.iter().map(DefaultBox::corners).collect();
    let mut found: Vec<Option<(usize, f32)>> = vec![None; boxes.len()];
    let mut best_of_objects = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        if object.is_crowd || object.corners.area() <= 0.0 {
            continue;
        }
        let mut best: Option<(usize, f32)> = None;
        for (at, (corners, found)) in corners.iter().zip(&mut found).enumerate() {
            let overlap = corners.overlap(&object.corners);
            if best.is_none_or(|(_, most)| overlap > most) {
                best = Some((at, overlap));
            }
            if overlap >= LEAST_OVERLAP && found.is_none_or(|(_, most)| overlap > most) {
                *found = Some((index, overlap));
            }
        }
        best_of_objects.extend(best.map(|(at, _)| (at, index)));
    }
    let mut assigned: Vec<Option<usize>> =
        found.into_iter().map(|found| found.map(|(index, _)| index)).collect();
    for (at, index) in best_of_objects {
        assigned[at] = Some(index);
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(corners: [f32; 4], is_crowd: bool) -> Truth {
        Truth { class: 0, corners: Corners(corners), is_crowd }
    }

    /// Boxes of 10 × 10, side by side.
    fn row() -> Vec<DefaultBox> {
        (0..4)
            .map(|at| DefaultBox { centre: [5.0 + 10.0 * f64::from(at), 5.0], sides: [10.0, 10.0] })
            .collect()
    }

    #[test]
    fn every_object_has_a_box_and_boxes_have_what_they_overlap_by_half() {
        let exact = object([10.0, 0.0, 20.0, 10.0], false);
        // Overlaps the second box by a fifth and the third by less.
        let small = object([16.0, 0.0, 23.0, 6.0], false);
        let tall = object([10.0, 0.0, 20.0, 18.0], false);
        for (objects, expected) in [
            (vec![], [None; 4]),
            (vec![exact], [None, Some(0), None, None]),
            (vec![small], [None, Some(0), None, None]),
            // Both overlap the second box by half or more.
            (
                vec![tall, object([11.0, 0.0, 20.0, 10.0], false), object([0.0, 0.0, 10.0, 10.0], false)],
                [Some(2), Some(1), None, None],
            ),
            // The last of those whose best box it is.
            (vec![exact, small], [None, Some(1), None, None]),
            (vec![object(exact.corners.0, true)], [None; 4]),
            (vec![object([12.0, 3.0, 12.0, 9.0], false)], [None; 4]),
            // Far from all of them: the first.
            (vec![object([0.0, 50.0, 10.0, 60.0], false)], [Some(0), None, None, None]),
        ] {
            assert_eq!(assign(&row(), &objects), expected, "{objects:?}");
        }
    }

    #[test]
    fn several_boxes_may_answer_for_one_object() {
        let mut boxes = row();
        boxes.push(DefaultBox { centre: [16.0, 5.0], sides: [10.0, 10.0] });
        assert_eq!(
            assign(&boxes, &[object([10.0, 0.0, 20.0, 10.0], false)]),
            [None, Some(0), None, None, Some(0)]
        );
    }
}
