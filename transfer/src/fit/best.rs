//! The best epoch by a score on validation samples, and when to stop looking for a better one.

use serde::{Deserialize, Serialize};

/// How the best epoch is found. Its weights are what the next phase goes on from, and in the end the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    /// The score, by the name that the task's meter gives it.
    pub metric: String,
    /// Which values of it are good.
    pub goal: Goal,
    /// A phase ends after so many epochs without a better one (early stopping); `None`: it goes to its end.
    pub patience: Option<usize>,
}

/// Which values of a score are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// High ones.
    Highest,
    /// Low ones.
    Lowest,
}

/// The best epoch of a fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The score that says so.
    pub metric: String,
    /// The epoch, counted through all phases from 1.
    pub epoch: usize,
    /// Its score.
    pub value: f64,
}

impl Monitor {
    /// Whether a value is better than that of the best epoch so far; of equals the first stays.
    pub fn improves(&self, value: f64, best: Option<&Best>) -> bool {
        let Some(best) = best.filter(|best| !best.value.is_nan()) else { return true };
        match self.goal {
            Goal::Highest => value > best.value,
            Goal::Lowest => value < best.value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_stays_and_what_is_no_number_never_wins() {
        // goal, so far, now, whether that is better
        for (goal, so_far, now, expected) in [
            (Goal::Highest, None, 0.1, true),
            (Goal::Highest, Some(0.5), 0.5, false),
            (Goal::Highest, Some(0.5), 0.6, true),
            (Goal::Lowest, Some(0.5), 0.6, false),
            (Goal::Lowest, Some(0.5), 0.4, true),
            (Goal::Lowest, Some(0.5), f64::NAN, false),
            (Goal::Highest, Some(f64::NAN), 0.1, true),
        ] {
            let monitor = Monitor { metric: "x".into(), goal, patience: None };
            let best = so_far.map(|value| Best { metric: "x".into(), epoch: 1, value });
            assert_eq!(monitor.improves(now, best.as_ref()), expected, "{goal:?} {so_far:?} {now}");
        }
    }
}
