//! Numbers as programs write them into JSON: whole, with a point, as text, as `true`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A number, however it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    /// The number, when it is whole.
    pub fn whole(self) -> Option<i64> {
        match self {
            Self::Whole(number) => Some(number),
            // Beyond this, whole numbers cannot be told from their neighbours.
            Self::Real(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(number as i64),
            Self::Real(_) => None,
        }
    }

    pub fn real(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }

    /// The length of a picture's side, unless it is 0 or less, as some programs write what they do not know.
    pub fn side(self) -> Option<u32> {
        self.whole().and_then(|side| u32::try_from(side).ok()).filter(|side| *side > 0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Number, E> {
        Ok(Number::Whole(i64::from(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
        Ok(Number::Whole(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
        Ok(i64::try_from(value).map_or(Number::Real(value as f64), Number::Whole))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
        Ok(Number::Real(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Number, E> {
        let whole = value.trim().parse().map(Number::Whole);
        let number = whole.or_else(|_| value.trim().parse().map(Number::Real));
        number.map_err(|_| E::invalid_value(serde::de::Unexpected::Str(value), &self))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn numbers_are_borne_in_every_dress() {
        let number = |text: &str| serde_json::from_str::<Number>(text);
        for (text, whole, real, side) in [
            ("3", Some(3), 3.0, Some(3)),
            ("-3", Some(-3), -3.0, None),
            ("3.0", Some(3), 3.0, Some(3)),
            ("3.5", None, 3.5, None),
            ("\"0042\"", Some(42), 42.0, Some(42)),
            ("\" 2.5 \"", None, 2.5, None),
            ("true", Some(1), 1.0, Some(1)),
            ("0", Some(0), 0.0, None),
            ("1e300", None, 1e300, None),
            ("18446744073709551615", None, 18_446_744_073_709_551_615.0, None),
        ] {
            let number = number(text).unwrap();
            assert_eq!((number.whole(), number.real(), number.side()), (whole, real, side), "{text}");
        }
        for text in ["\"a\"", "null", "[]", "{}", "\"\""] {
            assert!(number(text).unwrap_err().to_string().contains("expected a number"), "{text}");
        }
    }
}
