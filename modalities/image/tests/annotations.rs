//! Annotated pictures in every format and layout, good and bad, through `Scenes::open`.

use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};
use tempfile::TempDir;
use tk_image::annotations::{AnnotationFormat, Scenes};
use tk_image::data::{Columns, Split};
use tk_transfer::data::{LabelKind, Labelled as _};

/// A picture of so many pixels whose content depends on `tint`.
fn picture(width: u32, height: u32, tint: u8) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| Rgb([(x * 3) as u8, (y * 5) as u8, tint]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

/// The JPEG with an EXIF segment that says how it is to be turned, after the start marker (TIFF 6.0, one directory, tag 0x0112).
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let tiff =
        [b'M', b'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
    let length = (2 + 6 + tiff.len()) as u16;
    [&jpeg[..2], &[0xFF, 0xE1], &length.to_be_bytes(), b"Exif\0\0", &tiff, &jpeg[2..]].concat()
}

/// A folder with these files; one that ends in `.jpg` is a picture of 64 × 48 pixels, each of its own content.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (index, (path, text)) in files.iter().enumerate() {
        match path.ends_with(".jpg") && text.is_empty() {
            true => write(root.path(), path, &picture(64, 48, index as u8)),
            false => write(root.path(), path, text.as_bytes()),
        }
    }
    root
}

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Each picture in a line, such as `images/a.jpg train: fox 1 2 3 4, hare 5 6 7 8 crowd`.
fn told(data: &Scenes) -> Vec<String> {
    let tell = |scene: &tk_image::annotations::Scene| {
        let objects = scene.objects.iter().map(|object| {
            let [left, top, width, height] = object.bounds;
            let crowd = if object.is_crowd { " crowd" } else { "" };
            format!("{} {left} {top} {width} {height}{crowd}", data.classes()[object.class])
        });
        let split = scene.split.map_or(String::new(), |split| format!(" {}", split.name()));
        format!("{}{split}: {}", scene.name(), objects.collect::<Vec<_>>().join(", "))
    };
    data.samples().iter().map(tell).collect()
}

fn aside(data: &Scenes) -> Vec<(String, String)> {
    data.set_aside()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, reason)| ((*name).to_owned(), (*reason).to_owned())).collect()
}

/// The message of what cannot be opened, with `DATA` for the path.
fn refused(path: &Path) -> String {
    let error = Scenes::open(path).map(|_| ()).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error.replace(&path.display().to_string(), "DATA")
}

