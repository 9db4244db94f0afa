//! What every executor promises beside right numbers: the same bytes, resuming, independence of companions and threads, clear refusals.

use tk_engine::cpu::{Isa, Machine, Plan, Tape};
use tk_engine::graph::{Activation, Attention, Conv2d, Dimension, Op};
use tk_engine::testing::{cotangents, fill_all, fill_input};
use tk_engine::{
    Graph, GraphBuilder, Inference, Optimizer, Parameters, StepKey, Tensor, TrainSpec, Training,
};

use super::executors::{RATES, close, runners, trainers};

fn network() -> Graph {
    let mut b = GraphBuilder::new();
    b.begin_stage("stem");
    let x = b.input("pixels", 4, Some(3));
    let x = b.conv2d("conv", x, Conv2d::same(16, 3).stride(2));
    let x = b.batch_norm("norm", x, 1e-5);
    let x = b.activation("relu", x, Activation::Relu);
    let y = b.conv2d("expand", x, Conv2d::same(40, 1));
    let y = b.activation("expand.relu", y, Activation::Relu6);
    let y = b.conv2d("filter", y, Conv2d::same(40, 3).groups(40));
    let y = b.activation("filter.relu", y, Activation::Relu6);
    let y = b.conv2d("project", y, Conv2d::same(16, 1).with_bias());
    let x = b.add("sum", Op::Add, &[y, x]);
    let x = b.conv2d("depthwise", x, Conv2d::same(16, 3).groups(16));
    let x = b.activation("gelu", x, Activation::Gelu);
    let x = b.conv2d("grouped", x, Conv2d::same(16, 3).groups(4));
    let x = b.group_norm("group-norm", x, 4, 1e-5);
    let places = vec![Dimension::Same(0), Dimension::Rest, Dimension::Same(3)];
    let x = b.add("places", Op::Reshape(places), &[x]);
    let x = b.add("attention", Op::Attention(Attention { heads: 2, dropout: 0.1 }), &[x; 3]);
    b.end_stage(x);
    b.begin_stage("head");
    let x = b.add("pool", Op::GlobalAveragePool, &[x]);
    let x = b.add("dropout", Op::Dropout { rate: 0.2 }, &[x]);
    let x = b.linear("fc", x, 4);
    let x = b.add("softmax", Op::Softmax, &[x]);
    b.end_stage(x);
    b.finish(&[("shares", x)]).unwrap()
}

fn pictures(batch: usize) -> Tensor {
    fill_input("pixels", &[batch, 21, 18, 3]).unwrap()
}

fn key(step: u64, batch: u64) -> StepKey {
    StepKey { seed: 4, step, samples: (0..batch).map(|sample| 10 * step + sample).collect() }
}

fn step(trainer: &mut dyn Training, number: u64) {
    let inputs = [pictures(5)];
    let outputs = trainer.forward(&inputs, &key(number, 5)).unwrap();
    trainer.backward(&cotangents(&outputs).unwrap()).unwrap();
    trainer.update(&RATES, 0.7).unwrap();
}

/// The bytes of every parameter.
fn digests(parameters: &Parameters) -> Vec<(String, String)> {
    parameters.iter().map(|(name, _)| (name.to_owned(), parameters.digest(name).unwrap())).collect()
}

const OPTIMIZERS: [Optimizer; 3] = [
    Optimizer::ADAMW,
    Optimizer::Sgd { momentum: 0.9, nesterov: true },
    Optimizer::Sgd { momentum: 0.0, nesterov: false },
];

#[test]
fn a_resumed_run_goes_on_to_the_same_bytes() {
    let graph = network();
    let parameters = fill_all(&graph).unwrap();
    for optimizer in OPTIMIZERS {
        let spec = TrainSpec::everything(&graph, optimizer);
        let through = trainers(&graph, &parameters, &spec);
        let resumed = trainers(&graph, &Parameters::initial(&graph, 9), &spec);
        for ((executor, mut through), (_, mut resumed)) in through.into_iter().zip(resumed) {
            step(&mut *through, 0);
            let snapshot = through.save().unwrap();
            assert_eq!(snapshot.updates, 1);
            // A gradient that was not applied does not survive.
            let outputs = resumed.forward(&[pictures(2)], &key(7, 2)).unwrap();
            resumed.backward(&cotangents(&outputs).unwrap()).unwrap();
            resumed.restore(&snapshot).unwrap();
            assert_eq!(resumed.save().unwrap(), snapshot, "{executor}");
            for number in 1..3 {
                step(&mut *through, number);
                step(&mut *resumed, number);
            }
            let (through, resumed) = (through.parameters().unwrap(), resumed.parameters().unwrap());
            assert_eq!(digests(&through), digests(&resumed), "{executor}, {optimizer:?}");
            assert_ne!(digests(&through), digests(&parameters), "{executor}, {optimizer:?}");
        }
    }
}

