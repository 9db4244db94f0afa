//! Annotations of ELAN and Praat beside recordings as transcripts.

use std::fs;
use std::path::Path;

use tk_audio::data::{TranscriptError, Transcripts};
use tk_transfer::data::Split;
use tk_transfer::data::listing::Columns;
use tk_transfer::data::table::Selector;

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A TextGrid of tiers with one interval each.
fn text_grid(tiers: &[(&str, f64, f64, &str)]) -> String {
    let tier = |(name, start, end, text): &(&str, f64, f64, &str)| {
        format!("\"IntervalTier\"\n\"{name}\"\n0\n9\n1\n{start}\n{end}\n\"{text}\"\n")
    };
    let tiers_text: String = tiers.iter().map(tier).collect();
    format!(
        "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\n0\n9\n<exists>\n{}\n{tiers_text}",
        tiers.len()
    )
}

const EAF: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">
<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///D:/talk.wav" MIME_TYPE="audio/x-wav"/></HEADER>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="250"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1000"/></TIME_ORDER>
<TIER LINGUISTIC_TYPE_REF="said" PARTICIPANT="Ana" TIER_ID="A"><ANNOTATION>
<ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2"><ANNOTATION_VALUE>hola</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>
</ANNOTATION></TIER>
<TIER LINGUISTIC_TYPE_REF="said" PARTICIPANT="Ben" TIER_ID="B"><ANNOTATION>
<ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2"><ANNOTATION_VALUE>hi</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>
</ANNOTATION></TIER>
<TIER LINGUISTIC_TYPE_REF="meant" PARENT_REF="A" TIER_ID="C"><ANNOTATION>
<REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1"><ANNOTATION_VALUE>hello</ANNOTATION_VALUE></REF_ANNOTATION>
</ANNOTATION></TIER></ANNOTATION_DOCUMENT>"#;

type Found<'a> = (&'a str, Option<[f64; 2]>, &'a str, Option<&'a str>);

fn found(data: &Transcripts) -> Vec<Found<'_>> {
    data.utterances().iter().map(|u| (u.path.as_str(), u.part, u.text.as_str(), u.group.as_deref())).collect()
}

#[test]
fn an_elan_file_has_an_utterance_for_each_interval_of_a_tier_or_of_a_type() {
    let folder = tempfile::tempdir().unwrap();
    let (eaf, sound) = (folder.path().join("x.eaf"), folder.path().join("talk.wav"));
    write(&eaf, EAF);
    let tier = |name: &str| Transcripts::open_with(&eaf, &Columns::default().label(Selector::column(name)));
    assert!(tier("A").unwrap_err().to_string().contains("no recording beside it"));
    write(&sound, "not read here");
    let part = Some([0.25, 1.0]);
    assert_eq!(found(&tier("A").unwrap()), [("talk.wav", part, "hola", Some("Ana"))]);
    assert_eq!(found(&tier("C").unwrap()), [("talk.wav", part, "hello", None)]);
    let both = tier("said").unwrap();
    assert_eq!(
        found(&both),
        [("talk.wav", part, "hola", Some("Ana")), ("talk.wav", part, "hi", Some("Ben"))]
    );
    assert_eq!(both.path(&both.utterances()[0]), sound);
    let several = Transcripts::open(&eaf).unwrap_err();
    assert!(
        matches!(&several, TranscriptError::Tiers { tiers, .. } if tiers == &["A", "B", "C"]),
        "{several}"
    );
    let none = tier("D").unwrap_err();
    assert!(none.to_string().starts_with("no tier or type of tiers `D` in"), "{none}");
    write(&eaf, "<a>");
    let damaged = tier("A").unwrap_err().to_string();
    assert!(damaged.contains("x.eaf`: no XML") && !damaged.contains('\n'), "{damaged}");
}

#[test]
fn a_folder_of_text_grids_is_a_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let grids = [
        ("train/a", text_grid(&[("words", 0.0, 1.5, "eins")])),
        ("dev/b", text_grid(&[("words", 2.0, 3.5, "zwei")])),
        ("dev/c", "File type = \"ooTextFile\"\n".to_owned()),
        ("dev/d", text_grid(&[("words", 0.0, 1.0, "no recording")])),
    ];
    for (name, text) in &grids {
        write(&root.join(format!("{name}.TextGrid")), text);
    }
    for name in ["train/a.wav", "dev/b.FLAC", "dev/c.wav"] {
        write(&root.join(name), "not read here");
    }
    // As Praat writes what is not ASCII.
    let utf16: Vec<u8> =
        [0xFEFF].into_iter().chain(grids[0].1.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    fs::write(root.join("train/a.TextGrid"), utf16).unwrap();
    let data = Transcripts::open(root).unwrap();
    assert_eq!(
        found(&data),
        [("dev/b.FLAC", Some([2.0, 3.5]), "zwei", None), ("train/a.wav", Some([0.0, 1.5]), "eins", None)]
    );
    let splits: Vec<_> = data.utterances().iter().map(|utterance| utterance.split).collect();
    assert_eq!(
        (splits, data.divided_by()),
        (vec![Some(Split::Validation), Some(Split::Train)], Some("folder"))
    );
    let aside: Vec<_> = data.quarantine().iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
    assert_eq!(aside.len(), 2, "{aside:?}");
    assert!(aside[0].starts_with("dev/c.TextGrid: ") && aside[0].contains("the file ends"), "{aside:?}");
    assert!(aside[1].starts_with("dev/d.TextGrid: no recording beside it"), "{aside:?}");
    // Tables say it where there are any.
    write(&root.join("train.csv"), "file,text\ntrain/a.wav,from the table\n");
    assert_eq!(found(&Transcripts::open(root).unwrap()), [("train/a.wav", None, "from the table", None)]);
}
