//! What a job will do and about how long, told before it begins.

use std::time::Instant;

use serde::Serialize;
use tk_engine::cpu::Plan;
use tk_engine::graph::Op;
use tk_engine::{Graph, Inference};
use tk_transfer::data::Labelled;
use tk_transfer::fit::Phase;
use tk_transfer::low_rank::LowRank;
use tk_transfer::prefix::PrecisionChoice;

use super::division::{Choice, Part, Parts};
use super::fit::Prepared;
use super::modality::Network;
use super::preset::Method;
use super::{Error, Settings};

/// A training step costs about so many times what running the same part does: forward, two products backward, the optimizer.
const STEP_COST: f64 = 3.5;

/// What would be done.
#[derive(Clone, Debug, Serialize)]
pub struct Outlook {
    /// What the data were taken for.
    pub data: String,
    /// Samples that train, validate and test.
    pub samples: [usize; 3],
    /// The model, and what was loaded of it.
    pub model: String,
    /// What will be done.
    pub plan: String,
    /// Stages: name, numbers in parameters (running statistics apart), those that train.
    pub stages: Vec<(String, usize, usize)>,
    /// Numbers in all parameters, and those that train.
    pub parameters: [usize; 2],
    /// About how long it takes, with an empty cache.
    pub seconds: f64,
    /// About how much memory weights and activations take.
    pub memory_bytes: u64,
    /// Everything that was decided.
    pub settings: Settings,
}

/// Looks ahead; runs the model on four blank samples to see how fast it is.
pub(crate) fn look<N: Network, D: Labelled>(
    prepared: &Prepared<N, D>,
    data: &D,
    parts: &Parts<'_, D>,
) -> Result<Outlook, Error> {
    let (model, plan) = (&prepared.model, &prepared.plan);
    let graph = model.graph();
    let rate = samples_per_second(prepared)?;
    let blank: Vec<Vec<usize>> = model.blank(1).iter().map(|input| input.shape().to_vec()).collect();
    let shapes = graph.infer(&blank).map_err(tk_engine::EngineError::from)?;
    let (total, trained) = plan.counts(graph);
    let train = parts.training.positions.len();
    let count = |part: &Option<Part<'_, D>>| part.as_ref().map_or(0, |part| part.positions.len());
    let (validation, test) = (count(&parts.validation), count(&parts.test));
    let once = (train + validation + test) as f64 / rate;
    let (seconds, batch) = match prepared.preset.recipe() {
        None => (once, 4),
        Some(recipe) => {
            let mut seconds = once;
            for Phase { freeze, batch_norm, epochs, .. } in &recipe.phases {
                let live = freeze.resolve(graph, model.name(), *batch_norm)?.live;
                let live = live_share(graph, &shapes, &live);
                let views = recipe.views.map_or(*epochs, |views| (*epochs).min(views as usize));
                seconds += views as f64 * train as f64 * (1.0 - live) / rate;
                seconds += (epochs * train) as f64 * live * STEP_COST / rate;
            }
            (seconds, recipe.batch)
        }
    };
    let activations: usize = graph
        .nodes()
        .iter()
        .zip(&shapes)
        .filter(|(node, _)| plan.live[node.stage] && !matches!(node.op, Op::Parameter(_)))
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum();
    let stages = graph.parameter_stages();
    let numbers = |wanted: usize, only_trained: bool| -> usize {
        let specs = graph.parameters().iter().enumerate();
        specs
            .filter(|(_, spec)| spec.kind.is_trainable())
            .filter(|(index, _)| stages[*index] == wanted && (!only_trained || plan.trained[*index]))
            .map(|(_, spec)| spec.shape.iter().product::<usize>())
            .sum()
    };
    Ok(Outlook {
        data: data_line(data, parts, &prepared.division.validation),
        samples: [train, validation, test],
        model: prepared.model_line(),
        plan: plan_line(prepared, total, trained, seconds),
        stages: graph
            .stages()
            .iter()
            .enumerate()
            .map(|(stage, spec)| (spec.name.clone(), numbers(stage, false), numbers(stage, true)))
            .collect(),
        parameters: [total, trained],
        seconds,
        memory_bytes: (4 * (total + 3 * trained + 2 * batch * activations)) as u64,
        settings: prepared.settings.clone(),
    })
}

