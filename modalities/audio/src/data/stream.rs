//! Sound of a file in blocks, for recordings that are too long to hold.

use std::path::Path;

use super::clip::{Levels, RATES};
use super::decode::Blocks;
use super::resample::Resampling;
use super::{DecodeError, Remark};

/// A recording that is decoded block by block, as one channel at one rate. Memory does not grow with its length. What blocks hold is, one
/// after another, what [`super::Clip::open`] and [`super::Clip::at_rate`] give of the whole.
pub struct SoundStream {
    blocks: Blocks,
    /// Channels with any sound; nothing where there is one channel.
    sounding: Vec<bool>,
    resampling: Option<Resampling>,
    rate: u32,
    interleaved: Vec<f32>,
    mono: Vec<f32>,
    /// Samples of one channel that were decoded so far, and how loud they are.
    decoded: usize,
    levels: Levels,
    has_ended: bool,
}

impl SoundStream {
    /// Opens a file; blocks are at a rate in Hz, its own where none is given. Of several channels those without any sound are left out of
    /// the mean, which is why a file whose channels do not all sound is decoded twice.
    ///
    /// # Errors
    /// When the file cannot be read, or a rate is not to be believed.
    pub fn open(path: impl AsRef<Path>, rate: Option<u32>) -> Result<Self, DecodeError> {
        let path = path.as_ref();
        let mut blocks = Blocks::open(path, 0.0)?;
        // Some formats only say in their first packet what they are.
        let mut interleaved = Vec::new();
        while interleaved.is_empty() && blocks.read(&mut interleaved)? {}
        let (own, rate) = (blocks.rate, rate.unwrap_or(blocks.rate));
        if let Some(rate) = [own, rate].into_iter().find(|rate| !RATES.contains(rate)) {
            return Err(DecodeError::Rate(rate));
        }
        if interleaved.is_empty() {
            return Err(DecodeError::Empty);
        }
        let sounding = if blocks.channels > 1 { sounding_channels(path)? } else { Vec::new() };
        let resampling = (rate != own).then(|| Resampling::new(own, rate)).transpose()?;
        let mono = Vec::new();
        let levels = Levels::default();
        Ok(Self {
            blocks,
            sounding,
            resampling,
            rate,
            interleaved,
            mono,
            decoded: 0,
            levels,
            has_ended: false,
        })
    }

    /// Samples per second of the blocks.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Samples per second of the file.
    pub fn own_rate(&self) -> u32 {
        self.blocks.rate
    }

    /// What was odd about it so far, but for what resampling loses. An early end shows, at the latest, at the end.
    pub fn remarks(&self) -> Vec<Remark> {
        let channels = self.sounding.len();
        let alive = self.sounding.iter().filter(|sounding| **sounding).count();
        let early = self.blocks.ended_early.then_some(Remark::EndedEarly);
        let dead = (alive > 0 && alive < channels)
            .then(|| Remark::DeadChannels { dead: channels - alive, channels });
        early.into_iter().chain(dead).chain(self.levels.remark()).collect()
    }

    /// The next samples, at least one, or `None` at the end.
    ///
    /// # Errors
    /// When the rate or the channels change within the file, or a sample is not a number.
    pub fn next_block(&mut self) -> Result<Option<Vec<f32>>, DecodeError> {
        let mut block = Vec::new();
        while block.is_empty() && !self.has_ended {
            if self.interleaved.len() < self.blocks.channels {
                self.has_ended = !self.blocks.read(&mut self.interleaved)?;
            }
            self.mix()?;
            match &mut self.resampling {
                Some(resampling) => {
                    resampling.push(&self.mono, &mut block)?;
                    if self.has_ended {
                        resampling.finish(&mut block)?;
                    }
                }
                None => block.append(&mut self.mono),
            }
        }
        Ok((!block.is_empty()).then_some(block))
    }

    /// Takes what was decoded to one channel.
    fn mix(&mut self) -> Result<(), DecodeError> {
        let channels = self.blocks.channels.max(1);
        let alive = self.sounding.iter().filter(|sounding| **sounding).count();
        let divisor = if alive == 0 { channels } else { alive } as f32;
        let frames = self.interleaved.chunks_exact(channels);
        self.mono.clear();
        self.mono.extend(frames.map(|frame| frame.iter().sum::<f32>() / divisor));
        if let Some(index) = self.mono.iter().position(|sample| !sample.is_finite()) {
            return Err(DecodeError::NotFinite(self.decoded + index));
        }
        self.decoded += self.mono.len();
        self.levels.add(&self.mono);
        // Blocks may end within a frame; the rest of it comes first in the next.
        self.interleaved.drain(..self.mono.len() * channels);
        Ok(())
    }
}

/// For each channel of a file whether it has any sound; nothing is decoded after all have.
fn sounding_channels(path: &Path) -> Result<Vec<bool>, DecodeError> {
    let mut blocks = Blocks::open(path, 0.0)?;
    let (mut sounding, mut interleaved) = (Vec::new(), Vec::new());
    loop {
        let is_more = blocks.read(&mut interleaved)?;
        let channels = blocks.channels.max(1);
        sounding.resize(channels, false);
        for frame in interleaved.chunks_exact(channels) {
            sounding.iter_mut().zip(frame).for_each(|(sounding, sample)| *sounding |= *sample != 0.0);
        }
        if !is_more || sounding.iter().all(|sounding| *sounding) {
            return Ok(sounding);
        }
        interleaved.drain(..interleaved.len() / channels * channels);
    }
}
