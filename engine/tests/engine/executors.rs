//! A case, and running it on every executor there is.

use tk_engine::cpu::{Isa, Machine, Plan, Tape};
use tk_engine::reference::{Precision, Reference};
use tk_engine::testing::{Checked, Tolerances, check_agreement, check_close, cotangents, fill_all};
use tk_engine::{
    Graph, GroupRate, Inference, Optimizer, Parameters, Result, StepKey, Tensor, TrainSpec, Training,
};

/// A graph with its inputs.
pub struct Case {
    pub name: String,
    pub graph: Graph,
    pub inputs: Vec<Tensor>,
}

impl Case {
    /// Everything is trained by SGD, as [`check_agreement`] wants it.
    pub fn spec(&self) -> TrainSpec {
        TrainSpec::everything(&self.graph, Optimizer::Sgd { momentum: 0.9, nesterov: false })
    }

    pub fn parameters(&self) -> Parameters {
        fill_all(&self.graph).unwrap()
    }

    /// Outputs of the f64 reference.
    pub fn expected(&self) -> Vec<Tensor> {
        reference(&self.graph, &self.parameters(), Precision::F64).unwrap().run(&self.inputs).unwrap()
    }
}

/// Rates of two groups.
pub const RATES: [GroupRate; 2] = [
    GroupRate { learning_rate: 0.01, weight_decay: 0.1 },
    GroupRate { learning_rate: 0.03, weight_decay: 0.0 },
];

/// A reference executor that would train everything.
pub fn reference(graph: &Graph, parameters: &Parameters, precision: Precision) -> Result<Reference> {
    Reference::new(graph, parameters, &TrainSpec::everything(graph, Optimizer::ADAMW), precision)
}

/// What the CPU executors run on: two threads, with every instruction set of this processor.
fn machines() -> Vec<Machine> {
    let best = Machine::new(2);
    Isa::ALL.into_iter().filter(|isa| isa.is_available()).map(|isa| best.with_isa(isa)).collect()
}

/// Every executor that trains, by name, for one graph.
pub fn trainers(
    graph: &Graph,
    parameters: &Parameters,
    spec: &TrainSpec,
) -> Vec<(String, Box<dyn Training>)> {
    let single = Reference::new(graph, parameters, spec, Precision::F32).unwrap();
    let mut trainers: Vec<(String, Box<dyn Training>)> = vec![("reference, f32".into(), Box::new(single))];
    for machine in machines() {
        let tape = Tape::new(&machine, graph, parameters, spec).unwrap();
        trainers.push((format!("tape, {:?}", machine.isa), Box::new(tape)));
    }
    trainers
}

/// Every executor that runs, by name, for one graph.
pub fn runners(graph: &Graph, parameters: &Parameters) -> Vec<(String, Box<dyn Inference>)> {
    let single = reference(graph, parameters, Precision::F32).unwrap();
    let mut runners: Vec<(String, Box<dyn Inference>)> = vec![("reference, f32".into(), Box::new(single))];
    for machine in machines() {
        let plan = Plan::new(&machine, graph, parameters).unwrap();
        runners.push((format!("plan, {:?}", machine.isa), Box::new(plan)));
    }
    runners
}

/// Two training steps on every executor, against the f64 reference.
pub fn trains_alike(case: &Case, tolerances: Tolerances) {
    trains_alike_as(case, &case.spec(), tolerances);
}

/// The same, as a specification says.
pub fn trains_alike_as(case: &Case, spec: &TrainSpec, tolerances: Tolerances) {
    let parameters = case.parameters();
    for (executor, mut found) in trainers(&case.graph, &parameters, spec) {
        let mut expected = Reference::new(&case.graph, &parameters, spec, Precision::F64).unwrap();
        let checked = check_agreement(&mut *found, &mut expected, &case.inputs, &RATES, tolerances);
        checked.unwrap_or_else(|error| panic!("{}, {executor}: {error}", case.name));
    }
}

