//! Networks for photographs: graph builders with timm's names, and configuration files.
//!
//! A family is one file that says how its networks are built and lists them, and one line in [`FAMILIES`]. Pixels come in as
//! `[batch, height, width, 3]`, normalised as the weights' entry in [`crate::catalog`] or their folder says. Every network ends in the stages `pool`, whose result
//! `[batch, features]` is what probes learn from, and `head`, one linear layer. Values of parameters are not here: checkpoints and
//! initialisation are other crates' business.

mod architecture;
mod error;
mod settings;

mod mobile;

mod convnext;
mod efficientnet;
mod inception_v3;
mod mobilenet_v1;
mod mobilenet_v2;
mod mobilenet_v3;
pub(crate) mod numbered;
mod resnet;
mod vgg;
mod vit;
mod xception;

mod config;

pub use architecture::{Architecture, Body, Family, FineTuning};
pub use config::{Config, ConfigError};
pub use error::ArchitectureError;
pub use settings::{ImageSize, ModelArgs, Settings, StemType};

/// Every family.
pub static FAMILIES: &[&Family] = &[
    &resnet::FAMILY,
    &vgg::FAMILY,
    &mobilenet_v1::FAMILY,
    &mobilenet_v2::FAMILY,
    &mobilenet_v3::FAMILY,
    &efficientnet::FAMILY,
    &inception_v3::FAMILY,
    &xception::FAMILY,
    &vit::FAMILY,
    &convnext::FAMILY,
];

/// Every network, family by family.
pub fn architectures() -> impl Iterator<Item = &'static Architecture> {
    FAMILIES.iter().flat_map(|family| family.networks)
}

/// How many names an error suggests.
const SUGGESTIONS: usize = 4;

/// The network of a timm name; a tag after a dot, as in `resnet50.a1_in1k`, names weights and does not matter here.
///
/// # Errors
/// When there is none; the message lists the nearest names.
pub fn find(name: &str) -> Result<&'static Architecture, ArchitectureError> {
    let untagged = name.split_once('.').map_or(name, |(untagged, _)| untagged);
    architectures()
        .find(|architecture| architecture.name == untagged)
        .ok_or_else(|| ArchitectureError::Unknown { name: name.to_owned(), near: nearest(untagged) })
}

/// The names that share the longest beginning, among them those nearest in length, in the list's order.
fn nearest(name: &str) -> Vec<&'static str> {
    let shared =
        |other: &str| name.bytes().zip(other.bytes()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
    let mut names: Vec<&'static str> = architectures().map(|architecture| architecture.name).collect();
    names.sort_by_key(|other| (usize::MAX - shared(other), other.len().abs_diff(name.len())));
    names.truncate(SUGGESTIONS);
    names
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_are_found_with_and_without_a_tag() {
        for (name, expected) in [
            ("resnet50", "resnet50"),
            ("resnet50.a1_in1k", "resnet50"),
            ("resnet50.tv2_in1k", "resnet50"),
            ("mobilenetv2_100.ra_in1k", "mobilenetv2_100"),
        ] {
            assert_eq!(find(name).unwrap().name, expected);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_nearest() {
        // name, the first suggestion
        for (name, first) in [
            ("Resnet", "resnet18"),
            ("vgg-16", "vgg11"),
            ("mobilenetv2_100d", "mobilenetv2_100"),
            ("", "vgg11"),
        ] {
            let error = find(name).unwrap_err();
            let ArchitectureError::Unknown { near, .. } = &error else { panic!("{error}") };
            assert_eq!((near[0], near.len()), (first, SUGGESTIONS), "{name}");
        }
        let message = find("resnet51.x").unwrap_err().to_string();
        assert_eq!(
            message,
            "unknown architecture `resnet51.x`; the nearest names are resnet50, resnet50d, resnet18, resnet26"
        );
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = architectures().map(|a| a.name).collect();
        assert_eq!(names.len(), architectures().count());
    }
}
