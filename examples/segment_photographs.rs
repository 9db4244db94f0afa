//! Photographs with masks become a segmenter, in forty lines of the library.
//!
//!     cargo run --release --example segment_photographs -- FOLDER
//!
//! FOLDER holds `images/` and `masks/`, or what Pascal VOC or COCO have.

use std::path::Path;

use transferkit::segment::{Error, Event, Mode, Picture, Segment, Segmenter, Segments};

fn main() -> Result<(), Error> {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: segment_photographs FOLDER");
        std::process::exit(2);
    };
    let data = Segments::open(&folder)?;
    let run = Segment::new("small")
        .mode(Mode::full().epochs(8))
        .validation("20%")
        .seed(7)
        .observe(|event| {
            if let Event::Epoch(epoch) = event {
                println!("epoch {} {:?}", epoch.epoch, epoch.validation);
            }
        })
        .fit(&data)?;
    let out = Path::new("segmentation-run");
    run.save(out)?;

    let segmenter = Segmenter::load(out, &transferkit::Machine::new(0))?;
    let classes = segmenter.segment(&Picture::open(data.path(0))?)?;
    for (class, label) in segmenter.labels().iter().enumerate() {
        let pixels = classes.iter().filter(|&&told| usize::from(told) == class).count();
        println!("{label}: {:.1} %", 100.0 * pixels as f64 / classes.len() as f64);
    }
    Ok(())
}
