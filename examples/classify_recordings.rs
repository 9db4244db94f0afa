//! Recordings become a classifier, in forty lines of the library.
//!
//!     cargo run --release --example classify_recordings -- FOLDER MODEL
//!
//! FOLDER holds a folder of recordings for each class, MODEL a network as transformers publishes it.

use std::path::Path;

use transferkit::audio::{Classifier, Classify, Clip, Dataset, Error, Event, Mode};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(model)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: classify_recordings FOLDER MODEL");
        std::process::exit(2);
    };
    let data = Dataset::open(&folder)?;
    println!("{}", data.report().summary());
    let run = Classify::new(model)
        .mode(Mode::full().epochs(5))
        .validation("20%")
        .seed(7)
        .observe(|event| {
            if let Event::Epoch(epoch) = event {
                println!("epoch {} {:?}", epoch.epoch, epoch.validation);
            }
        })
        .fit(&data)?;
    let out = Path::new("recordings-run");
    run.save(out)?;

    let classifier = Classifier::load(out)?;
    let silence = Clip::samples(&[0.0; 16_000], 16_000)?;
    let guess = classifier.predict(&silence)?;
    println!("silence is {} with {:.3}; the run is in {}", guess.label, guess.score, out.display());
    Ok(())
}
