//! In how many bits products are computed.

use std::fmt;
use std::str::FromStr;

/// How the operands of convolutions and linear layers are represented. Sums are kept in 32 bits, and everything else is f32, whatever
/// the precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// The upper half of an f32 (1 sign, 8 exponent, 7 mantissa bits), rounded to nearest.
    Bf16,
    /// Bytes: activations are unsigned with a scale and a zero point for each tensor, found by calibration; weights are signed with a scale
    /// for each output channel (Jacob et al., arXiv 1712.05877).
    Int8,
}

impl Precision {
    /// Every precision, most exact first.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];

    /// The name used on the command line and in cache keys.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    /// Numbers in a word of 32 bits.
    pub const fn per_word(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Bf16 => 2,
            Self::Int8 => 4,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|precision| precision.name() == name)
            .ok_or_else(|| format!("`{name}` is no precision; there are f32, bf16 and int8"))
    }
}