#[test]
fn gradients_accumulate_until_an_update() {
    let graph = network();
    let spec = TrainSpec::everything(&graph, Optimizer::ADAMW);
    for (executor, mut trainer) in trainers(&graph, &fill_all(&graph).unwrap(), &spec) {
        let pass = |trainer: &mut dyn Training| {
            let outputs = trainer.forward(&[pictures(3)], &key(0, 3)).unwrap();
            trainer.backward(&cotangents(&outputs).unwrap()).unwrap();
            trainer.gradient("conv.weight").unwrap()
        };
        let once = pass(&mut *trainer);
        let twice = pass(&mut *trainer);
        let doubled = once.to_f64().iter().map(|number| 2.0 * number).collect();
        let doubled = Tensor::new_f64(once.shape(), doubled).unwrap();
        close(&executor, &[twice], &[doubled], 1e-5);
        trainer.update(&RATES, 1.0).unwrap();
        let norms = trainer.gradient_norms().unwrap();
        assert!(norms.iter().flatten().all(|&norm| norm == 0.0), "{executor}: {norms:?}");
        assert!(trainer.gradient("conv.weight").unwrap().to_f32().iter().all(|&number| number == 0.0));
    }
}

#[test]
fn gradient_norms_are_of_the_gradients() {
    let graph = network();
    let mut spec = TrainSpec::everything(&graph, Optimizer::ADAMW);
    spec.groups[0] = None;
    for (executor, mut trainer) in trainers(&graph, &fill_all(&graph).unwrap(), &spec) {
        let outputs = trainer.forward(&[pictures(3)], &key(0, 3)).unwrap();
        trainer.backward(&cotangents(&outputs).unwrap()).unwrap();
        for (parameter, norm) in graph.parameters().iter().zip(trainer.gradient_norms().unwrap()) {
            let gradient = trainer.gradient(&parameter.name);
            let Some(norm) = norm else {
                assert!(gradient.is_err(), "{executor}: {}", parameter.name);
                continue;
            };
            let square: f64 = gradient.unwrap().to_f64().iter().map(|number| number * number).sum();
            assert!((norm - square.sqrt()).abs() <= 1e-5 * norm, "{executor}: {}", parameter.name);
        }
        assert_eq!(trainer.gradient_norms().unwrap()[0], None, "{executor}");
    }
}

#[test]
fn bytes_do_not_depend_on_the_count_of_threads() {
    let graph = network();
    let parameters = fill_all(&graph).unwrap();
    let spec = TrainSpec::everything(&graph, Optimizer::ADAMW);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let results = [1, 2, 3].map(|threads| {
            let machine = Machine::new(threads).with_isa(isa);
            let mut tape = Tape::new(&machine, &graph, &parameters, &spec).unwrap();
            (0..2).for_each(|number| step(&mut tape, number));
            let outputs = Plan::new(&machine, &graph, &parameters).unwrap().run(&[pictures(7)]).unwrap();
            (digests(&tape.parameters().unwrap()), outputs)
        });
        assert_eq!(results[0], results[1], "{isa:?}");
        assert_eq!(results[0], results[2], "{isa:?}");
    }
}

#[test]
fn a_sample_does_not_depend_on_its_companions() {
    let graph = network();
    let batch = pictures(7);
    for (executor, mut runner) in runners(&graph, &fill_all(&graph).unwrap()) {
        let together = runner.run(std::slice::from_ref(&batch)).unwrap();
        for sample in 0..7 {
            let alone = runner.run(&[batch.rows(sample, sample + 1).unwrap()]).unwrap();
            let row = together[0].rows(sample, sample + 1).unwrap();
            // The reference executor's matrix products may add in another order; the plan's may not.
            let tolerance = if executor.starts_with("plan") { 0.0 } else { 1e-6 };
            close(&format!("{executor}, sample {sample}"), &alone, &[row], tolerance);
        }
    }
}

#[test]
fn a_fingerprint_holds_when_other_sizes_need_other_forms() {
    let mut b = GraphBuilder::new();
    b.begin_stage("stem");
    let x = b.input("pixels", 4, Some(32));
    let x = b.conv2d("conv", x, Conv2d::same(32, 3));
    b.end_stage(x);
    let graph = b.finish(&[("y", x)]).unwrap();
    let parameters = fill_all(&graph).unwrap();
    let mut plan = Plan::new(&Machine::new(1), &graph, &parameters).unwrap();
    let mut print = |side: usize| {
        plan.run(&[fill_input("pixels", &[1, side, side, 32]).unwrap()]).unwrap();
        plan.fingerprint()
    };
    let (small, both) = (print(6), print(16));
    assert_ne!(both.digest(), small.digest(), "kernels are evaluated at points on larger images");
    assert_eq!(both.digest_since(&small), small.digest());
    // Other weights, or other packed copies of the same, do not pass for these.
    let mut other = Plan::new(&Machine::new(1), &graph, &Parameters::initial(&graph, 2)).unwrap();
    other.run(&[fill_input("pixels", &[1, 6, 6, 32]).unwrap()]).unwrap();
    assert_ne!(other.fingerprint().digest_since(&small), small.digest());
}

