//! Minimising a smooth function: L-BFGS (Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 7.5).

use std::cell::Cell;

use super::line_search::{self, Outcome};

/// Steps whose gradients approximate the curvature.
const MEMORY: usize = 10;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// After this many iterations.
    pub iterations: usize,
    /// When no component of the gradient is larger.
    pub gradient: f64,
    /// When an iteration lowers the value by a smaller part of it, three times running: as far as the function's rounding lets it go.
    pub decrease: f64,
}

/// Where a minimisation ended.
#[derive(Clone, Debug)]
pub(super) struct Minimum {
    pub point: Vec<f64>,
    pub value: f64,
    /// The largest component of the gradient.
    pub gradient: f64,
    pub iterations: usize,
    pub evaluations: usize,
    /// Whether the gradient or the decrease became small enough.
    pub is_converged: bool,
}

/// Minimises from a start. `function` returns the value at a point and writes the gradient there.
pub(super) fn minimize(
    start: Vec<f64>,
    stop: Stop,
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Minimum {
    let evaluations = Cell::new(0);
    let mut evaluate = |point: &[f64], gradient: &mut [f64]| {
        evaluations.set(evaluations.get() + 1);
        function(point, gradient)
    };
    let mut gradient = vec![0f64; start.len()];
    let mut value = evaluate(&start, &mut gradient);
    let mut point = start;
    let mut history = History::default();
    let mut small_decreases = 0;
    let mut iterations = 0;
    let is_converged = loop {
        if largest(&gradient) <= stop.gradient || small_decreases == 3 {
            break true;
        }
        if iterations == stop.iterations {
            break false;
        }
        iterations += 1;
        let mut direction = history.direction(&gradient);
        if dot(&direction, &gradient) >= 0.0 {
            history = History::default();
            direction = history.direction(&gradient);
        }
        // Without curvature known, the first step is at most of length 1.
        let first =
            if history.pairs.is_empty() { 1f64.min(1.0 / dot(&gradient, &gradient).sqrt()) } else { 1.0 };
        let found = line_search::search(&point, &direction, (value, &gradient), first, &mut evaluate);
        let Outcome::Step { point: next, value: next_value, gradient: next_gradient } = found else {
            if history.pairs.is_empty() {
                // Not even along the gradient is there less: the function's rounding has been reached.
                break true;
            }
            history = History::default();
            continue;
        };
        history.add(difference(&next, &point), difference(&next_gradient, &gradient));
        let decrease = (value - next_value) / next_value.abs().max(f64::MIN_POSITIVE);
        small_decreases = if decrease < stop.decrease { small_decreases + 1 } else { 0 };
        (point, value, gradient) = (next, next_value, next_gradient);
    };
    let (gradient, evaluations) = (largest(&gradient), evaluations.get());
    Minimum { point, value, gradient, iterations, evaluations, is_converged }
}

/// The last steps and changes of the gradient, oldest first.
#[derive(Default)]
struct History {
    pairs: Vec<Pair>,
}

struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// 1 / (step · change).
    rho: f64,
}

impl History {
    fn add(&mut self, step: Vec<f64>, change: Vec<f64>) {
        let curvature = dot(&step, &change);
        // Rounding can hide the curvature of a tiny step; such a pair would spoil the approximation.
        if curvature <= 1e-12 * dot(&change, &change).sqrt() * dot(&step, &step).sqrt() {
            return;
        }
        if self.pairs.len() == MEMORY {
            self.pairs.remove(0);
        }
        self.pairs.push(Pair { step, change, rho: 1.0 / curvature });
    }

    /// The negative gradient times the approximate inverse Hessian: the two-loop recursion.
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut direction: Vec<f64> = gradient.iter().map(|value| -value).collect();
        let mut factors = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let factor = pair.rho * dot(&pair.step, &direction);
            add_scaled(&mut direction, -factor, &pair.change);
            factors.push(factor);
        }
        if let Some(last) = self.pairs.last() {
            let scale = 1.0 / (last.rho * dot(&last.change, &last.change));
            direction.iter_mut().for_each(|value| *value *= scale);
        }
        for (pair, factor) in self.pairs.iter().zip(factors.into_iter().rev()) {
            let other = pair.rho * dot(&pair.change, &direction);
            add_scaled(&mut direction, factor - other, &pair.step);
        }
        direction
    }
}

/// The scalar product, summed in eight interleaved parts so that it vectorises.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a_eights, a_rest) = a.as_chunks::<8>();
    let (b_eights, b_rest) = b.as_chunks::<8>();
    let mut sums = [0f64; 8];
    for (a, b) in a_eights.iter().zip(b_eights) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

fn add_scaled(sum: &mut [f64], scale: f64, values: &[f64]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += scale * value);
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| f64::max(largest, value.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOP: Stop = Stop { iterations: 2000, gradient: 1e-9, decrease: 0.0 };

    #[test]
    fn a_valley_is_followed_to_its_end() {
        // Rosenbrock's function in ten pairs; the minimum is 0 at (1, …, 1).
        let rosenbrock = |x: &[f64], gradient: &mut [f64]| {
            let mut value = 0.0;
            for (pair, gradient) in x.chunks_exact(2).zip(gradient.chunks_exact_mut(2)) {
                let (a, b) = (1.0 - pair[0], pair[1] - pair[0] * pair[0]);
                value += a * a + 100.0 * b * b;
                gradient[0] = -2.0 * a - 400.0 * pair[0] * b;
                gradient[1] = 200.0 * b;
            }
            value
        };
        let start = (0..20).map(|i| if i % 2 == 0 { -1.2 + 0.1 * f64::from(i) } else { 1.0 }).collect();
        let found = minimize(start, STOP, rosenbrock);
        assert!(found.is_converged && found.iterations < 400, "{found:?}");
        assert!(found.point.iter().all(|value| (value - 1.0).abs() < 1e-8), "{found:?}");
    }

    #[test]
    fn an_ill_conditioned_bowl_is_solved() {
        let scales: Vec<f64> = (0..50).map(|i| 10f64.powf(f64::from(i) * 4.0 / 49.0)).collect();
        let found = minimize(vec![1.0; 50], STOP, |x, gradient| {
            for ((gradient, x), scale) in gradient.iter_mut().zip(x).zip(&scales) {
                *gradient = scale * x;
            }
            0.5 * dot(x, gradient)
        });
        // SciPy 1.17's L-BFGS-B with the same memory takes 1115 iterations, and 173 for the valley above.
        assert!(found.is_converged && found.value < 1e-18, "{found:?}");
    }

    #[test]
    fn limits_are_kept_and_a_minimum_is_left_alone() {
        let bowl = |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = 4.0 * x[0].powi(3);
            x[0].powi(4)
        };
        let short = minimize(vec![10.0], Stop { iterations: 3, ..STOP }, bowl);
        assert!(!short.is_converged && short.iterations == 3 && short.value < 1e4);
        let still = minimize(vec![0.0], STOP, bowl);
        assert!(still.is_converged && still.iterations == 0);
    }

    #[test]
    fn scalar_products_count_every_element() {
        for length in 0..40 {
            let values: Vec<f64> = (0..length).map(f64::from).collect();
            assert_eq!(dot(&values, &values), values.iter().map(|value| value * value).sum::<f64>());
        }
    }
}
