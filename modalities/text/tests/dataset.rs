//! Tables and folders of texts, good and bad, through `Dataset::open`.

use std::path::Path;

use tempfile::TempDir;
use tk_text::data::{Columns, Dataset};
use tk_transfer::data::{Labelled, Split};

/// A folder with files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

/// A data set as one line for each sample: name, text (and second), class, side, group.
fn lines(data: &Dataset) -> Vec<String> {
    let line = |sample: &tk_text::data::Sample| {
        let second = sample.second.as_ref().map(|second| format!(" + {second}")).unwrap_or_default();
        let side = sample.split.map(|split| format!(" {}", split.name())).unwrap_or_default();
        let group = sample.group.as_ref().map(|group| format!(" of {group}")).unwrap_or_default();
        let class = &data.classes()[sample.classes[0]];
        format!("{} {}{second} = {class}{side}{group}", sample.name, sample.text)
    };
    data.samples().iter().map(line).collect()
}

fn error(path: &Path, columns: &Columns) -> String {
    Dataset::open_with(path, columns).unwrap_err().to_string()
}

const REVIEWS: &str = "text,title,stars,part,author,file\n\
    good,A,5,train,ann,x/1_p.txt\n\
    bad,B,10,train,bob,x/2_q.txt\n\
    so so,C,5,dev,ann,y/3_p.txt\n\
    ,D,5,train,ann,y/4_p.txt\n\
    fine,E,,train,ann,y/5_p.txt\n\
    poor,F,10,test,,y/6_.txt\n";

#[test]
fn a_table_is_read_as_said_or_guessed() {
    let root = folder(&[("reviews.csv", REVIEWS)]);
    let path = root.path().join("reviews.csv");
    let data = Dataset::open(&path).unwrap();
    let expected = [
        "reviews.csv:2 good = 5 train",
        "reviews.csv:3 bad = 10 train",
        "reviews.csv:4 so so = 5 val",
        "reviews.csv:7 poor = 10 test",
    ];
    assert_eq!(lines(&data), expected);
    assert_eq!(data.classes(), ["5", "10"]);
    assert_eq!(
        (data.split(Split::Train), data.split(Split::Test), data.groups()),
        (vec![0, 1], vec![3], None)
    );
    let columns = "input `text`, label `stars` (2 values), split `part`";
    assert_eq!(data.report().columns.as_deref(), Some(columns));
    let summary = "4 texts, 5 2, 10 2; split by column `part`: train 2, val 1, test 1; 2 set aside: listed";
    assert_eq!(data.report().summary(), summary);
    let aside: Vec<_> = data.report().quarantine.iter().collect();
    let expected =
        [("reviews.csv:5", "the text (`text`) is empty"), ("reviews.csv:6", "no label: the cell is empty")];
    assert_eq!(aside, expected);

    // The folder of one table is the table.
    assert_eq!(lines(&Dataset::open(root.path()).unwrap()), lines(&data));

    let cases: [(Columns, &[&str]); 3] = [
        (
            Columns::default().input("text").second_input("title").group("author".parse().unwrap()),
            &[
                "reviews.csv:2 good + A = 5 train of ann",
                "reviews.csv:3 bad + B = 10 train of bob",
                "reviews.csv:4 so so + C = 5 val of ann",
            ],
        ),
        (
            Columns::default()
                .input("title")
                .label("name:_(.)".parse().unwrap())
                .group("dir".parse().unwrap()),
            &[
                "reviews.csv:2 A = p train of x",
                "reviews.csv:3 B = q train of x",
                "reviews.csv:4 C = p val of y",
                "reviews.csv:5 D = p train of y",
                "reviews.csv:6 E = p train of y",
            ],
        ),
        (Columns::default().input("2").label("part".parse().unwrap()).split("part"), &[]),
    ];
    for (columns, expected) in cases {
        match Dataset::open_with(&path, &columns) {
            Ok(data) => assert_eq!(lines(&data), expected, "{columns:?}"),
            // Each part is its own class, so those to validate and test are strangers.
            Err(error) => assert!(error.to_string().contains("which no sample to train on has"), "{error}"),
        }
    }
}

#[test]
fn a_label_that_is_named_like_a_text_leaves_the_longest_texts_as_input() {
    let root = folder(&[("a.csv", "n,remark,text\n1,rather long,a\n2,also long,b\n")]);
    let data = Dataset::open_with(root.path(), &Columns::default().label("text".parse().unwrap())).unwrap();
    assert_eq!(lines(&data), ["a.csv:2 rather long = a", "a.csv:3 also long = b"]);
}

