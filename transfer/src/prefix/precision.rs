//! In how many bits a frozen prefix is asked to run, and what became of that.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tk_engine::Precision;

/// The precision that a run is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrecisionChoice {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats, in what is frozen and in what trains.
    Bf16,
    /// Bytes in what is frozen; what trains stays in f32.
    Int8,
    /// The fewest bits in which a frozen prefix leaves nearly what it leaves in f32; what trains stays in f32.
    Auto,
}

impl PrecisionChoice {
    /// Every choice.
    pub const ALL: [Self; 4] = [Self::F32, Self::Bf16, Self::Int8, Self::Auto];

    /// The name used on the command line and in `run.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::Auto => "auto",
        }
    }

    /// The precision of what trains.
    pub const fn of_training(self) -> Precision {
        match self {
            Self::Bf16 => Precision::Bf16,
            Self::F32 | Self::Int8 | Self::Auto => Precision::F32,
        }
    }

    /// What a prefix may run in beside f32, in the order in which it is tried: fewest bits first.
    pub const fn candidates(self) -> &'static [Precision] {
        match self {
            Self::F32 => &[],
            Self::Bf16 => &[Precision::Bf16],
            Self::Int8 => &[Precision::Int8],
            Self::Auto => &[Precision::Int8, Precision::Bf16],
        }
    }
}

impl fmt::Display for PrecisionChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for PrecisionChoice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|choice| choice.name() == name)
            .ok_or_else(|| format!("`{name}` is no precision; there are f32, bf16, int8 and auto"))
    }
}

/// What a frozen prefix ran in, and what was found before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionReport {
    /// The last stage of the prefix; `None` when nothing is frozen.
    pub until: Option<String>,
    /// What was asked for.
    pub asked: PrecisionChoice,
    /// What it runs in.
    #[serde(with = "by_name")]
    pub taken: Precision,
    /// Whether the processor lacks instructions for that, so that it is slower than f32.
    pub emulated: bool,
    /// Training samples on which it was compared with f32.
    pub samples: usize,
    /// What was tried beside f32, in order.
    pub tried: Vec<Tried>,
}

/// A precision that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// The precision.
    #[serde(with = "by_name")]
    pub precision: Precision,
    /// What was found.
    pub finding: Finding,
}

/// What was found of a precision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// What the prefix leaves differs from f32 by this share of its variation among samples.
    Differs(f64),
    /// There are too few samples to compare, or they do not vary.
    Incomparable,
    /// No layer of the prefix can be computed in it.
    Unsuited,
    /// The processor has no instructions for it.
    Lacking,
}

impl PrecisionReport {
    /// What is said where nothing is frozen: that what was asked for has no effect, if it has none.
    pub(crate) fn of_nothing(asked: PrecisionChoice) -> Option<Self> {
        let has_no_effect = matches!(asked, PrecisionChoice::Int8 | PrecisionChoice::Auto);
        has_no_effect.then(|| Self {
            until: None,
            asked,
            taken: Precision::F32,
            emulated: false,
            samples: 0,
            tried: Vec::new(),
        })
    }
}

impl fmt::Display for PrecisionReport {
    /// One line, such as `bf16 up to pool: features differ from f32 by 0.4 % of their variation on 128 samples; in int8 by 12 %`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(until) = &self.until else {
            return write!(formatter, "f32: nothing is frozen, and {} is for what is", self.asked);
        };
        let is_taken = |tried: &&Tried| tried.precision == self.taken;
        let others = self.tried.iter().filter(|tried| !is_taken(tried));
        let mut phrases: Vec<String> = Vec::new();
        let mut is_explained = false;
        for tried in self.tried.iter().filter(is_taken).chain(others) {
            let (precision, samples) = (tried.precision, self.samples);
            let place = if is_taken(&tried) { String::new() } else { format!("in {precision} ") };
            phrases.push(match tried.finding {
                Finding::Differs(share) if is_explained => format!("{place}by {}", percent(share)),
                Finding::Differs(share) => {
                    is_explained = true;
                    let share = percent(share);
                    format!(
                        "{place}features differ from f32 by {share} of their variation on {samples} samples"
                    )
                }
                Finding::Incomparable => {
                    format!("{samples} samples do not show how far {precision} is from f32")
                }
                Finding::Unsuited => format!("{precision} suits no layer"),
                Finding::Lacking => format!("this processor has no instructions for {precision}"),
            });
        }
        if self.emulated {
            phrases.push("this processor emulates it, which is slower than f32".into());
        }
        write!(formatter, "{} up to {until}: {}", self.taken, phrases.join("; "))
    }
}

/// Two digits of a share, as a percentage.
fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        p if p >= 9.95 => format!("{p:.0} %"),
        p if p >= 0.995 => format!("{p:.1} %"),
        p => format!("{p:.2} %"),
    }
}

/// Precisions in files are their names.
mod by_name {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use tk_engine::Precision;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub fn serialize<S: Serializer>(precision: &Precision, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(precision.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Precision, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_are_read_back_and_others_are_told_the_choices() {
        for choice in PrecisionChoice::ALL {
            assert_eq!(choice.name().parse(), Ok(choice));
        }
        let error = "f16".parse::<PrecisionChoice>().unwrap_err();
        assert_eq!(error, "`f16` is no precision; there are f32, bf16, int8 and auto");
    }

    #[test]
    fn a_report_is_one_line_and_is_read_back() {
        let tried = |precision, finding| Tried { precision, finding };
        let (int8, bf16) = (Precision::Int8, Precision::Bf16);
        for (taken, emulated, tried, expected) in [
            (
                bf16,
                false,
                vec![tried(int8, Finding::Differs(0.12)), tried(bf16, Finding::Differs(0.004))],
                "bf16 up to pool: features differ from f32 by 0.40 % of their variation on 40 samples; in int8 by 12 %",
            ),
            (
                Precision::F32,
                false,
                vec![tried(int8, Finding::Differs(0.12)), tried(bf16, Finding::Differs(0.0612))],
                "f32 up to pool: in int8 features differ from f32 by 12 % of their variation on 40 samples; in bf16 by 6.1 %",
            ),
            (
                Precision::F32,
                false,
                vec![tried(int8, Finding::Lacking), tried(bf16, Finding::Unsuited)],
                "f32 up to pool: this processor has no instructions for int8; bf16 suits no layer",
            ),
            (
                bf16,
                true,
                vec![tried(bf16, Finding::Incomparable)],
                "bf16 up to pool: 40 samples do not show how far bf16 is from f32; \
                 this processor emulates it, which is slower than f32",
            ),
        ] {
            let (asked, until) = (PrecisionChoice::Auto, Some("pool".to_owned()));
            let report = PrecisionReport { until, asked, taken, emulated, samples: 40, tried };
            assert_eq!(report.to_string(), expected);
            let text = serde_json::to_string(&report).unwrap();
            assert_eq!(serde_json::from_str::<PrecisionReport>(&text).unwrap(), report);
        }
    }
}
