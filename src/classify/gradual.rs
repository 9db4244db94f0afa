//! Gradual unfreezing (ULMFiT, Howard, Ruder, arXiv 1801.06146): what is frozen in each phase, and how epochs are divided over phases.

use tk_engine::Graph;
use tk_transfer::freeze::{BatchNorm, Freeze};

use super::Error;

/// What is frozen in each phase: first the whole backbone, then with each phase one stage less, until only what `deepest` freezes is left.
///
/// # Errors
/// When the selection matches nothing, or nothing but the head is to train.
pub(super) fn unfreezing(graph: &Graph, model: &str, deepest: &Freeze) -> Result<Vec<Freeze>, Error> {
    let mut stages = deepest.resolve(graph, model, BatchNorm::Frozen)?.trained_stages(graph);
    let head = graph.stages().len().saturating_sub(1);
    stages.retain(|&stage| stage != head);
    if stages.is_empty() {
        return Err(Error::usage_with(
            "gradual mode has nothing to unfreeze: the whole backbone is to stay frozen",
            "name later stages with --unfreeze, or say --mode features",
        ));
    }
    let before = |&stage: &usize| Freeze::Before {
        stage: graph.stages()[stage].name.clone(),
        rest: Box::new(deepest.clone()),
    };
    Ok(std::iter::once(Freeze::Backbone).chain(stages.iter().rev().map(before)).collect())
}

/// The phases with their epochs; what does not divide evenly goes to the last ones, in which most trains.
///
/// # Errors
/// When there are fewer epochs than phases.
pub(super) fn divided(epochs: usize, phases: Vec<Freeze>) -> Result<Vec<(Freeze, usize)>, Error> {
    let count = phases.len();
    if epochs < count {
        return Err(Error::usage_with(
            format!("`epochs` is {epochs}, and there are {count} phases, the head's and one for each stage"),
            format!(
                "say --epochs {count} or more, or unfreeze fewer stages, as in --unfreeze last:{}",
                epochs.max(2) - 1
            ),
        ));
    }
    let (each, more) = (epochs / count, epochs % count);
    let with_epochs = |(at, freeze)| (freeze, each + usize::from(at >= count - more));
    Ok(phases.into_iter().enumerate().map(with_epochs).collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tk_image::architectures;

    #[test]
    fn the_cut_moves_down_one_stage_at_a_time() {
        let graph =
            architectures::find("resnet18").unwrap().build(&architectures::Settings::classes(3)).unwrap();
        let names = |freeze: &Freeze| -> Vec<String> {
            let plan = freeze.resolve(&graph, "resnet18", BatchNorm::Frozen).unwrap();
            plan.trained_stages(&graph).into_iter().map(|at| graph.stages()[at].name.clone()).collect()
        };
        for (deepest, expected) in [
            (Freeze::AllBut("last:2".parse().unwrap()), vec!["head", "layer4 head", "layer3 layer4 head"]),
            (
                Freeze::AllBut("layer2,layer4".parse().unwrap()),
                vec!["head", "layer4 head", "layer2 layer4 head"],
            ),
            (Freeze::Only("stem,layer1,layer2,layer3".parse().unwrap()), vec!["head", "layer4 head"]),
        ] {
            let phases = unfreezing(&graph, "resnet18", &deepest).unwrap();
            let found: Vec<String> = phases.iter().map(|freeze| names(freeze).join(" ")).collect();
            assert_eq!(found, expected);
        }
        assert_eq!(unfreezing(&graph, "resnet18", &Freeze::Nothing).unwrap().len(), 6);
        assert!(unfreezing(&graph, "resnet18", &Freeze::Backbone).is_err());
    }

    #[test]
    fn epochs_are_divided_and_the_rest_goes_to_the_last() {
        let divide = |epochs| divided(epochs, vec![Freeze::Nothing; 3]);
        let epochs = |total| divide(total).unwrap().into_iter().map(|(_, epochs)| epochs).collect::<Vec<_>>();
        assert_eq!(epochs(3), [1, 1, 1]);
        assert_eq!(epochs(8), [2, 3, 3]);
        assert!(divide(2).unwrap_err().help().unwrap().contains("--epochs 3 or more"));
    }
}
