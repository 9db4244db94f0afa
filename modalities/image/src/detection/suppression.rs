//! What is left of many boxes that overlap (non-maximum suppression, as torchvision's `batched_nms`).

use super::Corners;

/// A box that may hold an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Where.
    pub corners: Corners,
    /// Of which class.
    pub class: usize,
    /// How sure that is.
    pub score: f32,
}

/// The surest candidates first, at most so many, without those that overlap a surer one of their class by more than a share; equally sure
/// ones stay in their order.
pub fn suppress(mut candidates: Vec<Candidate>, most_overlap: f32, limit: usize) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if kept.len() == limit {
            break;
        }
        let covers = |surer: &Candidate| {
            surer.class == candidate.class && surer.corners.overlap(&candidate.corners) > most_overlap
        };
        if !kept.iter().any(covers) {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(left: f32, class: usize, score: f32) -> Candidate {
        Candidate { corners: Corners([left, 0.0, left + 10.0, 10.0]), class, score }
    }

    fn left(kept: &[Candidate]) -> Vec<(f32, usize)> {
        kept.iter().map(|candidate| (candidate.corners.0[0], candidate.class)).collect()
    }

    #[test]
    fn surer_boxes_of_a_class_take_the_place_of_others() {
        // Boxes 1 apart overlap by 9/11, boxes 4 apart by 6/14, boxes 5 apart by a third.
        let candidates = vec![
            candidate(1.0, 0, 0.5),
            candidate(0.0, 0, 0.9),
            candidate(0.0, 1, 0.7),
            candidate(5.0, 0, 0.6),
            candidate(4.0, 0, 0.2),
        ];
        assert_eq!(left(&suppress(candidates.clone(), 0.4, 10)), [(0.0, 0), (0.0, 1), (5.0, 0)]);
        assert_eq!(left(&suppress(candidates.clone(), 0.3, 10)), [(0.0, 0), (0.0, 1)]);
        assert_eq!(left(&suppress(candidates.clone(), 1.0, 2)), [(0.0, 0), (0.0, 1)]);
        assert_eq!(suppress(candidates, 1.0, 10).len(), 5, "as much as the share is not more than it");
    }

    #[test]
    fn what_is_suppressed_suppresses_nothing() {
        let chain = vec![candidate(0.0, 0, 0.9), candidate(3.0, 0, 0.8), candidate(6.0, 0, 0.7)];
        assert_eq!(left(&suppress(chain, 0.5, 10)), [(0.0, 0), (6.0, 0)]);
    }

    #[test]
    fn equally_sure_boxes_stay_in_order() {
        let same = vec![candidate(50.0, 0, 0.5), candidate(0.0, 0, 0.5), candidate(100.0, 0, 0.5)];
        assert_eq!(left(&suppress(same, 0.5, 10)), [(50.0, 0), (0.0, 0), (100.0, 0)]);
    }
}
