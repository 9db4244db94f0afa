//! Matching a checkpoint with the parameters of a model.
//!
//! Nothing is ever loaded by halves: a parameter that the checkpoint lacks, or has in another shape, is an error unless it
//! belongs to a head that the task replaces. A head is replaced as a whole.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::TensorInfo;
use super::load_error::{LoadError, MAX_LISTED};
use super::nearest::nearest;
use super::open::Checkpoint;
use super::report::{Initialised, LoadReport, Reason, Replaced};
use super::rule::{Rule, Rules};

/// A parameter of a model that wants values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterRequest {
    /// Its name in the model.
    pub name: String,
    /// Its shape in the model.
    pub shape: Vec<usize>,
    /// What its absence from the checkpoint means.
    pub need: Need,
}

/// What it means when a checkpoint lacks a parameter, or has it in another shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// An error.
    Required,
    /// If absent it is initialised; another shape is an error.
    Optional,
    /// Part of the head, which is loaded if all of it fits, and else initialised as a whole.
    Head,
    /// Part of a head that starts anew whatever the checkpoint has.
    NewHead,
}

/// A model as a checkpoint sees it.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The model's name, for messages.
    pub model: &'a str,
    /// Its parameters.
    pub parameters: &'a [ParameterRequest],
    /// How the checkpoint may spell their names.
    pub rules: &'a [Rule],
}

/// Values for a model's parameters.
#[derive(Debug)]
pub struct Loaded {
    /// Name in the model and values in row-major order, in the order of the request; what `report` calls initialised or
    /// replaced is not there.
    pub values: Vec<(String, Vec<f32>)>,
    /// What became of every parameter and tensor.
    pub report: LoadReport,
}

/// Reads the values of a model's parameters from a checkpoint.
///
/// # Errors
///
/// [`LoadError`] when anything but the head is missing or has another shape, or two tensors claim one parameter.
pub fn load_into(target: &Target<'_>, checkpoint: &Checkpoint) -> Result<Loaded, LoadError> {
    let rules = Rules::compile(target.rules)?;
    let mut counters = 0;
    let mut sources: BTreeMap<Cow<'_, str>, &str> = BTreeMap::new();
    for name in checkpoint.names() {
        if is_counter(name) {
            counters += 1;
            continue;
        }
        let renamed = rules.rename(name);
        if let Some(&first) = sources.get(&renamed) {
            return Err(LoadError::Ambiguous {
                checkpoint: checkpoint.path().display().to_string(),
                name: renamed.into_owned(),
                first: first.to_owned(),
                second: name.to_owned(),
            });
        }
        sources.insert(renamed, name);
    }

    let matches: Vec<Match<'_>> =
        target.parameters.iter().map(|request| Match::of(request, &rules, &sources, checkpoint)).collect();
    reject_misfits(target, checkpoint, &matches, &sources)?;

    let head_fits = matches.iter().all(|found| found.request.need != Need::Head || found.fits);
    let mut report = LoadReport {
        checkpoint: checkpoint.path().display().to_string(),
        container: checkpoint.container().map(str::to_owned),
        dropped_prefix: checkpoint.dropped_prefix().to_owned(),
        parameters: matches.len(),
        loaded: 0,
        renamed: 0,
        initialised: Vec::new(),
        replaced: Vec::new(),
        kept: Vec::new(),
        unused: Vec::new(),
        counters,
    };
    let mut values = Vec::with_capacity(matches.len());
    for Match { request, source, fits } in &matches {
        let ParameterRequest { name, shape, need } = request;
        let wanted = *fits && (*need != Need::Head || head_fits) && *need != Need::NewHead;
        match source {
            Some((tensor, _)) if wanted => {
                let mut numbers = checkpoint.f32(tensor)?;
                rules.shift(tensor, &mut numbers);
                values.push((name.clone(), numbers));
                report.loaded += 1;
                report.renamed += usize::from(name != tensor);
            }
            Some((_, info)) => report.replaced.push(Replaced {
                name: name.clone(),
                expected: shape.clone(),
                found: info.shape.clone(),
            }),
            None => {
                let reason = if *need == Need::Optional { Reason::Optional } else { Reason::Head };
                report.initialised.push(Initialised { name: name.clone(), reason });
            }
        }
    }
    let used: HashSet<&str> =
        matches.iter().filter_map(|found| found.source.map(|(tensor, _)| tensor)).collect();
    report.unused = checkpoint
        .names()
        .filter(|name| !is_counter(name) && !used.contains(name))
        .map(str::to_owned)
        .collect();
    Ok(Loaded { values, report })
}

