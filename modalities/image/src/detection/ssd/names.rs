//! torchvision's names of the backbones that it builds SSD on. Others are named as those of its other detectors are.

use tk_engine::Graph;
use tk_engine::graph::Op;
use tk_transfer::checkpoint::Rule;

use crate::architectures::numbered::{self, EXCESS};

/// Of VGG-16, whose layers behind the fourth pool are counted anew.
pub(crate) const PLAIN_RULES: [Rule; 4] = [
    Rule::Prefix { from: "backbone.features.", to: "features." },
    Rule::Prefix { from: "backbone.extra.0.1.", to: "features.24." },
    Rule::Prefix { from: "backbone.extra.0.3.", to: "features.26." },
    Rule::Prefix { from: "backbone.extra.0.5.", to: "features.28." },
];

/// The last two pools of VGG-16.
const FOURTH_POOL: usize = 23;
const FIFTH_POOL: &str = "features.30";

/// The name of VGG-16's parameter on disk; `None` of another backbone's.
pub(crate) fn plain_name(graph: &Graph, parameter: &str) -> Option<String> {
    let is_last_pool = |name: &str, op: &Op| name == FIFTH_POOL && matches!(op, Op::MaxPool(_));
    if !graph.nodes().iter().any(|node| is_last_pool(&node.name, &node.op)) {
        return None;
    }
    let (layer, rest) = parameter.strip_prefix("features.")?.split_once('.')?;
    let layer: usize = layer.parse().ok()?;
    Some(match layer.checked_sub(FOURTH_POOL) {
        Some(behind) => format!("backbone.extra.0.{behind}.{rest}"),
        None => format!("backbone.features.{layer}.{rest}"),
    })
}

/// The block of MobileNetV3-Large in whose middle the fine map is taken: behind its first part.
const DIVIDED: usize = 13;

/// Of MobileNetV3-Large, which is two modules: up to the fine map, and the rest. Its batch-norms add more to the variance than ours.
pub(crate) fn lite_rules() -> Vec<Rule> {
    let mut rules = vec![
        Rule::Shift { from: r"^backbone\.features\..*\.running_var$", by: EXCESS },
        Rule::Prefix { from: "backbone.features.0.13.", to: "features.13.block.0." },
        Rule::Prefix { from: "backbone.features.0.", to: "features." },
        Rule::Prefix { from: "backbone.features.1.0.", to: "features.13.block." },
        Rule::Prefix { from: "backbone.features.1.1.", to: "features.14." },
        Rule::Prefix { from: "backbone.features.1.2.", to: "features.15." },
        Rule::Prefix { from: "backbone.features.1.3.", to: "features.16." },
    ];
    rules.extend(numbered::body_rules());
    rules
}

/// The name of MobileNetV3-Large's parameter on disk, and what its numbers are less there; `None` of another backbone's.
pub(crate) fn lite_name(graph: &Graph, parameter: &str) -> Option<(String, f32)> {
    graph.parameter("blocks.6.0.conv.weight")?;
    let (name, shift) = numbered::name(graph, parameter);
    let (module, rest) = name.strip_prefix(numbered::PREFIX)?.split_once('.')?;
    let module: usize = module.parse().ok()?;
    let divided = match (module.checked_sub(DIVIDED), rest.strip_prefix("block.0.")) {
        (None, _) => format!("0.{module}.{rest}"),
        (Some(0), Some(first)) => format!("0.{module}.{first}"),
        (Some(0), None) => format!("1.0.{}", rest.trim_start_matches("block.")),
        (Some(behind), _) => format!("1.{behind}.{rest}"),
    };
    Some((format!("backbone.features.{divided}"), shift))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::architectures::{Settings, find};
    use crate::detection::{Detection, DetectionHead};
    use crate::grafted::Graft;
    use regex::Regex;

    /// What the rules make of a name.
    fn renamed(head: &Detection, name: &str) -> String {
        head.rules().iter().fold(name.to_owned(), |name, rule| match rule {
            Rule::Prefix { from, to } => {
                name.strip_prefix(from).map_or(name.clone(), |rest| format!("{to}{rest}"))
            }
            Rule::Pattern { from, to } => Regex::new(from).unwrap().replace_all(&name, *to).into_owned(),
            _ => name,
        })
    }

    #[test]
    fn names_go_there_and_back_on_every_backbone() {
        for head in [DetectionHead::Ssd.chosen(), DetectionHead::SsdLite.chosen()] {
            for name in [
                "vgg16",
                "vgg19_bn",
                "mobilenetv3_large_100",
                "mobilenetv3_small_100",
                "mobilenetv2_100",
                "efficientnet_b0",
                "resnet50",
                "legacy_xception",
                "inception_v3",
                "convnext_atto",
            ] {
                let architecture = find(name).unwrap();
                let backbone = architecture.build(&Settings::classes(1)).unwrap();
                let graph = head.graft(&backbone, architecture, 3).unwrap();
                let stages = graph.parameter_stages();
                for (spec, stage) in graph.parameters().iter().zip(&stages) {
                    let published = match stage + 1 == graph.stages().len() {
                        true => spec.name.clone(),
                        false => head.published(&graph, &spec.name).0,
                    };
                    assert_eq!(renamed(&head, &published), spec.name, "{name} {}: {published}", head.name());
                }
            }
        }
    }

    #[test]
    fn names_are_torchvisions() {
        for (head, backbone, ours, expected) in [
            (DetectionHead::Ssd, "vgg16", "features.21.bias", "backbone.features.21.bias"),
            (DetectionHead::Ssd, "vgg16", "features.28.weight", "backbone.extra.0.5.weight"),
            (DetectionHead::Ssd, "vgg19", "features.28.weight", "backbone.body.features.28.weight"),
            (DetectionHead::Ssd, "resnet50", "conv1.weight", "backbone.body.conv1.weight"),
            (
                DetectionHead::SsdLite,
                "mobilenetv3_large_100",
                "bn1.running_var",
                "backbone.features.0.0.1.running_var",
            ),
            (
                DetectionHead::SsdLite,
                "mobilenetv3_large_100",
                "blocks.5.0.conv_pw.weight",
                "backbone.features.0.13.0.weight",
            ),
            (
                DetectionHead::SsdLite,
                "mobilenetv3_large_100",
                "blocks.5.0.conv_dw.weight",
                "backbone.features.1.0.1.0.weight",
            ),
            (
                DetectionHead::SsdLite,
                "mobilenetv3_large_100",
                "blocks.5.0.se.conv_expand.bias",
                "backbone.features.1.0.2.fc2.bias",
            ),
            (
                DetectionHead::SsdLite,
                "mobilenetv3_large_100",
                "blocks.5.2.bn3.weight",
                "backbone.features.1.2.block.3.1.weight",
            ),
            (
                DetectionHead::SsdLite,
                "mobilenetv3_large_100",
                "blocks.6.0.conv.weight",
                "backbone.features.1.3.0.weight",
            ),
            (
                DetectionHead::SsdLite,
                "mobilenetv3_small_100",
                "conv_stem.weight",
                "backbone.body.conv_stem.weight",
            ),
        ] {
            let architecture = find(backbone).unwrap();
            let head = head.chosen();
            let graph =
                head.graft(&architecture.build(&Settings::classes(1)).unwrap(), architecture, 3).unwrap();
            let (found, shift) = head.published(&graph, ours);
            assert_eq!(found, expected);
            assert_eq!(shift > 0.0, found.ends_with("running_var"));
        }
    }
}
