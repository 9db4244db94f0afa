//! Exponential, sigmoid, hyperbolic tangent and the normal distribution for vector loops: no branches, no tables, no calls.
//!
//! `FUSED` says that the instruction set multiplies and adds in one instruction, rounding once.
//!
//! Polynomials were fitted for this project: least squares on 400 Chebyshev nodes, reweighted (Lawson 1961) until the relative
//! error is level; the errors stated are those of the fit, before rounding to f32.

/// 1.5·2²³: adding it leaves the nearest integer of a small float in the low bits of the mantissa.
const ROUND: f32 = 12_582_912.0;
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// `exp` saturates here: e⁻⁸⁷ is close to the smallest normal float, e⁸⁸ to the largest.
const EXP_RANGE: (f32, f32) = (-87.0, 88.0);
/// 1/√(2π)
const DENSITY_AT_ZERO: f32 = 0.398_942_3;

/// `low` below it, `high` above it, NaN for NaN (as `f32::max` is not).
#[inline(always)]
pub(super) fn limit(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// `sum + a · b`, rounded once where `FUSED`.
#[inline(always)]
fn add_product<const FUSED: bool>(sum: f32, a: f32, b: f32) -> f32 {
    if FUSED { a.mul_add(b, sum) } else { sum + a * b }
}

/// eˣ, saturating at x = −87 and x = 88. Relative error below 2·10⁻⁷.
#[inline(always)]
pub(super) fn exp<const FUSED: bool>(x: f32) -> f32 {
    exp_of_sum::<FUSED>(limit(x, EXP_RANGE.0, EXP_RANGE.1), 0.0)
}

/// e^(high + low) for a sum that f32 cannot hold; `high` within the range of [`exp`], `low` small.
#[inline(always)]
fn exp_of_sum<const FUSED: bool>(high: f32, low: f32) -> f32 {
    let rounded = add_product::<FUSED>(ROUND, high, std::f32::consts::LOG2_E);
    let power = rounded - ROUND;
    let rest = add_product::<FUSED>(add_product::<FUSED>(high, power, -LN2_HIGH), power, -LN2_LOW) + low;
    // (eʳ − 1 − r) / r² for |r| ≤ ln 2 / 2; error 3·10⁻⁹.
    let curve = horner::<FUSED, _>(rest, [0.5, 0.166_665_18, 0.041_666_206, 0.008_368_918, 0.001_395_054]);
    let fraction = 1.0 + add_product::<FUSED>(rest, rest * rest, curve);
    // 2^power: the integer sits in the low bits of `rounded`; shifting pushes everything else out.
    let scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(0x3f80_0000));
    fraction * scale
}

/// 1 / (1 + e⁻ˣ). Relative error below 4·10⁻⁷ above x = −87.
#[inline(always)]
pub(super) fn sigmoid<const FUSED: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FUSED>(-x))
}

/// σ(x) and σ(−x) = 1 − σ(x), without the cancellation of the difference. Relative errors as those of [`sigmoid`].
#[inline(always)]
pub(super) fn sigmoid_and_rest<const FUSED: bool>(x: f32) -> (f32, f32) {
    let decay = exp::<FUSED>(-x.abs());
    let greater = 1.0 / (1.0 + decay);
    let smaller = decay * greater;
    if x < 0.0 { (smaller, greater) } else { (greater, smaller) }
}

/// The hyperbolic tangent. Relative error below 4·10⁻⁷.
#[inline(always)]
pub(super) fn tanh<const FUSED: bool>(x: f32) -> f32 {
    let size = x.abs();
    let far = 1.0 - 2.0 / (1.0 + exp::<FUSED>(2.0 * size));
    // (tanh x − x) / x³ in x² for |x| ≤ 0.7, where the form above would cancel; error 1.4·10⁻⁸.
    let square = x * x;
    let curve = horner::<FUSED, _>(
        square,
        [-0.333_331_97, 0.133_292_44, -0.053_566_99, 0.020_111_66, -0.005_155_114_5],
    );
    let near = size + size * square * curve;
    (if size < 0.7 { near } else { far }).copysign(x)
}

/// The distribution function Φ(x) and density φ(x) of the standard normal distribution. Relative error below 10⁻⁶ for |x| ≤ 13.
#[inline(always)]
pub(super) fn normal<const FUSED: bool>(x: f32) -> (f32, f32) {
    let size = limit(x.abs(), 0.0, 13.0);
    // x²/2 with the bits that f32 would lose: the square of twelve bits is exact, the rest is small.
    let high = f32::from_bits(size.to_bits() & 0xffff_f000);
    let bell = exp_of_sum::<FUSED>(-0.5 * high * high, -0.5 * (size - high) * (size + high));
    // Φ(−x)·e^(x²/2) / u in u = 1 / (1 + 0.3 x) for 0 ≤ x ≤ 14.5; error 3.5·10⁻⁹.
    let u = 1.0 / (1.0 + 0.3 * size);
    let ratio = horner::<FUSED, _>(
        u,
        [
            0.119_686_69,
            0.119_571_81,
            0.110_235_42,
            0.078_389_65,
            0.096_156_836,
            -0.079_423_495,
            0.191_784_53,
            -0.228_213_61,
            0.112_435_62,
            -0.020_623_47,
        ],
    );
    let tail = bell * (u * ratio);
    let distribution = if x < 0.0 { tail } else { 1.0 - tail };
    (distribution, bell * DENSITY_AT_ZERO)
}