/// What a checkpoint has for a parameter of the model, by the model's name of it.
///
/// # Errors
/// When a rule is malformed.
pub fn tensor_of<'a>(
    checkpoint: &'a Checkpoint,
    rules: &[Rule],
    parameter: &str,
) -> Result<Option<&'a TensorInfo>, LoadError> {
    let rules = Rules::compile(rules)?;
    let named = checkpoint.names().find(|name| rules.rename(name) == parameter);
    Ok(named.and_then(|name| checkpoint.info(name)))
}

/// A parameter, and the tensor that has its name.
struct Match<'a> {
    request: &'a ParameterRequest,
    /// Name in the checkpoint, type and shape.
    source: Option<(&'a str, &'a TensorInfo)>,
    /// Whether the shape is right, or may be made so.
    fits: bool,
}

impl<'a> Match<'a> {
    fn of(
        request: &'a ParameterRequest,
        rules: &Rules,
        sources: &BTreeMap<Cow<'_, str>, &'a str>,
        checkpoint: &'a Checkpoint,
    ) -> Self {
        let source =
            sources.get(request.name.as_str()).and_then(|&name| Some((name, checkpoint.info(name)?)));
        let fits = source.is_some_and(|(_, info)| {
            info.shape == request.shape
                || (info.elements() == request.shape.iter().product::<usize>()
                    && rules.may_reshape(&request.name))
        });
        Self { request, source, fits }
    }
}

/// Batch-norm counts its steps in PyTorch for a mode of averaging that is not used here.
fn is_counter(name: &str) -> bool {
    name == "num_batches_tracked" || name.ends_with(".num_batches_tracked")
}

