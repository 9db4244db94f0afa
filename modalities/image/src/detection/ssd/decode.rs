//! From what default boxes say to boxes.

use tk_engine::{Result, Tensor};

use super::DefaultBoxes;
use super::answers::{Answers, log_sum_exp, misfit};
use crate::detection::{Candidate, Selecting, suppress};

/// The objects of each picture of a batch, surest first, in pixels of the network's input. `sizes` are height and width of each picture within
/// the padding, `padded` those of the batch. Of each class the surest boxes go on, whatever map they are of.
///
/// # Errors
/// When outputs are no network's with such boxes, or of other pictures.
pub fn decode(
    layout: &DefaultBoxes,
    outputs: &[Tensor],
    sizes: &[[usize; 2]],
    padded: [usize; 2],
    selecting: &Selecting,
) -> Result<Vec<Vec<Candidate>>> {
    let answers = Answers::of(layout, outputs, padded)?;
    if answers.batch != sizes.len() {
        return Err(misfit(format!("outputs of {} pictures, sizes of {}", answers.batch, sizes.len())));
    }
    let of = |(picture, &size): (usize, &[usize; 2])| {
        // For each class the score and the box of what is sure enough.
        let mut sure: Vec<Vec<(f32, usize)>> = vec![Vec::new(); answers.classes - 1];
        for (at, row) in answers.scores(picture).into_iter().enumerate() {
            let sum = log_sum_exp(row);
            for (class, &logit) in row[1..].iter().enumerate() {
                let score = (f64::from(logit) - sum).exp() as f32;
                if score > selecting.least_score {
                    sure[class].push((score, at));
                }
            }
        }
        let offsets = answers.offsets(picture);
        let mut candidates = Vec::new();
        for (class, sure) in sure.iter_mut().enumerate() {
            sure.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            sure.truncate(selecting.per_level);
            candidates.extend(sure.iter().map(|&(score, at)| {
                let told = offsets[at];
                let corners = answers.boxes[at].moved([told[0], told[1], told[2], told[3]]).within(size);
                Candidate { corners, class, score }
            }));
        }
        suppress(candidates, selecting.most_overlap, selecting.limit)
    };
    Ok(sizes.iter().enumerate().map(of).collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::default_boxes::{LEVELS, LITE};
    use super::*;

    #[test]
    fn the_background_is_no_class_and_boxes_end_at_the_picture() {
        // One place of each map; the third box of the first says the second of two classes, and lies far to the right.
        let mut outputs = Vec::new();
        for level in 0..LEVELS {
            let mut scores: Vec<f32> = [9.0, 0.0, 0.0].repeat(6);
            let mut offsets = vec![0.0; 24];
            if level == 0 {
                scores[6..9].copy_from_slice(&[0.0, 1.0, 6.0]);
                offsets[8] = 10.0;
            }
            outputs.push(Tensor::new(&[1, 1, 1, 18], scores).unwrap());
            outputs.push(Tensor::new(&[1, 1, 1, 24], offsets).unwrap());
        }
        let selecting = Selecting { least_score: 0.3, per_level: 10, most_overlap: 0.5, limit: 10 };
        let found = decode(&LITE, &outputs, &[[80, 100]], [100, 100], &selecting).unwrap().remove(0);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].class, 1);
        let expected = 6f32.exp() / (1.0 + 1f32.exp() + 6f32.exp());
        assert!((found[0].score - expected).abs() < 1e-6, "{}", found[0].score);
        // 20 · √2 wide around 50, moved by its width.
        let [left, top, right, bottom] = found[0].corners.0;
        let (width, height) = (20.0 * 2f32.sqrt(), 20.0 / 2f32.sqrt());
        for (found, expected) in [
            (left, 50.0 + width / 2.0),
            (right, 50.0 + 1.5 * width),
            (top, 50.0 - height / 2.0),
            (bottom, 50.0 + height / 2.0),
        ] {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
        assert!(
            decode(&LITE, &outputs, &[[80, 100]; 2], [100, 100], &selecting).is_err(),
            "one picture, two sizes"
        );
        assert!(decode(&LITE, &outputs[2..], &[[80, 100]], [100, 100], &selecting).is_err(), "five maps");
    }

    #[test]
    fn of_each_class_the_surest_go_on() {
        let mut outputs = Vec::new();
        for level in 0..LEVELS {
            // Each level is surer than the one before, of class 0; nothing overlaps too much for a share of 1.
            let row = [0.0, level as f32, 0.0];
            outputs.push(Tensor::new(&[1, 1, 1, 18], row.repeat(6)).unwrap());
            outputs.push(Tensor::zeros(&[1, 1, 1, 24]));
        }
        let selecting = Selecting { least_score: 0.3, per_level: 8, most_overlap: 1.0, limit: 100 };
        let found = decode(&LITE, &outputs, &[[100, 100]], [100, 100], &selecting).unwrap().remove(0);
        let of_class = |class| found.iter().filter(|candidate| candidate.class == class).count();
        // Six of the coarsest and two of the one before; of the other class, those of the first level, where all three are alike.
        assert_eq!((of_class(0), of_class(1)), (8, 6));
    }
}
