//! SSD from end to end: weights under torchvision's names, new heads on classifiers, boxes in a picture's own pixels.

use std::collections::BTreeMap;

use tk_engine::cpu::Machine;
use tk_engine::graph::Kind;
use tk_engine::testing::{check_graph_on, fill_all_scaled, fill_input};
use tk_engine::{Parameters, Tensor};
use tk_image::architectures::Settings;
use tk_image::data::Picture;
use tk_image::detection::{DETECTORS, Detection, DetectionHead, Detector, Selecting};
use tk_image::grafted::{Graft, Grafted, HeadChoice, Published};
use tk_transfer::checkpoint::{Checkpoint, Precision};

/// Of norms' weights, so that numbers neither vanish nor grow.
const NORM_GAIN: f32 = 1.2;

fn published(name: &str) -> &'static Published<Detection> {
    DETECTORS.iter().find(|published| published.name == name).unwrap()
}

/// A published network with initial values, in which no two running variances are alike.
fn random(name: &str) -> Grafted<Detection> {
    let published = published(name);
    let graph = published.build((published.labels)().len()).unwrap();
    let mut parameters = Parameters::initial(&graph, 7);
    for spec in graph.parameters().iter().filter(|spec| spec.kind == Kind::RunningVariance) {
        let values = (0..spec.shape[0]).map(|at| 0.5 + at as f32 / 64.0).collect();
        parameters.set(&spec.name, Tensor::new(&spec.shape, values).unwrap());
    }
    Grafted {
        name: name.into(),
        architecture: tk_image::architectures::find(published.backbone).unwrap(),
        settings: published.settings(),
        head: (published.head)(),
        graph,
        parameters,
        input: (published.input)(),
        labels: (published.labels)(),
        report: None,
        digest: String::new(),
        base: String::new(),
        low_rank: None,
        adapter: None,
    }
}

/// Values by name.
fn values(model: &Grafted<Detection>) -> BTreeMap<String, Vec<f32>> {
    model.parameters.iter().map(|(name, value)| (name.to_owned(), value.to_f32())).collect()
}

fn assert_alike(found: &[f32], expected: &[f32], name: &str) {
    assert_eq!(found.len(), expected.len(), "{name}");
    // Variances that were shifted there and back are rounded once more.
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{name}");
}

#[test]
fn what_is_saved_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let model = random("ssdlite320_mobilenet_v3_large");
    model.save(folder.path(), Precision::F32).unwrap();
    let again = Grafted::<Detection>::open(folder.path(), &HeadChoice::Published).unwrap();
    assert_eq!((&again.head, &again.input, &again.labels), (&model.head, &model.input, &model.labels));
    assert_eq!(again.settings, model.settings);
    let (found, expected) = (values(&again), values(&model));
    assert!(found.keys().eq(expected.keys()));
    found.iter().for_each(|(name, found)| assert_alike(found, &expected[name], name));
    // On disk a backbone's variances are less by what torchvision's batch-norms add more; the head's are as they are.
    let checkpoint = Checkpoint::open(folder.path().join("model.safetensors")).unwrap();
    for (name, expected) in [
        ("backbone.features.0.0.1.running_var", 0.5 - 0.00099),
        ("backbone.extra.0.0.1.running_var", 0.5),
        ("head.regression_head.module_list.5.0.1.running_var", 0.5),
    ] {
        assert!((checkpoint.f32(name).unwrap()[0] - expected).abs() < 1e-6, "{name}");
    }
}

