//! The catalog of published weights: where they are, what they expect of pixels, how good they are.
//!
//! The entries are `weights/catalog.toml`, which `weights/catalog.py` wrote from what timm publishes.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::data::{CropMode, Interpolation, Preprocess};

/// One set of published weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Entry {
    /// timm's name of the network with the weights' tag, such as `resnet50.a1_in1k`.
    pub name: String,
    /// The repository on the Hugging Face hub, such as `timm/resnet50.a1_in1k`.
    #[serde(default)]
    pub repository: Option<String>,
    /// The file in the repository.
    #[serde(default)]
    pub file: Option<String>,
    /// Where the file is, for weights that are in no repository.
    #[serde(default)]
    pub url: Option<String>,
    /// The weights' licence, as SPDX has it.
    pub licence: String,
    /// How many numbers were trained, those of the published head included.
    pub parameters: u64,
    /// The count of classes of the published head; 0 where there is none.
    pub classes: usize,
    /// The side of the input in pixels that the weights were trained for.
    pub size: u32,
    /// How pictures are resized.
    pub interpolation: Interpolation,
    /// The share of the resized picture's side that the crop keeps.
    pub crop: f64,
    /// Subtracted from red, green and blue in 0–1.
    pub mean: [f32; 3],
    /// Divides red, green and blue after that.
    pub std: [f32; 3],
    /// The side with which the weights score best, where it differs from training's.
    #[serde(default)]
    pub test_size: Option<u32>,
    /// The crop's share at that size.
    #[serde(default)]
    pub test_crop: Option<f64>,
    /// The published accuracy on ImageNet-1k's validation photographs in per cent.
    #[serde(default)]
    pub top1: Option<f64>,
    /// The side of the input at which it was measured.
    #[serde(default)]
    pub top1_size: Option<u32>,
}

impl Entry {
    /// timm's name of the network, without the tag.
    pub fn architecture(&self) -> &str {
        self.name.split_once('.').map_or(&self.name, |(architecture, _)| architecture)
    }

    /// How pictures become the input that the weights were trained for.
    pub fn preprocess(&self) -> Preprocess {
        Preprocess {
            input_size: [self.size, self.size],
            interpolation: self.interpolation,
            crop_fraction: self.crop,
            crop_mode: CropMode::Center,
            mean: self.mean,
            std: self.std,
        }
    }
}

/// Every entry; the first of each architecture is its default.
pub fn entries() -> &'static [Entry] {
    &ENTRIES
}

/// The entry of a name with a tag, or the default of an architecture.
pub fn find(name: &str) -> Option<&'static Entry> {
    match name.contains('.') {
        true => ENTRIES.iter().find(|entry| entry.name == name),
        false => default_of(name),
    }
}

/// The weights that an architecture's name alone stands for.
pub fn default_of(architecture: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.architecture() == architecture)
}

/// The names of ImageNet-1k's classes in the order of published logits, each the first of its WordNet synset that is unique.
pub fn imagenet_classes() -> impl ExactSizeIterator<Item = &'static str> {
    IMAGENET.iter().copied()
}

/// The names of COCO's categories by their numbers, as torchvision's detectors count them: 0 is none of them, and some numbers were never given.
pub fn coco_classes() -> Vec<String> {
    include_str!("../../../weights/coco_91.txt").lines().map(str::to_owned).collect()
}

/// The names of Pascal VOC's classes by their numbers, background first.
pub fn voc_classes() -> Vec<String> {
    include_str!("../../../weights/voc_21.txt").lines().map(str::to_owned).collect()
}

static IMAGENET: LazyLock<Vec<&str>> =
    LazyLock::new(|| include_str!("../../../weights/imagenet_1k.txt").lines().collect());

/// The file; other tables in it are of other modalities.
#[derive(Deserialize)]
struct File {
    format: u32,
    image: Vec<Entry>,
}

/// The version of the file.
const FORMAT: u32 = 1;

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is part of the program, and tested")]
    let file: File = toml::from_str(include_str!("../../../weights/catalog.toml")).expect("catalog.toml");
    assert_eq!(file.format, FORMAT, "catalog.toml");
    file.image
});

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::architectures;

    #[test]
    fn every_entry_is_of_a_known_architecture_and_can_be_followed() {
        let mut names = std::collections::BTreeSet::new();
        for entry in entries() {
            let name = &entry.name;
            assert!(names.insert(name), "{name} stands twice");
            architectures::find(name).unwrap();
            entry.preprocess().check().unwrap();
            assert_eq!(entry.repository.is_some(), entry.file.is_some(), "{name}");
            assert!(entry.repository.is_some() != entry.url.is_some(), "{name}");
            assert!(entry.top1.is_none_or(|top1| (40.0..95.0).contains(&top1)), "{name}");
            assert_eq!(entry.top1.is_some(), entry.top1_size.is_some(), "{name}");
        }
    }

    #[test]
    fn imagenets_classes_are_a_thousand() {
        let names: std::collections::BTreeSet<&str> = imagenet_classes().collect();
        assert_eq!((imagenet_classes().len(), names.len()), (1000, 1000));
        // Numbers that are well known.
        for (class, name) in
            [(0, "tench"), (207, "golden retriever"), (309, "bee"), (310, "ant"), (999, "toilet tissue")]
        {
            assert_eq!(imagenet_classes().nth(class), Some(name));
        }
    }

    /// Numbers that were counted by timm, against our graphs.
    #[test]
    fn entries_count_the_parameters_of_their_graphs() {
        for entry in entries().iter().filter(|entry| entry.classes > 0) {
            let settings = architectures::Settings::classes(entry.classes);
            let graph = architectures::find(&entry.name).unwrap().build(&settings).unwrap();
            let trained = graph.parameters().iter().filter(|spec| spec.kind.is_trainable());
            let numbers: usize = trained.map(|spec| spec.shape.iter().product::<usize>()).sum();
            assert_eq!(numbers as u64, entry.parameters, "{}", entry.name);
        }
    }

    #[test]
    fn names_with_and_without_a_tag_are_found() {
        for (name, found) in [
            ("resnet50", Some("resnet50.a1_in1k")),
            ("vgg16.tv_in1k", Some("vgg16.tv_in1k")),
            ("vgg16.none", None),
            ("resnet5", None),
        ] {
            assert_eq!(find(name).map(|entry| entry.name.as_str()), found, "{name}");
        }
    }
}
