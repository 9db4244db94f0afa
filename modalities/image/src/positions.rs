//! Embeddings of places, when a network is built for another size of the input than its weights were trained for.
//!
//! They are resampled as pictures are, bicubic and antialiased: timm's `resample_abs_pos_embed`. The class token's embedding stays.

use tk_engine::{EngineError, Graph, Tensor};

use crate::data::{AxisWeights, Interpolation};

/// The parameter that holds them, `[1, 1 + rows · columns, width]`.
pub(crate) const POSITIONS: &str = "pos_embed";

/// The parameter whose kernel is a patch.
const PATCHES: &str = "patch_embed.proj.weight";

/// The side of a patch in pixels.
fn patch_side(graph: &Graph) -> Option<usize> {
    graph.parameters()[graph.parameter(PATCHES)?].shape.last().copied()
}

/// The side of the square input that embeddings of a shape are for, where a network's graph has room for another count of them.
pub(crate) fn other_square(graph: &Graph, shape: &[usize]) -> Option<u32> {
    let &[1, embeddings, _] = shape else { return None };
    if graph.parameters()[graph.parameter(POSITIONS)?].shape.get(1) == Some(&embeddings) {
        return None;
    }
    let patch = patch_side(graph)?;
    let places = embeddings.checked_sub(1)?;
    let side = places.isqrt();
    let is_square = side > 0 && side * side == places;
    is_square.then_some((side * patch) as u32)
}

/// The embeddings of a network for pixels of some sides, given those for others: height and width before, and after.
///
/// # Errors
/// When the embeddings are not those of such sides.
pub(crate) fn resample(
    graph: &Graph,
    embeddings: &Tensor,
    sides: [[u32; 2]; 2],
) -> Result<Tensor, EngineError> {
    let patch = patch_side(graph).unwrap_or(1);
    let [from, to] = sides.map(|sides| sides.map(|side| side as usize / patch));
    resample_grid(embeddings, from, to)
}

/// The embeddings of a grid of `from` rows and columns for one of `to`.
fn resample_grid(embeddings: &Tensor, from: [usize; 2], to: [usize; 2]) -> Result<Tensor, EngineError> {
    let width = embeddings.shape().last().copied().unwrap_or(0);
    let numbers = embeddings.to_f32();
    let (class, places) = numbers.split_at(width.min(numbers.len()));
    let places = Tensor::new(&[from[0], from[1], width], places.to_vec())?.to_f32();
    let down = AxisWeights::new(from[0], to[0], Interpolation::Bicubic);
    let across = AxisWeights::new(from[1], to[1], Interpolation::Bicubic);

    let mut rows = vec![0f64; from[0] * to[1] * width];
    for (row, into) in rows.chunks_exact_mut(to[1] * width).enumerate() {
        let row = &places[row * from[1] * width..][..from[1] * width];
        for (place, (first, weights)) in into.chunks_exact_mut(width).zip(across.iter()) {
            for (source, weight) in row[first * width..].chunks_exact(width).zip(weights) {
                place.iter_mut().zip(source).for_each(|(sum, &x)| *sum += weight * f64::from(x));
            }
        }
    }
    let mut all = class.to_vec();
    let stride = to[1] * width;
    for (first, weights) in down.iter() {
        let mut sums = vec![0f64; stride];
        for (row, weight) in rows[first * stride..].chunks_exact(stride).zip(weights) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
        }
        all.extend(sums.iter().map(|&sum| sum as f32));
    }
    Tensor::new(&[1, 1 + to[0] * to[1], width], all)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::architectures::{ImageSize, Settings, find};

    /// From, to, the sums of each channel, and the last embedding.
    type Case = ([usize; 2], [usize; 2], [f32; 2], [f32; 2]);

    const EXPECTED: [Case; 4] = [
        ([4, 4], [7, 7], [5.0945852, -2.8410143], [-0.351421, -1.1228007]),
        ([7, 7], [4, 4], [0.0519422, 0.6109976], [-0.7976079, -0.3987131]),
        ([5, 3], [2, 6], [0.8370586, 0.8768979], [0.0870528, -0.0816525]),
        ([4, 4], [2, 8], [0.9821755, 0.2594979], [-0.2442178, -0.0299799]),
    ];

    /// By `timm.layers.resample_abs_pos_embed`, of embeddings whose numbers are sin(place) and cos(place), the class's first.
    #[test]
    fn embeddings_are_those_of_timm() {
        let width = 2;
        for (from, to, sums, last) in EXPECTED {
            let count = 1 + from[0] * from[1];
            let numbers = (0..count).flat_map(|place| [(place as f32).sin(), (place as f32).cos()]).collect();
            let embeddings = Tensor::new(&[1, count, width], numbers).unwrap();
            let found = resample_grid(&embeddings, from, to).unwrap().to_f32();
            let sum = |channel: usize| found.iter().skip(channel).step_by(width).sum::<f32>();
            assert_eq!((found.len(), &found[..2]), (width * (1 + to[0] * to[1]), &[0.0, 1.0][..]));
            for (found, expected) in [sum(0), sum(1)].iter().zip(&sums) {
                assert!((found - expected).abs() < 1e-4, "{from:?} to {to:?}: {found}, {expected}");
            }
            for (found, expected) in found[found.len() - 2..].iter().zip(&last) {
                assert!((found - expected).abs() < 1e-6, "{from:?} to {to:?}: {found}, {expected}");
            }
        }
    }

    #[test]
    fn another_square_is_recognised() {
        let graph = |size: Option<ImageSize>| {
            let mut settings = Settings::classes(2);
            settings.model_args.img_size = size;
            find("vit_tiny_patch16_224").unwrap().build(&settings).unwrap()
        };
        for (embeddings, side) in [(577, Some(384)), (197, None), (196, None), (1, None), (0, None)] {
            assert_eq!(other_square(&graph(None), &[1, embeddings, 192]), side, "{embeddings}");
        }
        // Sixteen places of a wide input are not those of a square one.
        assert_eq!(other_square(&graph(Some(ImageSize::Sides([32, 128]))), &[1, 17, 192]), None);
        assert_eq!(other_square(&graph(None), &[]), None);
    }
}
