//! Freezing: from what the user says to the role of every parameter.
//!
//! Frozen means: no gradient, no statistics update, no dropout, not in the optimizer. The stages before the first trained parameter
//! are the prefix, which never has to be computed twice.

use std::fmt;
use std::str::FromStr;

use regex::Regex;
use serde::{Deserialize, Serialize};
use tk_engine::{Graph, Optimizer, Precision, TrainSpec};

/// A selection of stages or parameters: `layer4`, `last:2`, `30%`, `re:layer[34]\.`, several joined by commas.
#[derive(Clone, Debug)]
pub struct Selection {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    /// A stage by name.
    Stage(String),
    /// The last stages of the backbone that have parameters.
    Last(usize),
    /// The first share of the backbone's parameters, counted in whole stages.
    FirstShare(f64),
    /// Parameters whose names match.
    Pattern(Regex),
}

/// What is frozen.
#[derive(Clone, Debug)]
pub enum Freeze {
    /// The whole backbone; only the head trains.
    Backbone,
    /// Nothing.
    Nothing,
    /// The selection; everything else trains.
    Only(Selection),
    /// Everything but the selection and the head.
    AllBut(Selection),
    /// What another freezes, and all stages before the named one.
    Before {
        /// The first stage of which something may train.
        stage: String,
        /// What is frozen in it and after it.
        rest: Box<Freeze>,
    },
}

/// What batch-norm does in stages that train.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchNorm {
    /// Normalises with the running statistics, which stay.
    Frozen,
    /// As frozen in the backbone; a head's own batch-norm, which begins without statistics, learns them.
    Head,
    /// Normalises with the batch's statistics, and updates the running ones.
    Train,
}

/// A freeze specification that does not fit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FreezeError {
    /// The text is not a selection.
    #[error("`{text}` is not a selection: {reason}; say a stage's name, last:2, 30% or re:PATTERN")]
    Syntax {
        /// What was said.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No stage of this name.
    #[error("unknown stage `{name}` in {graph}; stages are {}", known.join(", "))]
    UnknownStage {
        /// The name.
        name: String,
        /// The model.
        graph: String,
        /// The stages there are.
        known: Vec<String>,
    },
    /// A pattern that matches no parameter.
    #[error("pattern `{pattern}` matches no parameter of {graph}; parameters are named like {}", examples.join(", "))]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// The model.
        graph: String,
        /// Some names there are.
        examples: Vec<String>,
    },
    /// More stages than there are.
    #[error("last:{asked} asks for more than the {available} stages of {graph} that have parameters: {}", known.join(", "))]
    TooMany {
        /// How many were asked for.
        asked: usize,
        /// How many there are.
        available: usize,
        /// The model.
        graph: String,
        /// The stages there are.
        known: Vec<String>,
    },
    /// Nothing is left to train.
    #[error("nothing is left to train in {graph}: the selection freezes every parameter, the head included")]
    NothingTrained {
        /// The model.
        graph: String,
    },
}

impl FromStr for Selection {
    type Err = FreezeError;

    fn from_str(text: &str) -> Result<Self, FreezeError> {
        let syntax = |reason: &str| FreezeError::Syntax { text: text.to_owned(), reason: reason.to_owned() };
        // A pattern may contain commas, so it stands alone.
        if let Some(pattern) = text.strip_prefix("re:") {
            let regex = Regex::new(pattern).map_err(|error| syntax(&last_line(&error.to_string())))?;
            return Ok(Self { parts: vec![Part::Pattern(regex)] });
        }
        let part = |piece: &str| {
            if piece.is_empty() {
                return Err(syntax("it is empty"));
            }
            if let Some(count) = piece.strip_prefix("last:") {
                return match count.parse() {
                    Ok(count) if count > 0 => Ok(Part::Last(count)),
                    _ => Err(syntax("last: needs a whole number from 1")),
                };
            }
            if let Some(percent) = piece.strip_suffix('%') {
                return match percent.parse::<f64>() {
                    Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Part::FirstShare(percent / 100.0)),
                    _ => Err(syntax("a share needs a number from 0 to 100")),
                };
            }
            Ok(Part::Stage(piece.to_owned()))
        };
        Ok(Self { parts: text.split(',').map(|piece| part(piece.trim())).collect::<Result<_, _>>()? })
    }
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ").to_owned()
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, part) in self.parts.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            match part {
                Part::Stage(name) => write!(f, "{comma}{name}")?,
                Part::Last(count) => write!(f, "{comma}last:{count}")?,
                Part::FirstShare(share) => write!(f, "{comma}{}%", share * 100.0)?,
                Part::Pattern(regex) => write!(f, "{comma}re:{regex}")?,
            }
        }
        Ok(())
    }
}

