//! wav2vec 2.0 in its published size, on three seconds of sound:
//!
//!     cargo test --workspace speech_base -- --ignored --nocapture

use std::time::Instant;

use tk_audio::architectures::speech::{Padding, Speech, SpeechHead};
use tk_engine::cpu::{Machine, Plan, Tape};
use tk_engine::reference::{Precision, Reference};
use tk_engine::testing::{cotangents, fill_all, fill_input};
use tk_engine::{Inference, Optimizer, StepKey, TrainSpec, Training};

#[test]
#[ignore = "takes a minute and 3 GB"]
fn the_base_network_runs_and_trains_by_kernels_alone() {
    let base = Speech::from_json(r#"{"model_type": "wav2vec2"}"#).unwrap();
    let graph = base.build(SpeechHead::Ctc { symbols: 32 }, Padding::Ignored).unwrap();
    let parameters = fill_all(&graph).unwrap();
    let waves = [fill_input("waves", &[1, 48_000, 1]).unwrap()];
    let machine = Machine::new(0);
    let spec = TrainSpec::everything(&graph, Optimizer::ADAMW);

    let mut plan = Plan::new(&machine, &graph, &parameters).unwrap();
    plan.run(&waves).unwrap();
    let start = Instant::now();
    let found = plan.run(&waves).unwrap().remove(0);
    eprintln!("plan: {:.3} seconds for 3 seconds of sound", start.elapsed().as_secs_f64());
    assert_eq!(plan.fallbacks(), [""; 0]);
    assert_eq!(found.shape(), [1, 149, 32]);
    let mut reference = Reference::new(&graph, &parameters, &spec, Precision::F32).unwrap();
    let expected = reference.run(&waves).unwrap().remove(0).to_f64();
    let largest = expected.iter().fold(0.0, |largest, value| f64::max(largest, value.abs()));
    for (found, expected) in found.to_f64().iter().zip(&expected) {
        // Two orders of sums in f32 through twelve layers.
        assert!((found - expected).abs() <= 1e-3 * largest, "{found}, expected {expected}");
    }

    let mut tape = Tape::new(&machine, &graph, &parameters, &spec).unwrap();
    for step in 0..2 {
        let start = Instant::now();
        let outputs = tape.forward(&waves, &StepKey { seed: 0, step, samples: vec![0] }).unwrap();
        tape.backward(&cotangents(&outputs).unwrap()).unwrap();
        eprintln!("tape: {:.3} seconds for a step", start.elapsed().as_secs_f64());
    }
    assert_eq!(tape.fallbacks(), [""; 0]);
    assert!(tape.gradient_norms().unwrap().iter().flatten().all(|norm| norm.is_finite()));
}