/// Runs on every executor, against the f64 reference.
pub fn runs_alike(case: &Case, tolerance: f64) {
    let (parameters, expected) = (case.parameters(), case.expected());
    for (executor, mut runner) in runners(&case.graph, &parameters) {
        let found =
            runner.run(&case.inputs).unwrap_or_else(|error| panic!("{}, {executor}: {error}", case.name));
        close(&format!("{}, {executor}", case.name), &found, &expected, tolerance);
    }
}

/// Cut after every stage, run, and resumed: the outputs of the whole, on every executor; and the suffix trains like the whole whose
/// prefix is frozen.
pub fn resumes_alike(case: &Case, tolerance: f64) {
    let (parameters, expected) = (case.parameters(), case.expected());
    for boundary in 0..case.graph.stages().len() - 1 {
        let cut = case.graph.cut(boundary).unwrap();
        let what = format!("{}, cut after stage {boundary}", case.name);
        let prefixes = runners(&cut.prefix, &parameters);
        for ((executor, mut prefix), (_, mut suffix)) in
            prefixes.into_iter().zip(runners(&cut.suffix, &parameters))
        {
            let live = prefix.run(&case.inputs).unwrap_or_else(|error| panic!("{what}, {executor}: {error}"));
            let supplied = supplied(&cut.sources, &case.inputs, &live);
            let found = suffix.run(&supplied).unwrap_or_else(|error| panic!("{what}, {executor}: {error}"));
            close(&format!("{what}, {executor}"), &found, &expected, tolerance);
        }
        suffix_trains_like_the_whole(case, boundary).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

/// The gradients of what lies after a boundary are the same in the whole graph and in the suffix on the prefix's outputs.
fn suffix_trains_like_the_whole(case: &Case, boundary: usize) -> Checked {
    let parameters = case.parameters();
    let cut = case.graph.cut(boundary)?;
    let batch = case.inputs[0].shape()[0] as u64;
    let key = StepKey { seed: 2, step: 0, samples: (0..batch).collect() };
    let quiet = |graph: &Graph| {
        let spec = TrainSpec::everything(graph, Optimizer::ADAMW);
        TrainSpec { batch_statistics: vec![false; graph.stages().len()], ..spec }
    };
    // What the prefix would do in training must not differ from what it did when it was cached.
    let mut whole_spec = quiet(&case.graph);
    whole_spec.dropout[..=boundary].fill(false);
    let mut whole = Reference::new(&case.graph, &parameters, &whole_spec, Precision::F64)?;
    let outputs = whole.forward(&case.inputs, &key)?;
    whole.backward(&cotangents(&outputs)?)?;

    let live = reference(&cut.prefix, &parameters, Precision::F64)?.run(&case.inputs)?;
    let mut suffix = Reference::new(&cut.suffix, &parameters, &quiet(&cut.suffix), Precision::F64)?;
    let resumed = suffix.forward(&supplied(&cut.sources, &case.inputs, &live), &key)?;
    suffix.backward(&cotangents(&resumed)?)?;
    let mut compared = 0;
    for (parameter, stage) in case.graph.parameters().iter().zip(case.graph.parameter_stages()) {
        if stage > boundary && parameter.kind.is_trainable() {
            let name = &parameter.name;
            check_close(name, &suffix.gradient(name)?, &whole.gradient(name)?, 1e-12)?;
            compared += 1;
        }
    }
    assert!(compared > 0, "{}: no parameters after stage {boundary}", case.name);
    Ok(())
}

/// The inputs of a suffix.
fn supplied(sources: &[tk_engine::graph::Source], inputs: &[Tensor], live: &[Tensor]) -> Vec<Tensor> {
    sources
        .iter()
        .map(|source| match *source {
            tk_engine::graph::Source::Input(index) => inputs[index].clone(),
            tk_engine::graph::Source::Prefix(index) => live[index].clone(),
        })
        .collect()
}

/// Compares outputs, all of them.
pub fn close(what: &str, found: &[Tensor], expected: &[Tensor], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: count of outputs");
    for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
        check_close(&format!("{what}, output {number}"), found, expected, tolerance)
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The names of the values that a cut carries.
pub fn live_set(graph: &Graph, boundary: usize) -> Vec<String> {
    graph.cut(boundary).unwrap().prefix.outputs().iter().map(|(name, _)| name.clone()).collect()
}
