//! The one source of randomness: a counter-based generator.
//!
//! A value is a pure function of a key and a counter, so it does not matter in which order, on which thread or in which
//! resumed run it is asked for. The mixing function is SplitMix64's finaliser (Steele, Lea, Flood 2014), applied twice.

/// A stream of random numbers, named by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    key: u64,
    counter: u64,
}

impl Stream {
    /// The stream of a seed and a list of names or numbers that say what it is for.
    pub fn new(seed: u64, path: &[Label<'_>]) -> Self {
        let key = path.iter().fold(mix(seed ^ 0x9e37_79b9_7f4a_7c15), |key, label| {
            mix(key.rotate_left(17)
                ^ match label {
                    Label::Text(text) => fnv1a(text.as_bytes()),
                    Label::Number(number) => mix(number.wrapping_add(0x632b_e59b_d9b4_e019)),
                })
        });
        Self { key, counter: 0 }
    }

    /// The value at a position, without moving the stream: 64 uniform bits.
    #[inline]
    pub fn at(&self, position: u64) -> u64 {
        mix(self.key ^ mix(position.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(self.key)))
    }

    /// The uniform number in `[0, 1)` at a position.
    #[inline]
    pub fn unit_at(&self, position: u64) -> f64 {
        unit(self.at(position))
    }

    /// The next 64 uniform bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let value = self.at(self.counter);
        self.counter += 1;
        value
    }

    /// The next uniform number in `[0, 1)`.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        unit(self.bits())
    }

    /// The next uniform number in `[low, high)`.
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// The next uniform integer below `bound` (0 when `bound` is 0). Multiply-shift; the bias is below 2⁻⁴⁰ for the sizes used here.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// The next standard normal number (Box–Muller; one of the pair is dropped so that a call is two positions).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Shuffles in place (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// One part of a stream's name.
#[derive(Clone, Copy, Debug)]
pub enum Label<'a> {
    /// A word, such as a node's name.
    Text(&'a str),
    /// A number, such as a step or a sample's identity.
    Number(u64),
}

impl<'a> From<&'a str> for Label<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Label<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Label<'_> {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

/// The 64-bit FNV-1a hash of bytes. For naming streams and fills, not for telling contents apart.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// SplitMix64's finaliser: a bijection on 64 bits in which every input bit reaches every output bit.
#[inline]
pub fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The uniform number in `[0, 1)` of 64 uniform bits (the upper 53 are used).
#[inline]
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_depends_on_its_name_and_position_alone() {
        let stream = Stream::new(7, &["dropout".into(), 3u64.into()]);
        let mut walked = stream;
        let values: Vec<u64> = (0..5).map(|_| walked.bits()).collect();
        assert_eq!(values, (0..5).map(|position| stream.at(position)).collect::<Vec<_>>());
        for other in [
            Stream::new(8, &["dropout".into(), 3u64.into()]),
            Stream::new(7, &["dropout".into(), 4u64.into()]),
        ] {
            assert_ne!(stream.at(0), other.at(0));
        }
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut stream = Stream::new(1, &["moments".into()]);
        let count = 200_000;
        let (mut sum, mut square, mut normal, mut normal_square) = (0.0, 0.0, 0.0, 0.0);
        for _ in 0..count {
            let (uniform, gauss) = (stream.unit(), stream.normal());
            sum += uniform;
            square += uniform * uniform;
            normal += gauss;
            normal_square += gauss * gauss;
        }
        let n = f64::from(count);
        // Five standard errors of each mean.
        assert!((sum / n - 0.5).abs() < 5.0 * (1.0 / 12f64 / n).sqrt());
        assert!((square / n - 1.0 / 3.0).abs() < 5.0 * (4.0 / 45.0 / n).sqrt());
        assert!((normal / n).abs() < 5.0 * (1.0 / n).sqrt());
        assert!((normal_square / n - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items: Vec<usize> = (0..100).collect();
        Stream::new(2, &["shuffle".into()]).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
