//! A classification network as the backbone of dense prediction: the maps that its stages leave, by how fine they are.

use tk_engine::EngineError;
use tk_engine::graph::Graph;

use crate::architectures::Architecture;

/// A map that a backbone leaves on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureMap {
    /// The node whose result it is.
    pub node: String,
    /// The stage of the node.
    pub stage: usize,
    /// Pixels from one place of the map to the next: a power of two.
    pub stride: usize,
    /// Its channels.
    pub channels: usize,
}

/// The network has no maps that are fine and coarse enough.
#[derive(Debug, thiserror::Error)]
pub enum BackboneError {
    /// Its stages leave no maps of these strides.
    #[error(
        "{name} leaves maps with strides {found:?}, and one with {wanted} is needed; take a convolutional network such as resnet50"
    )]
    NoMap {
        /// The network.
        name: String,
        /// The strides that there are.
        found: Vec<usize>,
        /// The stride that is missing.
        wanted: usize,
    },
    /// The graph cannot be cut.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The side of the picture at which maps are looked at: large enough that borders without padding do not hide a stride.
const SIDE: usize = 512;

/// The last map of each stride, finest first: of the results of stages that are maps.
///
/// # Errors
/// When the graph cannot run on pictures.
pub fn maps(graph: &Graph) -> Result<Vec<FeatureMap>, EngineError> {
    let shapes = graph.infer(&[vec![1, SIDE, SIDE, 3]]).map_err(EngineError::from)?;
    let mut maps: Vec<FeatureMap> = Vec::new();
    for (at, stage) in graph.stages().iter().enumerate() {
        let &[_, height, _, channels] = shapes[stage.output.index()].as_slice() else { continue };
        if height < 2 {
            continue;
        }
        let stride = (SIDE as f64 / height as f64).log2().round().exp2() as usize;
        maps.retain(|map| map.stride != stride);
        maps.push(FeatureMap { node: graph.node(stage.output).name.clone(), stage: at, stride, channels });
    }
    Ok(maps)
}

/// The maps of these strides, in their order.
///
/// # Errors
/// When one is missing.
pub fn maps_at(
    graph: &Graph,
    architecture: &Architecture,
    strides: &[usize],
) -> Result<Vec<FeatureMap>, BackboneError> {
    let all = maps(graph)?;
    let of = |&stride: &usize| {
        all.iter().find(|map| map.stride == stride).cloned().ok_or_else(|| BackboneError::NoMap {
            name: architecture.name.to_owned(),
            found: all.iter().map(|map| map.stride).collect(),
            wanted: stride,
        })
    };
    strides.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::architectures::{Body, Settings, architectures, find};

    #[test]
    fn every_convolutional_network_has_a_pyramid() {
        for architecture in architectures().filter(|network| network.family.body == Body::Map) {
            let graph = architecture.build(&Settings::classes(2)).unwrap();
            let found = maps_at(&graph, architecture, &[8, 16, 32]).unwrap_or_else(|error| panic!("{error}"));
            assert!(found.is_sorted_by_key(|map| map.stage), "{}: {found:?}", architecture.name);
        }
    }

    #[test]
    fn networks_of_tokens_have_none() {
        let network = find("deit_tiny_patch16_224").unwrap();
        let settings = Settings {
            model_args: crate::architectures::ModelArgs {
                img_size: Some(crate::architectures::ImageSize::Square(SIDE as u32)),
                ..Default::default()
            },
            ..Settings::classes(2)
        };
        let error = maps_at(&network.build(&settings).unwrap(), network, &[8]).unwrap_err().to_string();
        assert!(error.contains("deit_tiny_patch16_224") && error.contains("resnet50"), "{error}");
    }
}