#[test]
fn tables_of_a_folder_are_the_sides() {
    for validation in ["val", "valid", "dev"] {
        let root = folder(&[
            ("train.tsv", "it \"works\tb\nit fails\ta\nwell\tb\n"),
            (&format!("{validation}.csv"), "so be it,a\nindeed,b\n"),
            ("test.jsonl", "{\"1\": \"well\", \"2\": \"b\"}\n{\"1\": \"x\", \"2\": \"a\"}\n"),
            ("notes.txt", "text"),
        ]);
        let data = Dataset::open(root.path()).unwrap();
        let (first, last) =
            (format!("{validation}.csv:1 so be it = a val"), format!("{validation}.csv:2 indeed = b val"));
        let expected = [
            "train.tsv:1 it \"works = b train",
            "train.tsv:2 it fails = a train",
            "train.tsv:3 well = b train",
            &first,
            &last,
            "test.jsonl:1 well = b test",
            "test.jsonl:2 x = a test",
        ];
        assert_eq!(lines(&data), expected);
        let report = data.report();
        assert_eq!((report.texts_on_two_sides(), report.texts_with_two_classes()), (2, 0));
        assert_eq!(report.duplicates[0].ids, ["test.jsonl:1", "train.tsv:3"]);
        let summary = "7 texts, a 3, b 4; split by file: train 3, val 2, test 2; 2 with the same text on two sides: listed";
        assert_eq!(report.summary(), summary);
    }
    // Competitions hand out their test texts without labels, or with one that is none.
    for (test, reason) in
        [("text\nx\ny\n", "without labels"), ("text,label\nx,-1\ny,-1\n", "2 samples all labelled `-1`")]
    {
        let root = folder(&[("train.csv", "text,label\na,1\nb,0\n"), ("test.csv", test)]);
        let data = Dataset::open(root.path()).unwrap();
        assert_eq!(data.samples().len(), 2);
        let (_, found) = data.report().ignored.iter().next().unwrap();
        assert!(found.contains(reason), "{found}");
    }
}

#[test]
fn a_folder_per_class_holds_texts() {
    let flat = folder(&[
        ("pos/1.txt", "\u{feff}good\r\n"),
        ("pos/deeper/2.txt", "fine"),
        ("neg/ann_1.txt", "bad"),
        ("neg/empty.txt", " \n"),
        ("neg/.hidden.txt", "x"),
        ("neg/picture.jpg", "x"),
        ("loose.txt", "x"),
    ]);
    std::fs::write(flat.path().join("neg/latin.txt"), b"caf\xe9").unwrap();
    std::fs::write(flat.path().join("neg/long.txt"), "x".repeat((1 << 20) + 1)).unwrap();
    let data = Dataset::open(flat.path()).unwrap();
    assert_eq!(
        lines(&data),
        ["neg/ann_1.txt bad = neg", "pos/1.txt good = pos", "pos/deeper/2.txt fine = pos"]
    );
    assert!(!data.is_split());
    let aside: Vec<_> = data.report().quarantine.iter().collect();
    let expected = [
        ("neg/empty.txt", "the text is empty"),
        ("neg/latin.txt", "not UTF-8 (at byte 3)"),
        ("neg/long.txt", "1048577 bytes; a text has at most 1048576"),
    ];
    assert_eq!(aside, expected);
    assert_eq!(
        data.report().ignored.iter().collect::<Vec<_>>(),
        [("loose.txt", "outside the class folders")]
    );

    let split = folder(&[
        ("train/pos/1.txt", "good"),
        ("train/neg/2.txt", "bad"),
        ("dev/neg/3.txt", "poor"),
        ("test/4.txt", "x"),
        ("more/5.txt", "x"),
    ]);
    let data = Dataset::open(split.path()).unwrap();
    let expected = [
        "dev/neg/3.txt poor = neg val",
        "train/neg/2.txt bad = neg train",
        "train/pos/1.txt good = pos train",
    ];
    assert_eq!(lines(&data), expected);
    assert_eq!(data.report().ignored.len(), 2);
    assert_eq!(data.report().summary(), "3 texts, neg 2, pos 1; split by folder: train 2, val 1");

    // Labels and groups from file names.
    let named = folder(&[("a/pos_ann.txt", "good"), ("a/neg_bob.txt", "bad"), ("b/neg_ann.txt", "poor")]);
    let columns =
        Columns::default().label("name:^([a-z]+)_".parse().unwrap()).group("name:_([a-z]+)".parse().unwrap());
    let data = Dataset::open_with(named.path(), &columns).unwrap();
    assert_eq!(
        lines(&data),
        [
            "a/neg_bob.txt bad = neg of bob",
            "a/pos_ann.txt good = pos of ann",
            "b/neg_ann.txt poor = neg of ann"
        ]
    );
    assert_eq!(data.groups().unwrap(), ["bob", "ann", "ann"]);
}

