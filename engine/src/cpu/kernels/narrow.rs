//! Activations in fewer bits: how they are stored, and the way there and back.

use super::chunks::CHUNK;
use crate::Precision;
use crate::cpu::Machine;

/// What a byte stands for: `scale · (byte − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// From one byte's number to the next one's.
    pub scale: f32,
    /// The byte of zero.
    pub zero_point: u8,
}

impl Quantization {
    /// The finest one whose bytes reach from `least` to `greatest`, and have a zero.
    pub fn of_range(least: f32, greatest: f32) -> Self {
        let (least, greatest) = (least.min(0.0), greatest.max(0.0));
        let scale = (greatest - least) / 255.0;
        if !(scale.is_finite() && scale > 0.0) {
            return Self { scale: 1.0, zero_point: 0 };
        }
        Self { scale, zero_point: to_byte(-least / scale) }
    }

    /// The byte of a number.
    #[inline(always)]
    pub fn byte(self, value: f32) -> u8 {
        to_byte(value * (1.0 / self.scale) + f32::from(self.zero_point))
    }

    /// The number of a byte.
    #[inline(always)]
    pub fn value(self, byte: u8) -> f32 {
        self.scale * (f32::from(byte) - f32::from(self.zero_point))
    }
}

/// How numbers are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Storage {
    /// One in a word.
    #[default]
    F32,
    /// Two in a word.
    Bf16,
    /// Four in a word.
    Int8(Quantization),
}

impl Storage {
    /// The precision.
    pub fn precision(self) -> Precision {
        match self {
            Self::F32 => Precision::F32,
            Self::Bf16 => Precision::Bf16,
            Self::Int8(_) => Precision::Int8,
        }
    }

    /// Words for so many numbers.
    pub fn words(self, numbers: usize) -> usize {
        numbers.div_ceil(self.precision().per_word())
    }

    /// A word of zeros.
    pub(crate) fn zero(self) -> f32 {
        match self {
            Self::F32 | Self::Bf16 => 0.0,
            Self::Int8(quantization) => f32::from_bits(u32::from_ne_bytes([quantization.zero_point; 4])),
        }
    }
}

/// Numbers as they are stored, in words that need not be floats.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'a> {
    /// What the words are.
    pub storage: Storage,
    /// The words.
    pub words: &'a [f32],
}

impl<'a> From<&'a [f32]> for Numbers<'a> {
    fn from(words: &'a [f32]) -> Self {
        Self { storage: Storage::F32, words }
    }
}

impl<'a> Numbers<'a> {
    /// The numbers, which are floats.
    ///
    /// # Panics
    /// When they are not.
    pub fn floats(self) -> &'a [f32] {
        assert_eq!(self.storage, Storage::F32, "numbers are floats");
        self.words
    }
}

/// Room for numbers.
#[derive(Debug)]
pub struct NumbersMut<'a> {
    /// What the words will be.
    pub storage: Storage,
    /// The words.
    pub words: &'a mut [f32],
}

impl<'a> From<&'a mut [f32]> for NumbersMut<'a> {
    fn from(words: &'a mut [f32]) -> Self {
        Self { storage: Storage::F32, words }
    }
}

/// The bf16 nearest to a float.
#[inline(always)]
pub(crate) fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    (if value.is_nan() { 0x7fc0_0000 } else { rounded } >> 16) as u16
}

/// The float of a bf16.
#[inline(always)]
pub(crate) fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// A word of two bf16.
#[inline(always)]
pub(crate) fn pair(low: f32, high: f32) -> f32 {
    f32::from_bits(u32::from(to_bf16(high)) << 16 | u32::from(to_bf16(low)))
}

/// 1.5·2²³: adding it leaves a float no room for fractions, so that it is rounded as the processor does, to the last bits of the sum.
const WHOLE: f32 = 12_582_912.0;

/// The nearest whole number (even in the middle) from 0 to 255; 0 for what is not a number.
#[inline(always)]
pub(crate) fn to_byte(value: f32) -> u8 {
    let held = if value > 0.0 { value } else { 0.0 };
    let held = if held < 255.0 { held } else { 255.0 };
    ((held + WHOLE).to_bits() & 0xff) as u8
}

/// The nearest whole number from −127 to 127, as bits of a byte.
#[inline(always)]
pub(crate) fn to_signed_byte(value: f32) -> i8 {
    let held = if value > -127.0 { value } else { -127.0 };
    let held = if held < 127.0 { held } else { 127.0 };
    // The low bits are those of two's complement, as 2²³ is a multiple of 256.
    (held + WHOLE).to_bits() as i8
}

