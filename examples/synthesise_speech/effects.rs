//! What happens to speech between the mouth and the file: a room, noise, a microphone, a narrow band, coarse numbers.

use std::f64::consts::TAU;
use std::fmt;

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;
use tk_engine::random::Stream;

use crate::RATE;

/// The effects of one utterance, in the order in which they act.
pub struct Effects {
    /// Silence that is left before and behind, in seconds; tightly cut where it is small.
    margins: [f64; 2],
    /// Seconds in which the room's sound falls by 60 dB, and how loud it is beside the direct sound, in dB.
    room: Option<(f64, f64)>,
    /// How much louder each octave is than the one below it, in dB.
    tilt: f64,
    /// What else is heard, and how much less loud than speech it is, in dB.
    noise: Option<(Noise, f64)>,
    band: Band,
    /// The loudest sample, in dB below full scale.
    gain: f64,
    /// How far beyond full scale the sound goes before it is cut, as a factor.
    clipping: Option<f64>,
    coarse: Option<Coarse>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Noise {
    White,
    Pink,
    Brown,
    Hum,
    Babble,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Band {
    Wide,
    /// As recorded at 8 kHz: below this frequency in Hz.
    Narrow(f64),
    /// 300 to 3,400 Hz.
    Telephone,
}

#[derive(Clone, Copy, Debug)]
enum Coarse {
    MuLaw,
    EightBits,
}

impl Effects {
    pub fn draw(stream: &mut Stream) -> Self {
        let tight = stream.unit() < 0.5;
        let margin =
            |stream: &mut Stream| if tight { stream.range(0.0, 0.03) } else { stream.range(0.03, 0.4) };
        let mut maybe = |share: f64| stream.unit() < share;
        let (has_room, has_noise, clips, is_coarse) = (maybe(0.5), maybe(0.6), maybe(0.05), maybe(0.1));
        let is_tilted = maybe(0.7);
        let noise = [Noise::White, Noise::Pink, Noise::Brown, Noise::Hum, Noise::Babble][stream.below(5)];
        Self {
            margins: [margin(stream), margin(stream)],
            room: has_room.then(|| (stream.range(0.05f64.ln(), 0.7f64.ln()).exp(), stream.range(-15.0, 3.0))),
            tilt: if is_tilted { stream.range(-4.0, 4.0) } else { 0.0 },
            noise: has_noise.then(|| (noise, stream.range(5.0, 40.0))),
            band: match stream.unit() {
                share if share < 0.5 => Band::Wide,
                share if share < 0.88 => Band::Narrow(stream.range(3400.0, 4000.0)),
                _ => Band::Telephone,
            },
            gain: stream.range(-20.0, 0.0),
            clipping: clips.then(|| stream.range(1.2, 2.5)),
            coarse: is_coarse.then(|| if stream.unit() < 0.5 { Coarse::MuLaw } else { Coarse::EightBits }),
        }
    }

    /// Whether other speech is to be supplied.
    pub fn wants_babble(&self) -> bool {
        matches!(self.noise, Some((Noise::Babble, _)))
    }

    /// The sound at [`RATE`] after all effects, from −1 to 1.
    pub fn apply(&self, speech: &[f32], babble: &[tk_audio::data::Clip], stream: &mut Stream) -> Vec<f32> {
        let mut sound = with_margins(speech, self.margins);
        let speech_power = power(&sound);
        if let Some((seconds, decibels)) = self.room {
            sound = convolve(&sound, &room_response(seconds, decibels, stream));
        }
        if self.tilt != 0.0 {
            filter(&mut sound, |hertz| amplitude(self.tilt * (hertz.max(100.0) / 1000.0).log2()));
        }
        if let Some((noise, ratio)) = self.noise {
            let mut added = noise.sound(sound.len(), babble, stream);
            let scale =
                (speech_power.max(power(&sound)) / power(&added).max(1e-20)).sqrt() * amplitude(-ratio);
            added.iter_mut().for_each(|sample| *sample *= scale);
            sound.iter_mut().zip(added).for_each(|(sample, noise)| *sample += noise);
        }
        match self.band {
            Band::Wide => {}
            Band::Narrow(highest) => filter(&mut sound, |hertz| edge(highest - hertz, 150.0)),
            Band::Telephone => {
                filter(&mut sound, |hertz| edge(3400.0 - hertz, 200.0) * edge(hertz - 300.0, 80.0));
            }
        }
        let loudest = sound.iter().fold(1e-9, |most: f64, sample| most.max(sample.abs()));
        let scale = amplitude(self.gain) * self.clipping.unwrap_or(1.0) / loudest;
        let limit = amplitude(self.gain);
        let finish = |sample: &f64| {
            self.coarse.map_or_else(
                || (sample * scale).clamp(-limit, limit),
                |coarse| coarse.round((sample * scale).clamp(-limit, limit)),
            ) as f32
        };
        sound.iter().map(finish).collect()
    }
}

impl fmt::Display for Effects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = vec![if self.margins[0] < 0.03 { "tight".to_owned() } else { "loose".to_owned() }];
        words.extend(self.room.map(|(seconds, decibels)| format!("room:{seconds:.2}:{decibels:.0}")));
        words.extend(self.noise.map(|(noise, ratio)| format!("{noise:?}:{ratio:.0}").to_lowercase()));
        words.push(match self.band {
            Band::Wide => "wide".to_owned(),
            Band::Narrow(highest) => format!("narrow:{highest:.0}"),
            Band::Telephone => "telephone".to_owned(),
        });
        words.extend(self.clipping.map(|_| "clipped".to_owned()));
        words.extend(self.coarse.map(|coarse| format!("{coarse:?}").to_lowercase()));
        formatter.write_str(&words.join(" "))
    }
}

