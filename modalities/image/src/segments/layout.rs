//! How a data set is laid out, and what is known of it before it is looked at.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::data::Columns;

/// How photographs and the classes of their pixels are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Folders of photographs and of masks whose values are classes.
    IndexMasks,
    /// Folders of photographs and of masks whose colours are classes.
    PaletteMasks,
    /// Folders of photographs and of masks whose values number objects of one class.
    InstanceMasks,
    /// `JPEGImages`, `SegmentationClass` and lists in `ImageSets/Segmentation`.
    PascalVoc,
    /// A file of outlines and runs.
    Coco,
}

impl fmt::Display for Layout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::IndexMasks => "images and index masks",
            Self::PaletteMasks => "images and palette masks",
            Self::InstanceMasks => "images and instance masks",
            Self::PascalVoc => "Pascal VOC",
            Self::Coco => "COCO",
        })
    }
}

/// What the values of masks are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaskKind {
    /// Told from the masks.
    #[default]
    Auto,
    /// Each value, or index of a palette, is a class.
    Index,
    /// Each colour is a class.
    Palette,
    /// Each value but 0 is an object, and all objects are of one class.
    Instances,
}

impl fmt::Display for MaskKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Auto => "auto",
            Self::Index => "index",
            Self::Palette => "palette",
            Self::Instances => "instances",
        })
    }
}

impl FromStr for MaskKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "index" => Ok(Self::Index),
            "palette" => Ok(Self::Palette),
            "instances" => Ok(Self::Instances),
            _ => Err(format!("unknown kind of masks `{text}`; kinds are auto, index, palette, instances")),
        }
    }
}

/// What is known of a data set before it is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Looking<'a> {
    /// The file that names the classes, where it is none of those that are found: a name in each line, or `VALUE,NAME`, or `NAME,R,G,B`.
    pub classes: Option<&'a Path>,
    /// What the values of masks are.
    pub masks: MaskKind,
    /// The value that stands for no class; of colours the grey one. 255 where it is not said.
    pub ignore: Option<u8>,
    /// Where groups are found; labels are not looked for.
    pub columns: &'a Columns,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read() {
        for (text, expected) in [
            ("auto", Ok(MaskKind::Auto)),
            (" Index", Ok(MaskKind::Index)),
            ("palette", Ok(MaskKind::Palette)),
            ("instances", Ok(MaskKind::Instances)),
            ("rgb", Err("unknown kind of masks `rgb`; kinds are auto, index, palette, instances".to_owned())),
        ] {
            assert_eq!(text.parse(), expected);
        }
        for kind in [MaskKind::Auto, MaskKind::Index, MaskKind::Palette, MaskKind::Instances] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
    }
}
