//! From a pyramid's answers to boxes.

use tk_engine::{Result, Tensor};

use super::loss::levels;
use crate::detection::{Candidate, Selecting, suppress};

/// The objects of each picture of a batch, surest first, in pixels of the network's input. `sizes` are height and width of each picture within
/// the padding, `padded` those of the batch.
///
/// # Errors
/// When outputs are no pyramid's.
pub fn decode(
    outputs: &[Tensor],
    sizes: &[[usize; 2]],
    padded: [usize; 2],
    selecting: &Selecting,
) -> Result<Vec<Vec<Candidate>>> {
    let levels = levels(outputs, padded)?;
    let mut found = vec![Vec::new(); sizes.len()];
    for (level, outputs) in levels.iter().zip(outputs.chunks_exact(3)) {
        let classes = outputs[0].shape()[3];
        let [scores, distances, centreness] =
            [outputs[0].as_f32()?, outputs[1].as_f32()?, outputs[2].as_f32()?];
        for ((picture, found), &size) in found.iter_mut().enumerate().zip(sizes) {
            let first = picture * level.places();
            // Score and position among places and classes of what is sure enough.
            let mut sure: Vec<(f32, usize)> = Vec::new();
            for place in 0..level.places() {
                let at = first + place;
                let central = sigmoid(centreness[at]);
                for (class, &logit) in scores[at * classes..(at + 1) * classes].iter().enumerate() {
                    let score = (sigmoid(logit) * central).sqrt();
                    if score > selecting.least_score {
                        sure.push((score, place * classes + class));
                    }
                }
            }
            sure.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            sure.truncate(selecting.per_level);
            found.extend(sure.into_iter().map(|(score, position)| {
                let (place, class) = (position / classes, position % classes);
                let at = 4 * (first + place);
                let reach = [distances[at], distances[at + 1], distances[at + 2], distances[at + 3]];
                Candidate { corners: level.corners(place, reach).within(size), class, score }
            }));
        }
    }
    Ok(found.into_iter().map(|found| suppress(found, selecting.most_overlap, selecting.limit)).collect())
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}
