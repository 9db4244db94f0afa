//! A small data set that the tool draws itself, so that it can be tried without any data.
//!
//! Five classes of shapes and textures. Place, size, turn, colours, background, distractors and noise vary in every class alike, so that neither
//! colour nor brightness gives a class away.

use std::io::Write;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError};
use tk_engine::random::{Stream, unit};

use crate::data::shapes::Shape;

/// The classes of the demonstration data, in order.
pub const DEMO_CLASSES: [&str; 5] = ["checks", "leaves", "rings", "stars", "stripes"];

/// How many pictures each class has.
pub const DEMO_PICTURES_PER_CLASS: usize = 40;

/// The side of the pictures in pixels.
const SIDE: usize = 160;

/// Why the demonstration data could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A folder or file cannot be written.
    #[error("`{}` cannot be written: {source}", path.display())]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of that name, but with other content, is there already.
    #[error("`{}` is there already and is not a demonstration picture of this seed; choose an empty folder", path.display())]
    Occupied {
        /// The file.
        path: PathBuf,
    },
    /// The encoder failed.
    #[error("a demonstration picture cannot be encoded: {0}")]
    Encode(#[from] ImageError),
}

/// Draws the demonstration data into a folder: a folder per class, three JPEGs to one PNG. The same seed gives the same files. Existing
/// files are never changed; drawing the same again is fine.
///
/// # Errors
/// A file cannot be written, or one of that name with other content is there already.
pub fn draw_demo(folder: impl AsRef<Path>, seed: u64) -> Result<(), DemoError> {
    for class in DEMO_CLASSES {
        let folder = folder.as_ref().join(class);
        std::fs::create_dir_all(&folder)
            .map_err(|source| DemoError::Write { path: folder.clone(), source })?;
        for index in 0..DEMO_PICTURES_PER_CLASS {
            let pixels = draw(class, Stream::new(seed, &["demo".into(), class.into(), index.into()]));
            let mut bytes = Vec::new();
            let side = SIDE as u32;
            let ending = if index % 4 == 3 {
                PngEncoder::new(&mut bytes).write_image(&pixels, side, side, ExtendedColorType::Rgb8)?;
                "png"
            } else {
                let encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
                encoder.write_image(&pixels, side, side, ExtendedColorType::Rgb8)?;
                "jpg"
            };
            write_new(&folder.join(format!("{index:02}.{ending}")), &bytes)?;
        }
    }
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), DemoError> {
    let failed = |source| DemoError::Write { path: path.to_owned(), source };
    match std::fs::File::create_new(path) {
        Ok(mut file) => file.write_all(bytes).map_err(failed),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let found = std::fs::read(path).map_err(failed)?;
            if found == bytes { Ok(()) } else { Err(DemoError::Occupied { path: path.to_owned() }) }
        }
        Err(error) => Err(failed(error)),
    }
}

type Color = [f64; 3];

/// A shape on the canvas.
struct Object {
    shape: Shape,
    center: [f64; 2],
    radius: f64,
    turn: (f64, f64),
    color: Color,
    opacity: f64,
}

/// One picture: `[SIDE, SIDE, 3]`, u8.
fn draw(class: &str, mut stream: Stream) -> Vec<u8> {
    let background = Background::random(&mut stream);
    let mut objects = Vec::new();
    for _ in 0..stream.below(5) {
        objects.push(distractor(&mut stream));
    }
    let count = if matches!(class, "leaves" | "stars") { 1 + stream.below(3) } else { 1 };
    // Colour that stands out from the background by a margin that varies.
    let color = contrasting(background.colors[0], &mut stream);
    for _ in 0..count {
        let size = if count == 1 { stream.range(0.2, 0.45) } else { stream.range(0.14, 0.26) };
        let shape = random_shape(class, &mut stream);
        objects.push(Object::random(shape, size, color, stream.range(0.75, 1.0), &mut stream));
    }
    let softness = stream.range(0.7, 2.5);
    let grain = stream.range(4.0, 26.0);

    let mut pixels = Vec::with_capacity(SIDE * SIDE * 3);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (x, y) = (x as f64 + 0.5, y as f64 + 0.5);
            let mut color = background.color(x, y);
            for object in objects.iter().filter(|object| object.is_near(x, y, softness)) {
                let cover = object.opacity * (0.5 - object.distance(x, y) / softness).clamp(0.0, 1.0);
                for (value, over) in color.iter_mut().zip(object.color) {
                    *value += cover * (over - *value);
                }
            }
            pixels.extend(color.map(|value| (value + grain * (stream.unit() + stream.unit() - 1.0)) as u8));
        }
    }
    pixels
}

fn random_shape(class: &str, stream: &mut Stream) -> Shape {
    match class {
        "checks" => Shape::Checks { side: stream.range(0.2, 0.4) },
        "leaves" => Shape::Leaf { half_width: stream.range(0.3, 0.55) },
        "rings" => Shape::Rings { period: stream.range(0.28, 0.55) },
        "stars" => Shape::Star { tips: 5.0 + stream.below(4) as f64, notch: stream.range(0.4, 0.6) },
        _ => Shape::Stripes { period: stream.range(0.28, 0.55) },
    }
}

/// A faint plain disc, which says nothing about the class: one ring wide enough to fill it.
fn distractor(stream: &mut Stream) -> Object {
    let size = stream.range(0.04, 0.2);
    let color = random_color(stream);
    Object::random(Shape::Rings { period: 8.0 }, size, color, stream.range(0.2, 0.7), stream)
}

