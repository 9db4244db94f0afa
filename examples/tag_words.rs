//! Tags words: `cargo run --release --example tag_words -- DATA MODEL`, with DATA a folder of CoNLL files and MODEL an encoder's folder.

use transferkit::tag::{Error, Event, Finetune, Mode, Tagged, Tagger, entities, split_words};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(model)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: tag_words DATA MODEL");
        return Ok(());
    };
    let data = Tagged::open(path)?;
    let run = Finetune::new(model)
        .mode(Mode::full().epochs(3))
        .observe(|event| {
            if let Event::Epoch(record) = event {
                println!("epoch {}: loss {:.3}", record.epoch, record.loss);
            }
        })
        .fit(&data)?;
    println!("{:?}", run.summary().metrics);
    run.save("tagger")?;

    let tagger = Tagger::load("tagger".as_ref(), &transferkit::Machine::new(0))?;
    let words = split_words("Ann flew to New York.");
    let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    for told in tagger.tag_all(std::slice::from_ref(&words))? {
        let tags = told.iter().map(|word| word.tag.map_or("O", |tag| tagger.tags()[tag].as_str()));
        for entity in entities(tags) {
            println!("{}: {}", entity.class, words[entity.start..entity.end].join(" "));
        }
    }
    Ok(())
}
