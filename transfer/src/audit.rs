//! The audit: proof that what was called frozen was frozen, and that what was called trained was trained.
//!
//! Before training: every trained parameter reaches the loss. At each step: gradients are finite. Within the first steps: each was
//! once not zero. At the end: the digests of frozen masters, and of the packed weights that ran, are what they were.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tk_engine::graph::Op;
use tk_engine::{EngineError, Graph, Parameters};

/// How many steps a trained parameter may go without a gradient.
pub const GRACE_STEPS: u64 = 20;

/// A broken promise. The run stops, with exit code 5 on the command line.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Violation {
    /// A trained parameter on which no output depends.
    #[error("audit: `{name}` is to be trained but no output depends on it")]
    Unreached {
        /// The parameter.
        name: String,
    },
    /// A gradient or a loss that is not a number, or infinite.
    #[error(
        "audit: the gradient of `{name}` is {value} at step {step}; lower the learning rate (--lr) or clip gradients"
    )]
    NotFinite {
        /// The parameter, or `loss`.
        name: String,
        /// What was found.
        value: f64,
        /// The step.
        step: u64,
    },
    /// A trained parameter whose gradient was zero at every step so far.
    #[error("audit: `{name}` is to be trained but its gradient was zero for {steps} steps")]
    NeverMoved {
        /// The parameter.
        name: String,
        /// How many steps.
        steps: u64,
    },
    /// A frozen master that is not what it was.
    #[error("audit: `{name}` is frozen but changed: digest {before} became {after}")]
    FrozenChanged {
        /// The parameter.
        name: String,
        /// The digest before training.
        before: String,
        /// The digest after training.
        after: String,
    },
    /// The weights that the frozen prefix ran with are not those it was compiled with.
    #[error("audit: the weights that the frozen prefix ran with changed: digest {before} became {after}")]
    PrefixChanged {
        /// The digest when compiled.
        before: String,
        /// The digest at the end.
        after: String,
    },
}

/// Parameters whose gradient may stay zero, such as a mask token, by name.
pub type Exceptions = Vec<String>;

/// Watches over one phase of training.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Audit {
    /// The digest of each frozen parameter before training.
    frozen: BTreeMap<String, String>,
    /// Trained parameters whose gradient has been zero so far.
    silent: Vec<String>,
    exceptions: Exceptions,
    steps: u64,
}

/// What the audit found, for `freeze.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditReport {
    /// Frozen parameters, each with the digest that it had before and after.
    pub frozen: BTreeMap<String, String>,
    /// Trained parameters.
    pub trained: Vec<String>,
    /// The stages that they are of.
    #[serde(default)]
    pub stages: Vec<String>,
    /// The steps that were watched.
    pub steps: u64,
    /// The digest of the packed weights of the frozen prefix, where there was one.
    pub prefix: Option<String>,
}

impl Audit {
    /// Begins: checks that trained parameters reach an output, and remembers what frozen ones are.
    /// `trained` names the parameters of `graph` that train.
    ///
    /// # Errors
    /// A [`Violation::Unreached`], or a parameter without a value.
    pub fn begin(
        graph: &Graph,
        parameters: &Parameters,
        trained: &[String],
        exceptions: Exceptions,
    ) -> Result<Self, AuditError> {
        let reached = reached(graph);
        let mut frozen = BTreeMap::new();
        for (index, spec) in graph.parameters().iter().enumerate() {
            if trained.contains(&spec.name) {
                if !reached[index] {
                    return Err(Violation::Unreached { name: spec.name.clone() }.into());
                }
            } else if spec.kind.is_trainable() {
                frozen.insert(spec.name.clone(), parameters.digest(&spec.name)?);
            }
        }
        let silent = trained.iter().filter(|name| !exceptions.contains(name)).cloned().collect();
        Ok(Self { frozen, silent, exceptions, steps: 0 })
    }

    /// Also watches running statistics that must not move: those of stages that are not live.
    ///
    /// # Errors
    /// When a parameter has no value.
    pub fn watch(
        &mut self,
        parameters: &Parameters,
        names: impl Iterator<Item = String>,
    ) -> Result<(), AuditError> {
        for name in names {
            let digest = parameters.digest(&name)?;
            self.frozen.insert(name, digest);
        }
        Ok(())
    }

    /// Takes in the loss and the gradient norms of a step, by parameter name.
    ///
    /// # Errors
    /// A [`Violation`] of this step.
    pub fn step<'a>(
        &mut self,
        loss: f64,
        norms: impl Iterator<Item = (&'a str, f64)>,
    ) -> Result<(), Violation> {
        self.steps += 1;
        let not_finite =
            |name: &str, value| Violation::NotFinite { name: name.to_owned(), value, step: self.steps };
        if !loss.is_finite() {
            return Err(not_finite("loss", loss));
        }
        for (name, norm) in norms {
            if !norm.is_finite() {
                return Err(not_finite(name, norm));
            }
            if norm > 0.0 && !self.silent.is_empty() {
                self.silent.retain(|silent| silent != name);
            }
        }
        match self.silent.first() {
            Some(name) if self.steps >= GRACE_STEPS => {
                Err(Violation::NeverMoved { name: name.clone(), steps: self.steps })
            }
            _ => Ok(()),
        }
    }