#[test]
fn published_weights_have_a_background_and_give_way_to_other_classes() {
    let folder = tempfile::tempdir().unwrap();
    let name = "ssdlite320_mobilenet_v3_large";
    let model = random(name);
    model.save(folder.path(), Precision::F32).unwrap();
    let file = folder.path().join("model.safetensors");
    let open = |choice: &HeadChoice<'_>| Grafted::published(published(name), &file, choice).unwrap();
    let whole = open(&HeadChoice::Published);
    assert_eq!((whole.labels.len(), whole.labels[0].as_str()), (90, "person"));
    let names = ["sack".to_owned(), "crate".to_owned()];
    let other = open(&HeadChoice::Classes { names: &names, seed: 1 });
    let (found, trained) = (values(&other), values(&model));
    let mut begun = Vec::new();
    for (name, found) in &found {
        match found.len() == trained[name].len() {
            true => assert_alike(found, &trained[name], name),
            false => begun.push(name.as_str()),
        }
    }
    let of_map = |map: usize| {
        ["bias", "weight"].map(|part| format!("head.classification_head.module_list.{map}.1.{part}"))
    };
    assert!((0..6).flat_map(of_map).eq(begun));
    // Six boxes, for each two classes and the background.
    assert_eq!(found["head.classification_head.module_list.0.1.bias"].len(), 18);
    // Of classes that both know rows are kept, and the background's with them.
    let names = ["sack".to_owned(), "person".to_owned()];
    let some = open(&HeadChoice::Classes { names: &names, seed: 1 });
    assert_eq!(some.report.as_ref().unwrap().kept, ["person"]);
    let (found, name) = (values(&some), "head.classification_head.module_list.0.1.weight");
    let width = trained[name].len() / (6 * 91);
    for of_box in 0..6 {
        let old = |row: usize| &trained[name][(91 * of_box + row) * width..][..width];
        let new = |row: usize| &found[name][(3 * of_box + row) * width..][..width];
        assert_eq!([new(0), new(2)], [old(0), old(1)]);
        assert!(new(1) != old(2));
    }
    // A checkpoint for other classes than the published ones says how many they are.
    other.save(folder.path(), Precision::F32).unwrap();
    assert_eq!(open(&HeadChoice::Published).labels, ["class_0", "class_1"]);
}

#[test]
fn a_head_on_a_classifier_keeps_its_weights() {
    let model = tk_image::model::Model::open(
        &tk_image::model::Origin::Embedded,
        tk_image::model::Head::New { classes: 1, seed: 0 },
    )
    .unwrap();
    let backbone = model.parameters.clone();
    let names = ["sack".to_owned(), "crate".to_owned()];
    for head in [DetectionHead::Ssd, DetectionHead::SsdLite] {
        let input = tk_image::framing::Input {
            framing: head.framing(96),
            interpolation: model.preprocess.interpolation,
            is_aliased: false,
            mean: model.preprocess.mean,
            std: model.preprocess.std,
        };
        let detector = Grafted::on_backbone(model.clone(), head.chosen(), input, &names, 3).unwrap();
        let stages = detector.graph.parameter_stages();
        let last = detector.graph.stages().len() - 1;
        for (spec, _) in detector.graph.parameters().iter().zip(stages).filter(|(_, stage)| *stage < last) {
            assert_eq!(detector.parameters.get(&spec.name).unwrap(), backbone.get(&spec.name).unwrap());
        }
        find_in_wide_picture(detector);
    }
}

#[test]
fn every_part_of_a_head_learns() {
    let name = "mobilenetv3_small_050";
    for head in [DetectionHead::Ssd, DetectionHead::SsdLite] {
        let architecture = tk_image::architectures::find(name).unwrap();
        let classifier = architecture.build(&Settings::classes(1)).unwrap();
        let graph = head.chosen().graft(&classifier, architecture, 2).unwrap();
        let parameters = fill_all_scaled(&graph, NORM_GAIN).unwrap();
        let pixels = fill_input("pixels", &[2, 96, 96, 3]).unwrap();
        if let Err(error) = check_graph_on(&graph, &parameters, &[pixels]) {
            panic!("{head:?} on {name}: {error}");
        }
    }
}

#[test]
fn pictures_that_are_too_small_for_vgg_are_told() {
    let graph = published("ssd300_vgg16").build(2).unwrap();
    let error = graph.infer(&[vec![1, 224, 224, 3]]).unwrap_err().to_string();
    assert!(error.contains("backbone.extra.4.2"), "{error}");
}

/// Boxes of a picture of another shape than the input lie in its own pixels.
fn find_in_wide_picture(mut model: Grafted<Detection>) {
    model.head.selecting = Selecting { least_score: 0.0, ..model.head.selecting };
    let detector = Detector::new(model, &Machine::new(1)).unwrap();
    let picture = Picture::rgb8(300, 50, &[90; 3 * 300 * 50]).unwrap();
    let found = detector.detect(&picture).unwrap();
    assert!(!found.is_empty());
    let most = |side: usize| found.iter().map(|found| found.corners.0[side]).fold(0.0, f32::max);
    assert!(most(2) > 250.0 && most(2) <= 300.01, "{}", most(2));
    assert!(most(3) > 40.0 && most(3) <= 50.01, "{}", most(3));
    assert!(found.iter().all(|found| found.class < 2 && found.corners.0.iter().all(|at| *at >= 0.0)));
}
