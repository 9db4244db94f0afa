//! Made-up reports for tests: one with every part, one of many classes, one whose names are all the same.

use tk_transfer::audit::AuditReport;
use tk_transfer::checkpoint::{Initialised, LoadReport, Reason, Replaced};
use tk_transfer::data::Quarantined;
use tk_transfer::fit::Record;
use tk_transfer::metrics::{Confusion, wilson_interval};

use super::{
    CacheCount, Calibration, Candidate, ClassCount, DataPart, Gallery, Heard, HeardPart, ModelPart, Note,
    ParameterCount, Pictured, ProbePart, ReliabilityBin, ReportData, Scores, SettingGroup, StagePart,
    StageRole,
};
use super::{TaggedPart, TaggedSentence};

/// The first bytes of a JPEG.
const JPEG: [u8; 4] = [0xff, 0xd8, 0xff, 0xe0];

/// A fine-tuning run of two classes in which everything happened.
pub(super) fn fine_tuned() -> ReportData {
    let mut report = named("ants");
    report.title = "ants-bees, partial fine-tuning".into();
    report.command = "tk image-classify ants-bees --mode partial --unfreeze last:2 --seed 7 --out R".into();
    report.next = Some("tk image-classify ants-bees --mode full    (about 4 min)".into());
    report.remarks =
        vec!["2 photographs are in training and validation: the score flatters a little.".into()];
    report.data.classes = vec![class("ants", &[124, 70, 30]), class("bees", &[121, 83, 30])];
    report.data.summary = "397 photographs in folders by class; split by folder train/val".into();
    report
}

/// A report in which every name that comes from outside is `name`.
pub(super) fn named(name: &str) -> ReportData {
    let text = || name.to_owned();
    let pictured = |probability| Pictured {
        file: format!("val/{name}/8124241_36b290d372.jpg"),
        jpeg: Some(JPEG.to_vec()),
        text: None,
        sound: Some(b"RIFF".to_vec()),
        label: text(),
        predicted: text(),
        probability,
        label_probability: 1.0 - probability,
    };
    ReportData {
        title: text(),
        command: format!("tk image-classify {name}"),
        version: "0.1.0".into(),
        seed: 7,
        remarks: vec![text()],
        next: Some(format!("tk evaluate R {name}")),
        validation: Some(scores("153 photographs held out", &[[62, 8], [2, 81]])),
        test: Some(scores("60 photographs that chose nothing", &[[26, 4], [1, 29]])),
        found: None,
        heard: HeardPart {
            worst: vec![Heard {
                file: name.to_owned(),
                said: name.to_owned(),
                heard: String::new(),
                edits: [0, 0, 1],
                sound: Some(b"RIFF".to_vec()),
            }],
            wrong: 1,
            total: 3,
        },
        tagged: TaggedPart {
            confusions: vec![(Some(text()), None, 2)],
            worst: vec![TaggedSentence {
                name: name.to_owned(),
                text: text(),
                missed: vec![(text(), text())],
                invented: Vec::new(),
            }],
            wrong: [1, 3],
        },
        mistakes: Gallery { pictures: [0.99, 0.94, 0.71].map(pictured).into(), total: 10 },
        suspects: Gallery { pictures: [0.98, 0.83].map(pictured).into(), total: 2 },
        records: records(),
        probe: Some(ProbePart {
            kind: "logistic regression".into(),
            strength: 0.1,
            candidates: [0.001, 0.01, 0.1, 1.0].map(candidate).into(),
        }),
        data: DataPart {
            summary: text(),
            splits: ["train", "val", "test"].map(str::to_owned).into(),
            classes: vec![class(name, &[124, 70, 30]), class(name, &[121, 83, 0])],
            notes: vec![Note {
                title: "1 sample unlike the rest".into(),
                text: "GIF where nearly all are JPEG. It was kept.".into(),
                items: vec![format!("train/{name}/imageNotFound.gif")],
            }],
            quarantine: vec![Quarantined { id: text(), reason: "ends in the middle of the picture".into() }],
        },
        model: Some(model(name)),
        audits: vec![AuditReport {
            frozen: (0..156)
                .map(|index| (format!("{name}.blocks.{index}.weight"), "3fa9".repeat(16)))
                .collect(),
            trained: vec![format!("{name}.weight"), format!("{name}.bias")],
            stages: vec![name.into()],
            steps: 248,
            prefix: Some("c0de".repeat(16)),
        }],
        settings: vec![
            group("Data", &[("input", name), ("size", "160 px"), ("augmentation", "light")]),
            group("Training", &[("epochs", "8"), ("learning rate", "0.001"), ("schedule", "one-cycle")]),
        ],
        seconds: [("features", 6.2), ("load", 0.08), ("total", 71.4), ("train", 64.1)]
            .map(|(part, seconds)| (part.to_owned(), seconds))
            .into(),
        cache: Some(CacheCount { hits: 245, misses: 1960 }),
    }
}

