//! Who speaks, and how: the synthesisers' voices, faster or slower, higher or lower, with larger and smaller heads.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tk_audio::data::Clip;
use tk_engine::random::Stream;

use crate::RATE;

/// English accents of espeak-ng.
const ACCENTS: [&str; 8] = [
    "en-us",
    "en-gb",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-029",
    "en-us-nyc",
];

/// Its variants that sound like people: whisperers and robots are left out.
const VARIANTS: &str = "f1 f2 f3 f4 f5 m1 m2 m3 m4 m5 m6 m7 m8 klatt klatt2 klatt3 klatt4 klatt5 klatt6 Alex Alicia Andrea Andy Annie \
    Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike Nguyen adam anika announcer antonio aunty belinda benjamin \
    boris david ed edward edward2 grandma grandpa gustave iven iven2 linda marcelo max michel miguel pablo paul pedro quincy rob robert \
    sandro shelby steph steph2 travis victor zac";

/// Voices of flite, with the usual pitch of each in Hz.
const FLITE: [(&str, f64); 5] =
    [("slt", 170.0), ("rms", 95.0), ("awb", 130.0), ("kal16", 100.0), ("kal", 100.0)];

/// Voices of Festival that flite does not have, and one that it has in another form.
const FESTIVAL: [&str; 3] = ["ked_diphone", "kal_diphone", "cmu_us_slt_arctic_hts"];

/// One way to speak.
pub struct Voice {
    engine: Engine,
    /// How much faster the finished speech is played: pitch and resonances rise alike, as in a smaller head.
    tract: f64,
}

enum Engine {
    Espeak { voice: String, words_per_minute: usize, pitch: usize, gap: usize },
    Flite { voice: &'static str, stretch: f64, pitch_hertz: f64 },
    Festival { voice: &'static str, stretch: f64 },
}

impl Voice {
    pub fn draw(stream: &mut Stream) -> Self {
        let tract = if stream.unit() < 0.75 { stream.range(0.85, 1.2) } else { 1.0 };
        let engine = match stream.unit() {
            share if share < 0.5 => {
                let variants: Vec<&str> = VARIANTS.split_whitespace().collect();
                let accent = if stream.unit() < 0.4 { "en-us" } else { ACCENTS[stream.below(ACCENTS.len())] };
                let variant = variants[stream.below(variants.len())];
                Engine::Espeak {
                    voice: format!("{accent}+{variant}"),
                    words_per_minute: 90 + stream.below(131),
                    pitch: 10 + stream.below(81),
                    // In hundredths of a second.
                    gap: if stream.unit() < 0.7 { 0 } else { stream.below(12) },
                }
            }
            share if share < 0.85 => {
                let (voice, usual) = FLITE[stream.below(FLITE.len())];
                let stretch = stream.range(0.75, 1.6);
                Engine::Flite { voice, stretch, pitch_hertz: (usual * stream.range(0.75, 1.35)).round() }
            }
            _ => {
                let voice = FESTIVAL[stream.below(FESTIVAL.len())];
                Engine::Festival { voice, stretch: stream.range(0.75, 1.5) }
            }
        };
        Self { engine, tract }
    }

    /// A text said by this voice, at [`RATE`]. `None` when nothing is heard.
    ///
    /// # Errors
    /// When the synthesiser fails.
    pub fn speak(&self, text: &str, scratch: &Path) -> Result<Option<Clip>> {
        let (input, output) = (scratch.join("text.txt"), scratch.join("speech.wav"));
        let _ = std::fs::remove_file(&output);
        let mut command = match &self.engine {
            Engine::Espeak { voice, words_per_minute, pitch, gap } => {
                let mut command = Command::new("espeak-ng");
                command.args(["-v", voice, "-s", &words_per_minute.to_string(), "-p", &pitch.to_string()]);
                command.args(["-g", &gap.to_string(), "-w"]).arg(&output).arg(text);
                command
            }
            Engine::Flite { voice, stretch, pitch_hertz } => {
                let mut command = Command::new("flite");
                command.args(["-voice", voice, "--setf", &format!("duration_stretch={stretch:.3}")]);
                command.args(["--setf", &format!("int_f0_target_mean={pitch_hertz}"), "-t", text, "-o"]);
                command.arg(&output);
                command
            }
            Engine::Festival { voice, stretch } => {
                std::fs::write(&input, text)?;
                let mut command = Command::new("text2wave");
                command.args(["-eval", &format!("(voice_{voice})"), "-eval"]);
                command.arg(format!("(Parameter.set 'Duration_Stretch {stretch:.3})"));
                command.arg(&input).arg("-o").arg(&output);
                command
            }
        };
        let run = command.stdin(Stdio::null()).output().context("the synthesiser does not start")?;
        if !run.status.success() {
            bail!("{self}: {:?}: {}", text, String::from_utf8_lossy(&run.stderr).trim());
        }
        let Ok(clip) = Clip::open(&output) else { return Ok(None) };
        let played = (f64::from(clip.rate()) * self.tract / 100.0).round() as u32 * 100;
        let clip = Clip::samples(clip.values(), played)?.at_rate(RATE)?;
        let loudest = clip.values().iter().fold(0f32, |most, sample| most.max(sample.abs()));
        Ok((loudest > 1e-3 && clip.seconds() > 0.05).then_some(clip))
    }
}

impl fmt::Display for Voice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.engine {
            Engine::Espeak { voice, words_per_minute, pitch, gap } => {
                write!(formatter, "espeak-ng:{voice} rate:{words_per_minute} pitch:{pitch} gap:{gap}")
            }
            Engine::Flite { voice, stretch, pitch_hertz } => {
                write!(formatter, "flite:{voice} stretch:{stretch:.2} pitch:{pitch_hertz}")
            }
            Engine::Festival { voice, stretch } => write!(formatter, "festival:{voice} stretch:{stretch:.2}"),
        }?;
        write!(formatter, " tract:{:.2}", self.tract)
    }
}

/// Whether all synthesisers and their voices are there.
///
/// # Errors
/// Names the first that is missing, and how to get it.
pub fn check() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let espeak =
        |voice: &str| Engine::Espeak { voice: voice.into(), words_per_minute: 150, pitch: 50, gap: 0 };
    let engines = [espeak("en-us+f1")]
        .into_iter()
        .chain(FLITE.map(|(voice, pitch_hertz)| Engine::Flite { voice, stretch: 1.0, pitch_hertz }))
        .chain(FESTIVAL.map(|voice| Engine::Festival { voice, stretch: 1.0 }));
    for engine in engines {
        let voice = Voice { engine, tract: 1.0 };
        let heard = voice.speak("one", scratch.path()).ok().flatten();
        if heard.is_none() {
            bail!(
                "{voice} cannot be heard; install the synthesisers: \
                 apt install espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts"
            );
        }
    }
    Ok(())
}