/// The data in one line, with how it is divided where its folders do not say.
pub(crate) fn data_line<D: Labelled>(data: &D, parts: &Parts<'_, D>, validation: &Choice) -> String {
    let mut line = data.summary();
    match (validation, &parts.validation) {
        (Choice::Folds(folds), _) => line.push_str(&format!("; scored by {folds} folds")),
        (Choice::Share(_), Some(part)) => {
            line.push_str(&format!("; {} drawn for validation", part.positions.len()));
        }
        (Choice::Folder(folder), Some(part)) => {
            line.push_str(&format!("; validated on {} from {folder}", part.positions.len()));
        }
        (Choice::None, _) => line.push_str("; not validated"),
        _ => {}
    }
    parts.leaks.lines().iter().for_each(|leak| line.push_str(&format!("; {leak}")));
    line
}

fn plan_line<N: Network, D>(prepared: &Prepared<N, D>, total: usize, trained: usize, seconds: f64) -> String {
    let about = match prepared.precision() {
        PrecisionChoice::F32 => format!("about {}", duration(seconds)),
        asked => format!("precision {asked}; about {}", duration(seconds)),
    };
    match &prepared.preset.method {
        Method::Probe => {
            format!("frozen 100 %, {}; {about}", prepared.preset.head.name())
        }
        Method::Train { recipe, .. } | Method::Contrast { recipe, .. } => {
            let frozen = 100.0 * (total - trained) as f64 / total.max(1) as f64;
            let epochs: usize = recipe.phases.iter().map(|phase| phase.epochs).sum();
            let live =
                prepared.model.graph().stages().iter().zip(&prepared.plan.live).filter(|(_, live)| **live);
            let mut names: Vec<&str> = live.map(|(stage, _)| stage.name.as_str()).collect();
            let phases = match recipe.phases.len() {
                1 => String::new(),
                // From the head down, as they begin to train.
                count => {
                    names.reverse();
                    format!(" in {count} phases")
                }
            };
            let rate = recipe.phases.first().map_or(0.0, |phase| phase.learning_rate);
            let batch = recipe.batch * recipe.accumulate;
            let names = names.join(", ");
            let how = match &prepared.preset.method {
                Method::Contrast { .. } => format!(" on pairs, then {}", prepared.preset.head.name()),
                _ => String::new(),
            };
            let pairs = prepared
                .model
                .low_rank()
                .map_or_else(String::new, |pairs| format!("; {}", pairs_line(pairs)));
            format!(
                "frozen {frozen:.0} %, trains {names}{pairs}{how}; {epochs} epochs{phases}, batch {batch}, lr {rate}; {about}"
            )
        }
    }
}

/// Where low-rank pairs stand, and which layers cannot have one.
pub(crate) fn pairs_line(pairs: &LowRank) -> String {
    let mut line = format!("low-rank pairs of rank {} beside {} layers", pairs.rank(), pairs.layers().len());
    if let Some(first) = pairs.without().first() {
        let count = pairs.without().len();
        line.push_str(&format!(", none beside {count} in groups or dilated, such as {first}"));
    }
    line
}

/// Seconds as people say them.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{:.0} s", s.max(1.0)),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn samples_per_second<N: Network, D>(prepared: &Prepared<N, D>) -> Result<f64, Error> {
    const SAMPLES: usize = 4;
    let model = &prepared.model;
    let mut plan = Plan::new(&prepared.machine, model.graph(), model.parameters())?;
    let blank = model.blank(SAMPLES);
    // The first run binds buffers; the second is timed.
    plan.run(&blank)?;
    let began = Instant::now();
    plan.run(&blank)?;
    Ok(SAMPLES as f64 / began.elapsed().as_secs_f64().max(1e-9))
}

/// The share of the multiplications that lies in stages that train.
fn live_share(graph: &Graph, shapes: &[Vec<usize>], live: &[bool]) -> f64 {
    let mut sums = [0.0, 0.0];
    for (node, shape) in graph.nodes().iter().zip(shapes) {
        let Some(weight) = node.inputs.iter().find_map(|input| match graph.node(*input).op {
            Op::Parameter(index) => Some(&graph.parameters()[index].shape),
            _ => None,
        }) else {
            continue;
        };
        // Each output is a sum over the weight's other axes.
        let products = shape.iter().chain(weight.iter().skip(1)).map(|&size| size as f64).product::<f64>();
        sums[0] += products;
        sums[1] += if live[node.stage] { products } else { 0.0 };
    }
    if sums[0] > 0.0 { sums[1] / sums[0] } else { 1.0 }
}
