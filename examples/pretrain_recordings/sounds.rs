//! Sounds without speech: tones, bells, strings, drums, engines, birds, rain.

use std::collections::BTreeSet;
use std::f64::consts::TAU;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use tk_engine::cpu::Pool;
use tk_engine::random::Stream;

use crate::RATE;
use crate::effects::Effects;
use crate::labels::effect_labels;

/// Writes so many sounds, kinds in turn, and says where they are and what is to be learnt of each.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, count: u64, seed: u64, pool: &Pool) -> Result<Vec<(PathBuf, BTreeSet<String>)>> {
    std::fs::create_dir_all(folder)?;
    let folder = std::path::absolute(folder)?;
    let failed = Mutex::new(None);
    let mut written = vec![(PathBuf::new(), BTreeSet::new()); count as usize];
    pool.for_each_chunk(&mut written, 1, |number, into| {
        let (name, draw) = KINDS[number % KINDS.len()];
        let path = folder.join(format!("{number:05}.wav"));
        let stream = &mut Stream::new(seed, &["sound".into(), number.into()]);
        let samples = (stream.range(0.3, 1.6) * f64::from(RATE)) as usize;
        let sound: Vec<f32> = draw(samples, stream).into_iter().map(|sample| sample as f32).collect();
        let mut effects = Effects::draw(stream);
        while effects.wants_babble() {
            effects = Effects::draw(stream);
        }
        let labels = effect_labels(&effects.to_string());
        let labels = [format!("sound:{name}"), "sound".to_owned()].into_iter().chain(labels).collect();
        if let Err(error) = write_wav(&path, &effects.apply(&sound, &[], stream)) {
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        into[0] = (path, labels);
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(written), Err)
}

fn write_wav(path: &Path, samples: &[f32]) -> Result<()> {
    let format = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, format)?;
    for sample in samples {
        writer.write_sample((sample * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16)?;
    }
    Ok(writer.finalize()?)
}

type Draw = fn(usize, &mut Stream) -> Vec<f64>;

/// Every kind by its name: so many samples of it, of any loudness.
const KINDS: [(&str, Draw); 24] = [
    ("tone", |samples, stream| partials(samples, &[(pitch(stream), 1.0)], 0.0)),
    ("chord", |samples, stream| {
        let root = pitch(stream);
        partials(samples, &[(root, 1.0), (root * 1.26, 0.8), (root * 1.5, 0.8)], stream.range(0.0, 3.0))
    }),
    ("square", |samples, stream| {
        let root = pitch(stream);
        let odd: Vec<_> = (0..12).map(|at| f64::from(2 * at + 1)).map(|at| (root * at, 1.0 / at)).collect();
        partials(samples, &odd, 0.0)
    }),
    ("rising", |samples, stream| {
        let (low, octaves) = (stream.range(150.0, 800.0), stream.range(1.0, 3.0));
        glide(samples, |share, _| low * (octaves * share).exp2())
    }),
    ("falling", |samples, stream| {
        let (low, octaves) = (stream.range(150.0, 800.0), stream.range(1.0, 3.0));
        glide(samples, |share, _| low * (octaves * (1.0 - share)).exp2())
    }),
    ("siren", |samples, stream| {
        let (middle, turns) = (stream.range(500.0, 1200.0), stream.range(1.5, 4.0));
        glide(samples, |_, time| middle * (0.5 * (TAU * turns * time).sin()).exp2())
    }),
    ("vibrato", |samples, stream| {
        let (middle, turns) = (pitch(stream), stream.range(5.0, 9.0));
        glide(samples, |_, time| middle * (0.06 * (TAU * turns * time).sin()).exp2())
    }),
    ("alternating", |samples, stream| {
        let (first, second, turns) = (pitch(stream), pitch(stream), stream.range(2.0, 8.0));
        glide(samples, |_, time| if (time * turns).fract() < 0.5 { first } else { second })
    }),
    ("beeps", |samples, stream| {
        let turns = stream.range(3.0, 10.0);
        shaped(partials(samples, &[(pitch(stream), 1.0)], 0.0), |time| {
            f64::from((time * turns).fract() < 0.5)
        })
    }),
    ("bell", |samples, stream| {
        let root = stream.range(300.0, 1500.0);
        let ratios = [0.5, 1.0, 1.19, 1.56, 2.0, 2.51, 2.66, 3.01];
        let bell: Vec<_> = ratios.iter().map(|ratio| (root * ratio, stream.range(0.2, 1.0))).collect();
        partials(samples, &bell, stream.range(2.0, 6.0))
    }),
    ("string", |samples, stream| {
        // Karplus and Strong 1983: a delay line that is smoothed each time around.
        let period = (f64::from(RATE) / stream.range(80.0, 600.0)) as usize;
        let mut sound: Vec<f64> = (0..period.min(samples)).map(|_| stream.range(-1.0, 1.0)).collect();
        while sound.len() < samples {
            let at = sound.len() - period;
            sound.push(0.498 * (sound[at] + sound[at + 1]));
        }
        sound
    }),
    ("organ", |samples, stream| {
        let root = stream.range(80.0, 500.0);
        let pipes: Vec<_> = (1..8).map(f64::from).map(|at| (root * at, stream.range(0.1, 1.0))).collect();
        partials(samples, &pipes, 0.0)
    }),
    ("drum", |samples, stream| {
        let (pitch, fall) = (stream.range(50.0, 160.0), stream.range(5.0, 15.0));
        let beat = glide(samples, |_, time| pitch * (1.0 + 2.0 * (-30.0 * time).exp()));
        shaped(beat, |time| (-fall * time).exp())
    }),
    ("snare", |samples, stream| {
        let fall = stream.range(12.0, 30.0);
        shaped(noise(samples, 0.2, stream), |time| (-fall * time).exp())
    }),
    ("cymbal", |samples, stream| {
        let fall = stream.range(3.0, 8.0);
        shaped(noise(samples, -0.9, stream), |time| (-fall * time).exp())
    }),
    ("knocks", |samples, stream| {
        let (turns, pitch) = (stream.range(2.0, 7.0), stream.range(150.0, 500.0));
        let sound = partials(samples, &[(pitch, 1.0), (pitch * 2.3, 0.6), (pitch * 4.1, 0.3)], 0.0);
        shaped(sound, |time| (-60.0 * (time * turns).fract() / turns).exp())
    }),
    ("clock", |samples, stream| {
        let turns = stream.range(3.0, 8.0);
        shaped(noise(samples, -0.7, stream), |time| (-300.0 * (time * turns).fract() / turns).exp())
    }),
    ("engine", |samples, stream| {
        let (turns, fall) = (stream.range(20.0, 70.0), stream.range(40.0, 200.0));
        let sound = noise(samples, 0.9, stream);
        shaped(sound, |time| (-fall * (time * turns).fract() / turns).exp())
    }),
    ("buzz", |samples, stream| {
        let turns = stream.range(90.0, 250.0);
        (0..samples).map(|at| 2.0 * (at as f64 / f64::from(RATE) * turns).fract() - 1.0).collect()
    }),
    ("cricket", |samples, stream| {
        let (pitch, turns, groups) =
            (stream.range(2500.0, 3900.0), stream.range(25.0, 60.0), stream.range(2.0, 6.0));
        shaped(partials(samples, &[(pitch, 1.0)], 0.0), |time| {
            (TAU * turns * time).sin().max(0.0) * f64::from((time * groups).fract() < 0.6)
        })
    }),
    ("bird", |samples, stream| {
        let (pitch, turns, swing) =
            (stream.range(1800.0, 3300.0), stream.range(4.0, 12.0), stream.range(-0.6, 0.6));
        let song = glide(samples, |_, time| pitch * (swing * (time * turns).fract()).exp2());
        shaped(song, |time| (TAU * turns * time / 2.0).sin().powi(2))
    }),
    ("rain", |samples, stream| {
        let share = stream.range(0.005, 0.05);
        let mut drop = |_| if stream.unit() < share { stream.range(-1.0, 1.0) } else { 0.0 };
        (0..samples).map(&mut drop).collect()
    }),
    ("wind", |samples, stream| {
        let (turns, depth) = (stream.range(0.5, 2.5), stream.range(0.5, 0.95));
        shaped(noise(samples, 0.97, stream), |time| 1.0 + depth * (TAU * turns * time).sin())
    }),
    ("hiss", |samples, stream| noise(samples, 0.0, stream)),
];

/// A frequency in Hz; each octave is as likely as every other.
fn pitch(stream: &mut Stream) -> f64 {
    110.0 * stream.range(0.0, 4.8).exp2()
}

/// Partials of these frequencies in Hz and sizes, which die away by this exponent of seconds, the higher ones faster.
fn partials(samples: usize, partials: &[(f64, f64)], fall: f64) -> Vec<f64> {
    let lowest = partials.first().map_or(1.0, |(hertz, _)| *hertz);
    let at = |time: f64| {
        let heard = partials.iter().filter(|(hertz, _)| 2.0 * hertz < f64::from(RATE));
        heard
            .map(|(hertz, size)| {
                size * (-fall * time * (hertz / lowest).sqrt()).exp() * (TAU * hertz * time).sin()
            })
            .sum()
    };
    (0..samples).map(|index| at(index as f64 / f64::from(RATE))).collect()
}

/// A tone whose frequency in Hz follows from the share of its time that is over, and the seconds.
fn glide(samples: usize, hertz: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let mut phase = 0.0;
    let step = |index: usize| {
        phase += TAU * hertz(index as f64 / samples as f64, index as f64 / f64::from(RATE)) / f64::from(RATE);
        phase.sin()
    };
    (0..samples).map(step).collect()
}

/// Noise of which each sample keeps a part of the one before: dull above 0, sharp below it.
fn noise(samples: usize, kept: f64, stream: &mut Stream) -> Vec<f64> {
    let mut before = 0.0;
    let step = |_| {
        before = kept * before + stream.normal();
        before
    };
    (0..samples).map(step).collect()
}

/// A sound as loud as a function of its seconds says.
fn shaped(mut sound: Vec<f64>, loudness: impl Fn(f64) -> f64) -> Vec<f64> {
    for (index, sample) in sound.iter_mut().enumerate() {
        *sample *= loudness(index as f64 / f64::from(RATE));
    }
    sound
}
