//! Image files to pixels, with every way in which a file can be unfit named.
//!
//! What the bytes become follows Pillow's `convert("RGB")`: palettes are looked up, grey is repeated, alpha is *dropped* (not composited),
//! CMYK is converted, of an animation the first frame is taken, colour profiles are ignored. Two things differ: EXIF orientation is
//! applied, and 16-bit channels are rounded to 8 bits (Pillow saturates 16-bit grey, which leaves a white picture).

use std::io::{Cursor, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

pub use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use serde::{Deserialize, Serialize};

use crate::data::jpeg;
use crate::data::picture::Picture;

/// The most pixels that a picture may have: 2 · 89,478,485, where Pillow too takes a file for a decompression bomb.
pub const MAX_PIXELS: u64 = 178_956_970;

/// The most bytes that an image file may have: 1 GiB. More is no photograph.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// The container formats that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG, baseline and progressive.
    Jpeg,
    /// PNG.
    Png,
    /// GIF, first frame.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// WebP, lossy and lossless.
    WebP,
    /// TIFF, first page.
    Tiff,
}

/// What the first bytes of an image file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The container format, told from the content.
    pub format: Format,
    /// The stored width in pixels, before orientation is applied.
    pub width: u32,
    /// The stored height in pixels, before orientation is applied.
    pub height: u32,
    /// How the stored picture is to be turned, told from EXIF. Damaged EXIF turns nothing.
    pub orientation: Orientation,
}

/// Why bytes are not a picture. The message does not name the file; whoever knows it does.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file cannot be opened or read.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] std::io::Error),
    /// There are no bytes.
    #[error("the file is empty (0 bytes)")]
    Empty,
    /// The file is larger than [`MAX_FILE_BYTES`].
    #[error("the file has {bytes} bytes, more than any photograph (at most {MAX_FILE_BYTES})")]
    FileTooLarge {
        /// The file's size.
        bytes: u64,
    },
    /// The content is that of no image format.
    #[error("not an image: {found}; expected JPEG, PNG, GIF, BMP, WebP or TIFF content")]
    NotAnImage {
        /// What the content is instead, or its first bytes.
        found: String,
    },
    /// An image format, or a variant of one, that cannot be decoded.
    #[error("unsupported image format: {format}; convert it to JPEG or PNG")]
    Unsupported {
        /// The format's name or the missing feature.
        format: String,
    },
    /// The header promises more pixels than are allowed; nothing was decoded.
    #[error("too large: {width}×{height} = {} pixels, at most {limit} are decoded; scale it down", u64::from(*width) * u64::from(*height))]
    TooLarge {
        /// The width that the header gives.
        width: u32,
        /// The height that the header gives.
        height: u32,
        /// The most pixels allowed.
        limit: u64,
    },
    /// The file ends before its picture does.
    #[error("truncated {}: the file ends after {bytes} bytes, before its picture does", format.name())]
    Truncated {
        /// The container format.
        format: Format,
        /// How many bytes there are.
        bytes: usize,
    },
    /// The content contradicts its format.
    #[error("damaged {}: {reason}", format.name())]
    Damaged {
        /// The container format.
        format: Format,
        /// The decoder's words.
        reason: String,
    },
    /// Raw pixels whose number does not fit the sides.
    #[error("a picture of {width}×{height} pixels takes {expected} bytes of RGB, found {found}")]
    PixelCount {
        /// The width given.
        width: u32,
        /// The height given.
        height: u32,
        /// Three bytes for each pixel.
        expected: u64,
        /// The bytes given.
        found: usize,
    },
    /// A side of zero pixels.
    #[error("a picture of {width}×{height} pixels has no pixels; both sides must be at least 1")]
    NoPixels {
        /// The width given.
        width: u32,
        /// The height given.
        height: u32,
    },
}

impl Header {
    /// Width and height of the upright picture, in pixels.
    pub fn upright(&self) -> [u32; 2] {
        match self.orientation {
            Orientation::NoTransforms
            | Orientation::Rotate180
            | Orientation::FlipHorizontal
            | Orientation::FlipVertical => [self.width, self.height],
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH => [self.height, self.width],
        }
    }
}

impl Format {
    /// The name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::WebP => "WebP",
            Self::Tiff => "TIFF",
        }
    }
}

/// The bytes of a file that may hold a picture.
///
/// # Errors
/// The file cannot be read or is larger than [`MAX_FILE_BYTES`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, DecodeError> {
    let bytes = std::fs::metadata(path).map_err(DecodeError::Unreadable)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(DecodeError::FileTooLarge { bytes });
    }
    std::fs::read(path).map_err(DecodeError::Unreadable)
}

/// What the header says, without decoding pixels. Also finds JPEG files that end early, as their decoder would not.
///
/// # Errors
/// The bytes are no image that [`decode`] could decode, as far as the header tells.
pub fn probe(bytes: &[u8], max_pixels: u64) -> Result<Header, DecodeError> {
    guarded(bytes, |format| open(bytes, format, max_pixels).map(|(header, _)| header))
}

/// The picture in an image file's bytes, upright, in 8-bit RGB (see the module's rules). The number of pixels is checked before any is
/// decoded.
///
/// # Errors
/// The bytes are no image, are damaged or end early, or have more than `max_pixels` pixels.
pub fn decode(bytes: &[u8], max_pixels: u64) -> Result<Picture, DecodeError> {
    guarded(bytes, |format| {
        let (header, decoder) = open(bytes, format, max_pixels)?;
        let mut image = DynamicImage::from_decoder(decoder)
            .map_err(|error| classify(error, header, bytes, max_pixels))?;
        image.apply_orientation(header.orientation);
        let rgb = image.into_rgb8();
        Picture::from_pixels(rgb.width(), rgb.height(), rgb.into_raw())
    })
}