    /// Ends: compares frozen parameters with what they were.
    ///
    /// # Errors
    /// A [`Violation::FrozenChanged`], or a parameter without a value.
    pub fn end(self, parameters: &Parameters, trained: Vec<String>) -> Result<AuditReport, AuditError> {
        for (name, before) in &self.frozen {
            let after = parameters.digest(name)?;
            if after != *before {
                return Err(
                    Violation::FrozenChanged { name: name.clone(), before: before.clone(), after }.into()
                );
            }
        }
        Ok(AuditReport { frozen: self.frozen, trained, stages: Vec::new(), steps: self.steps, prefix: None })
    }
}

/// Compares the digest of a prefix's packed weights with what it was when compiled.
///
/// # Errors
/// A [`Violation::PrefixChanged`].
pub fn check_prefix(before: &str, after: &str) -> Result<(), Violation> {
    match before == after {
        true => Ok(()),
        false => Err(Violation::PrefixChanged { before: before.to_owned(), after: after.to_owned() }),
    }
}

/// What stops an audit.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A broken promise.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Whether an output depends on each parameter.
fn reached(graph: &Graph) -> Vec<bool> {
    let mut visited = vec![false; graph.nodes().len()];
    let mut parameters = vec![false; graph.parameters().len()];
    let mut visit: Vec<_> = graph.outputs().iter().map(|(_, value)| *value).collect();
    while let Some(value) = visit.pop() {
        if std::mem::replace(&mut visited[value.index()], true) {
            continue;
        }
        let node = graph.node(value);
        if let Op::Parameter(index) = node.op {
            parameters[index] = true;
        }
        visit.extend(&node.inputs);
    }
    parameters
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tk_engine::{GraphBuilder, Tensor};

    /// A graph with a layer that no output reads.
    fn graph() -> Graph {
        let mut b = GraphBuilder::new();
        b.begin_stage("backbone");
        let x = b.input("x", 2, Some(3));
        let y = b.linear("used", x, 4);
        b.linear("unused", x, 4);
        b.end_stage(y);
        b.begin_stage("head");
        let z = b.linear("fc", y, 2);
        b.end_stage(z);
        b.finish(&[("z", z)]).unwrap()
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn begin(trained: &[&str]) -> (Audit, Parameters) {
        let graph = graph();
        let parameters = Parameters::initial(&graph, 1);
        (Audit::begin(&graph, &parameters, &names(trained), vec![]).unwrap(), parameters)
    }

    #[test]
    fn a_trained_parameter_must_reach_an_output() {
        let graph = graph();
        let parameters = Parameters::initial(&graph, 1);
        let error = Audit::begin(&graph, &parameters, &names(&["unused.weight"]), vec![]).unwrap_err();
        assert!(
            matches!(error, AuditError::Violation(Violation::Unreached { name }) if name == "unused.weight")
        );
    }

    #[test]
    fn gradients_must_be_finite() {
        for (loss, norm, name) in
            [(1.0, f64::NAN, "fc.weight"), (1.0, f64::INFINITY, "fc.weight"), (f64::NAN, 1.0, "loss")]
        {
            let (mut audit, _) = begin(&["fc.weight"]);
            let violation = audit.step(loss, [("fc.weight", norm)].into_iter()).unwrap_err();
            assert!(matches!(violation, Violation::NotFinite { name: found, step: 1, .. } if found == name));
        }
    }

    #[test]
    fn a_trained_parameter_must_move_within_the_grace() {
        let (mut audit, _) = begin(&["fc.weight", "fc.bias"]);
        for step in 1..=GRACE_STEPS {
            let result = audit.step(1.0, [("fc.weight", 0.5), ("fc.bias", 0.0)].into_iter());
            assert_eq!(result.is_err(), step == GRACE_STEPS, "step {step}");
        }
        let (mut audit, _) = begin(&["fc.bias"]);
        for step in 1..=2 * GRACE_STEPS {
            audit.step(1.0, [("fc.bias", if step == 19 { 0.1 } else { 0.0 })].into_iter()).unwrap();
        }
    }

    #[test]
    fn a_frozen_parameter_must_stay() {
        let (audit, mut parameters) = begin(&["fc.weight", "fc.bias"]);
        parameters.set("fc.weight", Tensor::zeros(&[2, 4]));
        assert!(audit.clone().end(&parameters, vec![]).is_ok());
        let mut value = parameters.get("used.bias").unwrap().clone();
        value.as_f32_mut().unwrap()[0] += f32::EPSILON;
        parameters.set("used.bias", value);
        let error = audit.end(&parameters, vec![]).unwrap_err();
        assert!(
            matches!(error, AuditError::Violation(Violation::FrozenChanged { name, .. }) if name == "used.bias")
        );
    }

    #[test]
    fn packed_weights_must_stay() {
        assert!(check_prefix("a", "a").is_ok());
        assert!(matches!(check_prefix("a", "b"), Err(Violation::PrefixChanged { .. })));
    }
}