impl Noise {
    /// So many samples of it, of any loudness.
    fn sound(self, samples: usize, babble: &[tk_audio::data::Clip], stream: &mut Stream) -> Vec<f64> {
        let white = |stream: &mut Stream| (0..samples).map(|_| stream.normal()).collect::<Vec<f64>>();
        match self {
            Self::White => white(stream),
            Self::Pink | Self::Brown => {
                let power = if self == Self::Pink { 0.5 } else { 1.0 };
                let mut sound = white(stream);
                filter(&mut sound, |hertz| hertz.max(30.0).powf(-power));
                sound
            }
            Self::Hum => {
                let mains = if stream.unit() < 0.5 { 50.0 } else { 60.0 };
                let partials: Vec<(f64, f64)> =
                    (1..=8).map(|_| (stream.range(0.0, 1.0), stream.range(0.0, TAU))).collect();
                let at = |index: usize| {
                    let time = index as f64 / f64::from(RATE);
                    let partial = |(number, (size, phase)): (usize, &(f64, f64))| {
                        size / (number + 1) as f64 * (TAU * mains * (number + 1) as f64 * time + phase).sin()
                    };
                    partials.iter().enumerate().map(partial).sum::<f64>()
                };
                (0..samples).map(|index| at(index) + 0.05 * stream.normal()).collect()
            }
            Self::Babble => {
                let mut sound = vec![0.0; samples];
                for clip in babble {
                    let values = clip.values();
                    let start = stream.below(values.len());
                    for (index, sample) in sound.iter_mut().enumerate() {
                        *sample += f64::from(values[(start + index) % values.len()]);
                    }
                }
                sound
            }
        }
    }
}

impl Coarse {
    /// The nearest number that the format has, from one from −1 to 1.
    fn round(self, sample: f64) -> f64 {
        match self {
            Self::EightBits => (sample * 127.0).round() / 127.0,
            // ITU-T G.711, the continuous form.
            Self::MuLaw => {
                let code = (255.0 * sample.abs()).ln_1p() / 256f64.ln();
                let code = (code * 127.0).round() / 127.0;
                sample.signum() * (256f64.powf(code) - 1.0) / 255.0
            }
        }
    }
}

/// Decibels as a factor.
fn amplitude(decibels: f64) -> f64 {
    10f64.powf(decibels / 20.0)
}

/// The mean square.
fn power(sound: &[f64]) -> f64 {
    sound.iter().map(|sample| sample * sample).sum::<f64>() / sound.len().max(1) as f64
}

