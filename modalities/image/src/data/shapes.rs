//! The shapes of the demonstration pictures, as signed distance functions on the plane.
//!
//! Each shape fills about the unit circle. Distances are negative inside; away from the edge they are only roughly to scale, which is all that soft
//! edges need.

use std::f64::consts::{PI, TAU};

/// What a demonstration picture shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    /// A disc of squares, every other one filled.
    Checks {
        /// The side of a square.
        side: f64,
    },
    /// Two arcs that meet in tips, with a vein left out between them.
    Leaf {
        /// Half the greatest width.
        half_width: f64,
    },
    /// Concentric rings.
    Rings {
        /// From one ring to the next.
        period: f64,
    },
    /// A star.
    Star {
        /// How many tips.
        tips: f64,
        /// How far out the notches between them lie.
        notch: f64,
    },
    /// A disc of parallel bands.
    Stripes {
        /// From one band to the next.
        period: f64,
    },
}

impl Shape {
    /// The distance of a point from the shape's edge, negative inside.
    pub(crate) fn distance(self, x: f64, y: f64) -> f64 {
        let radius = x.hypot(y);
        let disc = radius - 1.0;
        match self {
            Self::Checks { side } => {
                // Both bands are signed distances; their product's sign alternates like a chessboard's.
                let (across, along) = (band(x, 2.0 * side), band(y, 2.0 * side));
                let edge = across.abs().min(along.abs());
                disc.max(if (across < 0.0) == (along < 0.0) { -edge } else { edge })
            }
            Self::Leaf { half_width } => {
                // Two circles through the tips (±1, 0) whose middles lie on the other axis.
                let offset = (1.0 - half_width * half_width) / (2.0 * half_width);
                let circle = 1.0f64.hypot(offset);
                let blade = x.hypot(y.abs() + offset) - circle;
                let vein = 0.04 - y.abs();
                blade.max(vein)
            }
            Self::Rings { period } => disc.max(band(radius, period)),
            Self::Star { tips, notch } => {
                // Folded into half a sector, the outline is one line from tip to notch.
                let half = PI / tips;
                let angle = (y.atan2(x) + TAU).rem_euclid(2.0 * half);
                let angle = angle.min(2.0 * half - angle);
                let point = (radius * angle.cos(), radius * angle.sin());
                let end = (notch * half.cos() - 1.0, notch * half.sin());
                ((point.0 - 1.0) * end.1 - point.1 * end.0) / end.0.hypot(end.1)
            }
            Self::Stripes { period } => disc.max(band(y, period)),
        }
    }
}

/// The distance from the edge of the nearest of bands that fill half of every period.
fn band(position: f64, period: f64) -> f64 {
    (position / period - (position / period).round()).abs() * period - period / 4.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_inside_or_outside() {
        let checks = Shape::Checks { side: 0.25 };
        let leaf = Shape::Leaf { half_width: 0.4 };
        let rings = Shape::Rings { period: 0.4 };
        let star = Shape::Star { tips: 5.0, notch: 0.4 };
        let stripes = Shape::Stripes { period: 0.4 };
        for (shape, x, y, is_inside) in [
            (checks, 0.0, 0.0, true),
            (checks, 0.25, 0.0, false),
            (checks, 0.25, 0.25, true),
            (checks, 2.0, 2.0, false),
            (leaf, 0.0, 0.3, true),
            (leaf, 0.0, -0.3, true),
            (leaf, 0.0, 0.0, false),
            (leaf, 0.0, 0.45, false),
            (leaf, 0.9, 0.3, false),
            (rings, 0.4, 0.0, true),
            (rings, 0.0, -0.6, false),
            (star, 0.95, 0.0, true),
            (star, -0.95, 0.0, false),
            (star, -0.3, 0.0, true),
            (stripes, 0.5, 0.41, true),
            (stripes, 0.5, 0.2, false),
        ] {
            assert_eq!(shape.distance(x, y) < 0.0, is_inside, "{shape:?} at ({x}, {y})");
        }
    }

    #[test]
    fn a_star_has_its_symmetry() {
        let star = Shape::Star { tips: 6.0, notch: 0.5 };
        let first = star.distance(0.8, 0.1);
        for tip in 0..6 {
            let (sine, cosine) = (TAU / 6.0 * f64::from(tip)).sin_cos();
            let turned = star.distance(0.8 * cosine - 0.1 * sine, 0.8 * sine + 0.1 * cosine);
            assert!((turned - first).abs() < 1e-12);
        }
    }
}
