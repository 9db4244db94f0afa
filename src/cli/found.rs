//! `tk predict` and `tk evaluate` of detectors and segmenters: boxes or classes of pixels, as JSON and drawn.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tk_image::data::thumbnail;
use tk_image::detection::DETECTORS;
use tk_image::draw::{Mark, with_boxes, with_classes};
use tk_image::grafted::{Grafted, HeadChoice, Published, Runner};
use tk_image::masks::Mask;
use tk_image::segmentation::SEGMENTERS;
use tk_transfer::atomic::write_bytes_atomic;
use transferkit::Machine;
use transferkit::dense::Dense;
use transferkit::detect::{Detector, Objects};
use transferkit::image::Picture;
use transferkit::segment::{Pixels, Segmenter};

use super::arguments::{Evaluate, Predict};
use super::evaluate::Gate;
use super::kind::Kind;
use super::lines::{Lines, field};
use super::{Failure, console, environment, inputs};

/// Boxes are told from this score on when nothing is said.
const SURE: f32 = 0.3;

/// What a name means that is published with its head: `fcos_resnet50_fpn=FILE`.
pub fn published(name: &str) -> Option<Kind> {
    let (name, _) = name.split_once('=')?;
    if DETECTORS.iter().any(|published| published.name == name) {
        Some(Kind::Objects)
    } else if SEGMENTERS.iter().any(|published| published.name == name) {
        Some(Kind::Pixels)
    } else {
        None
    }
}

/// A network by its run's folder, or by its published name and a file.
fn open<T: Dense>(name: &str, machine: &Machine) -> Result<Runner<T::Head>, Failure> {
    let named = |published: &&Published<T::Head>| {
        name.split_once('=').is_some_and(|(known, _)| known == published.name)
    };
    let opened = match (T::published().iter().find(named), name.split_once('=')) {
        (Some(published), Some((_, file))) => {
            Grafted::published(published, Path::new(file), &HeadChoice::Published)
                .and_then(|model| Runner::new(model, machine))
        }
        _ => Runner::load(Path::new(name), machine),
    };
    opened.map_err(|error| transferkit::classify::Error::from(error).into())
}

/// Says what is where in photographs.
pub fn objects(arguments: &Predict, machine: &Machine) -> Result<(), Failure> {
    let detector: Detector = open::<Objects>(&arguments.model, machine)?;
    let least = arguments.min_score.unwrap_or(SURE);
    let labels = detector.labels().to_vec();
    let mut lines = Lines::open(arguments.out.as_deref(), "file,label,score,left,top,width,height")?;
    each(arguments, |file, picture, draw| {
        let mut found = detector.detect(picture).map_err(failed)?;
        found.retain(|candidate| candidate.score >= least);
        let label = |class: usize| labels.get(class).map_or("", String::as_str);
        if let Some(draw) = draw {
            let marks: Vec<Mark> = found
                .iter()
                .map(|candidate| Mark {
                    corners: candidate.corners,
                    class: candidate.class,
                    text: format!("{} {:.2}", label(candidate.class), candidate.score),
                    is_dashed: false,
                })
                .collect();
            draw(&with_boxes(picture, &marks))?;
        }
        let bounds = |bounds: [f64; 4]| bounds.map(|at| (at * 100.0).round() / 100.0);
        lines.write(
            || {
                let objects: Vec<Value> = found
                    .iter()
                    .map(|one| json!({ "label": label(one.class), "score": one.score, "box": bounds(one.corners.bounds()) }))
                    .collect();
                json!({ "file": file, "width": picture.width(), "height": picture.height(), "objects": objects })
            },
            || {
                let line = |one: &tk_image::detection::Candidate| {
                    let [left, top, width, height] = bounds(one.corners.bounds());
                    let (file, label) = (field(&file.display().to_string()), field(label(one.class)));
                    format!("{file},{label},{},{left},{top},{width},{height}", one.score)
                };
                found.iter().map(line).collect()
            },
        )
    })?;
    lines.finish()
}

