//! How wrong a pyramid's answers are: focal loss of classes, generalised overlap of boxes, cross-entropy of how central places are.

use tk_engine::cpu::Machine;
use tk_engine::cpu::kernels::focal::{Focal, NOTHING};
use tk_engine::{EngineError, Result, Tensor};

use super::matching::{Level, assign};
use super::network::LEVELS;
use crate::detection::overlap_loss::overlap_loss;
use crate::detection::{Truth, Truths};

/// The three losses, each a sum over places divided by the number of places that answer for an object (at least 1).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FcosLosses {
    /// Focal loss of all places.
    pub classification: f64,
    /// One less the generalised overlap, of places that answer for an object.
    pub boxes: f64,
    /// Binary cross-entropy of how central such places are.
    pub centreness: f64,
}

impl FcosLosses {
    /// All together: what is trained.
    pub fn sum(&self) -> f64 {
        self.classification + self.boxes + self.centreness
    }

    /// The losses of a network's outputs, and the gradient of their sum for each output.
    ///
    /// # Errors
    /// When outputs and truths do not fit each other.
    pub fn of(machine: &Machine, outputs: &[Tensor], truths: &Truths) -> Result<(Self, Vec<Tensor>)> {
        let levels = levels(outputs, truths.padded)?;
        let classes = outputs[0].shape()[3];
        let batch = truths.objects.len();
        if outputs.iter().any(|output| output.shape()[0] != batch) {
            return Err(misfit(format!("outputs of {} pictures, truths of {batch}", outputs[0].shape()[0])));
        }
        if let Some(object) = truths.objects.iter().flatten().find(|object| object.class >= classes) {
            return Err(misfit(format!("class {} of {classes}", object.class)));
        }
        let assigned: Vec<Vec<Option<usize>>> =
            truths.objects.iter().map(|objects| assign(&levels, objects)).collect();
        let answering: usize = assigned.iter().flatten().flatten().count();
        let divisor = answering.max(1) as f64;
        let (mut losses, mut gradients) = (Self::default(), Vec::with_capacity(outputs.len()));
        let mut start = 0;
        for (level, outputs) in levels.iter().zip(outputs.chunks_exact(3)) {
            let own: Vec<&[Option<usize>]> =
                assigned.iter().map(|assigned| &assigned[start..start + level.places()]).collect();
            start += level.places();
            gradients.extend(losses.of_level(machine, level, outputs, (truths, &own), divisor)?);
        }
        Ok((losses, gradients))
    }

    /// Adds a level's losses; its gradients come back.
    fn of_level(
        &mut self,
        machine: &Machine,
        level: &Level,
        outputs: &[Tensor],
        (truths, assigned): (&Truths, &[&[Option<usize>]]),
        divisor: f64,
    ) -> Result<[Tensor; 3]> {
        let [scores, distances, centreness] = outputs else { return Err(misfit("fewer outputs".into())) };
        let truth = |picture: usize, index: Option<usize>| index.map(|index| truths.objects[picture][index]);
        let objects: Vec<Option<Truth>> = assigned
            .iter()
            .enumerate()
            .flat_map(|(picture, places)| places.iter().map(move |&index| truth(picture, index)))
            .collect();
        let classes = scores.shape()[3];
        let wanted: Vec<u32> =
            objects.iter().map(|object| object.map_or(NOTHING, |object| object.class as u32)).collect();
        let mut slopes = vec![0.0; scores.len()];
        let focal = Focal::published(divisor);
        self.classification += focal.evaluate(machine, scores.as_f32()?, classes, &wanted, &mut slopes);
        let (mut of_distances, mut of_centreness) = (vec![0.0; distances.len()], vec![0.0; centreness.len()]);
        let (told, central) = (distances.as_f32()?, centreness.as_f32()?);
        for (at, object) in objects.iter().enumerate() {
            let Some(Truth { corners, .. }) = object else { continue };
            let place = at % level.places();
            let [x, y] = level.centre(place);
            let [left, top, right, bottom] = corners.0;
            let own = [told[4 * at], told[4 * at + 1], told[4 * at + 2], told[4 * at + 3]];
            let (loss, slope) = overlap_loss(level.corners(place, own), *corners);
            self.boxes += loss / divisor;
            // Left and top grow against the corner's direction.
            let scale = f64::from(level.size) / divisor;
            for (side, sign) in [-1.0, -1.0, 1.0, 1.0].into_iter().enumerate() {
                of_distances[4 * at + side] = (sign * scale * slope[side]) as f32;
            }
            let share = |a: f32, b: f32| f64::from(a.min(b)) / f64::from(a.max(b));
            let wanted = (share(x - left, right - x) * share(y - top, bottom - y)).sqrt();
            let logit = f64::from(central[at]);
            let power = (-logit.abs()).exp();
            let sigmoid = if logit < 0.0 { power / (1.0 + power) } else { 1.0 / (1.0 + power) };
            self.centreness += (logit.max(0.0) - logit * wanted + power.ln_1p()) / divisor;
            of_centreness[at] = ((sigmoid - wanted) / divisor) as f32;
        }
        Ok([
            Tensor::new(scores.shape(), slopes)?,
            Tensor::new(distances.shape(), of_distances)?,
            Tensor::new(centreness.shape(), of_centreness)?,
        ])
    }
}

/// The levels that outputs are of.
///
/// # Errors
/// When they are no pyramid's.
pub(super) fn levels(outputs: &[Tensor], padded: [usize; 2]) -> Result<Vec<Level>> {
    let shapes = || format!("{:?}", outputs.iter().map(Tensor::shape).collect::<Vec<_>>());
    if outputs.len() != 3 * LEVELS || outputs.iter().any(|output| output.shape().len() != 4) {
        return Err(misfit(shapes()));
    }
    let grids: Vec<[usize; 2]> =
        outputs.iter().step_by(3).map(|scores| [scores.shape()[1], scores.shape()[2]]).collect();
    for (of_level, grid) in outputs.chunks_exact(3).zip(&grids) {
        let fits = |output: &Tensor, channels| output.shape()[1..3] == *grid && output.shape()[3] == channels;
        if !fits(&of_level[1], 4) || !fits(&of_level[2], 1) {
            return Err(misfit(shapes()));
        }
    }
    Ok(Level::all(&grids, padded))
}

fn misfit(found: String) -> EngineError {
    EngineError::Tensor {
        what: "FCOS".into(),
        expected: "for each of five levels scores [batch, height, width, classes], distances [.., 4], centreness [.., 1]".into(),
        found,
    }
}