impl Object {
    /// `size` is the radius as a share of the picture's side; most of the object lies in the picture.
    fn random(shape: Shape, size: f64, color: Color, opacity: f64, stream: &mut Stream) -> Self {
        let side = SIDE as f64;
        let margin = 0.7 * size;
        let center = [0; 2].map(|_| side * stream.range(margin, 1.0 - margin));
        let turn = stream.range(0.0, std::f64::consts::TAU).sin_cos();
        Self { shape, center, radius: size * side, turn, color, opacity }
    }

    /// Whether a point can be covered by the shape or its soft edge. Saves most of the drawing time.
    fn is_near(&self, x: f64, y: f64, softness: f64) -> bool {
        (x - self.center[0]).hypot(y - self.center[1]) < self.radius + softness
    }

    /// The distance from the shape's edge in pixels, negative inside.
    fn distance(&self, x: f64, y: f64) -> f64 {
        let (sine, cosine) = self.turn;
        let (x, y) = ((x - self.center[0]) / self.radius, (y - self.center[1]) / self.radius);
        self.radius * self.shape.distance(cosine * x + sine * y, cosine * y - sine * x)
    }
}

/// Two colours that run into each other along a line, with cloudy noise.
struct Background {
    colors: [Color; 2],
    direction: (f64, f64),
    clouds: Stream,
    cell: f64,
    strength: f64,
}

impl Background {
    fn random(stream: &mut Stream) -> Self {
        let first = random_color(stream);
        let second = first.map(|value| (value + stream.range(-60.0, 60.0)).clamp(0.0, 255.0));
        Self {
            colors: [first, second],
            direction: stream.range(0.0, std::f64::consts::TAU).sin_cos(),
            clouds: Stream::new(stream.bits(), &["clouds".into()]),
            cell: stream.range(6.0, 40.0),
            strength: stream.range(0.0, 60.0),
        }
    }

    fn color(&self, x: f64, y: f64) -> Color {
        let side = SIDE as f64;
        let along = 0.5 + ((x / side - 0.5) * self.direction.0 + (y / side - 0.5) * self.direction.1) / 1.5;
        let cloud = self.strength * (self.cloud(x / self.cell, y / self.cell) - 0.5);
        std::array::from_fn(|channel| {
            let [first, second] = [self.colors[0][channel], self.colors[1][channel]];
            first + along * (second - first) + cloud
        })
    }

    /// Smooth noise in 0–1: random values at whole positions, blended between them.
    fn cloud(&self, x: f64, y: f64) -> f64 {
        let corner = |dx: u64, dy: u64| unit(self.clouds.at((x as u64 + dx) << 32 | (y as u64 + dy)));
        let blend = |t: f64| t * t * (3.0 - 2.0 * t);
        let (right, down) = (blend(x.fract()), blend(y.fract()));
        let top = corner(0, 0) + right * (corner(1, 0) - corner(0, 0));
        let bottom = corner(0, 1) + right * (corner(1, 1) - corner(0, 1));
        top + down * (bottom - top)
    }
}

fn random_color(stream: &mut Stream) -> Color {
    [0; 3].map(|_| stream.range(20.0, 235.0))
}

/// A random colour at least somewhat brighter or darker than another.
fn contrasting(other: Color, stream: &mut Stream) -> Color {
    let brightness = |color: Color| color.iter().sum::<f64>() / 3.0;
    let base = random_color(stream);
    let distance = stream.range(45.0, 120.0);
    let target = brightness(other) + if brightness(other) > 127.0 { -distance } else { distance };
    base.map(|value| (value - brightness(base) + target).clamp(0.0, 255.0))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use tk_transfer::data::Labelled;

    use super::*;
    use crate::data::dataset::Dataset;

    #[test]
    fn the_drawing_is_a_data_set_and_depends_on_the_seed_alone() {
        let [first, again, other] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        draw_demo(&first, 1).unwrap();
        draw_demo(&again, 1).unwrap();
        draw_demo(&other, 2).unwrap();
        let [first_data, again_data, other_data] =
            [&first, &again, &other].map(|folder| Dataset::open(folder).unwrap());
        assert_eq!(first_data.digest(), again_data.digest());
        assert_ne!(first_data.digest(), other_data.digest());
        assert_eq!(first_data.classes(), DEMO_CLASSES);
        let report = first_data.report();
        assert!(report.classes.iter().all(|class| class.samples == DEMO_PICTURES_PER_CLASS));
        assert!(report.quarantine.is_empty() && report.unlike.is_empty());
        assert!(report.duplicates_within_split.is_empty());
        for sample in first_data.samples() {
            let picture = first_data.load(sample).unwrap();
            assert_eq!((picture.width() as usize, picture.height() as usize), (SIDE, SIDE));
        }

        draw_demo(&first, 1).unwrap();
        let error = draw_demo(&first, 3).unwrap_err().to_string();
        assert!(error.ends_with("00.jpg` is there already and is not a demonstration picture of this seed; choose an empty folder"), "{error}");
    }

    #[test]
    fn colour_does_not_give_the_class_away() {
        // The mean brightness of every class lies near that of all: within a third of the deviation between pictures.
        let mean = |class: &str, index: usize| {
            let pixels = draw(class, Stream::new(5, &["demo".into(), class.into(), index.into()]));
            pixels.iter().map(|&value| f64::from(value)).sum::<f64>() / pixels.len() as f64
        };
        let means: Vec<Vec<f64>> =
            DEMO_CLASSES.iter().map(|class| (0..40).map(|index| mean(class, index)).collect()).collect();
        let all: Vec<f64> = means.concat();
        let average = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let center = average(&all);
        let deviation = average(&all.iter().map(|value| (value - center).powi(2)).collect::<Vec<_>>()).sqrt();
        for (class, means) in DEMO_CLASSES.iter().zip(&means) {
            let offset = (average(means) - center) / deviation;
            assert!(offset.abs() < 0.35, "{class}: {offset}");
        }
    }
}