#[test]
fn running_is_not_training() {
    let graph = network();
    let parameters = fill_all(&graph).unwrap();
    let spec = TrainSpec::everything(&graph, Optimizer::ADAMW);
    for (executor, mut trainer) in trainers(&graph, &parameters, &spec) {
        let before = trainer.run(&[pictures(3)]).unwrap();
        assert_eq!(digests(&trainer.parameters().unwrap()), digests(&parameters), "{executor}");
        let trained = trainer.forward(&[pictures(3)], &key(0, 3)).unwrap();
        assert_ne!(trained, before, "{executor}: dropout and batch statistics act");
        // Running statistics moved, and nothing else.
        let changed: Vec<String> = digests(&trainer.parameters().unwrap())
            .into_iter()
            .zip(digests(&parameters))
            .filter(|(after, before)| after != before)
            .map(|((name, _), _)| name)
            .collect();
        assert_eq!(changed, ["norm.running_mean", "norm.running_var"], "{executor}");
        assert!(trainer.run(&[pictures(3)]).is_ok(), "{executor}");
        assert!(trainer.backward(&trained).is_err(), "{executor}: a run ends the pass before it");
    }
}

#[test]
fn misuse_is_refused() {
    let graph = network();
    let parameters = fill_all(&graph).unwrap();
    let spec = TrainSpec::everything(&graph, Optimizer::ADAMW);
    for (executor, mut trainer) in trainers(&graph, &parameters, &spec) {
        let outputs = trainer.forward(&[pictures(3)], &key(0, 3)).unwrap();
        let wrong = Tensor::zeros(&[3, 5]);
        let mut refused = vec![
            trainer.run(&[]).map(drop),
            trainer.run(&[Tensor::zeros(&[1, 21, 18, 4])]).map(drop),
            trainer.run(&[Tensor::zeros(&[0, 21, 18, 3])]).map(drop),
            trainer.backward(&outputs),
        ];
        for gradients in [&[wrong][..], &[]] {
            trainer.forward(&[pictures(3)], &key(0, 3)).unwrap();
            refused.push(trainer.backward(gradients));
        }
        trainer.forward(&[pictures(3)], &key(0, 3)).unwrap();
        trainer.backward(&outputs).unwrap();
        refused.extend([
            trainer.backward(&outputs),
            trainer.update(&[], 1.0),
            trainer.forward(&[pictures(3)], &key(0, 2)).map(drop),
            trainer.gradient("norm.running_mean").map(drop),
            trainer.gradient("nothing").map(drop),
        ]);
        for (number, result) in refused.iter().enumerate() {
            assert!(result.is_err(), "{executor}: misuse {number} was accepted");
        }
    }
}

#[test]
fn a_wrong_specification_or_parameter_is_refused() {
    let graph = network();
    let good = fill_all(&graph).unwrap();
    let spec = TrainSpec::everything(&graph, Optimizer::ADAMW);
    let machine = Machine::new(1);
    let refuses = |parameters: &Parameters, spec: &TrainSpec, part: &str| {
        let single = tk_engine::reference::Precision::F32;
        let reference = tk_engine::reference::Reference::new(&graph, parameters, spec, single).map(drop);
        let tape = Tape::new(&machine, &graph, parameters, spec).map(drop);
        for (executor, result) in [("reference", reference), ("tape", tape)] {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(part), "{executor}: {message}");
        }
    };
    let mut missing = good.clone();
    missing.remove("fc.weight");
    refuses(&missing, &spec, "`fc.weight` has no value");
    let mut misshapen = good.clone();
    misshapen.set("fc.weight", Tensor::zeros(&[16, 4]));
    refuses(&misshapen, &spec, "[4, 16]");
    refuses(&good, &TrainSpec { dropout: vec![true], ..spec.clone() }, "training specification");
    refuses(&good, &TrainSpec { groups: vec![Some(0)], ..spec.clone() }, "training specification");
    let mut statistic = spec.clone();
    statistic.groups[graph.parameter("norm.running_var").unwrap()] = Some(0);
    refuses(&good, &statistic, "norm.running_var");
}
