//! What tests of both networks ask of a graph.

#![expect(clippy::unwrap_used, reason = "tests")]

use tk_engine::Graph;

use super::default_boxes::LEVELS;

/// The sides of the six maps, of a square picture.
pub(super) fn grids(graph: &Graph, side: usize) -> [usize; LEVELS] {
    let shapes = graph.infer(&[vec![1, side, side, 3]]).unwrap();
    let scores = graph.outputs().iter().filter(|(name, _)| name.starts_with("scores."));
    let sides: Vec<usize> = scores.map(|(_, value)| shapes[value.index()][1]).collect();
    sides.try_into().unwrap()
}

/// How many numbers are trained.
pub(super) fn trainable(graph: &Graph) -> usize {
    let trained = graph.parameters().iter().filter(|spec| spec.kind.is_trainable());
    trained.map(|spec| spec.shape.iter().product::<usize>()).sum()
}

/// All stages but `head` are the backbone's, and so are their parameters: a classifier's weights serve them.
pub(super) fn check_backbone(graph: &Graph, backbone: &Graph) {
    let (head, stages) = graph.stages().split_last().unwrap();
    assert_eq!(head.name, "head");
    for (stage, own) in stages.iter().zip(backbone.stages()) {
        assert_eq!(stage.name, own.name);
    }
    let of = graph.parameter_stages();
    for (spec, _) in graph.parameters().iter().zip(of).filter(|(_, stage)| *stage < stages.len()) {
        let index = backbone.parameter(&spec.name).unwrap();
        assert_eq!(backbone.parameters()[index], *spec);
    }
}