/// The picture of an image file's bytes as it is stored, neither turned nor converted: for what is no photograph.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_as_stored(bytes: &[u8], max_pixels: u64) -> Result<DynamicImage, DecodeError> {
    guarded(bytes, |format| {
        let (header, decoder) = open(bytes, format, max_pixels)?;
        DynamicImage::from_decoder(decoder).map_err(|error| classify(error, header, bytes, max_pixels))
    })
}

/// Runs a decoder whose panics, should a hostile file provoke one, count as damage of that one file.
pub(crate) fn guarded<T>(
    bytes: &[u8],
    work: impl FnOnce(Format) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let format = format_of(bytes)?;
    catch_unwind(AssertUnwindSafe(|| work(format)))
        .unwrap_or_else(|_| Err(DecodeError::Damaged { format, reason: "the decoder gave up".to_owned() }))
}

/// The format that the content shows.
fn format_of(bytes: &[u8]) -> Result<Format, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let unsupported = |format: &str| Err(DecodeError::Unsupported { format: format.to_owned() });
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => Ok(Format::Jpeg),
        Ok(ImageFormat::Png) => Ok(Format::Png),
        Ok(ImageFormat::Gif) => Ok(Format::Gif),
        Ok(ImageFormat::Bmp) => Ok(Format::Bmp),
        Ok(ImageFormat::WebP) => Ok(Format::WebP),
        Ok(ImageFormat::Tiff) => Ok(Format::Tiff),
        Ok(ImageFormat::Avif) => unsupported("AVIF"),
        // The brands of ISO base media files with HEVC pictures, as phones write them.
        Err(_) if matches!(bytes.get(4..12), Some(b"ftypheic" | b"ftypheix" | b"ftypmif1" | b"ftyphevc")) => {
            unsupported("HEIC")
        }
        Ok(other) if is_binary(bytes) => unsupported(&format!("{other:?}")),
        _ => Err(DecodeError::NotAnImage { found: describe(bytes) }),
    }
}

/// The header and a decoder that stands before the pixels.
fn open<'a>(
    bytes: &'a [u8],
    format: Format,
    max_pixels: u64,
) -> Result<(Header, impl ImageDecoder + 'a), DecodeError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), library_format(format));
    let mut limits = Limits::no_limits();
    // Room for 16-bit RGB plus what the decoder needs besides; small pictures keep a floor for its tables.
    limits.max_alloc = Some(max_pixels.saturating_mul(8).max(1 << 20));
    reader.limits(limits);
    let unknown = Header { format, width: 0, height: 0, orientation: Orientation::NoTransforms };
    let mut decoder = reader.into_decoder().map_err(|error| classify(error, unknown, bytes, max_pixels))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(DecodeError::Damaged { format, reason: format!("its size is {width}×{height}") });
    }
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(DecodeError::TooLarge { width, height, limit: max_pixels });
    }
    if format == Format::Jpeg && !jpeg::is_complete(bytes) {
        return Err(DecodeError::Truncated { format, bytes: bytes.len() });
    }
    // EXIF is a comment: when it is damaged the picture is still good.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((Header { format, width, height, orientation }, decoder))
}

fn library_format(format: Format) -> ImageFormat {
    match format {
        Format::Jpeg => ImageFormat::Jpeg,
        Format::Png => ImageFormat::Png,
        Format::Gif => ImageFormat::Gif,
        Format::Bmp => ImageFormat::Bmp,
        Format::WebP => ImageFormat::WebP,
        Format::Tiff => ImageFormat::Tiff,
    }
}

/// The library's error in our terms.
fn classify(error: ImageError, header: Header, bytes: &[u8], max_pixels: u64) -> DecodeError {
    let Header { format, width, height, .. } = header;
    match &error {
        // The JPEG decoder says many things about a file whose end is missing.
        _ if format == Format::Jpeg && !jpeg::is_complete(bytes) => {
            DecodeError::Truncated { format, bytes: bytes.len() }
        }
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { format, bytes: bytes.len() }
        }
        ImageError::Decoding(_) if ends_early(&error) => {
            DecodeError::Truncated { format, bytes: bytes.len() }
        }
        ImageError::Limits(_) => DecodeError::TooLarge { width, height, limit: max_pixels },
        ImageError::Unsupported(error) => DecodeError::Unsupported { format: one_line(&error.to_string()) },
        other => DecodeError::Damaged { format, reason: one_line(&other.to_string()) },
    }
}

/// Whether an error came of the bytes' end somewhere down its chain of causes.
fn ends_early(error: &ImageError) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.kind() == ErrorKind::UnexpectedEof
        {
            return true;
        }
        cause = error.source();
    }
    false
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the first bytes hold control characters that no text holds.
fn is_binary(bytes: &[u8]) -> bool {
    let start = bytes.get(..512).unwrap_or(bytes);
    start.iter().any(|&byte| byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t' | 0x0C | 0x1B))
}

/// What content that is no image looks like.
fn describe(bytes: &[u8]) -> String {
    if bytes.starts_with(b"%PDF") {
        return "the content is a PDF document".to_owned();
    }
    if is_binary(bytes) {
        let start: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        return format!("the content starts with bytes {}", start.join(" "));
    }
    "the content is text".to_owned()
}
