//! The published networks that classify recordings: what they are built with, how they hear, and how their weights are called.

use serde_json::Value;
use tk_engine::{EngineError, Graph, Tensor};
use tk_transfer::checkpoint::Rule;

use super::speech::{
    ArchitectureError, End, FeatureNorm, MASKED, Padding, RENAMES, Speech, WHISPER_RENAMES, Whisper,
};
use super::{Config, ConfigError, HEAD, Settings, build};
use crate::features::{FilterBank, FrontEnd, FrontEndError, LogMel, Waveform};

/// A network by what it is built with.
#[derive(Clone, Debug, PartialEq)]
pub enum Architecture {
    /// The Audio Spectrogram Transformer, over pictures of sound.
    Ast(Settings),
    /// wav2vec 2.0 and HuBERT, over waveforms.
    Speech {
        /// What it is built with.
        speech: Box<Speech>,
        /// What it is told of padding.
        padding: Padding,
    },
    /// Whisper's encoder, over frames of a spectrogram.
    Whisper(Box<Whisper>),
}

/// A network that is opened, and how it hears.
#[derive(Clone, Debug)]
pub struct Start {
    /// The network.
    pub architecture: Architecture,
    /// How sounds become its input.
    pub front_end: FrontEnd,
}

/// What of a recording is looked at when nothing is said, in seconds: attention over waveforms costs the square of it.
const SECONDS: f64 = 30.0;

/// The field of `preprocessor_config.json` in which this toolkit keeps how much of a recording is looked at; others pass over it.
const MOST: &str = "max_seconds";

/// Samples that are no sound to speak of, to see how fast a network is.
const BLANK_SECONDS: f64 = 2.0;

const AST_RENAMES: &[Rule] = &[
    // Weights of the encoder alone lack the prefix.
    Rule::Prefix { from: "embeddings.", to: "audio_spectrogram_transformer.embeddings." },
    Rule::Prefix { from: "encoder.", to: "audio_spectrogram_transformer.encoder." },
    Rule::Prefix { from: "layernorm.", to: "audio_spectrogram_transformer.layernorm." },
];

impl Start {
    /// Reads a configuration, and the text of `preprocessor_config.json`, if there is one; else the front end is that of the published
    /// weights.
    ///
    /// # Errors
    /// When one of them cannot be followed.
    pub fn read(config: &Config, preprocessor: Option<&str>) -> Result<Self, StartError> {
        match config.model_type() {
            "wav2vec2" | "hubert" => {
                let speech = Speech::from_json(&config.to_json()?).map_err(ConfigError::from)?;
                let settings = preprocessor.map(Waveform::from_json).transpose()?.unwrap_or_default();
                // As transformers' models are published: those that norm each frame were trained with masks.
                let is_masked = match settings.other.get("return_attention_mask").and_then(Value::as_bool) {
                    Some(is_masked) => is_masked,
                    None => speech.features.norm == FeatureNorm::Layer,
                };
                let seconds = settings.other.get(MOST).and_then(Value::as_f64).unwrap_or(SECONDS);
                let least = speech.features.least_samples();
                let padding = if is_masked { Padding::Masked } else { Padding::Ignored };
                let front_end = FrontEnd::Waveform { settings, least, most: usize::MAX };
                let architecture = Architecture::Speech { speech: Box::new(speech), padding };
                let start = Self { architecture, front_end };
                Ok(start.of_seconds(seconds)?)
            }
            "whisper" => {
                let whisper = Whisper::from_json(&config.to_json()?).map_err(ConfigError::from)?;
                let mut settings = preprocessor.map(LogMel::from_json).transpose()?.unwrap_or_default();
                // The network's own sizes are what its places are for.
                settings.feature_size = whisper.bins;
                let frames_per_second = settings.sampling_rate as usize / settings.hop_length;
                let seconds = whisper.frames() / frames_per_second.max(1);
                settings.chunk_length = seconds.max(1);
                if settings.frames() != whisper.frames() {
                    return Err(FrontEndError::Setting {
                        setting: "chunk_length",
                        expected: "whole seconds whose frames are twice `max_source_positions` of config.json",
                        found: format!("{} frames for {} places", settings.frames(), whisper.places),
                    }
                    .into());
                }
                let architecture = Architecture::Whisper(Box::new(whisper));
                Ok(Self { architecture, front_end: FrontEnd::LogMel(settings) })
            }
            _ => {
                let settings = config.settings()?;
                let mut bank = preprocessor.map(FilterBank::from_json).transpose()?.unwrap_or_default();
                (bank.num_mel_bins, bank.max_length) = (settings.bins, settings.frames);
                let architecture = Architecture::Ast(settings);
                Ok(Self { architecture, front_end: FrontEnd::FilterBank(bank) })
            }
        }
    }

