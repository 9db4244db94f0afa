//! How far to go in a direction: the strong Wolfe conditions by bracketing and zooming (Nocedal and Wright, Numerical
//! Optimization, algorithms 3.5 and 3.6), with cubic interpolation.
//!
//! Near a minimum the function changes by less than its rounding, and its values no longer tell better from worse. There the
//! first condition is replaced by the approximate one of Hager and Zhang (2005): the slope decides, as long as the value changes
//! by no more than the rounding.

use super::minimize::dot;

/// The first condition: the decrease is at least this part of what the slope promises.
const DECREASE: f64 = 1e-4;
/// The second condition: the slope has become at most this part of what it was.
const CURVATURE: f64 = 0.9;
/// The relative rounding of the function: f32 logits of a few thousand terms are off by about 10⁻⁶, their mean over a few
/// thousand samples by a hundredth of it.
pub(super) const ROUNDING: f64 = 2e-8;
/// Evaluations before giving up.
const EVALUATIONS: usize = 20;
/// Evaluations before giving up when no value differs from the start's by more than the rounding.
const LEVEL_EVALUATIONS: usize = 5;

/// What a search found.
pub(super) enum Outcome {
    /// A point that satisfies the conditions, or at least lowers the value.
    Step { point: Vec<f64>, value: f64, gradient: Vec<f64> },
    /// Nothing lower.
    Stuck,
}

/// A place on the line.
#[derive(Clone, Copy)]
struct Place {
    step: f64,
    value: f64,
    slope: f64,
}

/// Searches from `point` along `direction`, which goes down. `here` is the value and the gradient at the point.
pub(super) fn search(
    point: &[f64],
    direction: &[f64],
    here: (f64, &[f64]),
    first_step: f64,
    evaluate: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Outcome {
    let start = Place { step: 0.0, value: here.0, slope: dot(direction, here.1) };
    let mut gradient = vec![0f64; point.len()];
    let mut there = point.to_vec();
    // The lower end of the bracket fulfils the first condition and has the lowest value so far.
    let (mut low, mut high) = (start, None::<Place>);
    let mut step = first_step;
    let mut level_evaluations = 0;
    for _ in 0..EVALUATIONS {
        for ((there, point), direction) in there.iter_mut().zip(point).zip(direction) {
            *there = point + step * direction;
        }
        let value = evaluate(&there, &mut gradient);
        let trial = Place { step, value, slope: dot(direction, &gradient) };
        let is_finite = value.is_finite() && trial.slope.is_finite();
        if is_finite && is_accepted(start, trial) {
            return Outcome::Step { point: there, value, gradient };
        }
        level_evaluations += usize::from(is_level(start, trial));
        if level_evaluations == LEVEL_EVALUATIONS {
            break;
        }
        let is_too_far = !is_finite
            || trial.value > start.value + DECREASE * step * start.slope
            || (trial.value >= low.value && low.step > 0.0);
        if is_too_far {
            high = Some(trial);
        } else {
            // The minimum lies on the side towards which the trial's slope falls.
            if trial.slope * (high.map_or(f64::INFINITY, |high| high.step) - low.step) >= 0.0 {
                high = Some(low);
            }
            low = trial;
        }
        step = match high {
            None => step * 4.0,
            Some(high) => between(low, high),
        };
        if high.is_some_and(|high| (high.step - low.step).abs() <= 1e-14 * high.step.abs()) {
            break;
        }
    }
    if low.step == 0.0 || low.value >= start.value {
        return Outcome::Stuck;
    }
    for ((there, point), direction) in there.iter_mut().zip(point).zip(direction) {
        *there = point + low.step * direction;
    }
    let value = evaluate(&there, &mut gradient);
    Outcome::Step { point: there, value, gradient }
}

fn is_accepted(start: Place, trial: Place) -> bool {
    let is_lower = trial.value <= start.value + DECREASE * trial.step * start.slope;
    let is_flat = trial.slope.abs() <= -CURVATURE * start.slope;
    let is_approximately_lower =
        is_level(start, trial) && trial.slope <= (2.0 * DECREASE - 1.0) * start.slope;
    is_flat && (is_lower || is_approximately_lower)
}

/// Whether rounding may be all that tells the values apart.
fn is_level(start: Place, trial: Place) -> bool {
    (trial.value - start.value).abs() <= ROUNDING * start.value.abs()
}

/// The minimum of the cubic through two places, kept off the ends; the middle where there is none.
fn between(low: Place, high: Place) -> f64 {
    let span = high.step - low.step;
    let middle = low.step + 0.5 * span;
    if !high.value.is_finite() || !high.slope.is_finite() {
        return low.step + 0.1 * span;
    }
    let first = low.slope + high.slope - 3.0 * (high.value - low.value) / span;
    let square = first * first - low.slope * high.slope;
    if square < 0.0 {
        return middle;
    }
    let second = square.sqrt().copysign(span);
    let step = high.step - span * (high.slope + second - first) / (high.slope - low.slope + 2.0 * second);
    let share = (step - low.step) / span;
    if share.is_finite() { low.step + share.clamp(0.1, 0.9) * span } else { middle }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_fulfil_the_conditions_from_any_first_step() {
        // Functions of one variable with their slope, all falling at 0.
        type Function = fn(f64) -> (f64, f64);
        let functions: [Function; 4] = [
            |x| ((x - 3.0).powi(2), 2.0 * (x - 3.0)),
            |x| (-x / (x * x + 2.0), (x * x - 2.0) / (x * x + 2.0).powi(2)),
            |x| ((x - 1.0).powi(4) + 0.9 * x, 4.0 * (x - 1.0).powi(3) + 0.9),
            |x| {
                (
                    if x < 5.0 { -x - (5.0 - x).ln() } else { f64::NAN },
                    if x < 5.0 { -1.0 + 1.0 / (5.0 - x) } else { f64::NAN },
                )
            },
        ];
        for (index, function) in functions.iter().enumerate() {
            for first in [1e-3, 0.1, 1.0, 10.0, 1e3] {
                let (value, slope) = function(0.0);
                let mut evaluate = |x: &[f64], gradient: &mut [f64]| {
                    let (value, slope) = function(x[0]);
                    gradient[0] = slope;
                    value
                };
                let Outcome::Step { point, value: found, gradient } =
                    search(&[0.0], &[1.0], (value, &[slope]), first, &mut evaluate)
                else {
                    panic!("function {index} from {first}: stuck")
                };
                assert!(found <= value + DECREASE * point[0] * slope, "function {index} from {first}");
                assert!(gradient[0].abs() <= CURVATURE * slope.abs(), "function {index} from {first}");
            }
        }
    }

    #[test]
    fn a_function_that_only_rises_is_given_up() {
        // The claimed slope is a lie, as rounding can make it.
        let mut evaluate = |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = 1.0;
            1.0 + x[0]
        };
        assert!(matches!(search(&[0.0], &[1.0], (1.0, &[-1.0]), 1.0, &mut evaluate), Outcome::Stuck));
    }
}
