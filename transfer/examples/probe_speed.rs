//! How long probes take on features made by formula:
//! `probe_speed [SAMPLES] [WIDTH] [CLASSES] [STRENGTH] [DUMP|-] [THREADS] [logreg|svm]`.
//!
//! With a folder for DUMP the standardised features and the labels are written there (little-endian f32 and u32), to fit
//! the same problem with another tool.

use std::error::Error;
use std::fs;
use std::time::Instant;

use tk_engine::cpu::Machine;
use tk_engine::random::Stream;
use tk_transfer::data::{Strata, folds};
use tk_transfer::probe::{
    Examples, Features, LinearLoss, LinearModel, LinearOptions, Standardizer, StrengthSearch, cross_validate,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: f64| -> Result<f64, Box<dyn Error>> {
        Ok(arguments.get(index).map_or(Ok(default), |text| text.parse())?)
    };
    let (samples, width) = (number(0, 10_000.0)? as usize, number(1, 2048.0)? as usize);
    let (classes, strength) = (number(2, 10.0)? as usize, number(3, 0.01)?);

    let loss = match arguments.get(6).map(String::as_str) {
        None | Some("logreg") => LinearLoss::Softmax,
        Some("svm") => LinearLoss::SquaredHinge,
        Some(other) => return Err(format!("`{other}`: expected logreg or svm").into()),
    };
    let (values, labels) = features(samples, width, classes);
    let features = Features::new(&values, width)?;
    let machine = Machine::new(number(5, 0.0)? as usize);
    let start = Instant::now();
    let standard = Standardizer::fit(features).apply(features);
    println!("standardised in {:.2} s", start.elapsed().as_secs_f64());
    if let Some(folder) = arguments.get(4).filter(|folder| *folder != "-") {
        fs::write(
            format!("{folder}/features.f32"),
            standard.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>(),
        )?;
        fs::write(
            format!("{folder}/labels.u32"),
            labels.iter().flat_map(|&v| (v as u32).to_le_bytes()).collect::<Vec<_>>(),
        )?;
    }

    let examples = Examples::new(Features::new(&standard, width)?, &labels, classes)?;
    for tolerance in [1e-3, 1e-4, 1e-5, 1e-6] {
        let start = Instant::now();
        let options = LinearOptions { loss, strength, tolerance, ..LinearOptions::default() };
        let fit = LinearModel::fit(examples, &options, &machine)?;
        let logits = fit.layer.logits(examples.features(), &machine)?;
        let right = logits
            .chunks_exact(classes)
            .zip(&labels)
            .filter(|(row, label)| row.iter().all(|value| *value <= row[**label]));
        println!(
            "tolerance {tolerance:e}: {:.2} s, {} iterations, {} evaluations, gradient {:.1e}, objective {:.9}, accuracy {:.5}",
            start.elapsed().as_secs_f64(),
            fit.iterations,
            fit.evaluations,
            fit.gradient,
            fit.objective,
            right.count() as f64 / samples as f64
        );
    }

    let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
    let strata = Strata { classes: &names, labels: (&labels).into(), groups: None, ids: None };
    let folds = folds::stratified(&strata, 5, 0)?;
    let start = Instant::now();
    let found = cross_validate(
        Examples::new(features, &labels, classes)?,
        &folds,
        &StrengthSearch::for_width(loss, width),
        &machine,
    )?;
    println!(
        "5-fold cross-validation: {:.2} s, strength {:.5}",
        start.elapsed().as_secs_f64(),
        found.strength
    );
    for score in found.path {
        println!("    {:.6}: accuracy {:.4}, log-loss {:.4}", score.strength, score.accuracy, score.log_loss);
    }
    Ok(())
}

/// Rectified mixtures of 64 hidden numbers of decaying size, of which some depend on the class: correlated and sparse, as
/// the features of a network are.
fn features(samples: usize, width: usize, classes: usize) -> (Vec<f32>, Vec<usize>) {
    const HIDDEN: usize = 64;
    let stream = Stream::new(1, &["mixture".into()]);
    let size = |hidden: usize| 1.0 / (1.0 + hidden as f64 / 8.0);
    let mixture: Vec<f32> = (0..HIDDEN * width)
        .map(|index| ((stream.unit_at(index as u64) * 2.0 - 1.0) * size(index / width)) as f32)
        .collect();
    let mut values = Vec::with_capacity(samples * width);
    let labels: Vec<usize> = (0..samples).map(|sample| sample % classes).collect();
    for (sample, &label) in labels.iter().enumerate() {
        let mut own = Stream::new(2, &["sample".into(), sample.into()]);
        let centres = Stream::new(3, &["class".into(), label.into()]);
        let mut row: Vec<f32> = (0..width).map(|_| (0.3 * own.normal()) as f32).collect();
        for hidden in 0..HIDDEN {
            let value = (own.normal() + 0.5 * (centres.unit_at(hidden as u64) * 2.0 - 1.0)) as f32;
            let line = &mixture[hidden * width..][..width];
            row.iter_mut().zip(line).for_each(|(sum, &factor)| *sum += value * factor);
        }
        values.extend(row.into_iter().map(|value| value.max(0.0)));
    }
    (values, labels)
}