/// Fails when anything but a head is missing or misshapen.
fn reject_misfits(
    target: &Target<'_>,
    checkpoint: &Checkpoint,
    matches: &[Match<'_>],
    sources: &BTreeMap<Cow<'_, str>, &str>,
) -> Result<(), LoadError> {
    let body =
        || matches.iter().filter(|found| matches!(found.request.need, Need::Required | Need::Optional));
    let misfits: Vec<&Match<'_>> = body()
        .filter(|found| !found.fits && (found.source.is_some() || found.request.need == Need::Required))
        .collect();
    let Some(first) = misfits.first() else { return Ok(()) };
    let (path, model) = (checkpoint.path().display().to_string(), target.model.to_owned());
    let (fitting, parameters) = (
        body().filter(|found| found.fits).count(),
        body().filter(|found| found.request.need == Need::Required).count(),
    );
    if 2 * fitting < parameters {
        let first = match first.source {
            None => format!("first missing: `{}`", first.request.name),
            Some((_, info)) => {
                let Match { request, .. } = first;
                format!(
                    "first of another shape: `{}`, expected {:?}, found {:?}",
                    request.name, request.shape, info.shape
                )
            }
        };
        return Err(LoadError::OtherArchitecture { checkpoint: path, model, fitting, parameters, first });
    }
    let asked: HashMap<&str, ()> = matches.iter().map(|found| (found.request.name.as_str(), ())).collect();
    let (mut missing, mut mismatched) = (Vec::new(), Vec::new());
    for found in misfits {
        let name = &found.request.name;
        match found.source {
            Some((_, info)) => {
                mismatched.push((name.clone(), found.request.shape.clone(), info.shape.clone()))
            }
            None => {
                let free =
                    sources.keys().map(AsRef::as_ref).filter(|candidate| !asked.contains_key(candidate));
                // Only those that will be shown are worth the search.
                let similar = if missing.len() < MAX_LISTED { nearest(name, free) } else { None };
                missing.push((name.clone(), similar.map(str::to_owned)));
            }
        }
    }
    Err(LoadError::Incomplete { checkpoint: path, model, fitting, parameters, missing, mismatched })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// A safetensors checkpoint of bytes that count up from each tensor's index.
    fn checkpoint(tensors: &[(&str, &[usize])]) -> Checkpoint {
        let (mut entries, mut data) = (Vec::new(), Vec::new());
        for (at, (name, shape)) in tensors.iter().enumerate() {
            let (start, elements) = (data.len(), shape.iter().product::<usize>());
            data.extend((0..elements).map(|element| (at + element) as u8));
            entries.push(format!(
                r#""{name}":{{"dtype":"U8","shape":{shape:?},"data_offsets":[{start},{}]}}"#,
                data.len()
            ));
        }
        let header = format!("{{{}}}", entries.join(","));
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
        Checkpoint::from_bytes("w.safetensors", bytes).unwrap()
    }

    fn load(
        tensors: &[(&str, &[usize])],
        requests: &[(&str, &[usize], Need)],
        rules: &[Rule],
    ) -> Result<Loaded, LoadError> {
        let parameters: Vec<ParameterRequest> = requests
            .iter()
            .map(|&(name, shape, need)| ParameterRequest {
                name: name.to_owned(),
                shape: shape.to_vec(),
                need,
            })
            .collect();
        load_into(&Target { model: "tiny", parameters: &parameters, rules }, &checkpoint(tensors))
    }

    const BODY: [(&str, &[usize], Need); 3] = [
        ("conv.weight", &[2, 1, 1, 1], Need::Required),
        ("bn.weight", &[2], Need::Required),
        ("bn.running_mean", &[2], Need::Required),
    ];
    const STORED: [(&str, &[usize]); 4] = [
        ("conv.weight", &[2, 1, 1, 1]),
        ("bn.weight", &[2]),
        ("bn.running_mean", &[2]),
        ("bn.num_batches_tracked", &[]),
    ];

    #[test]
    fn a_head_of_another_size_is_replaced_as_a_whole() {
        for (need, shape, line, count) in [
            (Need::Head, 2, "loaded 3/5, head replaced (4 → 2 classes)", 3),
            (Need::Head, 4, "loaded 5/5", 5),
            (Need::NewHead, 4, "loaded 3/5, head replaced", 3),
        ] {
            let tensors = [&STORED[..], &[("fc.weight", &[4, 2]), ("fc.bias", &[4])]].concat();
            let (weight, bias) = ([shape, 2], [shape]);
            let requests = [&BODY[..], &[("fc.weight", &weight, need), ("fc.bias", &bias, need)]].concat();
            let Loaded { values, report } = load(&tensors, &requests, &[]).unwrap();
            assert_eq!(report.to_string(), line);
            assert_eq!((values.len(), report.counters, report.unused.len()), (count, 1, 0));
            assert_eq!(values[1], ("bn.weight".to_owned(), vec![1.0, 2.0]));
            let text = serde_json::to_string(&report).unwrap();
            assert_eq!(serde_json::from_str::<LoadReport>(&text).unwrap(), report);
        }
    }

    #[test]
    fn what_is_absent_or_left_over_is_listed() {
        let tensors = [&STORED[..], &[("fc.weight", &[4, 2]), ("extra", &[1])]].concat();
        let head: [(&str, &[usize], Need); 3] = [
            ("fc.weight", &[4, 2], Need::Head),
            ("fc.bias", &[4], Need::Head),
            ("token", &[1], Need::Optional),
        ];
        let report = load(&tensors, &[&BODY[..], &head].concat(), &[]).unwrap().report;
        assert_eq!(report.to_string(), "loaded 3/6, head replaced, 2 initialised, 1 unused");
        assert_eq!(
            report.initialised,
            [
                Initialised { name: "fc.bias".to_owned(), reason: Reason::Head },
                Initialised { name: "token".to_owned(), reason: Reason::Optional },
            ]
        );
        assert_eq!(report.unused, ["extra"]);
        assert_eq!(report.loaded + report.initialised.len() + report.replaced.len(), report.parameters);
    }

    #[test]
    fn rules_rename_and_reshape() {
        let tensors: [(&str, &[usize]); 3] =
            [("net.conv.weight", &[2, 1]), ("net.bn.weight", &[2]), ("net.bn.running_mean", &[2])];
        let rules = [Rule::Prefix { from: "net.", to: "" }, Rule::Reshape { name: r"^conv\.weight$" }];
        let Loaded { values, report } = load(&tensors, &BODY, &rules).unwrap();
        assert_eq!((report.loaded, report.renamed), (3, 3));
        assert_eq!(values[0], ("conv.weight".to_owned(), vec![0.0, 1.0]));
    }

    #[test]
    fn numbers_are_shifted_by_the_checkpoints_names() {
        let rules = [Rule::Prefix { from: "net.", to: "" }, Rule::Shift { from: r"^net\..*mean$", by: 0.5 }];
        let named = |prefix: &str| BODY.map(|(name, shape, _)| (format!("{prefix}{name}"), shape));
        for (prefix, shifted) in [("net.", [2.5, 3.5]), ("", [2.0, 3.0])] {
            let tensors = named(prefix);
            let tensors: Vec<(&str, &[usize])> =
                tensors.iter().map(|(name, shape)| (name.as_str(), *shape)).collect();
            let values = load(&tensors, &BODY, &rules).unwrap().values;
            assert_eq!((&values[1].1, &values[2].1), (&vec![1.0, 2.0], &shifted.to_vec()));
        }
    }

    #[test]
    fn refusals_name_the_tensors() {
        let other: [(&str, &[usize]); 2] = [("features.0.weight", &[2, 1, 1, 1]), ("features.0.bias", &[2])];
        let deep: [(&str, &[usize]); 3] =
            [("conv.weight", &[2, 1, 3, 3]), ("bn.weight", &[3]), ("bn.running_mean", &[2])];
        let partly: [(&str, &[usize]); 3] =
            [("conv.weight", &[2, 1, 1, 1]), ("bn.weight", &[3]), ("bn.runing_mean", &[2])];
        let most = [&BODY[..], &[("a", &[1], Need::Required), ("b", &[1], Need::Required)]].concat();
        let twice: [(&str, &[usize]); 2] = [("net.a", &[1]), ("a", &[1])];
        let strip = [Rule::Prefix { from: "net.", to: "" }];
        for (tensors, requests, rules, expected) in [
            (
                &other[..],
                &BODY[..],
                &[][..],
                "`w.safetensors` does not fit tiny: 0 of 3 parameters found; first missing: `conv.weight`",
            ),
            (
                &deep,
                &BODY,
                &[],
                "`w.safetensors` does not fit tiny: 1 of 3 parameters found; \
                 first of another shape: `conv.weight`, expected [2, 1, 1, 1], found [2, 1, 3, 3]",
            ),
            (
                &STORED,
                &most,
                &[],
                "`w.safetensors` does not fit tiny: 3 of 5 parameters found; 2 missing: `a`, `b`; choose the model that it was made for",
            ),
            (
                &partly[..2],
                &BODY[..2],
                &[],
                "does not fit tiny: 1 of 2 parameters found; 1 of another shape: `bn.weight` (expected [2], found [3])",
            ),
            (
                &[partly[0], STORED[1], partly[2]],
                &BODY,
                &[],
                "1 missing: `bn.running_mean` (nearest: `bn.runing_mean`)",
            ),
            (&twice, &BODY, &strip, "has two tensors for the parameter `a`: `net.a` and `a`"),
        ] {
            let error = load(tensors, requests, rules).unwrap_err().to_string();
            assert!(error.contains(expected), "expected {expected}, got {error}");
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..9).map(|at| format!("block{at}")).collect();
        let absent = names.iter().map(|name| (name.as_str(), &[1][..], Need::Required));
        let present: Vec<String> = (0..9).map(|at| format!("p{at}")).collect();
        let tensors: Vec<(&str, &[usize])> = present.iter().map(|name| (name.as_str(), &[1][..])).collect();
        let requests: Vec<(&str, &[usize], Need)> =
            tensors.iter().map(|&(name, shape)| (name, shape, Need::Required)).chain(absent).collect();
        let error = load(&tensors, &requests, &[]).unwrap_err().to_string();
        assert!(
            error.contains("9 missing: `block0`, `block1`, `block2`, `block3`, `block4` and 4 more"),
            "{error}"
        );
    }
}
