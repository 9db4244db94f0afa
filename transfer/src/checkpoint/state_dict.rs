//! Which of a PyTorch file's tensors are the weights.
//!
//! Training scripts wrap the weights: `{"epoch": 3, "state_dict": {…}, "optimizer": {…}}`. The dictionary of tensors is
//! found by the names that are in use, and what was left out is listed.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::CheckpointProblem;
use super::pickle::{Graph, Storage, Value};
use super::tensor::{Claim, Stored};

/// Names under which scripts keep the weights, the preferred first: averaged weights are the better ones.
const CONTAINERS: [&str; 11] = [
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "network",
    "net",
    "weights",
    "params",
];

/// Deepest nesting of such containers.
const MAX_NESTING: usize = 4;

/// The weights of a PyTorch file.
#[derive(Debug)]
pub(super) struct StateDict {
    pub(super) tensors: Vec<Stored>,
    /// The containers that were entered, as `model.state_dict`; `None` when the file is the state dictionary itself.
    pub(super) container: Option<String>,
    /// Entries that are not weights, beside or within the chosen container.
    pub(super) ignored: Vec<String>,
}

/// Finds the weights in `top`. `place` tells where in the file the bytes of a storage lie.
pub(super) fn read<'a>(
    graph: &Graph<'a>,
    top: Value<'a>,
    place: impl Fn(&Storage<'a>) -> Result<Range<usize>, String>,
) -> Result<StateDict, CheckpointProblem> {
    let mut path: Vec<&str> = Vec::new();
    let mut ignored = Vec::new();
    let mut chosen = top;
    while path.len() < MAX_NESTING {
        let Some((name, inner)) = container(graph, chosen) else { break };
        let beside =
            graph.entries(chosen).unwrap_or_default().iter().filter(|(key, _)| *key != Value::Text(name));
        ignored.extend(beside.map(|(key, _)| qualified(&path, graph, *key)));
        path.push(name);
        chosen = inner;
    }
    let Some(entries) = graph.entries(chosen) else {
        return Err(CheckpointProblem::NoTensors(graph.kind(chosen).to_owned()));
    };

    let mut tensors = Vec::new();
    let mut names = HashSet::new();
    for (key, value) in entries {
        let (Value::Text(name), Some(tensor)) = (*key, graph.tensor(*value)) else {
            ignored.push(qualified(&path, graph, *key));
            continue;
        };
        if !names.insert(name) {
            return Err(CheckpointProblem::DuplicateName(name.to_owned()));
        }
        let storage = place(&tensor.storage)
            .map_err(|what| CheckpointProblem::Layout { tensor: name.to_owned(), what })?;
        let (dtype, shape, strides) = (tensor.dtype, &tensor.shape, &tensor.strides);
        tensors.push(Stored::check(&Claim { name, dtype, shape, strides, offset: tensor.offset, storage })?);
    }
    if tensors.is_empty() {
        return Err(CheckpointProblem::NoTensors(describe(graph, entries)));
    }
    let container = (!path.is_empty()).then(|| path.join("."));
    Ok(StateDict { tensors, container, ignored })
}

/// The entry of `value` that holds the weights, if it is a dictionary with such an entry.
fn container<'a>(graph: &Graph<'a>, value: Value<'a>) -> Option<(&'a str, Value<'a>)> {
    let entries: HashMap<&str, Value<'a>> = graph
        .entries(value)?
        .iter()
        .filter_map(|&(key, value)| match key {
            Value::Text(name) if graph.entries(value).is_some_and(|inner| !inner.is_empty()) => {
                Some((name, value))
            }
            _ => None,
        })
        .collect();
    let holds_weights = |value: Value<'a>| {
        let inner = graph.entries(value).unwrap_or_default();
        inner.iter().any(|&(key, value)| {
            graph.tensor(value).is_some()
                || (graph.entries(value).is_some()
                    && matches!(key, Value::Text(name) if CONTAINERS.contains(&name)))
        })
    };
    CONTAINERS.iter().find_map(|name| {
        let (&name, &value) = entries.get_key_value(name)?;
        holds_weights(value).then_some((name, value))
    })
}

fn qualified<'a>(path: &[&str], graph: &Graph<'a>, key: Value<'a>) -> String {
    let name = match key {
        Value::Text(name) => name.to_owned(),
        Value::Int(number) => number.to_string(),
        other => format!("({})", graph.kind(other)),
    };
    path.iter().map(|part| format!("{part}.")).chain([name]).collect()
}

/// The first entries of a dictionary, for the message that they are no weights.
fn describe<'a>(graph: &Graph<'a>, entries: &[(Value<'a>, Value<'a>)]) -> String {
    let shown: Vec<String> = entries
        .iter()
        .take(5)
        .map(|&(key, value)| format!("`{}` ({})", qualified(&[], graph, key), graph.kind(value)))
        .collect();
    match entries.len() {
        0 => "an empty dictionary".to_owned(),
        count if count > shown.len() => format!("{} and {} more", shown.join(", "), count - shown.len()),
        _ => shown.join(", "),
    }
}
