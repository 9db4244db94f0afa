//! The list of networks, and how one is found by name.

use super::{
    Architecture, ArchitectureError, inception_v3, mobilenet_v1, mobilenet_v2, resnet, vgg, xception,
};

/// Every network for photographs. Adding one is its constant in the family's file, and a line here.
pub static ARCHITECTURES: &[Architecture] = &[
    resnet::RESNET10T,
    resnet::RESNET14T,
    resnet::RESNET18,
    resnet::RESNET18D,
    resnet::RESNET26,
    resnet::RESNET26D,
    resnet::RESNET34,
    resnet::RESNET34D,
    resnet::RESNET50,
    resnet::RESNET50D,
    resnet::RESNET101,
    resnet::RESNET152,
    vgg::VGG11,
    vgg::VGG11_BN,
    vgg::VGG13,
    vgg::VGG13_BN,
    vgg::VGG16,
    vgg::VGG16_BN,
    vgg::VGG19,
    vgg::VGG19_BN,
    mobilenet_v1::MOBILENETV1_100,
    mobilenet_v1::MOBILENETV1_100H,
    mobilenet_v1::MOBILENETV1_125,
    mobilenet_v2::MOBILENETV2_035,
    mobilenet_v2::MOBILENETV2_050,
    mobilenet_v2::MOBILENETV2_075,
    mobilenet_v2::MOBILENETV2_100,
    mobilenet_v2::MOBILENETV2_110D,
    mobilenet_v2::MOBILENETV2_120D,
    mobilenet_v2::MOBILENETV2_140,
    inception_v3::INCEPTION_V3,
    xception::LEGACY_XCEPTION,
];

/// How many names an error suggests.
const SUGGESTIONS: usize = 4;

/// The network of a timm name; a tag after a dot, as in `resnet50.a1_in1k`, names weights and does not matter here.
///
/// # Errors
/// When there is none; the message lists the nearest names.
pub fn find(name: &str) -> Result<&'static Architecture, ArchitectureError> {
    let untagged = name.split_once('.').map_or(name, |(untagged, _)| untagged);
    ARCHITECTURES
        .iter()
        .find(|architecture| architecture.name == untagged)
        .ok_or_else(|| ArchitectureError::Unknown { name: name.to_owned(), near: nearest(untagged) })
}

/// The names that share the longest beginning, among them those nearest in length, in the list's order.
fn nearest(name: &str) -> Vec<&'static str> {
    let shared =
        |other: &str| name.bytes().zip(other.bytes()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
    let mut names: Vec<&'static str> = ARCHITECTURES.iter().map(|architecture| architecture.name).collect();
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
        let names: std::collections::BTreeSet<_> = ARCHITECTURES.iter().map(|a| a.name).collect();
        assert_eq!(names.len(), ARCHITECTURES.len());
    }
}
