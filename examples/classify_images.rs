//! The same as `tk image-classify DATA --out RUN`, then `tk predict RUN PHOTO…`, in a program of one's own.
//!
//!     cargo run --release --example classify_images -- DATA RUN [PHOTO…]

use transferkit::image::{Classifier, Classify, Dataset, Error, Event, Mode, Picture};

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, run, photos @ ..] = arguments.as_slice() else {
        eprintln!("usage: classify_images DATA RUN [PHOTO…]");
        return Ok(());
    };
    let data = Dataset::open(data)?;
    println!("{}", data.report().summary());

    let job = Classify::new("small").mode(Mode::features()).seed(7).checkpoint(run).observe(|event| {
        if let Event::Features { done, total } = event {
            eprintln!("features {done}/{total}");
        }
    });
    let finished = job.fit(&data)?;
    finished.save(run)?;
    println!("accuracy {:.3}", finished.summary().metrics["accuracy"]);

    let model = Classifier::load(run)?;
    for photo in photos {
        let guess = model.predict(&Picture::open(photo)?)?;
        println!("{photo}: {} {:.3}", guess.label, guess.score);
    }
    Ok(())
}
