//! One decoded photograph: rows of RGB bytes, upright.

use std::path::{Path, PathBuf};

use crate::data::decode::{DecodeError, MAX_PIXELS, decode, read_file};

/// An owned photograph in 8-bit RGB, upright, at least one pixel wide and high.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

/// A file that could not be opened as a picture, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct OpenError {
    /// The file, as it was named.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub reason: DecodeError,
}

impl Picture {
    /// The picture in a file. The format is told from the content, never from the name; see [`decode`] for the rules.
    ///
    /// # Errors
    /// The file cannot be read, is no image, is damaged, or is larger than [`MAX_PIXELS`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        read_file(path)
            .and_then(|bytes| Self::from_bytes(&bytes))
            .map_err(|reason| OpenError { path: path.to_owned(), reason })
    }

    /// The picture in an image file's bytes.
    ///
    /// # Errors
    /// The bytes are no image, are damaged, or say that they are larger than [`MAX_PIXELS`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, MAX_PIXELS)
    }

    /// The picture of raw pixels: `height` rows of `width` RGB triples without padding.
    ///
    /// # Errors
    /// A side is zero, or the number of bytes is not `width · height · 3`.
    pub fn rgb8(width: u32, height: u32, pixels: &[u8]) -> Result<Self, DecodeError> {
        Self::from_pixels(width, height, pixels.to_vec())
    }

    /// As [`Picture::rgb8`], taking the pixels instead of copying them.
    pub(crate) fn from_pixels(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, DecodeError> {
        let expected = (u64::from(width) * u64::from(height)).saturating_mul(3);
        if expected == 0 {
            return Err(DecodeError::NoPixels { width, height });
        }
        if pixels.len() as u64 != expected {
            return Err(DecodeError::PixelCount { width, height, expected, found: pixels.len() });
        }
        Ok(Self { width, height, pixels })
    }

    /// The width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels: `[height, width, 3]`, u8.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels, moved out: `[height, width, 3]`, u8.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Picture({}×{})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn raw_pixels_must_fill_the_picture_exactly() {
        assert_eq!(Picture::rgb8(2, 1, &[1, 2, 3, 4, 5, 6]).unwrap().pixels(), [1, 2, 3, 4, 5, 6]);
        for (width, height, bytes, message) in [
            (2, 1, 5, "a picture of 2×1 pixels takes 6 bytes of RGB, found 5"),
            (2, 1, 7, "a picture of 2×1 pixels takes 6 bytes of RGB, found 7"),
            (0, 3, 0, "a picture of 0×3 pixels has no pixels; both sides must be at least 1"),
            (u32::MAX, u32::MAX, 3, "bytes of RGB, found 3"),
        ] {
            let error = Picture::rgb8(width, height, &vec![0; bytes]).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn an_error_names_the_file() {
        let error = Picture::open("no/such/bee.jpg").unwrap_err().to_string();
        assert!(error.starts_with("no/such/bee.jpg: cannot be read: "), "{error}");
    }
}
