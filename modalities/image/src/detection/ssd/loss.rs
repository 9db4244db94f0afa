//! How wrong a network's answers are: cross-entropy of the boxes that answer for objects and of the hardest others, and how far boxes are off.

use tk_engine::{Result, Tensor};

use super::answers::{Answers, log_sum_exp, misfit, rows_of};
use super::default_boxes::{DefaultBoxes, LEVELS};
use super::matching::assign;
use crate::detection::Truths;

/// For each box of a picture that answers for an object, so many that answer for none are learned from: those that are told worst.
const HARD: usize = 3;

/// The class of boxes that answer for nothing.
const BACKGROUND: usize = 0;

/// The two losses, each a sum over boxes divided by the number of boxes that answer for an object (at least 1).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SsdLosses {
    /// Cross-entropy of the boxes that answer for an object, and of three times as many others.
    pub classification: f64,
    /// Smooth L1 of the offsets of boxes that answer for an object.
    pub boxes: f64,
}

impl SsdLosses {
    /// The losses of a network's outputs, and the gradient of their sum for each output.
    ///
    /// # Errors
    /// When outputs and truths do not fit each other.
    pub fn of(layout: &DefaultBoxes, outputs: &[Tensor], truths: &Truths) -> Result<(Self, Vec<Tensor>)> {
        let answers = Answers::of(layout, outputs, truths.padded)?;
        let (batch, classes) = (truths.objects.len(), answers.classes);
        if answers.batch != batch {
            return Err(misfit(format!("outputs of {} pictures, truths of {batch}", answers.batch)));
        }
        if let Some(object) = truths.objects.iter().flatten().find(|object| object.class + 1 >= classes) {
            return Err(misfit(format!("class {} of {}", object.class, classes - 1)));
        }
        let assigned: Vec<Vec<Option<usize>>> =
            truths.objects.iter().map(|objects| assign(&answers.boxes, objects)).collect();
        let divisor = assigned.iter().flatten().flatten().count().max(1) as f64;
        let mut losses = Self::default();
        let zeros =
            |which: usize| (0..LEVELS).map(|level| vec![0.0; outputs[2 * level + which].len()]).collect();
        let (mut of_scores, mut of_offsets): (Vec<Vec<f32>>, Vec<Vec<f32>>) = (zeros(0), zeros(1));
        for (picture, (objects, assigned)) in truths.objects.iter().zip(&assigned).enumerate() {
            let wanted: Vec<usize> = assigned
                .iter()
                .map(|index| index.map_or(BACKGROUND, |index| objects[index].class + 1))
                .collect();
            let slopes = rows_of(&mut of_scores, batch, picture, classes);
            losses.classification += classify(&answers.scores(picture), &wanted, divisor, slopes);
            let told = answers.offsets(picture).into_iter().zip(rows_of(&mut of_offsets, batch, picture, 4));
            for ((told, slopes), (default, index)) in told.zip(answers.boxes.iter().zip(assigned)) {
                let Some(index) = *index else { continue };
                let wanted = default.offsets(objects[index].corners);
                for ((slope, told), wanted) in slopes.iter_mut().zip(told).zip(wanted) {
                    let off = f64::from(*told) - wanted;
                    let loss = if off.abs() < 1.0 { 0.5 * off * off } else { off.abs() - 0.5 };
                    losses.boxes += loss / divisor;
                    *slope = (off.clamp(-1.0, 1.0) / divisor) as f32;
                }
            }
        }
        let pairs = of_scores.into_iter().zip(of_offsets).flat_map(|(scores, offsets)| [scores, offsets]);
        let gradients = pairs.zip(outputs).map(|(slopes, output)| Tensor::new(output.shape(), slopes));
        Ok((losses, gradients.collect::<Result<_>>()?))
    }
}