/// The role of every parameter of a graph, and where its frozen prefix ends.
#[derive(Clone, Debug, PartialEq)]
pub struct FreezePlan {
    /// For each parameter of the graph, whether an optimizer changes it.
    pub trained: Vec<bool>,
    /// For each stage, whether any of its parameters trains, or nothing of it is frozen.
    pub live: Vec<bool>,
    /// The last stage of the frozen prefix; `None` when the first stage already trains.
    pub boundary: Option<usize>,
    /// What batch-norm does in live stages.
    pub batch_norm: BatchNorm,
}

impl Freeze {
    /// The plan for a graph whose last stage is its head. `model` names it in messages.
    ///
    /// # Errors
    /// When a part of the selection matches nothing, or nothing is left to train.
    pub fn resolve(
        &self,
        graph: &Graph,
        model: &str,
        batch_norm: BatchNorm,
    ) -> Result<FreezePlan, FreezeError> {
        let stages = graph.parameter_stages();
        let head = graph.stages().len().saturating_sub(1);
        let frozen = self.frozen(graph, model, &stages, head)?;
        let trained: Vec<bool> = graph
            .parameters()
            .iter()
            .zip(&frozen)
            .map(|(spec, &frozen)| !frozen && spec.kind.is_trainable())
            .collect();
        if !trained.contains(&true) {
            return Err(FreezeError::NothingTrained { graph: model.to_owned() });
        }
        let mut live = vec![false; head + 1];
        for (index, &stage) in stages.iter().enumerate() {
            live[stage] |= trained[index];
        }
        // Stages without parameters (a pool) follow the one before them.
        for stage in 1..=head {
            if !stages.contains(&stage) {
                live[stage] = live[stage - 1];
            }
        }
        let first_live = live.iter().position(|&live| live).unwrap_or(head);
        Ok(FreezePlan { trained, live, boundary: first_live.checked_sub(1), batch_norm })
    }

    /// Whether each parameter is frozen.
    fn frozen(
        &self,
        graph: &Graph,
        model: &str,
        stages: &[usize],
        head: usize,
    ) -> Result<Vec<bool>, FreezeError> {
        Ok(match self {
            Self::Nothing => vec![false; stages.len()],
            Self::Backbone => stages.iter().map(|&stage| stage != head).collect(),
            Self::Only(selection) => selection.resolve(graph, model, stages, head)?,
            Self::AllBut(selection) => {
                let selected = selection.resolve(graph, model, stages, head)?;
                selected.iter().zip(stages).map(|(&picked, &stage)| !picked && stage != head).collect()
            }
            Self::Before { stage, rest } => {
                let first = stage_of(graph, model, stage)?;
                let frozen = rest.frozen(graph, model, stages, head)?;
                frozen.iter().zip(stages).map(|(&frozen, &stage)| frozen || stage < first).collect()
            }
        })
    }
}

/// The position of a stage by name.
fn stage_of(graph: &Graph, model: &str, name: &str) -> Result<usize, FreezeError> {
    graph.stage(name).map_err(|_| FreezeError::UnknownStage {
        name: name.to_owned(),
        graph: model.to_owned(),
        known: graph.stages().iter().map(|stage| stage.name.clone()).collect(),
    })
}

impl Selection {
    /// Whether each parameter is selected.
    fn resolve(
        &self,
        graph: &Graph,
        model: &str,
        stages: &[usize],
        head: usize,
    ) -> Result<Vec<bool>, FreezeError> {
        let mut selected = vec![false; stages.len()];
        let backbone: Vec<usize> = (0..head).filter(|stage| stages.contains(stage)).collect();
        let names = |stages: &[usize]| {
            stages.iter().map(|&stage| graph.stages()[stage].name.clone()).collect::<Vec<_>>()
        };
        for part in &self.parts {
            let picked: Vec<usize> = match part {
                Part::Stage(name) => vec![stage_of(graph, model, name)?],
                Part::Last(count) => match backbone.len().checked_sub(*count) {
                    Some(first) => backbone[first..].to_vec(),
                    None => {
                        return Err(FreezeError::TooMany {
                            asked: *count,
                            available: backbone.len(),
                            graph: model.to_owned(),
                            known: names(&backbone),
                        });
                    }
                },
                Part::FirstShare(share) => first_share(graph, stages, &backbone, *share),
                Part::Pattern(regex) => {
                    let mut any = false;
                    for (index, spec) in graph.parameters().iter().enumerate() {
                        if regex.is_match(&spec.name) {
                            selected[index] = true;
                            any = true;
                        }
                    }
                    if !any {
                        let examples =
                            graph.parameters().iter().take(3).map(|spec| spec.name.clone()).collect();
                        let pattern = format!("re:{regex}");
                        return Err(FreezeError::NoMatch { pattern, graph: model.to_owned(), examples });
                    }
                    continue;
                }
            };
            for (index, stage) in stages.iter().enumerate() {
                selected[index] |= picked.contains(stage);
            }
        }
        Ok(selected)
    }
}

