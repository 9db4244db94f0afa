//! `tk image-detect` and `tk image-segment`: photographs with boxes or masks in, a detector or a segmenter out.

use toml::Value;
use transferkit::detect::Objects;
use transferkit::segment::Pixels;

use super::arguments::{ImageDetect, ImageSegment, Train};
use super::structured::scratched;
use super::train::said;
use super::{Failure, structured};

/// Runs `tk image-detect`.
pub fn detect(arguments: ImageDetect) -> Result<(), Failure> {
    let ImageDetect { data, batch_norm, augment, size, from_scratch, train } = arguments;
    let own = said(&[("batch-norm", &batch_norm), ("augment", &augment)], &[("size", size)]);
    let (train, own) = grafted(train, scratched(own, from_scratch));
    structured::start::<Objects>(&train, &data, own)
}

/// Runs `tk image-segment`.
pub fn segment(arguments: ImageSegment) -> Result<(), Failure> {
    let ImageSegment { data, masks, names, ignore, batch_norm, augment, size, from_scratch, train } =
        arguments;
    let texts = [("masks", &masks), ("names", &names), ("batch-norm", &batch_norm), ("augment", &augment)];
    let own = said(&texts, &[("size", size), ("ignore", ignore)]);
    let (train, own) = grafted(train, scratched(own, from_scratch));
    structured::start::<Pixels>(&train, &data, own)
}

/// What stands on maps is another kind of head.
fn grafted(mut train: Train, mut own: toml::Table) -> (Train, toml::Table) {
    own.extend(train.head.take().map(|head| ("graft".to_owned(), Value::String(head))));
    (train, own)
}