fn coco(images: &[(i64, &str)], annotations: &[&str], categories: &[(i64, &str)]) -> String {
    let images = images
        .iter()
        .map(|(id, name)| format!(r#"{{"id": {id}, "file_name": "{name}", "width": 64, "height": 48}}"#));
    let categories = categories.iter().map(|(id, name)| format!(r#"{{"id": {id}, "name": "{name}"}}"#));
    format!(
        r#"{{"images": [{}], "annotations": [{}], "categories": [{}]}}"#,
        images.collect::<Vec<_>>().join(", "),
        annotations.join(", "),
        categories.collect::<Vec<_>>().join(", ")
    )
}

fn coco_box(id: i64, image: i64, category: i64, bounds: &str) -> String {
    format!(r#"{{"id": {id}, "image_id": {image}, "category_id": {category}, "bbox": [{bounds}]}}"#)
}

fn voc(filename: &str, objects: &[&str]) -> String {
    let size = "<size><width>64</width><height>48</height><depth>3</depth></size>";
    format!("<annotation><filename>{filename}</filename>{size}{}</annotation>", objects.concat())
}

fn voc_box(name: &str, corners: [&str; 4]) -> String {
    let [left, top, right, bottom] = corners;
    format!(
        "<object><name>{name}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
    )
}

const CATEGORIES: &[(i64, &str)] = &[(90, "hare"), (7, "fox")];

fn shared(name: &str) -> Option<std::path::PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: the shared data are absent");
    None
}

#[test]
fn penn_fudan_is_found_whole() {
    let Some(path) = shared("pennfudan") else { return };
    let data = Scenes::open(path).unwrap();
    assert_eq!(data.format(), AnnotationFormat::Pascal);
    assert_eq!(data.summary(), "170 photographs, 423 objects of 1 class (PASCAL 1.00)");
    assert_eq!((data.classes(), data.kind()), (&["person".to_owned()][..], LabelKind::Multi));
    assert!(aside(&data).is_empty(), "{:?}", aside(&data));
    let note = "names of classes lose their poses, such as `PASpersonWalking`, which is `person`";
    assert_eq!(data.notes(), [note]);
    let first = &data.samples()[0];
    assert_eq!((first.name().as_str(), first.width, first.height), ("images/FudanPed00001.jpg", 559, 536));
    let bounds: Vec<[f64; 4]> = first.objects.iter().map(|object| object.bounds).collect();
    assert_eq!(bounds, [[159.0, 181.0, 143.0, 250.0], [419.0, 170.0, 116.0, 316.0]]);
    assert_eq!(first.objects[0].area, 143.0 * 250.0);
    let loaded = data.load(0).unwrap();
    assert_eq!((loaded.width(), loaded.height()), (559, 536));
    assert_eq!(data.labels_of(0), [0]);
}

#[test]
fn raccoons_are_found_whole() {
    let Some(path) = shared("raccoon") else { return };
    let data = Scenes::open(path).unwrap();
    assert_eq!(data.format(), AnnotationFormat::Voc);
    assert_eq!(data.summary(), "200 photographs, 217 objects of 1 class (Pascal VOC)");
    assert!(aside(&data).is_empty() && data.notes().is_empty(), "{:?} {:?}", aside(&data), data.notes());
    let find = |name: &str| data.samples().iter().find(|scene| scene.name() == name).unwrap();
    for (name, size, expected) in [
        ("images/raccoon-1.jpg", [650, 417], &[[81.0, 88.0, 441.0, 320.0]][..]),
        ("images/raccoon-10.jpg", [450, 495], &[[130.0, 2.0, 316.0, 486.0]]),
    ] {
        let scene = find(name);
        let bounds: Vec<[f64; 4]> = scene.objects.iter().map(|object| object.bounds).collect();
        assert_eq!(([scene.width, scene.height], bounds.as_slice()), (size, expected), "{name}");
    }
}

#[test]
fn every_layout_of_coco_gives_the_same_boxes() {
    let of_a = [coco_box(1, 1, 7, "1, 2, 30, 20.5"), coco_box(2, 1, 90, "4, 5, 6, 7")];
    let of_b = coco_box(1, 1, 7, "0, 0, 64, 48");
    let train = coco(&[(1, "a.jpg")], &[&of_a[0], &of_a[1]], CATEGORIES);
    let val = coco(&[(1, "b.jpg")], &[&of_b], CATEGORIES);
    let nested = coco(&[(1, "deep\\\\a.jpg")], &[&of_a[0], &of_a[1]], CATEGORIES);
    let (train, val, nested) = (train.as_str(), val.as_str(), nested.as_str());
    let (a, b) = ("fox 1 2 30 20.5, hare 4 5 6 7", "fox 0 0 64 48");
    for (files, opened, expected) in [
        (vec![("annotations.json", train), ("a.jpg", "")], "", vec![format!("a.jpg: {a}")]),
        (vec![("x.json", train), ("images/a.jpg", "")], "", vec![format!("images/a.jpg: {a}")]),
        (vec![("x.json", train), ("images/a.jpg", "")], "x.json", vec![format!("images/a.jpg: {a}")]),
        (vec![("x.json", nested), ("images/deep/a.jpg", "")], "", vec![format!("images/deep/a.jpg: {a}")]),
        (
            vec![
                ("annotations/instances_train2017.json", train),
                ("annotations/instances_val2017.json", val),
                ("train2017/a.jpg", ""),
                ("val2017/b.jpg", ""),
            ],
            "",
            vec![format!("train2017/a.jpg train: {a}"), format!("val2017/b.jpg val: {b}")],
        ),
        (
            vec![("annotations/instances_val2017.json", val), ("val2017/b.jpg", ""), ("train2017/b.jpg", "")],
            "annotations/instances_val2017.json",
            vec![format!("val2017/b.jpg: {b}")],
        ),
        (
            vec![
                ("train/_annotations.coco.json", train),
                ("train/a.jpg", ""),
                ("valid/_annotations.coco.json", val),
                ("valid/b.jpg", ""),
            ],
            "",
            vec![format!("train/a.jpg train: {a}"), format!("valid/b.jpg val: {b}")],
        ),
    ] {
        let root = folder(&files);
        let data = Scenes::open(root.path().join(opened)).unwrap();
        assert_eq!((told(&data), data.format()), (expected, AnnotationFormat::Coco), "{:?}", files[0].0);
        // By their ids, and not by their names.
        assert_eq!(data.classes(), ["fox", "hare"]);
        assert!(aside(&data).is_empty(), "{:?}", aside(&data));
        assert_eq!(data.load(0).unwrap().width(), 64);
    }
}

#[test]
fn every_layout_of_voc_gives_the_same_boxes() {
    let a =
        voc("a.jpg", &[&voc_box("hare", ["1", "2", "31", "22.5"]), &voc_box("fox", ["4", "5", "10", "12"])]);
    let b = voc(
        "b.jpg",
        &[&voc_box("fox", ["0", "0", "64", "48"]).replace("<bndbox>", "<difficult>1</difficult><bndbox>")],
    );
    let (told_a, told_b) = ("hare 1 2 30 20.5, fox 4 5 6 7", "fox 0 0 64 48 crowd");
    for (files, expected) in [
        (
            vec![
                ("annotations/a.xml", &*a),
                ("annotations/b.xml", &b),
                ("images/a.jpg", ""),
                ("images/b.jpg", ""),
            ],
            [format!("images/a.jpg: {told_a}"), format!("images/b.jpg: {told_b}")],
        ),
        (
            vec![("a.xml", &a), ("b.xml", &b), ("a.jpg", ""), ("b.jpg", "")],
            [format!("a.jpg: {told_a}"), format!("b.jpg: {told_b}")],
        ),
        (
            vec![("train/a.xml", &a), ("test/b.xml", &b), ("train/a.jpg", ""), ("test/b.jpg", "")],
            [format!("test/b.jpg test: {told_b}"), format!("train/a.jpg train: {told_a}")],
        ),
        (
            vec![
                ("annotations/train/a.xml", &a),
                ("annotations/val/b.xml", &b),
                ("images/train/a.jpg", ""),
                ("images/val/b.jpg", ""),
            ],
            [format!("images/train/a.jpg train: {told_a}"), format!("images/val/b.jpg val: {told_b}")],
        ),
        (
            vec![
                ("VOC2007/Annotations/a.xml", &a),
                ("VOC2007/Annotations/b.xml", &b),
                ("VOC2007/JPEGImages/a.jpg", ""),
                ("VOC2007/JPEGImages/b.jpg", ""),
                ("VOC2007/SegmentationClass/a.png", "mask"),
                ("VOC2007/ImageSets/Main/train.txt", "a\n"),
                ("VOC2007/ImageSets/Main/val.txt", "b\n"),
            ],
            [
                format!("VOC2007/JPEGImages/a.jpg train: {told_a}"),
                format!("VOC2007/JPEGImages/b.jpg val: {told_b}"),
            ],
        ),
    ] {
        let root = folder(&files);
        let data = Scenes::open(root.path()).unwrap();
        assert_eq!(
            (told(&data), data.format()),
            (expected.to_vec(), AnnotationFormat::Voc),
            "{:?}",
            files[0].0
        );
        assert_eq!(data.classes(), ["fox", "hare"]);
        assert!(aside(&data).is_empty() && data.notes().is_empty(), "{:?} {:?}", aside(&data), data.notes());
        // What is neither learned from nor missed is no label.
        let labels: Vec<&[usize]> = (0..2).map(|sample| data.labels_of(sample)).collect();
        assert!(labels.contains(&&[0, 1][..]) && labels.contains(&&[][..]), "{labels:?}");
    }
}

#[test]
fn every_layout_of_yolo_gives_the_same_boxes() {
    let (a, b) = ("1 0.25 0.25 0.25 0.5\n0 0.5 0.5 1 1\n", "0 0 0 0.5 0 0.5 0.5 0 0.25\n");
    let (told_a, told_b) = ("hare 8 0 16 24, fox 0 0 64 48", "fox 0 0 32 24");
    let yaml = |rest: &str| format!("names: [fox, hare]\n{rest}");
    let split_in_kinds = vec![
        ("images/train/a.jpg", ""),
        ("labels/train/a.txt", a),
        ("images/val/b.jpg", ""),
        ("labels/val/b.txt", b),
    ];
    let split_above = vec![
        ("train/images/a.jpg", ""),
        ("train/labels/a.txt", a),
        ("valid/images/b.jpg", ""),
        ("valid/labels/b.txt", b),
    ];
    let in_kinds = [format!("images/train/a.jpg train: {told_a}"), format!("images/val/b.jpg val: {told_b}")];
    let above = [format!("train/images/a.jpg train: {told_a}"), format!("valid/images/b.jpg val: {told_b}")];
    for (files, rest, expected) in [
        (&split_in_kinds, Some("path: .\ntrain: images/train\nval: images/val\n"), &in_kinds),
        // `path` of another machine: the file's own folder is meant.
        (
            &split_in_kinds,
            Some("path: ../datasets/foxes\ntrain: [images/train]\nval: images/val\ntest:\n"),
            &in_kinds,
        ),
        (&split_in_kinds, Some("train: train.txt\nval: val.txt\n"), &in_kinds),
        (&split_above, Some("train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"), &above),
        (&split_in_kinds, None, &in_kinds),
        (&split_above, None, &above),
        // Names alone: the pictures are those around it.
        (&split_above, Some(""), &above),
    ] {
        let mut files = files.clone();
        let text = yaml(rest.unwrap_or_default());
        files.push(if rest.is_some() { ("data.yaml", &text) } else { ("classes.txt", "fox\nhare\n") });
        files.extend([("train.txt", "./images/train/a.jpg\n"), ("val.txt", "images/val/b.jpg\n")]);
        let root = folder(&files);
        let data = Scenes::open(root.path()).unwrap();
        assert_eq!((told(&data), data.format()), (expected.to_vec(), AnnotationFormat::Yolo), "{rest:?}");
        assert_eq!(data.classes(), ["fox", "hare"]);
        assert!(aside(&data).is_empty(), "{rest:?}: {:?}", aside(&data));
        // The outline's own area, and not that of the box around it.
        let outlined = data.samples().iter().find(|scene| scene.name().ends_with("b.jpg")).unwrap();
        assert_eq!(outlined.objects[0].area, (0.5 * 0.25 + 0.5 * 0.5 * 0.25) * 64.0 * 48.0);
        if rest.is_some() {
            assert_eq!(told(&Scenes::open(root.path().join("data.yaml")).unwrap()), expected.to_vec());
        }
    }
    // Without parts, names and labels for all; a picture without labels is background.
    let root = folder(&[
        ("images/a.jpg", ""),
        ("labels/a.txt", a),
        ("images/b.jpg", ""),
        ("labels/b.txt", ""),
        ("images/c.jpg", ""),
    ]);
    let data = Scenes::open(root.path()).unwrap();
    let expected = ["images/a.jpg: 1 8 0 16 24, 0 0 0 64 48", "images/b.jpg: ", "images/c.jpg: "];
    assert_eq!(told(&data), expected);
    assert_eq!(
        data.notes(),
        [
            "classes are called by their numbers; data.yaml or classes.txt would name them",
            "2 pictures have no object: background (the first in `images/b.jpg`)",
        ]
    );
}

#[test]
fn pictures_may_lie_far_from_their_description() {
    let root = folder(&[("pool/images/a.jpg", ""), ("pool/labels/a.txt", "0 .5 .5 .5 .5"), ("here/x", "")]);
    let text =
        format!("path: {}\nnames: [fox]\ntrain: images\nval: images\n", root.path().join("pool").display());
    write(root.path(), "here/deep/er/foxes.yaml", text.as_bytes());
    let data = Scenes::open(root.path().join("here/deep/er/foxes.yaml")).unwrap();
    assert_eq!(told(&data), ["a.jpg: fox 16 12 32 24"]);
    assert_eq!(data.notes(), ["1 picture is in train and val, and counts as train (`a.jpg`)"]);
    assert!(data.path(0).is_file() && data.folder().ends_with("pool/images"));
}

#[test]
fn boxes_are_of_the_upright_picture() {
    // Stored 64 × 48, seen 48 × 64 after a quarter turn clockwise.
    let turned = with_orientation(&picture(64, 48, 1), 6);
    let upside_down = with_orientation(&picture(64, 48, 1), 3);
    let boxed = coco_box(1, 1, 7, "4, 8, 16, 10");
    let stored = coco(&[(1, "a.jpg")], &[&boxed], CATEGORIES);
    let upright = stored.replace(r#""width": 64, "height": 48"#, r#""width": 48, "height": 64"#);
    let unsaid = stored.replace(r#", "width": 64, "height": 48"#, "");
    let other = stored.replace("64", "640").replace("48", "480");
    let turned_note = "1 picture is stored turned, and its boxes were turned with it (`a.jpg`)";
    for (bytes, text, size, expected, notes) in [
        (&turned, &stored, [48, 64], "fox 30 4 10 16", vec![turned_note]),
        (&turned, &upright, [48, 64], "fox 4 8 16 10", vec![]),
        (&turned, &unsaid, [48, 64], "fox 4 8 16 10", vec![]),
        (&upside_down, &stored, [64, 48], "fox 4 8 16 10", vec![]),
    ] {
        let root = folder(&[("a.json", text)]);
        write(root.path(), "a.jpg", bytes);
        let data = Scenes::open(root.path()).unwrap();
        let scene = &data.samples()[0];
        assert_eq!((told(&data), [scene.width, scene.height]), (vec![format!("a.jpg: {expected}")], size));
        let loaded = data.load(0).unwrap();
        assert_eq!([loaded.width(), loaded.height()], size);
        assert_eq!(data.notes().iter().filter(|note| !note.starts_with("class ")).collect::<Vec<_>>(), notes);
    }
    // Shares are always of the upright picture.
    let root = folder(&[("labels/a.txt", "0 0.5 0.25 1 0.5\n")]);
    write(root.path(), "images/a.jpg", &turned);
    assert_eq!(told(&Scenes::open(root.path()).unwrap()), ["images/a.jpg: 0 0 0 48 32"]);

    let root = folder(&[("a.json", &other)]);
    write(root.path(), "a.jpg", &turned);
    assert_eq!(
        refused(root.path()),
        "no usable annotated pictures in `DATA` (set aside: `a.jpg`: annotated for 640×480, the file has 48×64)"
    );
}

#[test]
fn boxes_are_clipped_and_left_out_and_counted() {
    let boxes = [
        coco_box(1, 1, 7, "-4, 8, 16, 10"),
        coco_box(2, 1, 7, "70, 8, 16, 10"),
        coco_box(3, 2, 7, "60, 40, 16, 10"),
        coco_box(4, 3, 7, "5, 5, 0, 10"),
        coco_box(5, 2, 7, "1, 1, 2, 2").replace("]", r#"], "area": 1.5, "iscrowd": 1"#),
    ];
    let boxes: Vec<&str> = boxes.iter().map(String::as_str).collect();
    let text = coco(&[(1, "a.jpg"), (2, "b.jpg"), (3, "c.jpg")], &boxes, CATEGORIES);
    let root = folder(&[("a.json", &text), ("a.jpg", ""), ("b.jpg", ""), ("c.jpg", ""), ("d.jpg", "")]);
    let data = Scenes::open(root.path()).unwrap();
    assert_eq!(told(&data), ["a.jpg: fox 0 8 12 10", "b.jpg: fox 60 40 4 8, fox 1 1 2 2 crowd", "c.jpg: "]);
    let areas: Vec<f64> =
        data.samples().iter().flat_map(|scene| &scene.objects).map(|object| object.area).collect();
    assert_eq!(areas, [120.0, 32.0, 1.5]);
    assert_eq!(
        data.notes(),
        [
            "1 picture is not annotated, and left out (`d.jpg`)",
            "2 boxes reach out of their pictures, and were clipped (the first in `a.jpg`)",
            "2 boxes have no area in their pictures, and are left out (the first in `a.jpg`)",
            "1 picture has no object: background (`c.jpg`)",
            "class `hare` has no objects",
        ]
    );
    assert_eq!(
        data.summary(),
        "3 photographs, 2 objects of 2 classes and 1 neither learned from nor missed (COCO)"
    );
}

#[test]
fn bad_pictures_of_coco_are_set_aside() {
    let boxes = [
        coco_box(1, 1, 7, "1, 2, 3, 4"),
        coco_box(2, 2, 8, "1, 2, 3, 4"),
        coco_box(3, 99, 7, "1, 2, 3, 4"),
        r#"{"id": 4, "image_id": 3, "category_id": 7}"#.to_owned(),
        r#"{"id": 5, "image_id": 1, "category_id": 7, "segmentation": [[10, 10, 30, 10, 30, 20]], "area": 100}"#.to_owned(),
    ];
    let boxes: Vec<&str> = boxes.iter().map(String::as_str).collect();
    let images = [
        (1, "a.jpg"),
        (2, "b.jpg"),
        (3, "c.jpg"),
        (4, "gone.jpg"),
        (5, "text.jpg"),
        (6, "t.jpg"),
        (7, "t.jpg"),
    ];
    let mut annotations = boxes.clone();
    let once = coco_box(6, 6, 7, "1, 1, 1, 1");
    annotations.push(&once);
    let text = coco(&images, &annotations, CATEGORIES);
    let root = folder(&[
        ("annotations/instances.json", &text),
        ("images/a.jpg", ""),
        ("images/b.jpg", ""),
        ("images/c.jpg", ""),
        ("images/text.jpg", "no picture"),
        ("images/t.jpg", ""),
    ]);
    let data = Scenes::open(root.path()).unwrap();
    assert_eq!(told(&data), ["images/a.jpg: fox 1 2 3 4, fox 10 10 20 10"]);
    assert_eq!(data.samples()[0].objects[1].area, 100.0);
    assert_eq!(
        aside(&data),
        pairs(&[
            ("annotations/instances.json: image 99", "1 annotation of a picture that is not in the file"),
            (
                "gone.jpg",
                "annotated in `annotations/instances.json` but not found in `annotations`, `.`, `images`"
            ),
            (
                "images/b.jpg",
                "in `annotations/instances.json` annotation 2 is of category 8, which is not there"
            ),
            ("images/c.jpg", "in `annotations/instances.json` annotation 4 has neither a box nor an outline"),
            ("images/t.jpg", "annotated twice and differently in `annotations/instances.json`"),
            (
                "images/text.jpg",
                "not an image: the content is text; expected JPEG, PNG, GIF, BMP, WebP or TIFF content"
            ),
        ])
    );
    assert_eq!(data.summary(), "1 photograph, 2 objects of 2 classes (COCO); 6 set aside: listed");
}

#[test]
fn bad_pictures_of_voc_are_set_aside() {
    let fox = voc_box("fox", ["1", "2", "11", "22"]);
    let (a, other) = (voc("wrong.jpg", &[&fox]), voc("o.jpg", &[&fox]).replace("64", "640"));
    let root = folder(&[
        ("annotations/a.xml", &a),
        ("annotations/broken.xml", "<annotation><object>"),
        ("annotations/boxless.xml", &voc("boxless.jpg", &["<object><name>fox</name></object>"])),
        ("annotations/gone.xml", &voc("lost.jpg", &[&fox])),
        ("annotations/o.xml", &other),
        ("annotations/project.xml", "<project/>"),
        ("images/a.jpg", ""),
        ("images/boxless.jpg", ""),
        ("images/broken.jpg", ""),
        ("images/o.jpg", ""),
    ]);
    let data = Scenes::open(root.path()).unwrap();
    assert_eq!(told(&data), ["images/a.jpg: fox 1 2 10 20"]);
    let mut found = aside(&data);
    let broken = found.iter_mut().find(|(name, _)| name == "images/broken.jpg").unwrap();
    assert!(broken.1.starts_with("`annotations/broken.xml`: no XML: "), "{broken:?}");
    broken.1.clear();
    assert_eq!(
        found,
        pairs(&[
            ("annotations/gone.xml", "its picture `lost.jpg` is not there, nor another called `gone`"),
            ("images/boxless.jpg", "`annotations/boxless.xml`: the object `fox` in line 1 has no <bndbox>"),
            ("images/broken.jpg", ""),
            ("images/o.jpg", "annotated for 640×48, the file has 64×48"),
        ])
    );
    assert_eq!(data.notes(), ["1 XML file holds no annotation of a picture (`annotations/project.xml`)"]);
}

#[test]
fn bad_pictures_of_yolo_are_set_aside() {
    let root = folder(&[
        ("data.yaml", "names: [fox]\ntrain: images\nval: val.txt\ntest: nowhere\n"),
        ("images/a.jpg", ""),
        ("images/b.jpg", ""),
        ("images/c.jpg", ""),
        ("labels/a.txt", "0 .5 .5 .5 .5\n"),
        ("labels/b.txt", "0 .5 .5 .5 .5\n1 .5 .5 .5 .5\n"),
        ("labels/c.txt", "0 320 240 10 10\n"),
        ("labels/gone.txt", "0 .5 .5 .5 .5\n"),
        ("labels/classes.txt", "fox\n"),
        ("val.txt", "more/images/v.jpg\nmore/images/w.jpg\n"),
        ("more/images/v.jpg", ""),
        ("more/labels/v.txt", ""),
    ]);
    let data = Scenes::open(root.path()).unwrap();
    assert_eq!(told(&data), ["images/a.jpg train: fox 16 12 32 24", "more/images/v.jpg val: "]);
    assert_eq!(
        aside(&data),
        pairs(&[
            ("images/b.jpg", "its labels `b.txt` hold class 1, and the last of the 1 classes is 0"),
            (
                "images/c.jpg",
                "in its labels `c.txt` line 1 holds 320; expected shares of the picture from 0 to 1"
            ),
            ("labels/gone.txt", "labels of a picture that is not there"),
            ("more/images/w.jpg", "listed in `val.txt` but not found"),
        ])
    );
    assert_eq!(
        data.notes(),
        [
            "`test: nowhere` of the description is not there: left out",
            "1 picture has no object: background (`more/images/v.jpg`)",
        ]
    );
    assert_eq!(
        data.summary(),
        "2 photographs, 1 object of 1 class (YOLO); split by description: train 1, val 1; 4 set aside: listed"
    );
}

#[test]
fn bad_pictures_of_pascal_are_set_aside() {
    let text = |count: usize, label: &str, corners: &str| {
        format!(
            "# Compatible with PASCAL Annotation Version 1.00\nImage filename : \"x/a.png\"\nImage size (X x Y x C) : 64 x 48 x 3\n\
             Objects with ground truth : {count} {{ \"{label}\" }}\n\
             Bounding box for object 1 \"{label}\" (Xmin, Ymin) - (Xmax, Ymax) : {corners}\n"
        )
    };
    let (a, b) = (text(1, "PAScarRearDifficult", "(1, 1) - (64, 48)"), text(2, "PAScar", "(1, 1) - (2, 2)"));
    let c = text(1, "PAScarSide", "(2, 3) - (11, 12)").replace("a.png", "c.png");
    let root = folder(&[
        ("annotations/a.txt", &a),
        ("annotations/b.txt", &b),
        ("annotations/c.txt", &c),
        ("annotations/gone.txt", &c.replace("c.png", "gone.png")),
        ("annotations/readme.txt", "About cars."),
        ("images/a.jpg", ""),
        ("images/b.jpg", ""),
        ("images/c.jpg", ""),
        ("masks/a.png", "mask"),
    ]);
    let data = Scenes::open(root.path()).unwrap();
    assert_eq!(told(&data), ["images/a.jpg: car 0 0 64 48 crowd", "images/c.jpg: car 1 2 10 10"]);
    assert_eq!(
        aside(&data),
        pairs(&[
            ("annotations/gone.txt", "its picture `gone.png` is not there, nor another called `gone`"),
            ("images/b.jpg", "`annotations/b.txt`: it tells of 2 objects and has boxes of 1"),
        ])
    );
}

#[test]
fn what_is_no_annotated_data_has_its_line() {
    let root = folder(&[("a.jpg", ""), ("deep/b.jpg", ""), ("masks/c.jpg", ""), ("a.txt", "a fox")]);
    let looked = "looked for COCO (a .json with images, annotations and categories), Pascal VOC (.xml with <annotation>), YOLO (data.yaml, or labels/*.txt beside images/) and PASCAL 1.00 (.txt); add them, or name the .json or .yaml";
    assert_eq!(refused(root.path()), format!("no annotations in `DATA`, which holds 2 pictures; {looked}"));
    assert_eq!(refused(&root.path().join("gone")), "no such file or folder: `DATA`");
    assert_eq!(
        refused(&root.path().join("a.jpg")),
        "`DATA` is neither COCO's .json nor YOLO's .yaml; name the folder of pictures and annotations"
    );
    let empty = coco(&[(1, "a.jpg")], &[], CATEGORIES);
    let gone = coco(&[(1, "b.jpg")], &[], CATEGORIES);
    let conflict = [coco_box(1, 1, 7, "1, 2, 3, 4"), coco_box(1, 1, 7, "1, 2, 3, 5")];
    let conflict = coco(&[(1, "a.jpg")], &[&conflict[0], &conflict[1]], CATEGORIES);
    let renamed = coco(&[(1, "a.jpg")], &[], &[(7, "wolf")]);
    for (files, expected) in [
        (
            vec![("a.json", &*empty), ("a.jpg", "")],
            "none of the 1 pictures of `DATA` has an object that can be learnt; annotate some",
        ),
        (
            vec![("a.json", &gone), ("a.jpg", "")],
            "no usable annotated pictures in `DATA` (set aside: `b.jpg`: annotated in `a.json` but not found in `.`, `..`)",
        ),
        (
            vec![("annotations.json", "{"), ("a.jpg", "")],
            "`DATA/annotations.json` is no COCO file: no JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            vec![("a.json", &conflict), ("a.jpg", "")],
            "`DATA/a.json` has two different annotations with the id 1; give each its own, or remove one",
        ),
        (
            vec![("train.json", &empty), ("val.json", &renamed), ("a.jpg", "")],
            "`DATA/val.json`: category 7 is `wolf` here and `fox` in another file; give both one name",
        ),
        (
            vec![("test.json", &empty), ("val.json", &empty), ("test/a.jpg", ""), ("val/a.jpg", "")],
            "`DATA` holds val and test but nothing called train; add it, or name one part",
        ),
        (
            vec![("data.yaml", "names: [fox]\ntrain: images\nval: other\n"), ("images/a.jpg", "")],
            "`val: other` of `DATA/data.yaml` is not there; looked at `DATA/other`; correct `val` or `path`",
        ),
        (
            vec![("data.yaml", "names: [fox]\ntrain: images\n"), ("images/a.jpg", "")],
            "none of the 1 pictures of `DATA/data.yaml` has labels; for `DATA/images/a.jpg` expected `DATA/labels/a.txt`",
        ),
        (
            vec![("data.yaml", "train: images\n")],
            "`DATA/data.yaml` is no description of YOLO data: it has neither names nor nc; add the classes' names",
        ),
    ] {
        let root = folder(&files);
        let above = root.path().parent().unwrap().display().to_string();
        assert_eq!(refused(root.path()).replace(&format!("`{above}`"), "`..`"), expected);
    }
    let columns = |group: &str| Columns::default().group(group.parse().unwrap());
    let error =
        |columns: &Columns| Scenes::open_on(root.path(), columns, 1).map(|_| ()).unwrap_err().to_string();
    assert!(
        error(&columns("site")).contains("is a folder of files without columns, so `site` selects nothing")
    );
    let label = Columns::default().label("dir".parse().unwrap());
    assert_eq!(error(&label), "--label dir: the classes of boxes stand in the annotations; leave it away");
}

#[test]
fn several_formats_in_one_folder_are_named() {
    let text = coco(&[(1, "a.jpg")], &[&coco_box(1, 1, 7, "1, 2, 3, 4")], &[(7, "fox")]);
    let root = folder(&[
        ("a.json", &text),
        ("images/a.jpg", ""),
        ("a.xml", &voc("a.jpg", &[])),
        ("labels/a.txt", "0 .5 .5 .5 .5"),
    ]);
    let data = Scenes::open(root.path()).unwrap();
    assert_eq!(data.format(), AnnotationFormat::Coco);
    assert_eq!(
        data.notes(),
        [
            "the folder also holds Pascal VOC annotations (`a.xml`): left out",
            "the folder also holds YOLO annotations: left out",
        ]
    );
}

#[test]
fn groups_digests_and_parts_are_those_of_the_data() {
    let label = "0 .5 .5 .5 .5\n";
    let files = [
        ("images/train/s1_a.jpg", ""),
        ("images/train/s1_b.jpg", ""),
        ("images/test/s2_c.jpg", ""),
        ("images/train/stray.jpg", ""),
        ("labels/train/s1_a.txt", label),
        ("labels/train/s1_b.txt", label),
        ("labels/test/s2_c.txt", label),
    ];
    let root = folder(&files);
    // Files of equal bytes stay two samples.
    std::fs::copy(root.path().join(files[0].0), root.path().join(files[1].0)).unwrap();
    let columns = Columns::default().group("name:^(s[0-9])_".parse().unwrap());
    let data = Scenes::open_on(root.path(), &columns, 3).unwrap();
    assert_eq!(data.groups(), Some(["s2", "s1", "s1"].map(str::to_owned).to_vec()));
    assert_eq!(
        aside(&data),
        pairs(&[("images/train/stray.jpg", "no group: `name:^(s[0-9])_` finds nothing in `stray.jpg`")])
    );
    assert_eq!((data.split(Split::Train), data.split(Split::Test)), (vec![1, 2], vec![0]));
    assert_eq!(data.content(1), data.content(2));
    let bytes = std::fs::read(data.path(1)).unwrap();
    assert_eq!(data.content(1), *blake3::hash(&bytes).as_bytes());

    let digest = || Scenes::open_on(root.path(), &columns, 1).unwrap().digest();
    assert_eq!(digest(), data.digest());
    assert_ne!(Scenes::open(root.path()).unwrap().digest(), data.digest());
    write(root.path(), "labels/test/s2_c.txt", b"0 .5 .5 .5 .25\n");
    assert_ne!(digest(), data.digest());
}
