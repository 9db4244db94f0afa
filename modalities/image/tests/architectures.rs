//! Every architecture: parameters named and shaped as timm's, shapes at several sizes, the shared conformance check.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use tk_engine::blocks::replace_head;
use tk_engine::cpu::{Machine, Plan, Tape};
use tk_engine::graph::{Kind, ParameterSpec};
use tk_engine::random::fnv1a;
use tk_engine::testing::{check_graph_on, cotangents, fill_all_scaled, fill_input};
use tk_engine::{Inference, Optimizer, Parameters, StepKey, Tensor, TrainSpec, Training};
use tk_image::architectures::{Architecture, Body, ImageSize, ModelArgs, Settings, architectures, find};
use tk_image::model::{Head, Model, Origin};
use tk_transfer::checkpoint::{
    Checkpoint, Need, ParameterRequest, Precision, SaveTensor, Target, load_into, save,
};

/// `tests/parity/expected/parameters.json`, written by `tests/parity/parameters.py`.
#[derive(Deserialize)]
struct Expected {
    classes: usize,
    /// Names of parameters, separated by spaces, in torchvision's order, by torchvision's name of the network.
    torchvision: BTreeMap<String, String>,
    networks: Vec<Network>,
}

#[derive(Deserialize)]
struct Network {
    name: String,
    #[serde(default)]
    model_args: ModelArgs,
    tensors: usize,
    numbers: usize,
    digest: String,
}

