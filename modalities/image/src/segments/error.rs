//! Why a path is no set of photographs with classes of pixels, and why a mask is none, each with the way out.

use std::path::PathBuf;

use tk_transfer::data::Quarantine;
use tk_transfer::data::listing::{ListingError, list_names};

use crate::annotations::AnnotationError;
use crate::data::{DataError, DecodeError};

/// Why a path is no set of photographs whose pixels have classes.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// Nothing is there, or the folder cannot be listed.
    #[error(transparent)]
    Folder(#[from] DataError),
    /// Groups cannot be told.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// COCO's files cannot be read or contradict each other, or there are parts of the data but none to learn from.
    #[error(transparent)]
    Annotations(#[from] AnnotationError),
    /// A file that is no data set.
    #[error("`{}` is a file; expected a folder of photographs and masks, or COCO's .json", path.display())]
    NotAFolder {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// Something was said that does not go with the data.
    #[error("{option}: {reason}; leave it away")]
    Option {
        /// What was said, such as `--label dir`.
        option: String,
        /// Why it does not go.
        reason: &'static str,
    },
    /// No masks.
    #[error(
        "no masks in `{}`, which holds {pictures} pictures; looked for masks/ beside images/ (a mask is called as its photograph, or PHOTOGRAPH_mask), Pascal VOC (JPEGImages, SegmentationClass and ImageSets/Segmentation) and COCO (a .json with images, annotations and categories)", path.display()
    )]
    NoMasks {
        /// The folder.
        path: PathBuf,
        /// How many files look like pictures.
        pictures: usize,
    },
    /// A file of classes that cannot be used.
    #[error("`{}` is no list of classes: {reason}", path.display())]
    ClassFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// More than a map of bytes has room for.
    #[error(
        "{found} {what} in the masks of `{}`, at most 255 are classes; say --masks instances if each is an object, or save masks without smoothing", path.display()
    )]
    TooManyClasses {
        /// The data set.
        path: PathBuf,
        /// How many there are.
        found: usize,
        /// `values` or `colours`.
        what: &'static str,
    },
    /// More categories than a map of bytes has room for.
    #[error("`{}` has {found} classes, background included; at most 255 are possible, so leave some out", path.display())]
    TooManyCategories {
        /// The data set.
        path: PathBuf,
        /// How many there are.
        found: usize,
    },
    /// Masks in colour, and names without colours.
    #[error(
        "the masks of `{}` are in colour, and `{names}` does not say the colours; write NAME,R,G,B in each line; the colours are {colours}", path.display()
    )]
    NoColours {
        /// The data set.
        path: PathBuf,
        /// The file of names.
        names: String,
        /// The colours of the masks.
        colours: String,
    },
    /// Masks of objects, and names of more than one class.
    #[error(
        "the masks of `{}` number objects, which are of one class, and `{names}` names {found}; name background and that class, or say --masks index", path.display()
    )]
    ObjectsOfSeveralClasses {
        /// The data set.
        path: PathBuf,
        /// The file of names.
        names: String,
        /// How many classes it names.
        found: usize,
    },
    /// Nothing to tell apart.
    #[error("all pixels of the masks of `{}` are of one class, `{class}`; draw what is to be told apart from it{}", path.display(), set_aside(quarantine))]
    OneClass {
        /// The data set.
        path: PathBuf,
        /// The only class.
        class: String,
        /// What was set aside.
        quarantine: Quarantine,
    },
    /// Nothing that can be used.
    #[error("no photograph of `{}` has a usable mask{}", path.display(), set_aside(quarantine))]
    NoneUsable {
        /// The data set.
        path: PathBuf,
        /// The files that were found and why each is of no use.
        quarantine: Quarantine,
    },
}

/// Why a mask is of no use. The message does not name the file; whoever knows it does.
#[derive(Debug, thiserror::Error)]
pub enum MaskError {
    /// The file is no picture.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A format that does not keep values.
    #[error("{format} does not keep values as they are, so its pixels are no classes; save masks as PNG")]
    Lossy {
        /// The format.
        format: &'static str,
    },
    /// A mask of another size.
    #[error(
        "it has {}, and its photograph {}; draw it anew, or scale it without smoothing",
        sides(found),
        of_photograph(stored, upright)
    )]
    Size {
        /// The mask's width and height.
        found: [u32; 2],
        /// Those of the photograph as it is stored.
        stored: [u32; 2],
        /// Those of the photograph as it is seen.
        upright: [u32; 2],
    },
    /// Classes that do not fill the sides.
    #[error("a map of {width}×{height} pixels has {} classes, found {found}", u64::from(*width) * u64::from(*height))]
    Pixels {
        /// The width given.
        width: u32,
        /// The height given.
        height: u32,
        /// The classes given.
        found: usize,
    },
    /// More colours than a mask can have.
    #[error("it has more than {limit} colours, as photographs have; expected one for each class")]
    Colours {
        /// The most that are counted.
        limit: usize,
    },
    /// A value that stands for nothing.
    #[error("{found} is no class; {classes}")]
    NoClass {
        /// The value or colour.
        found: String,
        /// What is one.
        classes: String,
    },
    /// An annotation that cannot be drawn.
    #[error("{annotation}: {reason}")]
    Annotation {
        /// Which.
        annotation: String,
        /// Why.
        reason: String,
    },
}

fn sides([width, height]: &[u32; 2]) -> String {
    format!("{width}×{height} pixels")
}

fn of_photograph(stored: &[u32; 2], upright: &[u32; 2]) -> String {
    match stored == upright {
        true => sides(upright),
        false => format!("{} ({}×{} as it is stored)", sides(upright), stored[0], stored[1]),
    }
}

/// How many files were of no use, and the first of them.
fn set_aside(quarantine: &Quarantine) -> String {
    match (quarantine.iter().next(), quarantine.len()) {
        (None, _) => String::new(),
        (Some((name, reason)), 1) => format!(" (set aside: `{name}`: {reason})"),
        (Some((name, reason)), count) => format!(" ({count} set aside, the first `{name}`: {reason})"),
    }
}

/// Classes with their numbers, as they are named to the user.
pub(super) fn numbered(classes: &[String]) -> String {
    let numbered: Vec<String> =
        classes.iter().enumerate().map(|(number, class)| format!("{number} {class}")).collect();
    list_names(numbered.iter().map(String::as_str))
}