/// From 0 to 1 around a distance of 0, over so many Hz on each side.
fn edge(distance: f64, hertz: f64) -> f64 {
    0.5 + 0.5 * (distance / hertz).tanh()
}

/// What is louder than a hundredth of the loudest, and so many seconds before and behind it.
fn with_margins(speech: &[f32], margins: [f64; 2]) -> Vec<f64> {
    let loudest = speech.iter().fold(0f32, |most, sample| most.max(sample.abs()));
    let is_heard = |sample: &f32| sample.abs() > 0.01 * loudest;
    let start = speech.iter().position(is_heard).unwrap_or(0);
    let end = speech.iter().rposition(is_heard).map_or(speech.len(), |last| last + 1);
    let [before, behind] = margins.map(|seconds| (seconds * f64::from(RATE)) as usize);
    let silence = |samples: usize| std::iter::repeat_n(0.0, samples);
    silence(before)
        .chain(speech[start..end].iter().map(|&sample| f64::from(sample)))
        .chain(silence(behind))
        .collect()
}

/// The direct sound, a few early reflections, and noise that dies away (Moorer 1979, "About this reverberation business").
fn room_response(seconds: f64, decibels: f64, stream: &mut Stream) -> Vec<f64> {
    let samples = (seconds * f64::from(RATE)) as usize;
    let decay = 1000f64.ln() / samples.max(1) as f64;
    let first = 16 + stream.below(150);
    let mut response: Vec<f64> = (0..samples)
        .map(|index| if index < first { 0.0 } else { stream.normal() * (-decay * index as f64).exp() })
        .collect();
    let scale = amplitude(decibels) / power(&response).max(1e-12).sqrt() / (samples.max(1) as f64).sqrt();
    response.iter_mut().for_each(|value| *value *= scale);
    for _ in 0..4 {
        let at = 16 + stream.below(500);
        if let Some(value) = response.get_mut(at) {
            *value += stream.range(-0.4, 0.4) * amplitude(decibels / 2.0);
        }
    }
    match response.first_mut() {
        Some(direct) => *direct = 1.0,
        None => response.push(1.0),
    }
    response
}

/// The sound as long as it was, and half of what the response adds behind it.
fn convolve(sound: &[f64], response: &[f64]) -> Vec<f64> {
    let length = (sound.len() + response.len()).next_power_of_two();
    let mut both = [sound, response].map(|values| spectrum(values, length));
    let [spectrum, other] = &mut both;
    spectrum.iter_mut().zip(other.iter()).for_each(|(value, other)| *value *= other);
    let mut samples = samples_of(spectrum, length);
    samples.truncate(sound.len() + response.len() / 2);
    samples
}

/// Multiplies each frequency, in Hz, by a factor; nothing moves in time.
fn filter(sound: &mut [f64], response: impl Fn(f64) -> f64) {
    // Room for what would come in again on the other side.
    let length = (sound.len() + 1024).next_power_of_two();
    let mut spectrum = spectrum(sound, length);
    for (index, value) in spectrum.iter_mut().enumerate() {
        *value *= response(index as f64 * f64::from(RATE) / length as f64);
    }
    sound.copy_from_slice(&samples_of(&mut spectrum, length)[..sound.len()]);
}

fn spectrum(values: &[f64], length: usize) -> Vec<Complex<f64>> {
    let transform = RealFftPlanner::<f64>::new().plan_fft_forward(length);
    let (mut input, mut output) = (transform.make_input_vec(), transform.make_output_vec());
    input[..values.len()].copy_from_slice(values);
    // Buffers that the transform made have the lengths that it wants.
    let _ = transform.process(&mut input, &mut output);
    output
}

fn samples_of(spectrum: &mut [Complex<f64>], length: usize) -> Vec<f64> {
    let transform = RealFftPlanner::<f64>::new().plan_fft_inverse(length);
    let mut output = transform.make_output_vec();
    for end in [0, spectrum.len() - 1] {
        spectrum[end].im = 0.0;
    }
    let _ = transform.process(spectrum, &mut output);
    output.iter().map(|sample| sample / length as f64).collect()
}
