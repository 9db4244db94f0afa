//! Recordings with transcripts become a recogniser, in forty lines of the library.
//!
//!     cargo run --release --example finetune_speech -- DATA [MODEL]
//!
//! DATA is a table of paths and texts, or LibriSpeech's tree; MODEL `speech`, which the toolkit carries, or a folder as transformers
//! publishes it for Wav2Vec2ForCTC.

use std::path::Path;

use tk_engine::cpu::Machine;
use transferkit::speech::{Error, Event, Finetune, Mode, Recognizer};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let Some(data) = arguments.next() else {
        eprintln!("usage: finetune_speech DATA [MODEL]");
        std::process::exit(2);
    };
    let job = Finetune::new(arguments.next().unwrap_or("speech".into()))
        .data(data)
        .mode(Mode::partial().freeze("features").epochs(10))
        .validation("20%")
        .seed(7)
        .observe(|event| {
            if let Event::Epoch(epoch) = event {
                println!("epoch {} {:?}", epoch.epoch, epoch.validation);
            }
        });
    let run = job.fit(&job.open_data()?)?;
    let out = Path::new("speech-run");
    run.save(out)?;

    let recognizer = Recognizer::load(out, &Machine::new(0))?;
    if let Some(worst) = run.validation().and_then(|scored| scored.worst().first().copied()) {
        println!("{}: said {:?}, heard {:?}", worst.file, worst.said, worst.heard);
    }
    println!("it hears {} Hz; the run is in {}", recognizer.rate(), out.display());
    Ok(())
}