#[inline(always)]
fn horner<const FUSED: bool, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[N - 1];
    let mut index = N - 1;
    while index > 0 {
        index -= 1;
        sum = add_product::<FUSED>(coefficients[index], sum, x);
    }
    sum
}

/// Φ(x) and φ(x) in f64, for oracles: the series of Φ near zero, the continued fraction of its tail elsewhere (Abramowitz and
/// Stegun, 26.2.11 and 26.2.14). Relative error below 10⁻¹².
pub(super) fn normal_f64(x: f64) -> (f64, f64) {
    let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let size = x.abs();
    let tail = if size < 2.5 {
        let (mut term, mut sum) = (size, size);
        for odd in (3..200).step_by(2) {
            term *= size * size / f64::from(odd);
            sum += term;
        }
        0.5 - density * sum
    } else {
        let fraction = (1..300).rev().fold(size, |rest, index| size + f64::from(index) / rest);
        density / fraction
    };
    (if x < 0.0 { tail } else { 1.0 - tail }, density)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_errors_are_as_documented() {
        relative_errors::<false>();
        relative_errors::<true>();
    }

    fn relative_errors<const FUSED: bool>() {
        type Case = (&'static str, fn(f32) -> f32, fn(f64) -> f64, (f32, f32), f64);
        let cases: [Case; 7] = [
            ("exp", exp::<FUSED>, f64::exp, (-87.0, 88.0), 2e-7),
            ("sigmoid", sigmoid::<FUSED>, |x| 1.0 / (1.0 + (-x).exp()), (-87.0, 30.0), 4e-7),
            (
                "first of pair",
                |x| sigmoid_and_rest::<FUSED>(x).0,
                |x| 1.0 / (1.0 + (-x).exp()),
                (-86.0, 86.0),
                4e-7,
            ),
            (
                "rest of pair",
                |x| sigmoid_and_rest::<FUSED>(x).1,
                |x| 1.0 / (1.0 + x.exp()),
                (-86.0, 86.0),
                4e-7,
            ),
            ("tanh", tanh::<FUSED>, f64::tanh, (-20.0, 20.0), 4e-7),
            ("distribution", |x| normal::<FUSED>(x).0, |x| normal_f64(x).0, (-13.0, 13.0), 1e-6),
            ("density", |x| normal::<FUSED>(x).1, |x| normal_f64(x).1, (-13.0, 13.0), 1e-6),
        ];
        for (name, fast, exact, (low, high), bound) in cases {
            let count = 400_000;
            let mut worst = (0.0, 0.0);
            for index in 0..=count {
                let x = low + (high - low) * index as f32 / count as f32;
                for x in [x, x * 1e-3] {
                    let (found, expected) = (f64::from(fast(x)), exact(f64::from(x)));
                    let error = (found - expected).abs() / expected.abs().max(1e-37);
                    if error > worst.0 {
                        worst = (error, x);
                    }
                }
            }
            assert!(worst.0 < bound, "{name}: relative error {:e} at {}", worst.0, worst.1);
        }
    }

    #[test]
    fn ends_and_nan_are_kept() {
        ends_and_nan::<false>();
        ends_and_nan::<true>();
    }

    fn ends_and_nan<const FUSED: bool>() {
        for function in [
            exp::<FUSED>,
            sigmoid::<FUSED>,
            tanh::<FUSED>,
            |x| normal::<FUSED>(x).0,
            |x| normal::<FUSED>(x).1,
        ] {
            assert!(function(f32::NAN).is_nan());
        }
        let cases = [
            (exp::<FUSED>(f32::NEG_INFINITY), 0.0),
            (sigmoid::<FUSED>(f32::NEG_INFINITY), 0.0),
            (sigmoid::<FUSED>(f32::INFINITY), 1.0),
            (tanh::<FUSED>(f32::INFINITY), 1.0),
            (tanh::<FUSED>(f32::NEG_INFINITY), -1.0),
            (normal::<FUSED>(f32::INFINITY).0, 1.0),
            (normal::<FUSED>(f32::NEG_INFINITY).0, 0.0),
        ];
        for (index, (found, expected)) in cases.into_iter().enumerate() {
            assert!((found - expected).abs() < 1e-36, "case {index}: {found:e}, expected {expected}");
        }
        assert_eq!(exp::<FUSED>(0.0), 1.0);
        assert_eq!(tanh::<FUSED>(0.0), 0.0);
    }

    #[test]
    fn the_oracle_agrees_with_tables() {
        // Abramowitz and Stegun, table 26.1.
        for (x, expected) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_543),
            (2.0, 0.977_249_868_051_821),
            (-3.0, 0.001_349_898_031_630_095),
            (-5.0, 2.866_515_718_791_94e-7),
        ] {
            let found = normal_f64(x).0;
            assert!((found / expected - 1.0).abs() < 1e-12, "{x}: {found}");
        }
    }
}
