//! torchvision's names of a MobileNetV3-Large that is the backbone of another network: modules by their position.

use tk_engine::Graph;
use tk_transfer::checkpoint::Rule;

use super::mobile::PARTS;
use super::mobilenet_v3::LARGE_NAMES;

pub(crate) use super::mobilenet_v3::EXCESS;

/// What such names begin with.
pub(crate) const PREFIX: &str = "backbone.";

/// How they become timm's.
pub(crate) fn rules() -> Vec<Rule> {
    let mut rules = vec![
        Rule::Shift { from: r"^backbone\..*\.running_var$", by: EXCESS },
        Rule::Prefix { from: PREFIX, to: "features." },
    ];
    rules.extend(body_rules());
    rules
}

/// How torchvision's `features.N` become timm's.
pub(crate) fn body_rules() -> impl Iterator<Item = Rule> {
    let is_body = |rule: &&Rule| matches!(rule, Rule::Prefix { from, .. } if from.starts_with("features."));
    LARGE_NAMES.iter().filter(is_body).chain(&PARTS).copied()
}

/// The name of a parameter that timm names so, and what its numbers are less on disk.
pub(crate) fn name(graph: &Graph, parameter: &str) -> (String, f32) {
    let shift = if parameter.ends_with(".running_var") { EXCESS } else { 0.0 };
    let module = LARGE_NAMES.iter().find_map(|rule| match rule {
        Rule::Prefix { from, to } if from.starts_with("features.") => {
            let to = to.trim_end_matches("flat.");
            parameter.strip_prefix(to).map(|rest| (from.trim_start_matches("features."), to, rest))
        }
        _ => None,
    });
    let Some((module, block, rest)) = module else { return (format!("{PREFIX}{parameter}"), shift) };
    let Some((part, last)) = rest.rsplit_once('.') else { return (format!("{PREFIX}{module}{rest}"), shift) };
    let is_there = |name: &str| graph.parameter(&format!("{block}{name}")).is_some();
    let is_flat = !is_there("conv_pwl.weight");
    let narrow = 2 - usize::from(is_flat) + usize::from(is_there("se.conv_reduce.weight"));
    let squeeze = narrow - 1;
    let part = match (part, is_flat) {
        ("conv_dw", true) | ("conv_pw", false) => "0.0".to_owned(),
        ("bn1", _) => "0.1".to_owned(),
        ("conv_dw", false) => "1.0".to_owned(),
        ("bn2", false) => "1.1".to_owned(),
        ("conv_pw", true) | ("conv_pwl", _) => format!("{narrow}.0"),
        ("bn2", true) | ("bn3", _) => format!("{narrow}.1"),
        ("se.conv_reduce", _) => format!("{squeeze}.fc1"),
        ("se.conv_expand", _) => format!("{squeeze}.fc2"),
        (other, _) => other.to_owned(),
    };
    let of_block = module.trim_end_matches("block.");
    (format!("{PREFIX}{of_block}block.{part}.{last}"), shift)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::{Settings, find};
    use super::*;
    use regex::Regex;

    /// What the rules make of a name.
    fn renamed(name: &str) -> String {
        rules().iter().fold(name.to_owned(), |name, rule| match rule {
            Rule::Prefix { from, to } => {
                name.strip_prefix(from).map_or(name.clone(), |rest| format!("{to}{rest}"))
            }
            Rule::Pattern { from, to } => Regex::new(from).unwrap().replace_all(&name, *to).into_owned(),
            _ => name,
        })
    }

    #[test]
    fn names_go_there_and_back() {
        let graph = find("mobilenetv3_large_100").unwrap().build(&Settings::classes(1)).unwrap();
        let body = graph
            .parameters()
            .iter()
            .filter(|spec| !spec.name.starts_with("conv_head") && !spec.name.starts_with("classifier"));
        for spec in body {
            let (published, shift) = name(&graph, &spec.name);
            assert_eq!(renamed(&published), spec.name, "{published}");
            assert_eq!(shift > 0.0, spec.name.ends_with("running_var"));
        }
        for (timm, torchvision) in [
            ("conv_stem.weight", "backbone.0.0.weight"),
            ("bn1.running_var", "backbone.0.1.running_var"),
            ("blocks.0.0.conv_dw.weight", "backbone.1.block.0.0.weight"),
            ("blocks.0.0.conv_pw.weight", "backbone.1.block.1.0.weight"),
            ("blocks.1.0.conv_pwl.weight", "backbone.2.block.2.0.weight"),
            ("blocks.2.0.se.conv_reduce.bias", "backbone.4.block.2.fc1.bias"),
            ("blocks.2.0.bn3.weight", "backbone.4.block.3.1.weight"),
            ("blocks.6.0.conv.weight", "backbone.16.0.weight"),
        ] {
            assert_eq!(name(&graph, timm).0, torchvision);
        }
    }
}
