//! One value of a mask, as its file holds it.

use std::fmt;

/// What a pixel of a mask holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    /// A grey value, as it is stored: of a mask of 1 bit 0 or 1.
    Grey(u16),
    /// A place in a palette, and the colour there.
    Indexed(u8, [u8; 3]),
    /// Red, green and blue.
    Colour([u8; 3]),
}

impl Value {
    /// The number: a grey value, an index, or the value of a colour that is grey.
    pub fn number(self) -> Option<u16> {
        match self {
            Self::Grey(value) => Some(value),
            Self::Indexed(index, _) => Some(u16::from(index)),
            Self::Colour([red, green, blue]) => (red == green && green == blue).then_some(u16::from(red)),
        }
    }

    /// The colour; that of a grey value as it is seen at 8 bits.
    pub fn colour(self) -> Option<[u8; 3]> {
        match self {
            Self::Grey(value) => u8::try_from(value).ok().map(|value| [value; 3]),
            Self::Indexed(_, colour) | Self::Colour(colour) => Some(colour),
        }
    }

    /// Whether it is a colour that is not grey, and so no number.
    pub fn is_colour_alone(self) -> bool {
        self.number().is_none()
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grey(value) => write!(formatter, "the value {value}"),
            Self::Indexed(index, colour) => write!(formatter, "the index {index} ({})", hex(*colour)),
            Self::Colour(colour) => write!(formatter, "the colour {}", hex(*colour)),
        }
    }
}

/// A colour as it is written in style sheets.
pub(super) fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbers_and_colours() {
        for (value, number, colour, text) in [
            (Value::Grey(7), Some(7), Some([7; 3]), "the value 7"),
            (Value::Grey(300), Some(300), None, "the value 300"),
            (Value::Indexed(2, [128, 0, 255]), Some(2), Some([128, 0, 255]), "the index 2 (#8000ff)"),
            (Value::Colour([9; 3]), Some(9), Some([9; 3]), "the colour #090909"),
            (Value::Colour([9, 9, 8]), None, Some([9, 9, 8]), "the colour #090908"),
        ] {
            assert_eq!(
                (value.number(), value.colour(), value.to_string()),
                (number, colour, text.to_owned())
            );
            assert_eq!(value.is_colour_alone(), number.is_none(), "{text}");
        }
    }
}