    /// The same for the first seconds of recordings, of waveforms only.
    fn of_seconds(mut self, seconds: f64) -> Result<Self, FrontEndError> {
        if let FrontEnd::Waveform { settings, least, most } = &mut self.front_end {
            let samples = seconds * f64::from(settings.sampling_rate);
            if !(samples >= *least as f64 && samples < 1e9) {
                return Err(FrontEndError::Setting {
                    setting: MOST,
                    expected: "seconds, enough for one frame",
                    found: seconds.to_string(),
                });
            }
            *most = samples.round() as usize;
            settings.other.insert(MOST.to_owned(), seconds.into());
        }
        Ok(self)
    }

    /// The same for other seconds of recordings. Networks with places for each frame get those that there are for fewer.
    ///
    /// # Errors
    /// What may be asked for instead, in words.
    pub fn with_seconds(mut self, seconds: f64) -> Result<Self, String> {
        match (&mut self.architecture, &mut self.front_end) {
            (Architecture::Ast(settings), FrontEnd::FilterBank(bank)) => {
                let frames = ((seconds * FRAMES_PER_SECOND).round() as usize).max(settings.patch);
                if frames > settings.frames {
                    return Err(format!("at most {} seconds", settings.frames as f64 / FRAMES_PER_SECOND));
                }
                (settings.frames, bank.max_length) = (frames, frames);
                Ok(self)
            }
            (Architecture::Whisper(whisper), FrontEnd::LogMel(settings)) => {
                let most = settings.chunk_length;
                if seconds.fract() != 0.0 || !(1.0..=most as f64).contains(&seconds) {
                    return Err(format!("whole seconds, 1 to {most}"));
                }
                settings.chunk_length = seconds as usize;
                // Numbers that follow from it, which transformers writes too.
                for (name, number) in [
                    ("n_samples", settings.chunk_length * settings.sampling_rate as usize),
                    ("nb_max_frames", settings.frames()),
                ] {
                    if let Some(written) = settings.other.get_mut(name) {
                        *written = number.into();
                    }
                }
                whisper.places = settings.frames() / super::speech::FRAMES_PER_PLACE;
                Ok(self)
            }
            _ => self.of_seconds(seconds).map_err(|error| error.to_string()),
        }
    }
}

/// Frames of a second of AST's spectrograms.
pub const FRAMES_PER_SECOND: f64 = 100.0;

/// A network that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its configuration cannot be followed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its front end cannot be followed.
    #[error(transparent)]
    FrontEnd(#[from] FrontEndError),
}

