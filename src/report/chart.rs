//! A small line chart as SVG. Colours and letters come from the page's style, so it follows light and dark.

use std::fmt::Write;

use maud::{Markup, html};

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;

/// Up to how many points each is marked by a dot.
const DOTS: usize = 40;

/// How many steps an axis has at most.
const STEPS: f64 = 5.0;

/// A range of values with the places of its labels.
pub(super) struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
    format: fn(f64) -> String,
}

/// A line through points `(x, y)`; what is not finite is left out.
pub(super) struct Series {
    /// What it shows.
    pub(super) name: String,
    /// Its points by ascending x.
    pub(super) points: Vec<(f64, f64)>,
    /// How it looks: `first`, `second`, … or `ideal`, which is dashed and has no dots.
    pub(super) style: &'static str,
}

/// A chart.
pub(super) struct Chart<'a> {
    /// What it shows, for those who cannot see it.
    pub(super) label: &'a str,
    /// The axis to the right.
    pub(super) x: Axis,
    /// The axis upwards.
    pub(super) y: Axis,
    /// The lines.
    pub(super) series: &'a [Series],
    /// Values of x at which something changed.
    pub(super) marks: &'a [f64],
}

impl Axis {
    /// An axis that holds all finite values and begins and ends at a round one; 0 to 1 where there are none.
    pub(super) fn around(values: impl Iterator<Item = f64>, format: fn(f64) -> String) -> Self {
        let (low, high) = extent(values);
        let step = round_step(high - low);
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        let ticks: Vec<f64> =
            (0..=(last - first) as usize).map(|index| (first + index as f64) * step).collect();
        Self { low: first * step, high: last * step, ticks, format }
    }

    /// An axis of whole numbers that ends where the values end.
    pub(super) fn whole(values: impl Iterator<Item = f64>, format: fn(f64) -> String) -> Self {
        let (low, high) = extent(values);
        let step = round_step(high - low).ceil();
        let first = (low / step).ceil();
        let last = (high / step).floor();
        let ticks =
            (0..=(last - first).max(0.0) as usize).map(|index| (first + index as f64) * step).collect();
        Self { low, high, ticks, format }
    }

    /// Where a value lies between the ends, 0 to 1.
    fn position(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// The least and the greatest of finite values, apart by something.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) = finite
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    match (low, high) {
        _ if low > high => (0.0, 1.0),
        _ if low == high => (low - 0.5 * low.abs().max(1e-3), high + 0.5 * high.abs().max(1e-3)),
        _ => (low, high),
    }
}

/// A step of 1, 2 or 5 times a power of ten that divides a span into at most [`STEPS`].
fn round_step(span: f64) -> f64 {
    let exact = span / STEPS;
    let power = 10f64.powf(exact.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= exact * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

impl Chart<'_> {
    /// The chart as an `svg` element.
    pub(super) fn draw(&self) -> Markup {
        let floor = HEIGHT - BOTTOM;
        html! {
            svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(self.label) {
                @for &tick in &self.y.ticks {
                    @let y = self.y(tick);
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y) y2=(y) {}
                    text.tick x=(LEFT - 7.0) y=(y) dy="0.32em" text-anchor="end" { ((self.y.format)(tick)) }
                }
                @for &tick in &self.x.ticks {
                    text.tick x=(self.x(tick)) y=(HEIGHT - 8.0) text-anchor="middle" { ((self.x.format)(tick)) }
                }
                @for &mark in self.marks {
                    @let x = self.x(mark);
                    line.mark x1=(x) x2=(x) y1=(TOP) y2=(floor) {}
                }
                @for series in self.series { (self.line(series)) }
            }
        }
    }

    fn line(&self, series: &Series) -> Markup {
        let mut path = String::new();
        let finite: Vec<_> = series.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        for &&(x, y) in &finite {
            let letter = if path.is_empty() { 'M' } else { 'L' };
            // Writing to a string cannot fail.
            let _ = write!(path, "{letter}{} {}", self.x(x), self.y(y));
        }
        html! {
            g class=(series.style) {
                @if finite.len() > 1 { path d=(path) {} }
                @if series.style != "ideal" && finite.len() <= DOTS {
                    @for &&(x, y) in &finite { circle cx=(self.x(x)) cy=(self.y(y)) r="2.2" {} }
                }
            }
        }
    }

    fn x(&self, value: f64) -> String {
        format!("{:.1}", LEFT + self.x.position(value) * (WIDTH - LEFT - RIGHT))
    }

    fn y(&self, value: f64) -> String {
        format!("{:.1}", HEIGHT - BOTTOM - self.y.position(value) * (HEIGHT - TOP - BOTTOM))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(value: f64) -> String {
        super::super::number::significant(value)
    }

    fn ticks(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|&tick| plain(tick)).collect()
    }

    #[test]
    fn ticks_are_round_and_hold_the_values() {
        let cases: [(&[f64], &[&str]); 5] = [
            (&[0.0, 0.93], &["0", "0.2", "0.4", "0.6", "0.8", "1"]),
            (&[0.871, 0.952], &["0.86", "0.88", "0.9", "0.92", "0.94", "0.96"]),
            (&[0.0, 1.0], &["0", "0.2", "0.4", "0.6", "0.8", "1"]),
            (&[f64::NAN], &["0", "0.2", "0.4", "0.6", "0.8", "1"]),
            (&[0.0, 2.5e-4], &["0", "5e-5", "1e-4", "1.5e-4", "2e-4", "2.5e-4"]),
        ];
        for (values, expected) in cases {
            let axis = Axis::around(values.iter().copied(), plain);
            assert_eq!(ticks(&axis), expected, "{values:?}");
        }
        for (last, expected) in [(8.0, "2 4 6 8"), (3.0, "1 2 3"), (40.0, "10 20 30 40")] {
            assert_eq!(ticks(&Axis::whole([1.0, last].into_iter(), plain)).join(" "), expected, "{last}");
        }
        assert_eq!(ticks(&Axis::whole([1.0].into_iter(), plain)), ["1"]);
    }

    #[test]
    fn what_is_not_finite_is_not_drawn() {
        let points = vec![(1.0, 0.5), (2.0, f64::NAN), (3.0, f64::INFINITY), (4.0, 0.25)];
        let values = points.clone();
        let chart = Chart {
            label: "loss",
            x: Axis::whole(values.iter().map(|point| point.0), plain),
            y: Axis::around(values.iter().map(|point| point.1), plain),
            series: &[Series { name: "loss".into(), points, style: "first" }],
            marks: &[],
        };
        let text = chart.draw().into_string();
        assert_eq!(text.matches("<circle").count(), 2);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(text.contains("d=\"M46.0 10.0L330.0 164.0\""), "{text}");
    }
}
