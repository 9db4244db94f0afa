//! Folders of photographs, good and bad, through `Dataset::open`.

use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};
use tempfile::TempDir;
use tk_image::data::{Columns, DataError, Dataset, DecodeError, Format, Report, Split};
use tk_transfer::data::Labelled as _;

/// A small picture whose content depends on `tint`.
fn picture(tint: u8, format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(24, 18, |x, y| Rgb([(x * 9) as u8, (y * 13) as u8, tint]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A folder with a different JPEG at each path; a path that ends in `/` is an empty folder.
fn folder(paths: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (index, path) in paths.iter().enumerate() {
        if path.ends_with('/') {
            std::fs::create_dir_all(root.path().join(path)).unwrap();
        } else {
            write(root.path(), path, &picture(index as u8 * 3, ImageFormat::Jpeg));
        }
    }
    root
}

fn names(data: &Dataset, split: Split) -> Vec<String> {
    data.split(split).into_iter().map(|index| data.samples()[index].name()).collect()
}

#[test]
fn classes_are_folders_in_byte_order_and_hidden_files_do_not_count() {
    let root = folder(&[
        "b/2.jpg",
        "b/1.jpg",
        "B/x.jpg",
        "ä/y.jpg",
        "b/deeper/3.jpg",
        "b/.hidden.jpg",
        ".git/z.jpg",
        "b/Thumbs.db",
    ]);
    let data = Dataset::open(root.path()).unwrap();
    assert_eq!(data.classes(), ["B", "b", "ä"]);
    assert!(!data.is_split());
    let samples: Vec<(String, usize)> =
        data.samples().iter().map(|sample| (sample.name(), sample.classes[0])).collect();
    let expected = [("B/x.jpg", 0), ("b/1.jpg", 1), ("b/2.jpg", 1), ("b/deeper/3.jpg", 1), ("ä/y.jpg", 2)];
    assert_eq!(samples, expected.map(|(name, class)| (name.to_owned(), class)));
    let sample = &data.samples()[1];
    assert_eq!((sample.format, sample.width, sample.height), (Format::Jpeg, 24, 18));
    assert_eq!(sample.digest, *blake3::hash(&std::fs::read(data.path(sample)).unwrap()).as_bytes());
    assert_eq!(data.load(sample).unwrap().width(), 24);
    assert_eq!(data.report().summary(), "5 photographs, B 1, b 3, ä 1");
    assert!(data.report().quarantine.is_empty() && data.report().ignored.is_empty());
}

#[test]
fn splits_are_told_by_their_names() {
    for validation in ["val", "valid", "validation", "dev", "VAL"] {
        let root =
            folder(&["train/a/1.jpg", "train/b/2.jpg", &format!("{validation}/b/3.jpg"), "test/a/4.jpg"]);
        let data = Dataset::open(root.path()).unwrap();
        assert!(data.is_split());
        assert_eq!(names(&data, Split::Train), ["train/a/1.jpg", "train/b/2.jpg"]);
        assert_eq!(names(&data, Split::Validation), [format!("{validation}/b/3.jpg")]);
        assert_eq!(names(&data, Split::Test), ["test/a/4.jpg"]);
        assert_eq!(
            data.report().absent,
            [("a".to_owned(), Split::Validation), ("b".to_owned(), Split::Test)]
        );
        assert_eq!(
            data.report().summary(),
            "4 photographs, a 2, b 2; split by folder: train 2, val 1, test 1"
        );
    }
    // Without folders inside, the names are classes like any other.
    let data = Dataset::open(folder(&["train/1.jpg", "bus/2.jpg"]).path()).unwrap();
    assert_eq!((data.classes(), data.is_split()), (&["bus".to_owned(), "train".to_owned()][..], false));
}

#[test]
fn what_stands_outside_is_listed_as_ignored() {
    let root =
        folder(&["train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg", "train/loose.jpg", "test/unlabelled.jpg"]);
    for name in ["notes.txt", "more.txt", "labels/1.txt"] {
        write(root.path(), name, b"text");
    }
    let data = Dataset::open(root.path()).unwrap();
    let ignored: Vec<(&str, &str)> = data.report().ignored.iter().collect();
    assert_eq!(
        ignored,
        [
            ("labels", "neither a split (train, val, test) nor photographs"),
            ("labels/1.txt", "outside the class folders"),
            ("more.txt", "outside the class folders, with 1 others beside it"),
            ("test", "without class folders there is nothing to score against"),
            ("test/unlabelled.jpg", "outside the class folders"),
            ("train/loose.jpg", "outside the class folders"),
        ]
    );
    assert_eq!(data.samples().len(), 3);
}

#[test]
fn unfit_files_are_set_aside_and_the_rest_is_kept() {
    let root = folder(&["a/1.jpg", "a/2.jpg", "b/3.jpg"]);
    let jpeg = picture(200, ImageFormat::Jpeg);
    write(root.path(), "a/cut.jpg", &jpeg[..jpeg.len() * 2 / 3]);
    write(root.path(), "a/empty.jpg", b"");
    write(root.path(), "b/notes.jpg", b"just text\n");
    // A header that is fine and pixels that are not: found when it is loaded.
    let png = picture(100, ImageFormat::Png);
    write(root.path(), "b/late.png", &png[..png.len() * 2 / 3]);
    let data = Dataset::open(root.path()).unwrap();
    let quarantine: Vec<(&str, &str)> = data.report().quarantine.iter().collect();
    let cut =
        format!("truncated JPEG: the file ends after {} bytes, before its picture does", jpeg.len() * 2 / 3);
    assert_eq!(
        quarantine,
        [
            ("a/cut.jpg", cut.as_str()),
            ("a/empty.jpg", "the file is empty (0 bytes)"),
            (
                "b/notes.jpg",
                "not an image: the content is text; expected JPEG, PNG, GIF, BMP, WebP or TIFF content"
            ),
        ]
    );
    let late = data.samples().iter().find(|sample| sample.name() == "b/late.png").unwrap();
    assert!(matches!(data.load(late), Err(DecodeError::Truncated { format: Format::Png, .. })));
    std::fs::remove_file(data.path(&data.samples()[0])).unwrap();
    assert!(matches!(data.load(&data.samples()[0]), Err(DecodeError::Unreadable(_))));
}

#[test]
fn each_unfit_folder_has_its_line() {
    let check = |root: &Path, expected: &str| {
        let error = Dataset::open(root).map(|data| data.report().summary()).unwrap_err().to_string();
        let error = error.replace(&root.display().to_string(), "DATA");
        assert_eq!(error, expected);
    };
    let no_images = "expected a folder per class with JPEG, PNG, GIF, BMP, WebP or TIFF files";
    let cases: [(&[&str], &str); 11] = [
        (&[], &format!("no usable photographs in `DATA`; {no_images}")),
        (&["a/", "b/"], &format!("no usable photographs in `DATA`; {no_images}")),
        (
            &["a/1.jpg"],
            "`DATA` has one class only, `a`; add a folder with photographs of something else beside it",
        ),
        (
            &["train/a/1.jpg", "val/a/2.jpg"],
            "`DATA` has one class only, `a`; add a folder with photographs of something else beside it",
        ),
        (
            &["inner/a/1.jpg", "inner/b/2.jpg"],
            "`DATA` holds one folder, which holds folders itself; did you mean `DATA/inner`?",
        ),
        (&["a/1.jpg", "b/"], "class folder `b` has no usable photograph; fill it or remove it"),
        (
            &["train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg", "val/b/"],
            "class folder `val/b` has no usable photograph; fill it or remove it",
        ),
        (
            &["train/a/1.jpg", "train/b/2.jpg", "val/c/3.jpg"],
            "`val/c` has no counterpart in `train`, whose classes are `a`, `b`; rename or remove it",
        ),
        (
            &["train/a/1.jpg", "train/b/2.jpg", "val/3.jpg"],
            "`val` holds no class folders, though other splits do; expected `a`, `b`",
        ),
        (
            &["train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg", "dev/a/4.jpg"],
            "`dev` and `val` both name the same part of the data; keep one of them",
        ),
        (
            &["train/a/1.jpg", "train/b/2.jpg", "bus/3.jpg"],
            "`bus` with photographs stands beside `train`: folders are either all classes or all splits (train, val, test); move it",
        ),
    ];
    for (paths, expected) in cases {
        check(folder(paths).path(), expected);
    }
    check(
        folder(&["1.jpg", "2.jpg"]).path(),
        "`DATA` holds 2 files but no class folders; put the photographs of each class in a folder named after it, name a table of \
         paths and labels, or say --label name:REGEX (to classify them use `tk predict MODEL DATA`)",
    );
    check(&folder(&[]).path().join("missing"), "no such file or folder: `DATA`");
    let root = folder(&["bee.jpg"]);
    check(
        &root.path().join("bee.jpg"),
        "`DATA` is a file, neither a folder of classes nor a table (.csv, .tsv, .jsonl); to classify it use `tk predict MODEL DATA`",
    );
    let root = folder(&["a/1.jpg"]);
    write(root.path(), "b/broken.jpg", b"");
    check(
        root.path(),
        "class folder `b` has no usable photograph (set aside: `b/broken.jpg`: the file is empty (0 bytes)); \
         fill it or remove it",
    );
}

#[test]
fn identical_files_are_found_wherever_they_are() {
    let root = folder(&["train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg", "val/b/4.jpg"]);
    let copy = |from: &str, to: &str| std::fs::copy(root.path().join(from), root.path().join(to)).unwrap();
    copy("train/a/1.jpg", "val/a/again.jpg");
    copy("train/b/2.jpg", "train/b/twice.jpg");
    copy("val/b/4.jpg", "val/a/other.jpg");
    let data = Dataset::open_on(root.path(), &Columns::default(), 3).unwrap();
    let report = data.report();
    let paths = |groups: &[tk_image::data::DuplicateGroup]| -> Vec<String> {
        groups.iter().map(|group| group.paths.join(" ")).collect()
    };
    assert_eq!(paths(&report.duplicates_across_splits), ["train/a/1.jpg val/a/again.jpg"]);
    assert_eq!(
        paths(&report.duplicates_within_split),
        ["train/b/2.jpg train/b/twice.jpg", "val/a/other.jpg val/b/4.jpg"]
    );
    assert_eq!(paths(&report.duplicates_across_classes), ["val/a/other.jpg val/b/4.jpg"]);
    assert_eq!(
        report.summary(),
        "7 photographs, a 4, b 3; split by folder: train 3, val 4; 2 identical files in more than one split: listed; \
         2 identical files under different classes: listed"
    );
    let text = serde_json::to_string(report).unwrap();
    assert_eq!(&serde_json::from_str::<Report>(&text).unwrap(), report);
}

#[test]
fn a_rare_format_is_named_and_a_common_one_is_not() {
    let root = tempfile::tempdir().unwrap();
    for index in 0..30u8 {
        let (class, format, ending) = match index {
            0 => ("a", ImageFormat::Gif, "jpg"),
            1..=5 => ("a", ImageFormat::Png, "png"),
            _ => ("b", ImageFormat::Jpeg, "jpg"),
        };
        write(root.path(), &format!("{class}/{index:02}.{ending}"), &picture(index * 8, format));
    }
    let data = Dataset::open(root.path()).unwrap();
    assert_eq!(data.report().unlike, [("a/00.jpg".to_owned(), Format::Gif)]);
    let formats: Vec<(Format, usize)> =
        data.report().formats.iter().map(|count| (count.format, count.samples)).collect();
    assert_eq!(formats, [(Format::Jpeg, 24), (Format::Png, 5), (Format::Gif, 1)]);
    assert_eq!(data.report().summary(), "30 photographs, a 6, b 24; 1 unlike the rest (GIF): listed");
}

#[test]
fn the_digest_tells_any_change_and_the_threads_do_not_matter() {
    let root = folder(&["a/1.jpg", "b/2.jpg", "b/3.jpg"]);
    let digest = || Dataset::open_on(root.path(), &Columns::default(), 2).unwrap().digest();
    let before = digest();
    let single = Dataset::open_on(root.path(), &Columns::default(), 1).unwrap();
    assert_eq!(single.digest(), before);
    std::fs::rename(root.path().join("b/3.jpg"), root.path().join("a/3.jpg")).unwrap();
    let moved = digest();
    std::fs::rename(root.path().join("a/3.jpg"), root.path().join("b/3.jpg")).unwrap();
    assert_eq!(digest(), before);
    write(root.path(), "b/3.jpg", &picture(77, ImageFormat::Jpeg));
    assert!(moved != before && digest() != before);
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_loops_cut() {
    use std::os::unix::fs::symlink;
    let root = folder(&["a/1.jpg", "b/2.jpg"]);
    symlink(root.path(), root.path().join("a/up")).unwrap();
    symlink(root.path().join("b/2.jpg"), root.path().join("b/linked.jpg")).unwrap();
    symlink(root.path().join("nowhere"), root.path().join("b/broken.jpg")).unwrap();
    let data = Dataset::open(root.path()).unwrap();
    let samples: Vec<String> = data.samples().iter().map(|sample| sample.name()).collect();
    assert_eq!(samples, ["a/1.jpg", "b/2.jpg", "b/linked.jpg"]);
    let quarantine: Vec<(&str, &str)> = data.report().quarantine.iter().collect();
    assert_eq!(quarantine.len(), 2);
    assert_eq!(quarantine[0], ("a/up", "a link back to `./`"));
    assert!(
        quarantine[1].0 == "b/broken.jpg" && quarantine[1].1.starts_with("cannot be read: "),
        "{quarantine:?}"
    );
}

#[cfg(unix)]
#[test]
fn unreadable_files_and_folders_are_set_aside() {
    use std::os::unix::fs::PermissionsExt;
    let root = folder(&["a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg"]);
    let locked = root.path().join("a/2.jpg");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&locked).is_ok() {
        eprintln!("skipped: this user may read everything");
        return;
    }
    let data = Dataset::open(root.path()).unwrap();
    let quarantine: Vec<(&str, &str)> = data.report().quarantine.iter().collect();
    assert_eq!(quarantine.len(), 1);
    assert!(quarantine[0].0 == "a/2.jpg" && quarantine[0].1.starts_with("cannot be read: "));
    let locked = root.path().join("b");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    let error = Dataset::open(root.path()).unwrap_err();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(error, DataError::EmptyClass { .. }), "{error}");
}

#[test]
fn ants_and_bees_are_found_whole() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ants-bees");
    if !Path::new(path).is_dir() {
        eprintln!("skipped: the shared data are absent");
        return;
    }
    let data = Dataset::open(path).unwrap();
    let report = data.report();
    assert_eq!(data.classes(), ["ants", "bees"]);
    assert_eq!((data.split(Split::Train).len(), data.split(Split::Validation).len()), (245, 153));
    assert_eq!(report.unlike, [("train/ants/imageNotFound.gif".to_owned(), Format::Gif)]);
    assert!(report.quarantine.is_empty(), "{:?}", report.quarantine);
    assert!(report.duplicates_across_splits.is_empty());
    for sample in data.samples() {
        data.load(sample).unwrap_or_else(|error| panic!("{}: {error}", sample.name()));
    }
}

#[test]
fn tables_name_photographs_with_label_split_and_group() {
    let root = folder(&["img/1.jpg", "img/2.jpg", "img/3.jpg", "img/4.jpg", "img/deep/5.jpg", "note.jpg"]);
    let rows = "file;kind;site;set\n./img/1.jpg;cat;x;train\nimg/2.jpg;dog;x;train\nimg\\3.jpg;cat;y;val\n\
                img/4.jpg;dog;;val\nimg/deep/5.jpg;dog;y;test\nimg/6.jpg;dog;z;test\nimg/1.jpg;dog;z;test\n";
    write(root.path(), "photos.csv", rows.as_bytes());
    let table = root.path().join("photos.csv");
    let columns = Columns::default().group("site".parse().unwrap());
    let data = Dataset::open_with(&table, &columns).unwrap();
    let samples = data.samples().iter().map(|sample| {
        let (split, group) = (sample.split.unwrap().name(), sample.group.as_deref().unwrap_or_default());
        format!("{} {} {split} {group}", sample.name(), data.classes()[sample.classes[0]])
    });
    assert_eq!(
        samples.collect::<Vec<_>>(),
        [
            "img/1.jpg cat train x",
            "img/2.jpg dog train x",
            "img/3.jpg cat val y",
            "img/deep/5.jpg dog test y"
        ]
    );
    assert_eq!(
        data.report().quarantine.iter().collect::<Vec<_>>(),
        [
            ("photos.csv:5", "no group: the cell is empty"),
            ("photos.csv:7", "no such file: `img/6.jpg`"),
            ("photos.csv:8", "`img/1.jpg` stands in photos.csv:2 already, as `cat`"),
        ]
    );
    assert_eq!(
        data.report().summary(),
        "4 photographs, cat 2, dog 2; split by column `set`: train 2, val 1, test 1; 3 set aside: listed; \
         input `file`, label `kind` (2 values), split `set`"
    );
    assert_eq!(data.load(&data.samples()[0]).unwrap().width(), 24);
    // The folder is the same data when a column is named, and its digest knows the groups.
    let by_folder = Dataset::open_with(root.path(), &columns.clone().label("kind".parse().unwrap())).unwrap();
    assert_eq!(by_folder.samples(), data.samples());
    assert_eq!(by_folder.digest(), data.digest());
    assert_ne!(Dataset::open(&table).unwrap().digest(), data.digest());
}

#[test]
fn names_tell_labels_and_groups() {
    let root = folder(&["cat_a1.jpg", "cat_b1.jpg", "dog_a2.jpg", "dog_b2.jpg", "bird.jpg"]);
    let select = |label: &str, group: &str| {
        Columns::default().label(label.parse().unwrap()).group(group.parse().unwrap())
    };
    let data = Dataset::open_with(root.path(), &select("name:^([a-z]+)_", "name:_([a-z])")).unwrap();
    let groups: Vec<&str> = data.samples().iter().filter_map(|sample| sample.group.as_deref()).collect();
    assert_eq!((data.classes().join(" "), groups.join(" ")), ("cat dog".to_owned(), "a b a b".to_owned()));
    let aside: Vec<(&str, &str)> = data.report().quarantine.iter().collect();
    assert_eq!(aside, [("bird.jpg", "no label: `name:^([a-z]+)_` finds nothing in `bird.jpg`")]);

    // Groups go with class folders too, and names of files in tables tell labels.
    let root = folder(&["train/cat/a1.jpg", "train/dog/b1.jpg", "val/cat/a2.jpg", "val/dog/c1.jpg"]);
    let data =
        Dataset::open_with(root.path(), &Columns::default().group("name:^(.)".parse().unwrap())).unwrap();
    let groups: Vec<&str> = data.samples().iter().filter_map(|sample| sample.group.as_deref()).collect();
    assert_eq!(groups.join(" "), "a b a c");
    write(root.path(), "all.tsv", b"train/cat/a1.jpg\ntrain/dog/b1.jpg\nval/dog/c1.jpg\n");
    let label = Columns::default().label("name:(cat|dog)/".parse().unwrap());
    let data = Dataset::open_with(root.path().join("all.tsv"), &label).unwrap();
    assert_eq!(data.report().summary(), "3 photographs, cat 1, dog 2; input `1`, label `1`");
}

#[test]
fn each_unfit_table_has_its_line() {
    let root = folder(&["1.jpg", "2.jpg"]);
    let check = |table: &str, columns: Columns, expected: &str| {
        write(root.path(), "t.csv", table.as_bytes());
        let error = Dataset::open_with(root.path().join("t.csv"), &columns).map(|_| ()).unwrap_err();
        let error = error.to_string().replace(&root.path().display().to_string(), "DATA");
        assert_eq!(error, expected);
    };
    let guess = Columns::default;
    check(
        "path,label\n1.jpg,a\n2.jpg,a\n",
        guess(),
        "all samples of `DATA/t.csv` have one class, `a`; add samples of another, or name another column with --label",
    );
    check(
        "path,label\n1.jpg,a\n2.jpg,b\n",
        guess().label("lable".parse().unwrap()),
        "`t.csv` has no column `lable`; its columns are `path`, `label`; did you mean `label`?",
    );
    check(
        "what,label\nx,a\ny,b\n",
        guess(),
        "no column of `t.csv` looks like paths of files; its columns are `what`, `label`; name one with --input COLUMN",
    );
    check(
        "path,label\n3.jpg,a\n4.jpg,b\n",
        guess(),
        "no usable photographs in `DATA/t.csv` (2 files set aside, the first `t.csv:2`: no such file: `3.jpg`); \
         expected a folder per class with JPEG, PNG, GIF, BMP, WebP or TIFF files",
    );
    write(root.path(), "bad.jpg", b"no picture");
    check(
        "path,label\n1.jpg,a\n2.jpg,a\nbad.jpg,b\n",
        guess(),
        "class `b` of `DATA/t.csv` has no usable photograph (set aside: `bad.jpg`: not an image: the content is text; expected JPEG, PNG, GIF, BMP, WebP or TIFF content); fill it or remove it",
    );
}
