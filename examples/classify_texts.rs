//! A table of texts in, a classifier out, and what it says of a text.
//!
//!     cargo run --release --example classify_texts -- REVIEWS.csv ENCODER RUN "a gorgeous, witty film"

use std::env::args;

use transferkit::text::{Classifier, Classify, Dataset, Event, Labelled, Mode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = args().skip(1).collect();
    let [table, encoder, folder, text] = &words[..] else {
        return Err("expected: REVIEWS.csv ENCODER RUN TEXT".into());
    };
    let data = Dataset::open(table)?;
    println!("{}", data.summary());
    let run = Classify::new(encoder.as_str())
        .mode(Mode::lora(8).epochs(2))
        .seed(7)
        .observe(|event| {
            if let Event::Epoch(record) = event {
                println!("epoch {}: loss {:.4}", record.epoch, record.loss);
            }
        })
        .fit(&data)?;
    run.save(folder)?;
    for (metric, value) in &run.summary().metrics {
        println!("{metric} {value:.3}");
    }
    let guess = Classifier::load(folder)?.predict(text)?;
    println!("{} {:.3}", guess.label, guess.score);
    Ok(())
}