fn expected() -> Expected {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity/expected/parameters.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn parameters_are_named_and_shaped_as_timms() {
    let expected = expected();
    for network in &expected.networks {
        let settings =
            Settings { model_args: network.model_args.clone(), ..Settings::classes(expected.classes) };
        let graph = find(&network.name).unwrap().build(&settings).unwrap();
        let mut lines: Vec<String> = graph
            .parameters()
            .iter()
            .map(|spec| {
                let axes: Vec<String> = spec.shape.iter().map(usize::to_string).collect();
                format!("{} {}\n", spec.name, axes.join(","))
            })
            .collect();
        lines.sort_unstable();
        let numbers: usize = graph.parameters().iter().map(|spec| spec.shape.iter().product::<usize>()).sum();
        assert_eq!(
            (lines.len(), numbers, format!("{:016x}", fnv1a(lines.concat().as_bytes()))),
            (network.tensors, network.numbers, network.digest.clone()),
            "{}: compare with `parameters.py --list {}`:\n{}",
            network.name,
            network.name,
            lines.concat()
        );
    }
    for architecture in architectures() {
        assert!(expected.networks.iter().any(|network| network.name == architecture.name));
    }
}

#[test]
fn shapes_follow_the_input() {
    let sides = [224, 225, 97, 288, 33];
    for architecture in architectures().filter(|architecture| architecture.family.body == Body::Map) {
        let graph = architecture.build(&Settings::classes(11)).unwrap();
        let before_pool = graph.stages()[graph.stage("pool").unwrap() - 1].output;
        for (height, width) in sides.into_iter().flat_map(|height| sides.map(|width| (height, width))) {
            let shapes = graph.infer(&[vec![2, height, width, 3]]);
            let map = [height, width].map(|side| last_side(architecture, side));
            let what = format!("{} at {height}×{width}", architecture.name);
            let ([Some(rows), Some(columns)], Ok(shapes)) = (map, &shapes) else {
                assert!(map.contains(&None) && shapes.is_err(), "{what}: {map:?}");
                continue;
            };
            assert_eq!(shapes[before_pool.index()][1..3], [rows, columns], "{what}");
            assert_eq!(shapes[graph.outputs()[0].1.index()], [2, 11]);
        }
    }
}

/// The side of the last feature map, where the picture is large enough. VGG halves down, and its `pre_logits` takes 6 off, from at
/// least 7; networks whose convolutions are not padded lose pixels at the borders, and ConvNeXt what fills no patch.
fn last_side(architecture: &Architecture, side: usize) -> Option<usize> {
    let halved = |side: usize| side.checked_sub(3).map(|rest| rest / 2 + 1);
    match architecture.family.name {
        "vgg" => Some((side / 32).max(7) - 6),
        "convnext" => Some(side / 32),
        "xception" => Some((halved(side)? - 2).div_ceil(16)),
        "inception_v3" => {
            let stem = halved(halved(halved(side)?.checked_sub(2)?)?.checked_sub(2)?)?;
            halved(halved(stem)?)
        }
        _ => Some(side.div_ceil(32)),
    }
}

#[test]
fn stages_end_in_features_and_one_linear_layer() {
    for architecture in architectures() {
        let settings = Settings { drop_rate: 0.2, ..Settings::classes(6) };
        let graph = architecture.build(&settings).unwrap();
        let names: Vec<&str> = graph.stages().iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(names[names.len() - 2..], ["pool", "head"], "{}", architecture.name);
        let of_head: Vec<&str> = graph
            .parameters()
            .iter()
            .zip(graph.parameter_stages())
            .filter(|(_, stage)| *stage == names.len() - 1)
            .map(|(spec, _)| spec.name.as_str())
            .collect();
        let head = |part| format!("{}.{part}", architecture.head);
        assert_eq!(of_head, [head("weight"), head("bias")]);
        let other = architecture.build(&Settings { classes: 4, ..settings }).unwrap();
        assert_eq!(replace_head(&graph, 4).unwrap(), other, "{}", architecture.name);
    }
}

/// The architecture's operators and wiring with fewer numbers: narrow stages for ResNets, a narrow hidden layer for VGGs. The
/// deepest ResNets are cut to 16 blocks: filled branches, unlike trained ones, add up to ever larger numbers.
fn reduced(architecture: &Architecture) -> ModelArgs {
    let layers = match architecture.name {
        "resnet101" | "resnet152" => Some(vec![3, 4, 6, 3]),
        _ => None,
    };
    match architecture.family.name {
        "resnet" => ModelArgs { layers, channels: Some(vec![16, 24, 32, 48]), ..ModelArgs::default() },
        "vgg" => ModelArgs { mlp_ratio: Some(1.0 / 128.0), ..ModelArgs::default() },
        "vit" => {
            let sides = if architecture.name.contains("patch14") { [56, 42] } else { [64, 48] };
            ModelArgs { img_size: Some(ImageSize::Sides(sides)), ..ModelArgs::default() }
        }
        "convnext" => ModelArgs {
            depths: Some(vec![2, 2, 3, 2]),
            dims: Some(vec![16, 24, 32, 48]),
            ..ModelArgs::default()
        },
        _ => ModelArgs::default(),
    }
}

/// Small pictures, filled by their name. Filled norms (0.5 to 1), unlike trained ones, make numbers smaller with every layer; where no
/// shortcut makes up for it, pixels are larger than they ever are, so that every stage still spreads its numbers.
fn pixels(architecture: &Architecture) -> Tensor {
    let (shape, scale) = match architecture.family.name {
        "mobilenet_v2" => ([2, 64, 48, 3], 6.0),
        "vgg" if architecture.name.ends_with("_bn") => ([1, 64, 32, 3], 6.0),
        "vgg" => ([1, 64, 32, 3], 1.0),
        "inception_v3" => ([2, 91, 75, 3], 1.0),
        "vit" if architecture.name.contains("patch14") => ([2, 56, 42, 3], 1.0),
        _ => ([2, 64, 48, 3], 1.0),
    };
    let pixels = fill_input("pixels", &shape).unwrap();
    Tensor::new(&shape, pixels.to_f32().iter().map(|pixel| scale * pixel).collect()).unwrap()
}

/// Networks that differ from others of their family in nothing but counts and widths, and take most of the time.
const HEAVY: [&str; 18] = [
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "mobilenetv2_120d",
    "mobilenetv2_140",
    "vit_small_patch16_224",
    "vit_base_patch16_224",
    "deit_small_patch16_224",
    "deit_base_patch16_224",
    "vit_base_patch14_dinov2",
    "mobilenetv3_small_075",
    "mobilenetv3_small_100",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
];

#[test]
fn resnets_conform() {
    check_conformance(|architecture| architecture.family.name == "resnet");
}

#[test]
fn vggs_conform() {
    check_conformance(|architecture| architecture.family.name == "vgg" && !is_heavy(architecture));
}

#[test]
fn mobilenets_conform() {
    check_conformance(|architecture| {
        architecture.family.name.starts_with("mobilenet") && !is_heavy(architecture)
    });
}

#[test]
fn efficientnets_conform() {
    check_conformance(|architecture| architecture.family.name == "efficientnet" && !is_heavy(architecture));
}

#[test]
fn other_families_conform() {
    let separate = ["resnet", "vgg", "efficientnet"];
    check_conformance(|architecture| {
        let family = architecture.family.name;
        !separate.contains(&family) && !family.starts_with("mobilenet") && !is_heavy(architecture)
    });
}

#[test]
#[ignore = "takes a minute; differs from the others in counts and widths only"]
fn heavy_architectures_conform() {
    check_conformance(is_heavy);
}

fn is_heavy(architecture: &Architecture) -> bool {
    HEAVY.contains(&architecture.name)
}

/// The engine's conformance check of those networks of the list.
fn check_conformance(is_meant: impl Fn(&Architecture) -> bool) {
    let mut checked = 0;
    for architecture in architectures().filter(|architecture| is_meant(architecture)) {
        let settings = Settings { model_args: reduced(architecture), ..Settings::classes(5) };
        let graph = architecture.build(&settings).unwrap();
        let norm_gain = match architecture.family.name {
            "inception_v3" | "mobilenet_v1" => 1.375,
            "mobilenet_v3" if architecture.name.contains("large") => 1.25,
            "mobilenet_v3" => 1.375,
            "efficientnet" => match architecture.name {
                "efficientnet_b0" => 1.5,
                "efficientnet_b3" => 1.375,
                _ => 1.4375,
            },
            "xception" => 0.75,
            _ => 1.0,
        };
        let parameters = fill_all_scaled(&graph, norm_gain).unwrap();
        check_graph_on(&graph, &parameters, &[pixels(architecture)])
            .unwrap_or_else(|rule| panic!("{}: {rule}", architecture.name));
        checked += 1;
    }
    assert!(checked > 0);
}

#[test]
fn every_architecture_runs_and_trains_on_kernels_alone() {
    let machine = Machine::new(1);
    for architecture in architectures() {
        let pixels = [pixels(architecture)];
        let model_args = reduced(architecture);
        let settings = Settings { drop_rate: 0.1, drop_path: 0.1, model_args, ..Settings::classes(5) };
        // Families without residual branches have no drop path.
        let without = Settings { drop_path: 0.0, ..settings.clone() };
        let graph = architecture.build(&settings).or_else(|_| architecture.build(&without)).unwrap();
        let parameters = Parameters::initial(&graph, 1);

        let mut plan = Plan::new(&machine, &graph, &parameters).unwrap();
        plan.run(&pixels).unwrap();
        assert_eq!(plan.fallbacks(), [""; 0], "{}", architecture.name);

        let spec = TrainSpec::everything(&graph, Optimizer::ADAMW);
        let mut tape = Tape::new(&machine, &graph, &parameters, &spec).unwrap();
        let key = StepKey { seed: 1, step: 0, samples: (0..pixels[0].shape()[0] as u64).collect() };
        let logits = tape.forward(&pixels, &key).unwrap();
        tape.backward(&cotangents(&logits).unwrap()).unwrap();
        assert_eq!(tape.fallbacks(), [""; 0], "{}", architecture.name);
    }
}

/// A checkpoint with torchvision's names, whose tensors hold their position in torchvision's order. Parameters of a graph
/// stand in the same order, so that a name mapped to the wrong parameter is noticed.
#[test]
fn torchvisions_names_become_timms() {
    let expected = expected();
    let networks = [
        ("vgg11", "vgg11"),
        ("vgg16", "vgg16"),
        ("vgg16_bn", "vgg16_bn"),
        ("mobilenet_v2", "mobilenetv2_100"),
        ("vit_b_16", "vit_base_patch16_224"),
        ("mobilenet_v3_small", "mobilenetv3_small_100"),
        ("mobilenet_v3_large", "mobilenetv3_large_100"),
        ("efficientnet_b0", "efficientnet_b0"),
        ("efficientnet_b1", "efficientnet_b1"),
        ("convnext_tiny", "convnext_tiny"),
    ];
    for (theirs, ours) in networks {
        let architecture = find(ours).unwrap();
        let graph = architecture.build(&Settings::classes(3)).unwrap();
        let names: Vec<&str> = expected.torchvision[theirs].split(' ').collect();
        let checkpoint = numbered_checkpoint(&names);
        let parameters: Vec<ParameterRequest> = graph
            .parameters()
            .iter()
            .map(|spec| ParameterRequest { name: spec.name.clone(), shape: vec![1], need: Need::Required })
            .collect();
        let target = Target { model: ours, parameters: &parameters, rules: architecture.renames };
        let loaded = load_into(&target, &checkpoint).unwrap();
        // torchvision's MobileNetV3 has another epsilon, which variances make up for.
        let shift = if theirs.starts_with("mobilenet_v3") { 1e-3 - 1e-5 } else { 0.0 };
        let numbered = |shift: f32| -> Vec<(String, Vec<f32>)> {
            let numbered = graph.parameters().iter().enumerate();
            let shift_of =
                |spec: &ParameterSpec| if spec.kind == Kind::RunningVariance { shift } else { 0.0 };
            numbered
                .map(|(position, spec)| (spec.name.clone(), vec![position as f32 + shift_of(spec)]))
                .collect()
        };
        assert_eq!(loaded.values, numbered(shift), "{theirs}");

        // timm's own names pass unchanged.
        let own: Vec<&str> = graph.parameters().iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(load_into(&target, &numbered_checkpoint(&own)).unwrap().values, numbered(0.0), "{ours}");
    }
}

#[test]
fn torchvisions_flattened_layers_become_vggs_convolutions() {
    let rules = find("vgg16").unwrap().renames;
    let values: Vec<f32> = (0..24u8).map(f32::from).collect();
    let checkpoint =
        checkpoint(&[SaveTensor { name: "classifier.0.weight", shape: &[2, 12], values: &values }]);
    let request =
        |name: &str| ParameterRequest { name: name.into(), shape: vec![2, 3, 2, 2], need: Need::Required };
    let parameters = [request("pre_logits.fc1.weight")];
    let loaded = load_into(&Target { model: "vgg16", parameters: &parameters, rules }, &checkpoint).unwrap();
    assert_eq!(loaded.values, [("pre_logits.fc1.weight".to_owned(), values)]);
}

fn numbered_checkpoint(names: &[&str]) -> Checkpoint {
    let values: Vec<f32> = (0..names.len()).map(|position| position as f32).collect();
    let tensors: Vec<SaveTensor<'_>> = names
        .iter()
        .zip(values.chunks(1))
        .map(|(name, values)| SaveTensor { name, shape: &[1], values })
        .collect();
    checkpoint(&tensors)
}

/// Written and mapped; the mapping outlives the folder.
fn checkpoint(tensors: &[SaveTensor<'_>]) -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    save(&path, tensors, Precision::F32, &BTreeMap::new()).unwrap();
    Checkpoint::open(&path).unwrap()
}

/// A checkpoint's head says how many classes there are; a damaged one says nothing, and is no reason to fall.
#[test]
fn a_head_without_axes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let tensors = [SaveTensor { name: "fc.weight", shape: &[], values: &[1.0] }];
    save(&path, &tensors, Precision::F32, &BTreeMap::new()).unwrap();
    let origin = Origin::File { architecture: "resnet18".into(), path };
    let error = Model::open(&origin, Head::Published).unwrap_err().to_string();
    assert!(error.contains("does not fit resnet18"), "{error}");
}