impl Architecture {
    /// The prefix of the parameters of a linear head.
    pub fn head(&self) -> &'static str {
        match self {
            Self::Ast(_) => HEAD,
            Self::Speech { .. } | Self::Whisper(_) => "classifier",
        }
    }

    /// Whether what probes learn on, the embedding, is not what the published classifier reads.
    pub fn has_projector(&self) -> bool {
        !matches!(self, Self::Ast(_))
    }

    /// The graph with a classifier; AST's reads the embedding in either case.
    ///
    /// # Errors
    /// When there are no classes, or the graph is malformed.
    pub fn build(&self, end: End) -> Result<Graph, EngineError> {
        let built = match self {
            Self::Ast(settings) => return build(&Settings { classes: end.classes(), ..settings.clone() }),
            Self::Speech { speech, padding } => speech.build_classifier(end, *padding),
            Self::Whisper(whisper) => whisper.build_classifier(end),
        };
        built.map_err(|error| match error {
            ArchitectureError::Graph(error) => error.into(),
            _ => EngineError::Order("a classifier without classes"),
        })
    }

    /// How checkpoints may spell names.
    pub fn renames(&self) -> &'static [Rule] {
        match self {
            Self::Ast(_) => AST_RENAMES,
            Self::Speech { .. } => RENAMES,
            Self::Whisper(_) => WHISPER_RENAMES,
        }
    }

    /// The name of a parameter in a checkpoint of the network with its classifier, as transformers writes it.
    pub fn published_name(&self, parameter: &str) -> String {
        match self {
            Self::Ast(_) => parameter.to_owned(),
            Self::Speech { speech, .. } => speech.published_name(parameter),
            Self::Whisper(_)
                if ["projector.", "classifier."].iter().any(|head| parameter.starts_with(head)) =>
            {
                parameter.to_owned()
            }
            Self::Whisper(_) => format!("encoder.{parameter}"),
        }
    }

    /// The width of the embedding.
    pub fn width(&self) -> usize {
        match self {
            Self::Ast(settings) => settings.width,
            Self::Speech { speech, .. } => speech.layers.width,
            Self::Whisper(whisper) => whisper.layers.width,
        }
    }

    /// The fields of `config.json` that may differ from the published ones; `projected` is the width of the projector.
    pub fn sizes(&self, projected: usize) -> Vec<(&'static str, usize)> {
        match self {
            Self::Ast(settings) => vec![("max_length", settings.frames)],
            Self::Speech { .. } => vec![("classifier_proj_size", projected)],
            Self::Whisper(whisper) => {
                vec![("classifier_proj_size", projected), ("max_source_positions", whisper.places)]
            }
        }
    }

    /// The width of the published classifier's projector; 0 where there is none.
    pub fn projected(&self) -> usize {
        match self {
            Self::Ast(_) => 0,
            Self::Speech { speech, .. } => speech.classifier_width,
            Self::Whisper(whisper) => whisper.classifier_width,
        }
    }

    /// The graph's inputs for features of sounds as its front end computes them. Waveforms are padded to the longest, with what the network
    /// is told of padding; spectrograms are equally long.
    ///
    /// # Errors
    /// When there are none.
    pub fn stack(&self, sounds: &[&[f32]]) -> tk_engine::Result<Vec<Tensor>> {
        let batch = sounds.len();
        let joined = || sounds.iter().flat_map(|sound| sound.iter().copied()).collect::<Vec<f32>>();
        match self {
            Self::Ast(settings) => {
                Ok(vec![Tensor::new(&[batch, settings.bins, settings.frames, 1], joined())?])
            }
            Self::Whisper(whisper) => {
                let (bins, frames) = (whisper.bins, whisper.frames());
                let by_frame = |sound: &&[f32]| {
                    let sound = *sound;
                    let places =
                        (0..frames).flat_map(move |frame| (0..bins).map(move |bin| bin * frames + frame));
                    places.filter_map(move |place| sound.get(place).copied()).collect::<Vec<f32>>()
                };
                Ok(vec![Tensor::new(&[batch, frames, bins], sounds.iter().flat_map(by_frame).collect())?])
            }
            Self::Speech { speech, padding } => {
                let longest = sounds.iter().map(|sound| sound.len()).max().unwrap_or(0);
                let mut waves = vec![0.0; batch * longest];
                for (row, sound) in waves.chunks_exact_mut(longest.max(1)).zip(sounds) {
                    row[..sound.len()].copy_from_slice(sound);
                }
                let mut inputs = vec![Tensor::new(&[batch, longest, 1], waves)?];
                if *padding == Padding::Masked {
                    let frames = speech.features.frames(longest);
                    let counts: Vec<usize> =
                        sounds.iter().map(|sound| speech.features.frames(sound.len())).collect();
                    let by_frame = |value: &dyn Fn(usize, bool) -> f32| -> Vec<f32> {
                        let row = |&count: &usize| (0..frames).map(move |at| value(count, at < count));
                        counts.iter().flat_map(row).collect()
                    };
                    let counted = |_, counts: bool| if counts { 1.0 } else { 0.0 };
                    let masked = |_, counts: bool| if counts { 0.0 } else { MASKED };
                    let shared = |count: usize, counts: bool| if counts { 1.0 / count as f32 } else { 0.0 };
                    inputs.push(Tensor::new(&[batch, frames, 1], by_frame(&counted))?);
                    inputs.push(Tensor::new(&[batch, 1, 1, frames], by_frame(&masked))?);
                    inputs.push(Tensor::new(&[batch, 1, frames], by_frame(&shared))?);
                }
                Ok(inputs)
            }
        }
    }

    /// Features of silence, of usual length.
    pub fn blank(&self, front_end: &FrontEnd) -> Vec<f32> {
        let length = match self {
            Self::Ast(settings) => settings.bins * settings.frames,
            Self::Whisper(whisper) => whisper.bins * whisper.frames(),
            Self::Speech { .. } => {
                (front_end.seconds().min(BLANK_SECONDS) * f64::from(front_end.rate())) as usize
            }
        };
        vec![0.0; length]
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    fn start(config: &Value, preprocessor: Option<&str>) -> Result<Start, StartError> {
        Start::read(&Config::from_json(&config.to_string()).unwrap(), preprocessor)
    }

    #[test]
    fn padding_is_what_the_front_end_says_or_what_networks_of_the_kind_were_trained_with() {
        for (config, preprocessor, expected) in [
            (json!({"model_type": "wav2vec2"}), None, Padding::Ignored),
            (json!({"model_type": "hubert", "feat_extract_norm": "layer"}), None, Padding::Masked),
            (json!({"model_type": "wav2vec2"}), Some(r#"{"return_attention_mask": true}"#), Padding::Masked),
        ] {
            let Architecture::Speech { padding, .. } = start(&config, preprocessor).unwrap().architecture
            else {
                panic!("{config}")
            };
            assert_eq!(padding, expected, "{config}");
        }
    }

    #[test]
    fn other_seconds_are_of_the_network_and_its_front_end_alike() {
        let whisper = start(&json!({"model_type": "whisper"}), Some(r#"{"n_samples": 480000}"#)).unwrap();
        assert_eq!(whisper.front_end.seconds(), 30.0);
        let shorter = whisper.clone().with_seconds(4.0).unwrap();
        let Architecture::Whisper(settings) = &shorter.architecture else { panic!("whisper") };
        assert_eq!((settings.places, shorter.front_end.seconds()), (200, 4.0));
        let FrontEnd::LogMel(log_mel) = &shorter.front_end else { panic!("log-mel") };
        assert_eq!(log_mel.other["n_samples"], 64_000);
        for seconds in [0.0, 2.5, 31.0] {
            assert_eq!(
                whisper.clone().with_seconds(seconds).unwrap_err(),
                "whole seconds, 1 to 30",
                "{seconds}"
            );
        }
        let waves = start(&json!({"model_type": "hubert"}), None).unwrap();
        assert_eq!(waves.front_end.seconds(), SECONDS);
        let shorter = waves.clone().with_seconds(0.5).unwrap().front_end;
        assert_eq!(shorter.seconds(), 0.5);
        // What is written is read again.
        let again = start(&json!({"model_type": "hubert"}), Some(&shorter.to_json().unwrap())).unwrap();
        assert_eq!(again.front_end, shorter);
        assert!(waves.with_seconds(0.001).unwrap_err().contains("enough for one frame"));
        let ast = start(&json!({"model_type": "audio-spectrogram-transformer"}), None).unwrap();
        assert_eq!(ast.clone().with_seconds(5.12).unwrap().front_end.seconds(), 5.135);
        assert_eq!(ast.with_seconds(11.0).unwrap_err(), "at most 10.24 seconds");
    }

    #[test]
    fn waves_are_padded_with_what_is_told_of_it() {
        let config = json!({"model_type": "wav2vec2", "conv_dim": [4, 4], "conv_kernel": [2, 2], "conv_stride": [2, 1],
            "feat_extract_norm": "layer"});
        let architecture = start(&config, None).unwrap().architecture;
        let inputs = architecture.stack(&[&[1.0; 4], &[2.0; 8]]).unwrap();
        let found: Vec<_> = inputs.iter().map(|input| (input.shape().to_vec(), input.to_f32())).collect();
        let waves = [[1.0; 4], [0.0; 4], [2.0; 4], [2.0; 4]].concat();
        assert_eq!(found[0], (vec![2, 8, 1], waves));
        assert_eq!(found[1], (vec![2, 3, 1], vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0]));
        assert_eq!(found[2], (vec![2, 1, 1, 3], vec![0.0, MASKED, MASKED, 0.0, 0.0, 0.0]));
        let third = 1.0 / 3.0;
        assert_eq!(found[3], (vec![2, 1, 3], vec![1.0, 0.0, 0.0, third, third, third]));
        let graph = architecture.build(End::Published { classes: 2 }).unwrap();
        let names: Vec<&str> = graph.inputs().iter().map(|input| input.name.as_str()).collect();
        assert_eq!(names, ["waves", "frames", "mask", "pooling"]);
    }
}