/// Says of which class every pixel of photographs is.
pub fn pixels(arguments: &Predict, machine: &Machine) -> Result<(), Failure> {
    let segmenter: Segmenter = open::<Pixels>(&arguments.model, machine)?;
    let labels = segmenter.labels().to_vec();
    let header: Vec<String> =
        std::iter::once("file".to_owned()).chain(labels.iter().map(|label| field(label))).collect();
    let mut lines = Lines::open(arguments.out.as_deref(), &header.join(","))?;
    each(arguments, |file, picture, draw| {
        let classes = segmenter.segment(picture).map_err(failed)?;
        if let Some(draw) = draw {
            draw(&with_classes(picture, &classes))?;
        }
        let mut counts = vec![0usize; labels.len()];
        classes.iter().for_each(|&class| counts[usize::from(class)] += 1);
        let fraction = |count: usize| (count as f64 / classes.len() as f64 * 1e6).round() / 1e6;
        lines.write(
            || {
                let fractions: serde_json::Map<String, Value> =
                    labels.iter().zip(&counts).map(|(label, &count)| (label.clone(), json!(fraction(count)))).collect();
                let [height, width] = [picture.height(), picture.width()].map(|side| side as usize);
                let mask = |class: usize| {
                    let own: Vec<u8> = classes.iter().map(|&told| u8::from(usize::from(told) == class)).collect();
                    Mask::from_pixels(width, &own).packed()
                };
                let there = labels.iter().enumerate().filter(|(class, _)| counts[*class] > 0);
                let masks: serde_json::Map<String, Value> =
                    there.map(|(class, label)| (label.clone(), json!({ "size": [height, width], "counts": mask(class) }))).collect();
                json!({ "file": file, "width": width, "height": height, "mask": masks, "fractions": fractions })
            },
            || {
                let shares: Vec<String> = counts.iter().map(|&count| fraction(count).to_string()).collect();
                vec![format!("{},{}", field(&file.display().to_string()), shares.join(","))]
            },
        )
    })?;
    lines.finish()
}

/// Where a picture of what was found is written.
type Draw<'a> = &'a mut dyn FnMut(&Picture) -> Result<(), Failure>;

/// Decodes the photographs that were named and hands each on, with where its picture goes, if pictures are wanted.
fn each(
    arguments: &Predict,
    mut look: impl FnMut(&Path, &Picture, Option<Draw<'_>>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if let Some(folder) = &arguments.draw {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::error(format!("--draw {}: {error}", folder.display())))?;
    }
    let files = inputs::files(&arguments.inputs)?;
    let (mut bad, mut taken) = (0, BTreeSet::new());
    inputs::each_batch(&files, 2, |files, pictures| {
        for (file, picture) in files.iter().zip(pictures) {
            match picture {
                Ok(picture) => {
                    let place = arguments.draw.as_deref().map(|folder| place(folder, file, &mut taken));
                    let mut draw = |drawn: &Picture| match &place {
                        Some(place) => write(place, drawn),
                        None => Ok(()),
                    };
                    look(file, &picture, place.is_some().then_some(&mut draw as Draw<'_>))?;
                }
                Err(reason) => {
                    bad += 1;
                    match arguments.out {
                        None => console::json(&json!({ "file": file, "error": reason }))?,
                        Some(_) => console::note(&format!("error: {}: {reason}", file.display())),
                    }
                }
            }
        }
        Ok(())
    })?;
    inputs::some_failed(bad, files.len())
}

/// A name in a folder that no earlier photograph has.
fn place(folder: &Path, file: &Path, taken: &mut BTreeSet<PathBuf>) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let names =
        std::iter::once(format!("{stem}.jpg")).chain((2..).map(|number| format!("{stem}-{number}.jpg")));
    let mut places = names.map(|name| folder.join(name)).filter(|place| !taken.contains(place));
    let place = places.next().unwrap_or_else(|| folder.join("photograph.jpg"));
    taken.insert(place.clone());
    place
}

fn write(place: &Path, picture: &Picture) -> Result<(), Failure> {
    let jpeg = thumbnail(picture, u32::MAX)
        .map_err(|error| Failure::error(format!("{}: {error}", place.display())))?;
    write_bytes_atomic(place, &jpeg).map_err(|error| Failure::error(error.to_string()))
}

fn failed(error: tk_image::grafted::GraftError) -> Failure {
    transferkit::classify::Error::from(error).into()
}

/// Scores a network on photographs whose boxes or masks are known.
pub fn score<T: Dense>(arguments: &Evaluate, gates: &[Gate], machine: &Machine) -> Result<(), Failure> {
    let runner = open::<T>(&arguments.run, machine)?;
    super::structured::score::<T>(arguments, gates, &runner)
}

/// Refuses what detectors and segmenters do not have.
pub fn check(arguments: &Predict, machine: &Machine) -> Result<(), Failure> {
    if !arguments.text.is_empty() || arguments.top.is_some() || arguments.logits {
        return Err(Failure::usage(format!(
            "`{}` takes photographs, and no --text, --top or --logits",
            arguments.model
        )));
    }
    environment::precision(&arguments.precision, machine).map(|_| ())
}
