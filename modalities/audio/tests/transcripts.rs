//! Recordings with transcripts, laid out as LibriSpeech and Common Voice publish them.

use std::fs;
use std::path::Path;

use tk_audio::data::Transcripts;
use tk_transfer::data::Split;
use tk_transfer::data::listing::Columns;
use tk_transfer::data::table::Selector;

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn librispeech_is_a_tree_of_lists() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for id in [
        "train-clean-100/19/198/19-198-0000",
        "train-clean-100/19/198/19-198-0001",
        "dev-clean/84/1/84-1-0000",
    ] {
        write(&root.join(format!("{id}.flac")), "not read here");
    }
    let list = "19-198-0000 NORTHANGER ABBEY\n19-198-0001 \n\n19-198-0002 NO FILE\n";
    write(&root.join("train-clean-100/19/198/19-198.trans.txt"), list);
    write(&root.join("dev-clean/84/1/84-1.trans.txt"), "84-1-0000 GO DO YOU HEAR\r\n");
    let data = Transcripts::open(root).unwrap();
    let found: Vec<_> = data
        .utterances()
        .iter()
        .map(|u| (u.path.as_str(), u.text.as_str(), u.split, u.group.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            ("dev-clean/84/1/84-1-0000.flac", "GO DO YOU HEAR", Some(Split::Validation), Some("84")),
            ("train-clean-100/19/198/19-198-0000.flac", "NORTHANGER ABBEY", Some(Split::Train), Some("19")),
        ]
    );
    assert!(data.path(&data.utterances()[0]).is_file());
    assert_eq!(data.divided_by(), Some("folder"));
    let aside: Vec<_> = data.quarantine().iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
    let list = "train-clean-100/19/198/19-198.trans.txt";
    assert_eq!(aside.len(), 2);
    assert!(aside[0].starts_with(&format!("{list}:2: no text")), "{aside:?}");
    assert!(aside[1].starts_with(&format!("{list}:4: no such recording: `19-198-0002`")), "{aside:?}");
    // One part of it on its own.
    let part = Transcripts::open(root.join("dev-clean")).unwrap();
    assert_eq!(part.utterances()[0].split, Some(Split::Validation));
    assert_eq!(part.utterances()[0].path, "84/1/84-1-0000.flac");
}

#[test]
fn common_voice_is_tables_beside_clips() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let head = "client_id\tpath\tsentence_id\tsentence\tup_votes\n";
    for (table, row) in [
        ("train", "s1\ta.mp3\t1\tEin \"Satz\", ja.\t2"),
        ("dev", "s2\tb.mp3\t2\tUnd noch einer.\t3"),
        ("validated", "s3\tc.mp3\t3\tNicht.\t3"),
    ] {
        write(&root.join(format!("{table}.tsv")), &format!("{head}{row}\n"));
    }
    write(&root.join("clips/a.mp3"), "not read here");
    write(&root.join("clips/b.mp3"), "not read here");
    let data = Transcripts::open(root).unwrap();
    let found: Vec<_> = data
        .utterances()
        .iter()
        .map(|u| (u.path.as_str(), u.text.as_str(), u.split, u.group.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            ("clips/a.mp3", "Ein \"Satz\", ja.", Some(Split::Train), Some("s1")),
            ("clips/b.mp3", "Und noch einer.", Some(Split::Validation), Some("s2")),
        ]
    );
    let one = Transcripts::open(root.join("dev.tsv")).unwrap();
    assert_eq!((one.utterances()[0].text.as_str(), one.utterances()[0].split), ("Und noch einer.", None));
}

#[test]
fn any_table_of_paths_and_texts_will_do_and_columns_can_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("said.csv");
    write(&table, "file,text,english\nx.wav,\"ja, gut\",yes\ny.wav,,no\nx.wav,noch,more\n");
    write(&folder.path().join("x.wav"), "not read here");
    write(&folder.path().join("y.wav"), "not read here");
    let data = Transcripts::open(&table).unwrap();
    assert_eq!(data.utterances().iter().map(|u| u.text.as_str()).collect::<Vec<_>>(), ["ja, gut"]);
    let aside: Vec<_> = data.quarantine().iter().map(|(name, _)| name).collect();
    assert_eq!(aside.len(), 2, "{aside:?}");
    let columns = Columns::default().label(Selector::column("english"));
    let data = Transcripts::open_with(&table, &columns).unwrap();
    assert_eq!(data.utterances().iter().map(|u| u.text.as_str()).collect::<Vec<_>>(), ["yes", "no"]);
}

#[test]
fn what_holds_no_transcripts_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| Transcripts::open(path).unwrap_err().to_string();
    assert!(message(folder.path()).contains("holds no transcripts; expected tables"));
    assert!(message(&folder.path().join("no")).contains("no such file or folder"));
    write(&folder.path().join("x.wav"), "");
    assert!(message(&folder.path().join("x.wav")).contains("is a file and no table"));
    write(&folder.path().join("x.csv"), "path,text\nmissing.wav,hello there\n");
    let text = message(&folder.path().join("x.csv"));
    assert!(text.contains("1 set aside, the first `x.csv:2`: no such file: `missing.wav`"), "{text}");
}
