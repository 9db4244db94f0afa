//! One photograph and its mask, looked at: what is remembered of them while masks themselves are not.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::coding::Coding;
use super::drawing::Drawing;
use super::settle::Tally;
use super::stored::Stored;
use super::value::Value;
use super::{ClassMap, MaskError};
use crate::annotations::oriented::Frame;
use crate::data::{Header, MAX_PIXELS, Orientation, Split, display, probe, read_file};

/// A photograph and where its classes stand, before it is looked at.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Relative to the data set's folder.
    pub photograph: PathBuf,
    pub mask: MaskSource,
    pub split: Option<Split>,
}

/// Where the classes of a photograph's pixels stand.
#[derive(Clone, Debug)]
pub(super) enum MaskSource {
    /// In a file, relative to the data set's folder.
    File(PathBuf),
    /// In outlines and runs that are drawn.
    Drawn(Arc<Drawing>),
}

/// What is remembered of a photograph and its mask.
#[derive(Clone, Debug)]
pub(super) struct Looked {
    /// Of the bytes of both.
    pub digest: [u8; 32],
    /// Width and height of the upright photograph.
    pub upright: [u32; 2],
    /// How the mask is to be turned.
    pub turn: Orientation,
    /// What its mask holds.
    pub tally: Tally,
}

impl MaskSource {
    /// What is wrong with it, and where.
    pub fn wrong(&self, reason: impl fmt::Display) -> String {
        match self {
            Self::File(path) => format!("its mask `{}`: {reason}", display(path)),
            Self::Drawn(drawing) => format!("annotated in `{}`: {reason}", drawing.source),
        }
    }

    /// The classes of the pixels as they are stored; `upright` is width and height of the photograph.
    ///
    /// # Errors
    /// The mask cannot be read any more, or holds what is no class.
    pub fn map(&self, folder: &Path, coding: &Coding, upright: [u32; 2]) -> Result<ClassMap, MaskError> {
        match self {
            Self::File(path) => coding.map(&Stored::read(&read_file(&folder.join(path))?)?),
            Self::Drawn(drawing) => drawing.map(drawing.size().unwrap_or(upright)),
        }
    }
}

impl Candidate {
    /// Looks at the files of both.
    ///
    /// # Errors
    /// The reason why they are of no use, in one line.
    pub fn look(&self, folder: &Path) -> Result<Looked, String> {
        let photograph = read_file(&folder.join(&self.photograph)).map_err(|error| error.to_string())?;
        let header = probe(&photograph, MAX_PIXELS).map_err(|error| error.to_string())?;
        let wrong = |error: MaskError| self.mask.wrong(error);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(photograph.len() as u64).to_le_bytes());
        hasher.update(&photograph);
        drop(photograph);
        let (tally, turn) = match &self.mask {
            MaskSource::File(path) => {
                let bytes = read_file(&folder.join(path)).map_err(|error| wrong(error.into()))?;
                hasher.update(&bytes);
                let stored = Stored::read(&bytes).map_err(wrong)?;
                let turn = turn_of([stored.width, stored.height], &header).map_err(wrong)?;
                (stored.tally().map_err(wrong)?, turn)
            }
            MaskSource::Drawn(drawing) => {
                let size = drawing.size();
                let frame = Frame::of(size, &header).map_err(|reason| self.mask.wrong(reason))?;
                let map = drawing.map(size.unwrap_or(header.upright())).map_err(wrong)?;
                hasher.update(map.classes());
                let counts = (0..=u8::MAX).zip(map.counts()).filter(|(_, count)| *count > 0);
                let tally = counts.map(|(class, count)| (Value::Grey(u16::from(class)), count)).collect();
                let turn =
                    if frame == Frame::Stored { header.orientation } else { Orientation::NoTransforms };
                (tally, turn)
            }
        };
        Ok(Looked { digest: *hasher.finalize().as_bytes(), upright: header.upright(), turn, tally })
    }
}

/// How a mask of so many pixels is to be turned: not at all when it has the size of the upright photograph, else with it.
///
/// # Errors
/// It has neither the size of the upright photograph nor that of the stored one.
pub(super) fn turn_of(found: [u32; 2], header: &Header) -> Result<Orientation, MaskError> {
    let (stored, upright) = ([header.width, header.height], header.upright());
    match found {
        found if found == upright => Ok(Orientation::NoTransforms),
        found if found == stored => Ok(header.orientation),
        found => Err(MaskError::Size { found, stored, upright }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Format;

    #[test]
    fn a_mask_is_of_the_upright_or_of_the_stored_photograph() {
        let header = |orientation| Header { format: Format::Jpeg, width: 64, height: 48, orientation };
        let (plain, turned, round) = (
            header(Orientation::NoTransforms),
            header(Orientation::Rotate90),
            header(Orientation::Rotate180),
        );
        for (header, found, expected) in [
            (plain, [64, 48], Ok(Orientation::NoTransforms)),
            (
                plain,
                [48, 64],
                Err(
                    "it has 48×64 pixels, and its photograph 64×48 pixels; draw it anew, or scale it without smoothing",
                ),
            ),
            (turned, [48, 64], Ok(Orientation::NoTransforms)),
            (turned, [64, 48], Ok(Orientation::Rotate90)),
            (
                turned,
                [32, 24],
                Err(
                    "it has 32×24 pixels, and its photograph 48×64 pixels (64×48 as it is stored); draw it anew, or scale it without smoothing",
                ),
            ),
            (round, [64, 48], Ok(Orientation::NoTransforms)),
        ] {
            let turn = turn_of(found, &header).map_err(|error| error.to_string());
            assert_eq!(turn, expected.map_err(str::to_owned), "{found:?}");
        }
    }
}