/// A word of four bytes.
#[inline(always)]
pub(crate) fn quad(bytes: [u8; 4]) -> f32 {
    f32::from_bits(u32::from_le_bytes(bytes))
}

/// Stores floats in fewer bits.
///
/// # Panics
/// When there are not as many words as they need, or the last would not be full.
pub fn narrow(machine: &Machine, from: &[f32], into: NumbersMut<'_>) {
    let per_word = into.storage.precision().per_word();
    assert_eq!(from.len(), into.words.len() * per_word, "numbers fill words");
    let isa = machine.isa;
    machine.pool.for_each_chunk(into.words, CHUNK, |chunk, words| {
        let from = &from[chunk * CHUNK * per_word..][..words.len() * per_word];
        match into.storage {
            Storage::F32 => words.copy_from_slice(from),
            Storage::Bf16 => isa.vectorize(
                #[inline(always)]
                || {
                    for (word, &[low, high]) in words.iter_mut().zip(from.as_chunks().0) {
                        *word = pair(low, high);
                    }
                },
            ),
            Storage::Int8(Quantization { scale, zero_point }) => isa.vectorize(
                #[inline(always)]
                || {
                    let (inverse, zero) = (1.0 / scale, f32::from(zero_point));
                    for (word, numbers) in words.iter_mut().zip(from.as_chunks::<4>().0) {
                        *word = quad(numbers.map(|value| to_byte(value * inverse + zero)));
                    }
                },
            ),
        }
    });
}

/// The floats of numbers.
pub fn widen(numbers: Numbers<'_>) -> Vec<f32> {
    let bits = numbers.words.iter().map(|word| word.to_bits());
    match numbers.storage {
        Storage::F32 => numbers.words.to_vec(),
        Storage::Bf16 => bits.flat_map(|word| [word << 16, word & 0xffff_0000].map(f32::from_bits)).collect(),
        Storage::Int8(quantization) => {
            bits.flat_map(|word| word.to_le_bytes().map(|byte| quantization.value(byte))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{machines, numbers};
    use super::*;

    #[test]
    fn bf16_is_the_nearest() {
        for (value, expected) in [
            (1.0, 1.0),
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 256.0, 1.015_625),
            (-2.0, -2.0),
            (f32::INFINITY, f32::INFINITY),
            (f32::MAX, f32::INFINITY),
        ] {
            assert_eq!(from_bf16(to_bf16(value)), expected, "{value}");
        }
        assert!(from_bf16(to_bf16(f32::from_bits(0x7fff_ffff))).is_nan());
    }

    #[test]
    fn bytes_are_rounded_and_held() {
        for (value, byte) in
            [(-3.0, 0), (0.5, 0), (1.5, 2), (2.5, 2), (254.6, 255), (1e9, 255), (f32::NAN, 0)]
        {
            assert_eq!(to_byte(value), byte, "{value}");
        }
    }

    #[test]
    fn signed_bytes_are_rounded_and_held() {
        for (value, byte) in [(-1e9, -127), (-127.6, -127), (-0.5, 0), (-1.5, -2), (1.5, 2), (200.0, 127)] {
            assert_eq!(to_signed_byte(value), byte, "{value}");
        }
    }

    #[test]
    fn a_range_has_a_zero_and_its_ends() {
        for (least, greatest) in [(0.0, 6.0), (-1.0, 3.0), (0.5, 2.0), (-4.0, -1.0)] {
            let quantization = Quantization::of_range(least, greatest);
            assert_eq!(quantization.value(quantization.byte(0.0)), 0.0);
            for end in [least, greatest] {
                let back = quantization.value(quantization.byte(end));
                assert!((back - end).abs() <= quantization.scale * 1.01, "{end} became {back}");
            }
        }
        assert_eq!(Quantization::of_range(0.0, 0.0).byte(0.0), 0);
    }

    #[test]
    fn numbers_come_back_within_their_precision_on_every_machine() {
        let from = numbers(7, 4 * (CHUNK + 5));
        let quantization = Quantization::of_range(-5.0, 5.0);
        for machine in machines() {
            for (storage, tolerance) in [
                (Storage::F32, 0.0),
                (Storage::Bf16, 5.0 / 256.0),
                (Storage::Int8(quantization), quantization.scale * 0.501),
            ] {
                let mut words = vec![f32::NAN; storage.words(from.len())];
                narrow(&machine, &from, NumbersMut { storage, words: &mut words });
                let back = widen(Numbers { storage, words: &words });
                assert_eq!(back.len(), from.len());
                for (back, from) in back.iter().zip(&from) {
                    assert!((back - from).abs() <= tolerance, "{storage:?}: {from} became {back}");
                }
            }
        }
    }
}
