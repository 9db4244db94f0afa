//! What the values of masks stand for.

use std::collections::BTreeMap;

use tk_transfer::data::listing::list_names;

use super::names::{ClassNames, Keys};
use super::stored::Stored;
use super::value::{Value, hex};
use super::{ClassMap, IGNORED, Layout, MaskError};

/// What the values of a data set's masks stand for.
#[derive(Clone, Debug)]
pub(super) struct Coding {
    /// What is looked at.
    pub rule: Rule,
    /// The classes by name.
    pub classes: Vec<String>,
    /// What stands for a class, in words: `the classes are ...`.
    pub known: String,
}

/// What is looked at of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Its number, each of which stands for a class or for [`IGNORED`].
    Numbers(BTreeMap<u16, u8>),
    /// Its colour.
    Colours(BTreeMap<[u8; 3], u8>),
    /// Whether it is 0 or black; all else is one class, but for a number that stands for [`IGNORED`].
    Objects { ignored: Option<u16> },
}

impl Rule {
    /// The class that a value stands for, [`IGNORED`], or nothing.
    pub fn class_of(&self, value: Value) -> Option<u8> {
        match self {
            Self::Numbers(numbers) => numbers.get(&value.number()?).copied(),
            Self::Colours(colours) => colours.get(&value.colour()?).copied(),
            Self::Objects { ignored } => Some(match value.number() {
                number if number.is_some() && number == *ignored => IGNORED,
                Some(0) => 0,
                _ => 1,
            }),
        }
    }

    /// The layout of a folder of such masks.
    pub fn layout(&self) -> Layout {
        match self {
            Self::Numbers(_) => Layout::IndexMasks,
            Self::Colours(_) => Layout::PaletteMasks,
            Self::Objects { .. } => Layout::InstanceMasks,
        }
    }
}

impl Coding {
    /// The class that a value stands for, or [`IGNORED`].
    ///
    /// # Errors
    /// It stands for nothing.
    pub fn class_of(&self, value: Value) -> Result<u8, MaskError> {
        self.rule
            .class_of(value)
            .ok_or_else(|| MaskError::NoClass { found: value.to_string(), classes: self.known.clone() })
    }

    /// The classes of a mask's pixels.
    ///
    /// # Errors
    /// A value stands for nothing.
    pub fn map(&self, stored: &Stored) -> Result<ClassMap, MaskError> {
        ClassMap::new(stored.width, stored.height, stored.map(|value| self.class_of(value))?)
    }
}

impl ClassNames {
    /// The names with what stands for each, as a user knows them.
    pub fn in_words(&self) -> String {
        let key = |class: usize| match &self.keys {
            Keys::Places => Some(class.to_string()),
            Keys::Values(values) => values.get(class).map(u16::to_string),
            Keys::Colours(colours) => colours.get(class).map(|colour| hex(*colour)),
        };
        let named = |(class, name): (usize, &String)| format!("{} {name}", key(class).unwrap_or_default());
        let names: Vec<String> = self.names.iter().enumerate().map(named).collect();
        list_names(names.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_looks_at_its_own_of_a_value() {
        let numbers = Rule::Numbers([(0, 0), (7, 1), (255, IGNORED)].into());
        let colours = Rule::Colours([([0; 3], 0), ([9, 8, 7], 1), ([7; 3], 2)].into());
        let (objects, all) = (Rule::Objects { ignored: Some(255) }, Rule::Objects { ignored: None });
        let value = [
            Value::Grey(0),
            Value::Grey(7),
            Value::Grey(255),
            Value::Grey(300),
            Value::Indexed(7, [9, 8, 7]),
            Value::Indexed(0, [7; 3]),
            Value::Colour([9, 8, 7]),
            Value::Colour([7; 3]),
            Value::Colour([0; 3]),
        ];
        const NONE: Option<u8> = None;
        let void = Some(IGNORED);
        for (rule, expected) in [
            (&numbers, [Some(0), Some(1), void, NONE, Some(1), Some(0), NONE, Some(1), Some(0)]),
            (&colours, [Some(0), Some(2), NONE, NONE, Some(1), Some(2), Some(1), Some(2), Some(0)]),
            (&objects, [Some(0), Some(1), void, Some(1), Some(1), Some(0), Some(1), Some(1), Some(0)]),
            (&all, [Some(0), Some(1), Some(1), Some(1), Some(1), Some(0), Some(1), Some(1), Some(0)]),
        ] {
            assert_eq!(value.map(|value| rule.class_of(value)), expected, "{rule:?}");
        }
    }

    #[test]
    fn a_value_without_class_is_named_with_the_classes() {
        for (keys, value, expected) in [
            (Keys::Places, Value::Grey(2), "the value 2 is no class; `f` names `0 sky`, `1 sea`"),
            (
                Keys::Values(vec![0, 7]),
                Value::Indexed(9, [1, 2, 255]),
                "the index 9 (#0102ff) is no class; `f` names `0 sky`, `7 sea`",
            ),
            (
                Keys::Colours(vec![[0; 3], [0, 0, 128]]),
                Value::Colour([1; 3]),
                "the colour #010101 is no class; `f` names `#000000 sky`, `#000080 sea`",
            ),
        ] {
            let names = vec!["sky".to_owned(), "sea".to_owned()];
            let names = ClassNames { source: "f".to_owned(), names, keys };
            let known = format!("`f` names {}", names.in_words());
            let coding = Coding { rule: Rule::Numbers([(0, 0)].into()), classes: names.names, known };
            assert_eq!(coding.class_of(value).map_err(|error| error.to_string()), Err(expected.to_owned()));
        }
    }
}
