//! How an architecture's names differ from those of a published checkpoint, as data.

use std::borrow::Cow;

use regex::Regex;

use super::load_error::LoadError;

/// One difference between a checkpoint's names and a model's. Architectures list them for each dialect that they read
/// (torchvision, timm, transformers); rules are applied in order, each to what the one before it left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Names that begin with `from` begin with `to` instead.
    Prefix {
        /// Literal start of the checkpoint's name.
        from: &'static str,
        /// What takes its place.
        to: &'static str,
    },
    /// Every match of a regular expression is replaced; `to` may name groups as `${1}`.
    Pattern {
        /// Regular expression over the checkpoint's name; anchor it with `^` and `$`.
        from: &'static str,
        /// What takes its place.
        to: &'static str,
    },
    /// Parameters of the model whose name matches may have another shape in the checkpoint, the same elements in the same
    /// order: a linear layer over flattened pixels that the model expresses as a convolution.
    Reshape {
        /// Regular expression over the model's name.
        name: &'static str,
    },
    /// Numbers of tensors whose own name, before any rule, matches are loaded greater by a constant: variances that were trained under a
    /// greater epsilon.
    Shift {
        /// Regular expression over the checkpoint's name.
        from: &'static str,
        /// What is added.
        by: f32,
    },
}

/// Rules, ready for use.
#[derive(Debug)]
pub(super) struct Rules {
    renames: Vec<Rename>,
    reshapes: Vec<Regex>,
    shifts: Vec<(Regex, f32)>,
}

#[derive(Debug)]
enum Rename {
    Prefix { from: &'static str, to: &'static str },
    Pattern { from: Regex, to: &'static str },
}

impl Rules {
    pub(super) fn compile(rules: &[Rule]) -> Result<Self, LoadError> {
        let regex = |pattern: &'static str| {
            Regex::new(pattern).map_err(|error| LoadError::Rule { pattern, message: error.to_string() })
        };
        let mut compiled = Self { renames: Vec::new(), reshapes: Vec::new(), shifts: Vec::new() };
        for rule in rules {
            match *rule {
                Rule::Prefix { from, to } => compiled.renames.push(Rename::Prefix { from, to }),
                Rule::Pattern { from, to } => {
                    compiled.renames.push(Rename::Pattern { from: regex(from)?, to })
                }
                Rule::Reshape { name } => compiled.reshapes.push(regex(name)?),
                Rule::Shift { from, by } => compiled.shifts.push((regex(from)?, by)),
            }
        }
        Ok(compiled)
    }

    /// The model's name for the checkpoint's tensor `name`.
    pub(super) fn rename<'a>(&self, name: &'a str) -> Cow<'a, str> {
        self.renames.iter().fold(Cow::Borrowed(name), |name, rename| match rename {
            Rename::Prefix { from, to } => match name.strip_prefix(from) {
                Some(rest) => Cow::Owned(format!("{to}{rest}")),
                None => name,
            },
            Rename::Pattern { from, to } if from.is_match(&name) => {
                Cow::Owned(from.replace_all(&name, *to).into_owned())
            }
            Rename::Pattern { .. } => name,
        })
    }

    /// Changes the numbers of the checkpoint's tensor `name` as rules ask for it.
    pub(super) fn shift(&self, name: &str, values: &mut [f32]) {
        for (_, by) in self.shifts.iter().filter(|(pattern, _)| pattern.is_match(name)) {
            values.iter_mut().for_each(|value| *value += by);
        }
    }

    /// Whether the model's parameter `name` may have another shape in the checkpoint.
    pub(super) fn may_reshape(&self, name: &str) -> bool {
        self.reshapes.iter().any(|pattern| pattern.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn rules_apply_in_order() {
        let rules = Rules::compile(&[
            Rule::Prefix { from: "resnet.", to: "" },
            Rule::Prefix { from: "classifier.", to: "fc." },
            Rule::Pattern { from: r"^stage(\d)\.", to: "layer${1}." },
            Rule::Reshape { name: r"^fc1\.weight$" },
        ])
        .unwrap();
        for (name, expected) in [
            ("resnet.stage1.0.conv1.weight", "layer1.0.conv1.weight"),
            ("resnet.classifier.weight", "fc.weight"),
            ("stage2.resnet.bias", "layer2.resnet.bias"),
            ("conv1.weight", "conv1.weight"),
        ] {
            assert_eq!(rules.rename(name), expected);
        }
        assert!(rules.may_reshape("fc1.weight") && !rules.may_reshape("fc1.weight.x"));
    }

    #[test]
    fn a_bad_pattern_is_an_error() {
        let error = Rules::compile(&[Rule::Pattern { from: "(", to: "" }]).unwrap_err().to_string();
        assert!(error.starts_with("the rename rule `(` is not a regular expression"), "{error}");
    }
}