/// The first stages of the backbone that together hold at most this share of its parameters.
fn first_share(graph: &Graph, stages: &[usize], backbone: &[usize], share: f64) -> Vec<usize> {
    let sizes: Vec<usize> = graph.parameters().iter().map(|spec| spec.shape.iter().product()).collect();
    let size_of = |stage: usize| -> usize {
        (0..stages.len()).filter(|&index| stages[index] == stage).map(|index| sizes[index]).sum()
    };
    let total: usize = backbone.iter().map(|&stage| size_of(stage)).sum();
    let mut sum = 0;
    backbone
        .iter()
        .copied()
        .take_while(|&stage| {
            sum += size_of(stage);
            sum as f64 <= share * total as f64 + 0.5
        })
        .collect()
}

impl FreezePlan {
    /// The positions of the stages of which something trains, in order.
    pub fn trained_stages(&self, graph: &Graph) -> Vec<usize> {
        let stages = graph.parameter_stages();
        let trains =
            |stage: &usize| stages.iter().zip(&self.trained).any(|(at, trained)| at == stage && *trained);
        (0..graph.stages().len()).filter(trains).collect()
    }

    /// How many numbers the graph's parameters have, and how many of them train.
    pub fn counts(&self, graph: &Graph) -> (usize, usize) {
        let sizes = graph.parameters().iter().map(|spec| spec.shape.iter().product::<usize>());
        let trained =
            sizes.clone().zip(&self.trained).filter(|(_, trained)| **trained).map(|(size, _)| size).sum();
        (sizes.sum(), trained)
    }

    /// Whether batch-norm of a stage that trains takes the batch's statistics.
    fn moves_statistics(&self, graph: &Graph, stage: &str) -> bool {
        match self.batch_norm {
            BatchNorm::Frozen => false,
            BatchNorm::Head => graph.stages().last().is_some_and(|last| last.name == stage),
            BatchNorm::Train => true,
        }
    }

