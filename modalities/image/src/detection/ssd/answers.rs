//! A network's outputs, and what each default box says by them.

use tk_engine::graph::{Graph, GraphBuilder, GraphError};
use tk_engine::{EngineError, Result, Tensor, Value};

use super::default_boxes::{DefaultBox, DefaultBoxes, LEVELS};

/// Ends the stage `head`. Outputs are, for each map from fine to coarse, `scores.N`, `[batch, height, width, boxes · (classes + 1)]`, and
/// `offsets.N`, `[…, boxes · 4]`.
pub(super) fn finish(mut b: GraphBuilder, answers: &[[Value; 2]]) -> std::result::Result<Graph, GraphError> {
    if let Some([scores, _]) = answers.first() {
        b.end_stage(*scores);
    }
    let names = |number: usize| ["scores", "offsets"].map(|name| format!("{name}.{number}"));
    let named: Vec<(String, Value)> =
        answers.iter().enumerate().flat_map(|(at, of)| names(at).into_iter().zip(*of)).collect();
    b.finish(&named.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>())
}

/// What the default boxes of a batch say.
pub(super) struct Answers<'a> {
    /// The boxes of each picture.
    pub boxes: Vec<DefaultBox>,
    /// Scores of each box: the background's, and those of the classes.
    pub classes: usize,
    /// How many pictures there are.
    pub batch: usize,
    levels: Vec<Level<'a>>,
}

/// What the boxes of one map say.
struct Level<'a> {
    boxes: usize,
    scores: &'a [f32],
    offsets: &'a [f32],
}

impl<'a> Answers<'a> {
    /// Of outputs over pictures of this height and width in pixels.
    ///
    /// # Errors
    /// When they are no network's with such boxes.
    pub fn of(layout: &DefaultBoxes, outputs: &'a [Tensor], padded: [usize; 2]) -> Result<Self> {
        let shapes = || misfit(format!("{:?}", outputs.iter().map(Tensor::shape).collect::<Vec<_>>()));
        if outputs.len() != 2 * LEVELS {
            return Err(shapes());
        }
        let (mut grids, mut levels) = (Vec::new(), Vec::new());
        let (mut classes, mut batch) = (0, 0);
        for (level, outputs) in outputs.chunks_exact(2).enumerate() {
            let [scores, offsets] = outputs else { return Err(shapes()) };
            let &[pictures, rows, columns, width] = scores.shape() else { return Err(shapes()) };
            let per_place = layout.per_place(level);
            if level == 0 {
                (classes, batch) = (width / per_place.max(1), pictures);
            }
            let fits = classes > 1 && pictures == batch && width == classes * per_place;
            if !fits || *offsets.shape() != [batch, rows, columns, 4 * per_place] {
                return Err(shapes());
            }
            grids.push([rows, columns]);
            let boxes = rows * columns * per_place;
            levels.push(Level { boxes, scores: scores.as_f32()?, offsets: offsets.as_f32()? });
        }
        Ok(Self { boxes: layout.over(&grids, padded), classes, batch, levels })
    }

    /// For each box of a picture its scores.
    pub fn scores(&self, picture: usize) -> Vec<&'a [f32]> {
        let of = |level: &Level<'a>| (level.boxes, level.scores);
        self.rows(picture, self.classes, of)
    }

    /// For each box of a picture its four offsets.
    pub fn offsets(&self, picture: usize) -> Vec<&'a [f32]> {
        let of = |level: &Level<'a>| (level.boxes, level.offsets);
        self.rows(picture, 4, of)
    }

    fn rows(
        &self,
        picture: usize,
        width: usize,
        of: impl Fn(&Level<'a>) -> (usize, &'a [f32]),
    ) -> Vec<&'a [f32]> {
        let own = |level: &Level<'a>| {
            let (boxes, numbers) = of(level);
            numbers[picture * boxes * width..(picture + 1) * boxes * width].chunks_exact(width)
        };
        self.levels.iter().flat_map(own).collect()
    }
}

/// The rows of a picture's boxes in numbers for each map, of a batch, so many for each box.
pub(super) fn rows_of(
    maps: &mut [Vec<f32>],
    batch: usize,
    picture: usize,
    width: usize,
) -> impl Iterator<Item = &mut [f32]> {
    maps.iter_mut().flat_map(move |numbers| {
        let own = numbers.len() / batch.max(1);
        numbers[picture * own..(picture + 1) * own].chunks_exact_mut(width)
    })
}

/// The logarithm of the sum of exponentials.
pub(super) fn log_sum_exp(row: &[f32]) -> f64 {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    f64::from(most) + row.iter().map(|&logit| f64::from(logit - most).exp()).sum::<f64>().ln()
}

pub(super) fn misfit(found: String) -> EngineError {
    EngineError::Tensor {
        what: "SSD".into(),
        expected: "for each of six maps scores [batch, height, width, boxes × (classes + 1)] and offsets [.., boxes × 4]".into(),
        found,
    }
}