/// The cross-entropy of a picture's boxes that count, divided; slopes of their scores are written.
fn classify<'a>(
    scores: &[&[f32]],
    wanted: &[usize],
    divisor: f64,
    slopes: impl Iterator<Item = &'a mut [f32]>,
) -> f64 {
    let sums: Vec<f64> = scores.iter().map(|row| log_sum_exp(row)).collect();
    let of = |at: usize| sums[at] - f64::from(scores[at][wanted[at]]);
    let (mut chosen, others): (Vec<usize>, Vec<usize>) =
        (0..scores.len()).partition(|&at| wanted[at] != BACKGROUND);
    let hard = HARD * chosen.len();
    let mut others: Vec<(f64, usize)> = others.into_iter().map(|at| (of(at), at)).collect();
    others.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    chosen.extend(others.iter().take(hard).map(|(_, at)| at));
    let mut counts = vec![false; scores.len()];
    chosen.iter().for_each(|&at| counts[at] = true);
    let mut loss = 0.0;
    for (at, slopes) in slopes.enumerate().filter(|(at, _)| counts[*at]) {
        loss += of(at) / divisor;
        for (class, (slope, &logit)) in slopes.iter_mut().zip(scores[at]).enumerate() {
            let told = (f64::from(logit) - sums[at]).exp();
            let there = f64::from(u8::from(class == wanted[at]));
            *slope = ((told - there) / divisor) as f32;
        }
    }
    loss
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::LITE;
    use super::*;
    use crate::detection::{Corners, Truth};
    use tk_engine::testing::fill_input;

    const GRIDS: [[usize; 2]; LEVELS] = [[5, 4], [3, 2], [2, 1], [1, 1], [1, 1], [1, 1]];

    /// Outputs of a batch for two classes.
    fn outputs(batch: usize) -> Vec<Tensor> {
        let of = |level: usize| {
            let [rows, columns] = GRIDS[level];
            [3, 4].map(|width| {
                fill_input(&format!("{level}.{width}"), &[batch, rows, columns, 6 * width]).unwrap()
            })
        };
        (0..LEVELS).flat_map(of).collect()
    }

    fn truths(objects: Vec<Vec<Truth>>) -> Truths {
        Truths { sizes: vec![[80, 64]; objects.len()], objects, padded: [80, 64] }
    }

    fn object(class: usize, corners: [f32; 4]) -> Truth {
        Truth { class, corners: Corners(corners), is_crowd: false }
    }

    #[test]
    fn gradients_are_the_slopes() {
        let truths = truths(vec![
            vec![object(0, [3.0, 5.0, 30.0, 60.0]), object(1, [30.0, 30.0, 44.0, 42.0])],
            Vec::new(),
            vec![object(1, [0.0, 0.0, 64.0, 80.0])],
        ]);
        let outputs = outputs(3);
        let sum = |outputs: &[Tensor]| {
            let (losses, _) = SsdLosses::of(&LITE, outputs, &truths).unwrap();
            losses.classification + losses.boxes
        };
        let (_, gradients) = SsdLosses::of(&LITE, &outputs, &truths).unwrap();
        let mut moving = 0;
        for (number, gradient) in gradients.iter().enumerate() {
            for (at, &gradient) in gradient.as_f32().unwrap().iter().enumerate() {
                // Every number of the small maps; of the large ones some.
                if at % 7 != 0 && gradient.abs() < 1e-3 {
                    continue;
                }
                let moved = |by: f32| {
                    let mut outputs = outputs.clone();
                    outputs[number].as_f32_mut().unwrap()[at] += by;
                    sum(&outputs)
                };
                let slope = (moved(1e-3) - moved(-1e-3)) / 2e-3;
                assert!((slope - f64::from(gradient)).abs() < 1e-4, "{number} {at}: {slope} {gradient}");
                moving += usize::from(gradient != 0.0);
            }
        }
        assert!(moving > 50, "{moving}");
    }

    #[test]
    fn three_times_as_many_others_count() {
        let objects = vec![object(0, [3.0, 5.0, 30.0, 60.0])];
        let outputs = outputs(1);
        let truths = truths(vec![objects.clone()]);
        let answers = Answers::of(&LITE, &outputs, truths.padded).unwrap();
        let assigned = assign(&answers.boxes, &objects);
        let answering = assigned.iter().flatten().count();
        assert!(answering > 0);
        let (_, mut gradients) = SsdLosses::of(&LITE, &outputs, &truths).unwrap();
        let mut of_scores: Vec<Vec<f32>> =
            gradients.iter_mut().step_by(2).map(|slopes| slopes.to_f32()).collect();
        let counts: Vec<bool> =
            rows_of(&mut of_scores, 1, 0, 3).map(|slopes| slopes.iter().any(|slope| *slope != 0.0)).collect();
        assert_eq!(counts.iter().filter(|counts| **counts).count(), 4 * answering);
        // None that is passed over is told worse than one that counts.
        let told = |at: usize| log_sum_exp(answers.scores(0)[at]) - f64::from(answers.scores(0)[at][0]);
        let others = || (0..counts.len()).filter(|&at| assigned[at].is_none());
        let least = others().filter(|&at| counts[at]).map(told).fold(f64::INFINITY, f64::min);
        let most = others().filter(|&at| !counts[at]).map(told).fold(f64::NEG_INFINITY, f64::max);
        assert!(least >= most, "{least} {most}");
    }

    #[test]
    fn where_nothing_is_nothing_is_learned() {
        let crowd = Truth { is_crowd: true, ..object(0, [3.0, 5.0, 30.0, 60.0]) };
        let (losses, gradients) =
            SsdLosses::of(&LITE, &outputs(2), &truths(vec![Vec::new(), vec![crowd]])).unwrap();
        assert_eq!(losses, SsdLosses::default());
        assert!(gradients.iter().all(|slopes| slopes.to_f32().iter().all(|slope| *slope == 0.0)));
    }

    #[test]
    fn misfits_are_errors() {
        let one = truths(vec![vec![object(2, [3.0, 5.0, 30.0, 60.0])]]);
        for (outputs, truths, expected) in [
            (outputs(1), one.clone(), "class 2 of 2"),
            (outputs(2), one.clone(), "outputs of 2 pictures, truths of 1"),
            (outputs(1)[..6].to_vec(), one, "[1, 5, 4, 18]"),
        ] {
            let error = SsdLosses::of(&LITE, &outputs, &truths).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