    /// The executor's specification for a graph, or a suffix of it, over the same parameter and stage names.
    ///
    /// `groups` gives each trained parameter of the whole graph its group by name.
    pub fn train_spec(
        &self,
        whole: &Graph,
        part: &Graph,
        (optimizer, precision): (Optimizer, Precision),
        groups: impl Fn(usize) -> usize,
    ) -> TrainSpec {
        let group = |name: &str| whole.parameter(name).filter(|&index| self.trained[index]).map(&groups);
        let live = |name: &str| whole.stage(name).is_ok_and(|stage| self.live[stage]);
        let live: Vec<bool> = part.stages().iter().map(|stage| live(&stage.name)).collect();
        TrainSpec {
            groups: part.parameters().iter().map(|spec| group(&spec.name)).collect(),
            batch_statistics: live
                .iter()
                .zip(part.stages())
                .map(|(&live, stage)| live && self.moves_statistics(whole, &stage.name))
                .collect(),
            dropout: live,
            optimizer,
            precision,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tk_engine::GraphBuilder;
    use tk_engine::graph::{Conv2d, Op};

    fn graph() -> Graph {
        let mut b = GraphBuilder::new();
        b.begin_stage("stem");
        let mut x = b.input("pixels", 4, Some(3));
        x = b.conv2d("conv1", x, Conv2d::same(4, 3));
        b.end_stage(x);
        for layer in 1..=3 {
            b.begin_stage(&format!("layer{layer}"));
            x = b.conv2d(&format!("layer{layer}.conv"), x, Conv2d::same(4, 3));
            x = b.batch_norm(&format!("layer{layer}.bn"), x, 1e-5);
            b.end_stage(x);
        }
        b.begin_stage("pool");
        x = b.add("pool", Op::GlobalAveragePool, &[x]);
        b.end_stage(x);
        b.begin_stage("head");
        x = b.linear("fc", x, 2);
        b.end_stage(x);
        b.finish(&[("logits", x)]).unwrap()
    }

    fn trained(freeze: &Freeze) -> Result<(Vec<String>, Option<usize>), FreezeError> {
        let graph = graph();
        let plan = freeze.resolve(&graph, "tiny", BatchNorm::Frozen)?;
        let names = graph.parameters().iter().zip(&plan.trained).filter(|(_, trained)| **trained);
        Ok((names.map(|(spec, _)| spec.name.clone()).collect(), plan.boundary))
    }

    #[test]
    fn selections_resolve_to_parameters_and_a_boundary() {
        let head = ["fc.weight", "fc.bias"];
        let layer3 = ["layer3.conv.weight", "layer3.bn.weight", "layer3.bn.bias"];
        assert_eq!(trained(&Freeze::Backbone).unwrap(), (head.map(String::from).to_vec(), Some(4)));
        let only_last = trained(&Freeze::AllBut("last:1".parse().unwrap())).unwrap();
        assert_eq!(
            only_last,
            ([&layer3[..], &head].concat().iter().map(|s| s.to_string()).collect(), Some(2))
        );
        assert_eq!(trained(&Freeze::AllBut("layer3".parse().unwrap())).unwrap(), only_last);
        let (all, boundary) = trained(&Freeze::Nothing).unwrap();
        assert_eq!((all.len(), boundary), (12, None));
        assert_eq!(trained(&Freeze::Only("stem".parse().unwrap())).unwrap().1, Some(0));
        assert_eq!(trained(&Freeze::Only("stem,layer1".parse().unwrap())).unwrap().1, Some(1));
        // conv1 has 108 numbers, each layer 144 + 16.
        assert_eq!(trained(&Freeze::Only("50%".parse().unwrap())).unwrap().1, Some(1));
        assert_eq!(trained(&Freeze::Only("re:conv".parse().unwrap())).unwrap().1, Some(0));
        let before = |stage: &str, rest| Freeze::Before { stage: stage.into(), rest: Box::new(rest) };
        assert_eq!(trained(&before("layer3", Freeze::Nothing)).unwrap(), only_last);
        assert_eq!(trained(&before("layer2", Freeze::AllBut("last:1".parse().unwrap()))).unwrap(), only_last);
        assert_eq!(
            trained(&before("layer3", Freeze::Only("re:bn".parse().unwrap()))).unwrap().0,
            ["layer3.conv.weight", "fc.weight", "fc.bias"]
        );
        assert!(matches!(trained(&before("layer9", Freeze::Nothing)), Err(FreezeError::UnknownStage { .. })));
    }

    #[test]
    fn what_matches_nothing_is_an_error_that_lists_what_exists() {
        let cases = [
            ("layer5", "unknown stage `layer5` in tiny; stages are stem, layer1, layer2, layer3, pool, head"),
            (
                "last:9",
                "last:9 asks for more than the 4 stages of tiny that have parameters: stem, layer1, layer2, layer3",
            ),
            (
                "re:xyz",
                "pattern `re:xyz` matches no parameter of tiny; parameters are named like conv1.weight, layer1.conv.weight, layer1.bn.weight",
            ),
        ];
        for (text, message) in cases {
            let error = trained(&Freeze::AllBut(text.parse().unwrap())).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        assert!(matches!(
            trained(&Freeze::Only("re:.".parse().unwrap())),
            Err(FreezeError::NothingTrained { .. })
        ));
        for text in ["", "last:0", "last:x", "130%", "re:("] {
            assert!(matches!(text.parse::<Selection>(), Err(FreezeError::Syntax { .. })), "{text}");
        }
    }

    #[test]
    fn a_suffix_gets_the_roles_of_the_whole() {
        let graph = graph();
        let plan =
            Freeze::AllBut("last:1".parse().unwrap()).resolve(&graph, "tiny", BatchNorm::Train).unwrap();
        let cut = graph.cut(plan.boundary.unwrap()).unwrap();
        let spec = plan.train_spec(&graph, &cut.suffix, (Optimizer::ADAMW, Precision::F32), |_| 0);
        assert_eq!(spec.groups, [Some(0), Some(0), Some(0), None, None, Some(0), Some(0)]);
        assert_eq!(spec.batch_statistics, [true, true, true]);
        assert_eq!(plan.counts(&graph).1, 144 + 8 + 10);
    }
}
