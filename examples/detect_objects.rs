//! Photographs with boxes become a detector, in forty lines of the library.
//!
//!     cargo run --release --example detect_objects -- FOLDER
//!
//! FOLDER holds photographs annotated as COCO, Pascal VOC, YOLO or PASCAL 1.00 have it.

use std::path::Path;

use transferkit::detect::{Detect, Detector, Error, Event, Mode, Picture, Scenes};

fn main() -> Result<(), Error> {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: detect_objects FOLDER");
        std::process::exit(2);
    };
    let data = Scenes::open(&folder)?;
    let run = Detect::new("small")
        .mode(Mode::full().epochs(10))
        .validation("20%")
        .seed(7)
        .observe(|event| {
            if let Event::Epoch(epoch) = event {
                println!("epoch {} {:?}", epoch.epoch, epoch.validation);
            }
        })
        .fit(&data)?;
    let out = Path::new("detection-run");
    run.save(out)?;

    let detector = Detector::load(out, &transferkit::Machine::new(0))?;
    for found in detector.detect(&Picture::open(data.path(0))?)? {
        println!("{} {:.2} {:?}", detector.labels()[found.class], found.score, found.corners.bounds());
    }
    Ok(())
}