/// A report of many classes, each the last's likely confusion.
pub(super) fn of_classes(classes: usize) -> ReportData {
    let mut confusion = Confusion::new(classes);
    for label in 0..classes {
        for sample in 0..40 {
            let is_right = sample % 10 < 7;
            confusion.add(label, if is_right { label } else { (label * 7 + sample * 11 + 1) % classes });
        }
    }
    let mut report = fine_tuned();
    report.title = format!("{classes} kinds of things");
    report.data.classes =
        (0..classes).map(|index| class(&format!("class {index}"), &[40 + index % 13, 40, 0])).collect();
    report.test = None;
    report.validation = Some(Scores {
        intervals: [("accuracy".to_owned(), wilson_interval(confusion.correct(), confusion.samples(), 0.95))]
            .into(),
        metrics: [("accuracy".to_owned(), confusion.accuracy())].into(),
        per_class: confusion.per_class(),
        average_precision: Vec::new(),
        confusion: Some(confusion),
        ..Scores::default()
    });
    (report.mistakes, report.suspects) = Default::default();
    report
}

fn scores(scored_on: &str, counts: &[[u64; 2]; 2]) -> Scores {
    let mut confusion = Confusion::new(2);
    for (label, row) in counts.iter().enumerate() {
        for (predicted, &times) in row.iter().enumerate() {
            (0..times).for_each(|_| confusion.add(label, predicted));
        }
    }
    let interval = wilson_interval(confusion.correct(), confusion.samples(), 0.95);
    let metrics =
        [("accuracy", confusion.accuracy()), ("macro_f1", confusion.macro_f1()), ("log_loss", 0.213)];
    let bin = |confidence, accuracy, samples| ReliabilityBin { confidence, accuracy, samples };
    Scores {
        scored_on: scored_on.into(),
        headline: "accuracy".into(),
        metrics: metrics.map(|(name, value)| (name.to_owned(), value)).into(),
        intervals: [("accuracy".to_owned(), interval), ("macro_f1".to_owned(), interval)].into(),
        per_class: confusion.per_class(),
        average_precision: Vec::new(),
        confusion: Some(confusion),
        calibration: Some(Calibration {
            expected_error: 0.041,
            bins: vec![
                bin(0.56, 0.5, 12),
                bin(0.66, 0.61, 13),
                bin(0.75, 0.8, 20),
                bin(0.86, 0.81, 31),
                bin(0.97, 0.98, 77),
            ],
        }),
    }
}

fn records() -> Vec<Record> {
    (1..=8)
        .map(|epoch| {
            let progress = epoch as f64;
            let accuracy = 0.95 - 0.08 / progress - if epoch == 6 { 0.015 } else { 0.0 };
            Record {
                phase: usize::from(epoch > 2),
                epoch,
                step: 31 * epoch as u64,
                loss: 0.12 + 0.5 / progress,
                learning_rate: 1e-3 * (progress / 2.0).min((9.0 - progress) / 7.0),
                validation: [
                    ("accuracy", accuracy),
                    ("macro_f1", accuracy - 0.004),
                    ("loss", 0.2 + 0.3 / progress),
                ]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
                seconds: 8.0,
            }
        })
        .collect()
}

fn candidate(strength: f64) -> Candidate {
    let middle = 0.92 - 0.02 * (strength.log10() + 1.0).powi(2);
    Candidate { strength, folds: [-0.03, -0.012, 0.0, 0.018, 0.024].map(|offset| middle + offset).into() }
}

fn model(name: &str) -> ModelPart {
    let stage = |index: usize| StagePart {
        name: format!("{name} {index}"),
        role: [StageRole::Cached, StageRole::Frozen, StageRole::Trained][index / 3],
        parameters: 900 * 3usize.pow(index as u32),
    };
    ModelPart {
        name: name.to_owned(),
        architecture: format!("mobilenetv2 of {name}"),
        remark: Some("embedded, small; `-m resnet50.a1_in1k`, 98 MB, is usually better".into()),
        parameters: ParameterCount { total: 2_226_434, trained: 1_263_682, frozen: 962_752 },
        load: Some(LoadReport {
            checkpoint: format!("{name}.safetensors"),
            container: None,
            dropped_prefix: "module.".into(),
            parameters: 314,
            loaded: 312,
            renamed: 0,
            initialised: vec![Initialised { name: name.to_owned(), reason: Reason::Head }],
            replaced: vec![Replaced {
                name: "classifier.weight".into(),
                expected: vec![2, 1280],
                found: vec![101, 1280],
            }],
            kept: vec![name.to_owned()],
            unused: vec![name.to_owned()],
            counters: 52,
        }),
        stages: (0..8).map(stage).collect(),
        precision: vec![format!(
            "bf16 up to {name}: features differ from f32 by 0.43 % of their variation on 128 samples"
        )],
    }
}

fn class(name: &str, samples: &[usize]) -> ClassCount {
    ClassCount { name: name.to_owned(), samples: samples.to_vec() }
}

fn group(name: &str, entries: &[(&str, &str)]) -> SettingGroup {
    let entries = entries.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    SettingGroup { name: name.to_owned(), entries }
}