#[test]
fn a_digest_is_that_of_the_data() {
    let digest = |table: &str| {
        let root = folder(&[("a.csv", table)]);
        Dataset::open(root.path().join("a.csv")).unwrap().digest()
    };
    let base = digest("text,label,split\ngood,1,train\nbad,0,train\n");
    assert_eq!(base, digest("label;text;split\n1;good;train\n0;bad;training\n"));
    for other in [
        "text,label,split\ngood,1,train\nbad,0,train\nbad,0,dev\n",
        "text,label,split\ngood,0,train\nbad,1,train\n",
        "text,label,split\ngood ,1,train\nbad,0,train\n",
        "text,label\ngood,1\nbad,0\n",
        "sentence1,sentence2,label,split\ngood,x,1,train\nbad,x,0,train\n",
    ] {
        assert_ne!(base, digest(other), "{other}");
    }
}

#[test]
fn what_is_no_data_set_is_an_error_with_the_way_out() {
    let train = "text,label\na,1\nb,0\n";
    // (files, what is opened, what the message says)
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: [Case<'_>; 16] = [
        (&[], "no.csv", "no such file or folder: `"),
        (&[], "", "holds no texts; expected a table (.csv, .tsv, .jsonl)"),
        (&[("a.csv", "")], "a.csv", "`a.csv` is empty"),
        (&[("a.csv", "text,label\n")], "a.csv", "`a.csv` has no usable row"),
        (&[("a.csv", "text,label\na,1\nb,1\n")], "a.csv", "have one class, `1`; add samples of another"),
        (
            &[("a.csv", "text,label\n,1\n,0\n")],
            "a.csv",
            "(2 set aside, the first `a.csv:2`: the text (`text`) is empty)",
        ),
        (&[("a.csv", "text,note\na b c,x\nb c d,y\n")], "a.csv", "no column of `a.csv` looks like labels"),
        (
            &[("a.csv", "label\n1\n2\n")],
            "a.csv",
            "no column of `a.csv` looks like texts; its columns are `label`",
        ),
        (&[("a.csv", train), ("b.csv", train)], "", "holds several tables (`a.csv`, `b.csv`)"),
        (&[("dev.csv", train)], "", "holds `dev.csv` but nothing called train"),
        (
            &[("train.csv", train), ("dev.csv", train), ("val.tsv", train)],
            "",
            "`dev.csv` and `val.tsv` both name",
        ),
        (
            &[("train.csv", train), ("dev.csv", "text,label\na,2\n")],
            "",
            "`dev.csv:2` has the class `2`, which no sample",
        ),
        (&[("train.csv", train), ("dev.csv", "words,label\na,1\n")], "", "`dev.csv` has no column `text`"),
        (&[("pos/1.txt", "a")], "", "have one class, `pos`"),
        (
            &[("dev/pos/1.txt", "a"), ("test/neg/2.txt", "a")],
            "",
            "holds `dev, test` but nothing called train",
        ),
        (&[("a.txt", "x")], "a.txt", "is no table; expected a file that ends in"),
    ];
    for (files, opened, expected) in cases {
        let root = folder(files);
        let message = error(&root.path().join(opened), &Columns::default());
        assert!(message.contains(expected), "{message}");
    }

    let root =
        folder(&[("a.csv", "text,label\na,1\nb,0\n"), ("texts/pos/1.txt", "a"), ("texts/neg/2.txt", "b")]);
    let table = root.path().join("a.csv");
    let columns = Columns::default;
    for (path, columns, expected) in [
        (
            &table,
            columns().input("txt"),
            "has no column `txt`; its columns are `text`, `label`; did you mean `text`?",
        ),
        (&table, columns().input("label"), "column `label` of `a.csv` cannot be both input and label"),
        (&table, columns().second_input("text"), "cannot be both input and input"),
        (&table, columns().split("part"), "has no column `part`"),
        (&table, columns().group("dir".parse().unwrap()), "has no column of paths"),
        (
            &root.path().join("texts"),
            columns().group("user".parse().unwrap()),
            "without columns, so `user` selects nothing",
        ),
    ] {
        let message = error(path, &columns);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn the_sentiment_treebank_is_read_whole() {
    // Worktrees lie one level deeper than the repository.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some(path) =
        root.ancestors().map(|folder| folder.join("shared/data/sst2")).find(|path| path.exists())
    else {
        eprintln!("skipped: no shared/data/sst2");
        return;
    };
    let data = Dataset::open(path).unwrap();
    let report = data.report();
    assert_eq!(
        (data.samples().len(), data.classes()),
        (6920 + 872 + 1821, &["0".to_owned(), "1".to_owned()][..])
    );
    let sides = [Split::Train, Split::Validation, Split::Test].map(|side| data.split(side).len());
    assert_eq!(sides, [6920, 872, 1821]);
    assert!(report.quarantine.is_empty());
    assert_eq!(report.columns.as_deref(), Some("input `1` (the longest texts), label `2` (2 values)"));
}
