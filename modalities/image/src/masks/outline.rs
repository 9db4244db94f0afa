//! Masks from outlines, pixel by pixel as pycocotools draws them (`rleFrPoly` of `maskApi.c`): corners are rounded to fifths of a pixel,
//! edges are walked in such steps, and where they cross the middle of a column the mask begins or ends.

use super::Mask;

/// No picture is so large.
const FAR: f64 = 1e6;

/// Steps within a pixel.
const STEPS: f64 = 5.0;

/// An outline that encloses nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OutlineError {
    /// Numbers that are no corners.
    #[error("an outline of {0} numbers; expected x and y of at least three corners")]
    Corners(usize),
    /// A number that is none, or lies far outside.
    #[error("an outline with a corner at {0}, {1}")]
    Corner(f64, f64),
}

impl Mask {
    /// What some outlines enclose together; each is x and y of its corners, in pixels.
    ///
    /// # Errors
    /// When one has fewer than three corners, or they are no numbers.
    pub fn from_outlines(height: usize, width: usize, outlines: &[Vec<f64>]) -> Result<Self, OutlineError> {
        let masks: Vec<Self> =
            outlines.iter().map(|outline| enclosed(height, width, outline)).collect::<Result<_, _>>()?;
        Ok(if masks.is_empty() { Self::from_borders(height, width, Vec::new()) } else { Self::union(&masks) })
    }
}

fn enclosed(height: usize, width: usize, outline: &[f64]) -> Result<Mask, OutlineError> {
    let (corners, rest) = outline.as_chunks::<2>();
    if corners.len() < 3 || !rest.is_empty() {
        return Err(OutlineError::Corners(outline.len()));
    }
    if let Some([x, y]) = corners.iter().find(|corner| corner.iter().any(is_far)) {
        return Err(OutlineError::Corner(*x, *y));
    }
    // Truncated and not rounded down, as C does.
    let corners: Vec<[i64; 2]> =
        corners.iter().map(|corner| corner.map(|at| (STEPS * at + 0.5) as i64)).collect();
    let points: Vec<[i64; 2]> =
        corners.iter().zip(corners.iter().cycle().skip(1)).flat_map(|(&from, &to)| edge(from, to)).collect();
    let borders = points.windows(2).filter_map(|pair| crossing(height, width, pair[0], pair[1]));
    Ok(Mask::from_borders(height, width, borders.collect()))
}

fn is_far(place: &f64) -> bool {
    !place.is_finite() || place.abs() >= FAR
}

/// The points of an edge, both ends included, in steps along its longer side.
fn edge(from: [i64; 2], to: [i64; 2]) -> impl Iterator<Item = [i64; 2]> {
    let lengths = [0, 1].map(|axis| (to[axis] - from[axis]).abs());
    let long = if lengths[0] >= lengths[1] { 0 } else { 1 };
    let is_turned = from[long] > to[long];
    let (start, end) = if is_turned { (to, from) } else { (from, to) };
    let short = 1 - long;
    let slope = (end[short] - start[short]) as f64 / lengths[long] as f64;
    (0..=lengths[long]).map(move |step| {
        let step = if is_turned { lengths[long] - step } else { step };
        let mut point = [0; 2];
        point[long] = start[long] + step;
        // A point alone has no slope.
        let across = if lengths[long] == 0 { 0.0 } else { slope * step as f64 };
        point[short] = (start[short] as f64 + across + 0.5) as i64;
        point
    })
}

/// Where, counted down the columns, a step from one point to the next crosses the middle of a column.
fn crossing(height: usize, width: usize, before: [i64; 2], after: [i64; 2]) -> Option<usize> {
    if before[0] == after[0] {
        return None;
    }
    let left = if after[0] < before[0] { after[0] } else { after[0] - 1 };
    let column = (left as f64 + 0.5) / STEPS - 0.5;
    if column.floor() != column || column < 0.0 || column > width as f64 - 1.0 {
        return None;
    }
    let row = (before[1].min(after[1]) as f64 + 0.5) / STEPS - 0.5;
    let row = row.clamp(0.0, height as f64).ceil();
    Some(column as usize * height + row as usize)
}
