//! The angles of rotary positions.

/// Rotary positions (arXiv 2104.09864). Channel `i` of the first half of a head and the same of its second half are a point of a plane,
/// which position `p` turns by `p · base^(−2i / channels of a head)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotary {
    /// The count of heads; each has an even share of the width.
    pub heads: usize,
    /// The base of the angles, above 0.
    pub base: f64,
}

impl Rotary {
    /// The angle by which each position turns each plane, `[length, half]`, where `half` planes are half the channels of a head.
    pub(crate) fn angles(&self, length: usize, half: usize) -> impl Iterator<Item = f64> {
        let Self { base, .. } = *self;
        let speed = move |plane: usize| base.powf(-(plane as f64) / half as f64);
        (0..length).flat_map(move |position| (0..half).map(move |plane| position as f64 * speed(plane)))
    }
}
