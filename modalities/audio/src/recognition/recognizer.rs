//! A trained recogniser: what a run leaves in its folder, and what transcribes.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tk_engine::cpu::{Machine, Plan};
use tk_engine::{EngineError, Inference};
use tk_transfer::atomic::WriteError;
use tk_transfer::bundle::BundleError;
use tk_transfer::checkpoint::SaveError;
use tk_transfer::low_rank::AdapterError;

use super::{ModelError, SpeechModel, SymbolChoice, Transcript, VocabularyError, Word};
use crate::ctc::{Spoken, align, beam, greedy};
use crate::data::{Clip, DecodeError};

/// Recordings up to so many seconds are heard in one piece, and longer ones in windows of so many.
const WINDOW: f64 = 30.0;

/// So many seconds at both ends of a window are heard better by its neighbours.
const MARGIN: f64 = 3.0;

/// How symbols are found in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decoding {
    /// The likeliest symbol of each frame.
    #[default]
    Greedy,
    /// The likeliest text, by a search that keeps so many prefixes.
    Beam {
        /// How many.
        width: usize,
    },
}

/// A recogniser. Transcribes through `&self`.
pub struct Recognizer {
    model: SpeechModel,
    decoding: Decoding,
    plan: Mutex<Plan>,
}

/// A recogniser that cannot be loaded, saved or run.
#[derive(Debug, thiserror::Error)]
pub enum RecognizerError {
    /// The model cannot be had.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The sound cannot be heard.
    #[error(transparent)]
    Sound(#[from] DecodeError),
    /// Weights cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// An adapter cannot be written.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// `transfer.json` cannot be followed.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Symbols cannot be written.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// A settings file cannot be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Symbols with their frames, counted from the recording's beginning, and how probable each is.
type Heard = Vec<(Spoken, f64)>;

impl Recognizer {
    /// A recogniser of a model.
    ///
    /// # Errors
    /// When the graph cannot be compiled.
    pub fn new(model: SpeechModel, machine: &Machine) -> Result<Self, RecognizerError> {
        let plan = Mutex::new(Plan::new(machine, &model.graph, &model.parameters)?);
        Ok(Self { model, decoding: Decoding::Greedy, plan })
    }

    /// The recogniser in a folder that a run, or transformers, wrote; or the embedded default by its name.
    ///
    /// # Errors
    /// When files are missing, damaged, or of another version.
    pub fn load(folder: &Path, machine: &Machine) -> Result<Self, RecognizerError> {
        Self::new(SpeechModel::open(folder, &SymbolChoice::Published, 0)?, machine)
    }

    /// In another precision from now on: bf16, or f32, as it begins.
    ///
    /// # Errors
    /// When it is int8, which would need samples to calibrate with.
    pub fn in_precision(mut self, precision: tk_engine::Precision) -> Result<Self, RecognizerError> {
        self.plan.get_mut().unwrap_or_else(PoisonError::into_inner).set_precision(precision)?;
        Ok(self)
    }

    /// With another way of finding symbols.
    #[must_use]
    pub fn with_decoding(mut self, decoding: Decoding) -> Self {
        self.decoding = decoding;
        self
    }

    /// The model.
    pub fn model(&self) -> &SpeechModel {
        &self.model
    }

    /// What is said in a sound at any rate.
    ///
    /// # Errors
    /// When it is too short for a frame, or the engine fails.
    pub fn transcribe(&self, clip: &Clip) -> Result<Transcript, RecognizerError> {
        let clip = clip.at_rate(self.rate())?;
        let mut blocks = Some(clip.values().to_vec()).into_iter();
        self.transcribe_blocks(&mut || Ok(blocks.next()))
    }

    /// What is said in a recording that comes in blocks of samples of one channel at [`Recognizer::rate`], until `None`. Only some windows of
    /// it are in memory at a time.
    ///
    /// # Errors
    /// As [`Recognizer::transcribe`], and those of the blocks.
    pub fn transcribe_blocks(
        &self,
        next: &mut dyn FnMut() -> Result<Option<Vec<f32>>, DecodeError>,
    ) -> Result<Transcript, RecognizerError> {
        let stride = self.model.stride();
        let frames_of = |seconds: f64| (seconds * f64::from(self.rate())) as usize / stride;
        let (window, margin) = (frames_of(WINDOW) * stride, frames_of(MARGIN));
        let (mut buffer, mut at, mut total) = (Vec::new(), 0, 0);
        let mut heard: Heard = Vec::new();
        let mut is_over = false;
        while !is_over {
            while buffer.len() <= window && !is_over {
                match next()? {
                    Some(block) => {
                        total += block.len();
                        buffer.extend(block);
                    }
                    None => is_over = true,
                }
            }
            // Frames before the margin were heard by the window before; the last window is heard to its end.
            while buffer.len() > window {
                let logits = self.logits(&buffer[..window])?;
                let kept = if at == 0 { 0 } else { margin }..self.frames_in(&logits) - margin;
                self.decode(&logits, kept.clone(), at, &mut heard);
                let step = kept.end - margin;
                buffer.drain(..step * stride);
                at += step;
            }
            if is_over {
                let least = self.model.speech.features.least_samples();
                if buffer.len() < least && at == 0 {
                    let (found, rate) = (buffer.len(), self.rate());
                    return Err(match found {
                        0 => DecodeError::Empty,
                        _ => DecodeError::TooShort { found, rate, least },
                    }
                    .into());
                }
                let logits = self.logits(&buffer)?;
                let from = if at == 0 { 0 } else { margin };
                self.decode(&logits, from..self.frames_in(&logits), at, &mut heard);
            }
        }
        Ok(Transcript::new(self.words(heard), total as f64 / f64::from(self.rate())))
    }

    /// The rate of what it hears, in Hz.
    pub fn rate(&self) -> u32 {
        self.model.front_end.sampling_rate
    }

    /// The logits of a sound, `[frames, symbols]`, heard in one piece whatever its length.
    ///
    /// # Errors
    /// When it is too short for a frame, or the engine fails.
    pub fn logits_of(&self, clip: &Clip) -> Result<Vec<f32>, RecognizerError> {
        let clip = clip.at_rate(self.rate())?;
        let (found, rate, least) =
            (clip.values().len(), self.rate(), self.model.speech.features.least_samples());
        if found < least {
            return Err(DecodeError::TooShort { found, rate, least }.into());
        }
        self.logits(clip.values())
    }

    fn logits(&self, samples: &[f32]) -> Result<Vec<f32>, RecognizerError> {
        let wave = self.model.front_end.features(&Clip::samples(samples, self.rate())?)?;
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = plan.run(&self.model.inputs(&[&wave])?)?;
        Ok(outputs.first().map(|logits| logits.to_f32()).unwrap_or_default())
    }

    fn frames_in(&self, logits: &[f32]) -> usize {
        logits.len() / self.model.vocabulary.len().max(1)
    }

    /// Finds the symbols of some of a window's frames, which begins at a frame of the recording.
    fn decode(&self, logits: &[f32], frames: std::ops::Range<usize>, window: usize, heard: &mut Heard) {
        let (symbols, blank) = (self.model.vocabulary.len(), self.model.vocabulary.blank());
        let start = window + frames.start;
        let mut scores = logits[frames.start * symbols..frames.end * symbols].to_vec();
        scores.chunks_exact_mut(symbols).for_each(log_softmax);
        let spoken = match self.decoding {
            Decoding::Greedy => greedy(&scores, symbols, blank),
            Decoding::Beam { width } => {
                let best = beam(&scores, symbols, blank, width).into_iter().next();
                best.and_then(|best| align(&scores, symbols, blank, &best.symbols)).unwrap_or_default()
            }
        };
        for Spoken { symbol, start: from, end: to } in spoken {
            let score = |frame: usize| f64::from(scores[frame * symbols + symbol as usize]);
            let mean = (from..to).map(score).sum::<f64>() / (to - from) as f64;
            let found = Spoken { symbol, start: start + from, end: start + to };
            match heard.last_mut() {
                // One symbol over the seam of two windows.
                Some((last, _)) if last.end == found.start && last.symbol == symbol => last.end = found.end,
                _ => heard.push((found, mean)),
            }
        }
    }

    /// Symbols as words with times.
    fn words(&self, heard: Heard) -> Vec<Word> {
        let vocabulary = &self.model.vocabulary;
        let second = |frame: usize| (frame as f64 * self.model.seconds_per_frame() * 1e4).round() / 1e4;
        let mut words: Vec<Word> = Vec::new();
        let mut counts = Vec::new();
        let mut is_within = false;
        for (Spoken { symbol, start, end }, score) in heard {
            match vocabulary.written(symbol) {
                "" => {}
                written if written.trim().is_empty() => is_within = false,
                written => {
                    if !is_within {
                        words.push(Word {
                            word: String::new(),
                            start: second(start),
                            end: 0.0,
                            probability: 0.0,
                        });
                        counts.push(0);
                        is_within = true;
                    }
                    if let (Some(word), Some(count)) = (words.last_mut(), counts.last_mut()) {
                        word.word.push_str(written);
                        word.end = second(end);
                        word.probability += score;
                        *count += 1;
                    }
                }
            }
        }
        for (word, count) in words.iter_mut().zip(counts) {
            word.probability = (word.probability / f64::from(count)).exp();
        }
        words
    }
}

/// Logits become the logarithms of probabilities.
fn log_softmax(row: &mut [f32]) {
    let greatest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|&logit| f64::from(logit - greatest).exp()).sum();
    let normaliser = greatest + sum.ln() as f32;
    row.iter_mut().for_each(|logit| *logit -= normaliser);
}
