//! Writes a corpus of synthesised speech: many voices, rates and pitches, with rooms, noise and narrow bands.
//!
//!     cargo run --release --example synthesise_speech -- DATA OUT [HOURS] [SEED]
//!
//! DATA holds the folder `sst2`. OUT gets `wavs/NNN/NNNNNN.wav` (16 kHz, 16 bit, one channel) and `transcripts.tsv` with the columns
//! `path`, `text`, `voice` and `effect`, which grows while the program works. Started again, it goes on where it was; what an
//! utterance sounds like follows from the seed and its number alone. The speech comes from the commands `espeak-ng`, `flite` and `text2wave`
//! (Debian: `apt install espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts`).

mod effects;
mod texts;
mod voices;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use tk_audio::data::Clip;
use tk_engine::random::Stream;

use effects::Effects;
use texts::Texts;
use voices::Voice;

/// The rate of everything that is written, in Hz.
const RATE: u32 = 16_000;

/// How often an utterance that came out empty is drawn anew.
const ATTEMPTS: u64 = 8;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, out, rest @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: synthesise_speech DATA OUT [HOURS] [SEED]");
    };
    let number = |at: usize, default: f64| rest.get(at).map_or(Ok(default), |text| text.parse());
    let hours = number(0, 1.0).context("HOURS is a number")?;
    let seed = number(1, 0.0).context("SEED is a number")? as u64;
    voices::check()?;
    let corpus = Corpus::open(out.into(), Texts::open(&Path::new(data).join("sst2"))?, seed)?;
    let workers = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| -> Result<()> {
        let working: Vec<_> = (0..workers).map(|_| scope.spawn(|| corpus.work(3600.0 * hours))).collect();
        working.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(_) => anyhow::bail!("a thread panicked"),
        })
    })?;
    corpus.finish()
}

/// What is written, shared by all threads.
struct Corpus {
    out: PathBuf,
    texts: Texts,
    seed: u64,
    state: Mutex<State>,
}

struct State {
    /// The lines of utterances that are written, by number.
    done: BTreeMap<u64, String>,
    /// The number that is given out next.
    next: u64,
    seconds: f64,
    transcripts: File,
}

impl Corpus {
    /// Reads what an earlier start left.
    fn open(out: PathBuf, texts: Texts, seed: u64) -> Result<Self> {
        fs::create_dir_all(&out)?;
        let path = out.join("transcripts.tsv");
        let mut done = BTreeMap::new();
        let mut seconds = 0.0;
        let earlier = if path.exists() { fs::read_to_string(&path)? } else { String::new() };
        // A line that was cut when the program was killed has no end.
        for line in earlier.split_inclusive('\n').skip(1).filter_map(|line| line.strip_suffix('\n')) {
            let file = out.join(line.split('\t').next().unwrap_or_default());
            let number = file.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            if let (Some(number), Ok(metadata)) = (number, file.metadata()) {
                // Behind 44 bytes of header, two for each sample.
                seconds += (metadata.len() - 44) as f64 / f64::from(2 * RATE);
                done.insert(number, line.to_owned());
            }
        }
        write_transcripts(&path, &done)?;
        let transcripts = File::options().append(true).open(&path)?;
        let state = Mutex::new(State { done, next: 0, seconds, transcripts });
        Ok(Self { out, texts, seed, state })
    }

    /// Synthesises one utterance after the other until there are enough seconds.
    fn work(&self, seconds: f64) -> Result<()> {
        let scratch = tempfile::tempdir()?;
        loop {
            let number = {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.seconds >= seconds {
                    return Ok(());
                }
                while state.done.contains_key(&state.next) {
                    state.next += 1;
                }
                state.next += 1;
                state.next - 1
            };
            let utterance = self.utterance(number, scratch.path())?;
            let name = format!("wavs/{:03}/{number:06}.wav", number / 1000);
            write_wav(&self.out.join(&name), &utterance.samples)?;
            let line = format!("{name}\t{}\t{}\t{}", utterance.text, utterance.voice, utterance.effect);
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.transcripts.write_all(format!("{line}\n").as_bytes())?;
            state.done.insert(number, line);
            state.seconds += utterance.samples.len() as f64 / f64::from(RATE);
            if state.done.len().is_multiple_of(500) {
                println!("{} utterances, {:.2} hours", state.done.len(), state.seconds / 3600.0);
            }
        }
    }

    /// An utterance by its number: what is said, by whom, and what happened to the sound.
    fn utterance(&self, number: u64, scratch: &Path) -> Result<Utterance> {
        let draw = |what: &str, attempt: u64| {
            let stream = &mut Stream::new(self.seed, &[what.into(), number.into(), attempt.into()]);
            let (text, voice) = (self.texts.draw(stream), Voice::draw(stream));
            let clip = voice.speak(&text, scratch)?;
            Ok::<_, anyhow::Error>((text, voice, clip))
        };
        let spoken = |what: &str| -> Result<(String, Voice, Clip)> {
            for attempt in 0..ATTEMPTS {
                if let (text, voice, Some(clip)) = draw(what, attempt)? {
                    return Ok((text, voice, clip));
                }
            }
            anyhow::bail!("utterance {number}: nothing was heard in {ATTEMPTS} attempts")
        };
        let (text, voice, clip) = spoken("utterance")?;
        let stream = &mut Stream::new(self.seed, &["effects".into(), number.into()]);
        let effects = Effects::draw(stream);
        let babble = match effects.wants_babble() {
            true => ["first", "second", "third"]
                .map(|who| spoken(who).map(|(_, _, clip)| clip))
                .into_iter()
                .collect(),
            false => Ok(Vec::new()),
        };
        let samples = effects.apply(clip.values(), &babble?, stream);
        Ok(Utterance { text, voice: voice.to_string(), effect: effects.to_string(), samples })
    }

    /// The transcripts in the order of their numbers.
    fn finish(self) -> Result<()> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        write_transcripts(&self.out.join("transcripts.tsv"), &state.done)?;
        println!(
            "{} utterances, {:.2} hours in {}",
            state.done.len(),
            state.seconds / 3600.0,
            self.out.display()
        );
        Ok(())
    }
}

struct Utterance {
    text: String,
    voice: String,
    effect: String,
    /// At [`RATE`], −1 to 1.
    samples: Vec<f32>,
}

/// Written aside and renamed.
fn write_transcripts(path: &Path, done: &BTreeMap<u64, String>) -> Result<()> {
    let mut text = String::from("path\ttext\tvoice\teffect\n");
    done.values().for_each(|line| text.extend([line, "\n"]));
    let aside = path.with_extension("part");
    fs::write(&aside, text)?;
    Ok(fs::rename(&aside, path)?)
}

/// Written aside and renamed.
fn write_wav(path: &Path, samples: &[f32]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let aside = path.with_extension("part");
    let format = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&aside, format)?;
    for sample in samples {
        writer.write_sample((sample * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16)?;
    }
    writer.finalize()?;
    Ok(fs::rename(&aside, path)?)
}
