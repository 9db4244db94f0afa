//! Photographs with masks, good and bad, through `Segments::open`.

use std::io::Cursor;
use std::path::Path;

use image::{GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use png::{BitDepth, ColorType};
use tempfile::TempDir;
use tk_image::data::{Columns, Split};
use tk_image::segments::{IGNORED, Looking, MaskKind, SegmentError, Segments};
use tk_transfer::data::{LabelKind, Labelled as _};

/// Width and height of most pictures here.
const SIZE: [u32; 2] = [8, 6];

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A photograph whose content depends on `tint`.
fn photograph([width, height]: [u32; 2], tint: u8) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| Rgb([(x * 9) as u8, (y * 13) as u8, tint]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

/// A PNG file of raw rows.
fn png(
    [width, height]: [u32; 2],
    colour: ColorType,
    depth: BitDepth,
    palette: &[u8],
    rows: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if !palette.is_empty() {
        encoder.set_palette(palette);
    }
    encoder.write_header().unwrap().write_image_data(rows).unwrap();
    bytes
}

/// A mask of [`SIZE`] whose first pixels are given, and whose others are 0.
fn values(first: &[u8]) -> Vec<u8> {
    let mut values = first.to_vec();
    values.resize((SIZE[0] * SIZE[1]) as usize, 0);
    values
}

fn grey(first: &[u8]) -> Vec<u8> {
    png(SIZE, ColorType::Grayscale, BitDepth::Eight, &[], &values(first))
}

fn coloured(first: &[[u8; 3]]) -> Vec<u8> {
    let mut rows = first.concat();
    rows.resize((SIZE[0] * SIZE[1] * 3) as usize, 0);
    png(SIZE, ColorType::Rgb, BitDepth::Eight, &[], &rows)
}

/// Photographs and masks of grey values in `images` and `masks`.
fn folder(masks: &[(&str, &[u8])]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (at, (name, first)) in masks.iter().enumerate() {
        write(root.path(), &format!("images/{name}.jpg"), &photograph(SIZE, at as u8));
        write(root.path(), &format!("masks/{name}.png"), &grey(first));
    }
    root
}

fn columns() -> Columns {
    Columns::default()
}

fn looking(columns: &Columns) -> Looking<'_> {
    Looking { classes: None, masks: MaskKind::Auto, ignore: None, columns }
}

fn open(root: &Path, looking: &Looking<'_>) -> Result<Segments, String> {
    Segments::open_on(root, looking, 2)
        .map_err(|error| error.to_string().replace(&root.display().to_string(), "DATA"))
}

/// The first classes of a sample's mask.
fn first(data: &Segments, position: usize, count: usize) -> Vec<u8> {
    data.mask(position).unwrap().classes()[..count].to_vec()
}

#[test]
fn masks_of_values_are_found_with_their_names() {
    let root = folder(&[("a/1", &[1, 2, 2, 255]), ("a/2", &[0]), ("b/1", &[2])]);
    write(root.path(), "classes.txt", b"ground\ncar\ntree\nsky\n");
    let columns = Columns::default().group("name:/(.)/".parse().unwrap());
    let data = open(root.path(), &looking(&columns)).unwrap();
    assert_eq!(
        (data.layout().to_string(), data.kind()),
        ("images and index masks".to_owned(), LabelKind::Multi)
    );
    assert_eq!(data.classes(), ["ground", "car", "tree", "sky"]);
    let samples: Vec<String> = data
        .samples()
        .iter()
        .map(|sample| {
            format!(
                "{} {:?} {:?} {}",
                sample.name(),
                sample.classes,
                sample.split,
                sample.group.as_deref().unwrap()
            )
        })
        .collect();
    assert_eq!(
        samples,
        ["images/a/1.jpg [0, 1, 2] None a", "images/a/2.jpg [0] None a", "images/b/1.jpg [0, 2] None b"]
    );
    assert_eq!(data.labels_of(2), [0, 2]);
    assert_eq!(data.pixels(), [44 + 48 + 47, 1, 3, 0]);
    assert_eq!(first(&data, 0, 5), [1, 2, 2, IGNORED, 0]);
    let map = data.mask(0).unwrap();
    assert_eq!([map.width(), map.height()], SIZE);
    let sample = &data.samples()[0];
    assert_eq!([sample.width, sample.height], SIZE);
    assert_eq!(data.load(0).unwrap().width(), SIZE[0]);
    assert_eq!(data.path(0), root.path().join("images/a/1.jpg"));
    assert_eq!(
        data.notes(),
        [
            "4 classes by the names of `classes.txt`",
            "0.7 % of the pixels are ignored",
            "no pixel is of `sky`"
        ]
    );
    assert_eq!(
        data.summary(),
        "3 photographs with masks, 4 classes (ground 97.2 %, car 0.7 %, tree 2.1 %, sky 0.0 %)"
    );
    assert!(data.set_aside().is_empty());
    // What was said comes before what is found.
    write(root.path(), "other.csv", b"name,value\nearth,0\nleaf,2\nwheel,1\n");
    let other = root.path().join("other.csv");
    write(root.path(), "masks/a/2.png", &grey(&[1, 2]));
    let said = Looking { classes: Some(&other), ignore: Some(1), ..looking(&columns) };
    let data = open(root.path(), &said).unwrap();
    assert_eq!(data.classes(), ["earth", "wheel", "leaf"]);
    assert_eq!((first(&data, 0, 3), first(&data, 1, 2)), (vec![IGNORED, 2, 0], vec![2, 0]));
    let classes = format!("`{}` names `0 earth`, `1 wheel`, `2 leaf`", other.display());
    let aside =
        [("images/a/1.jpg", format!("its mask `masks/a/1.png`: the value 255 is no class; {classes}"))];
    assert_eq!(data.set_aside(), aside.map(|(file, reason)| (file.to_owned(), reason)));
}

#[test]
fn folders_of_parts_divide() {
    let root = tempfile::tempdir().unwrap();
    for (at, (photo, mask)) in [
        ("train/images/1.jpg", "train/masks/1.png"),
        ("train/images/2.jpg", "train/masks/2_mask.png"),
        ("val/images/1.jpg", "val/masks/1.png"),
    ]
    .into_iter()
    .enumerate()
    {
        write(root.path(), photo, &photograph(SIZE, at as u8));
        write(root.path(), mask, &grey(&[3, 3]));
    }
    write(root.path(), "test/images/9.jpg", &photograph(SIZE, 9));
    let data = Segments::open(root.path()).unwrap();
    assert_eq!(data.split(Split::Train), [0, 1]);
    assert_eq!(data.split(Split::Validation), [2]);
    assert_eq!(
        data.summary(),
        "3 photographs with masks, 2 classes (background 95.8 %, class_3 4.2 %); split by folder: train 2, val 1"
    );
    assert_eq!(
        data.notes(),
        [
            "1 photograph of test has no mask, as none there has, and is left out (`test/images/9.jpg`)",
            "classes found by value: `0 background`, `3 class_3`; 255 is ignored",
        ]
    );
    assert_eq!(first(&data, 1, 3), [1, 1, 0]);
}

#[test]
fn of_palettes_the_index_counts_and_of_pictures_the_colour() {
    let root = folder(&[]);
    let indexed = |indices: &[u8]| {
        png(SIZE, ColorType::Indexed, BitDepth::Eight, &[9, 9, 9, 0, 0, 200, 9, 9, 9], &values(indices))
    };
    for (name, indices) in [("a", [2, 1]), ("b", [2, 2])] {
        write(root.path(), &format!("images/{name}.jpg"), &photograph(SIZE, 0));
        write(root.path(), &format!("masks/{name}.png"), &indexed(&indices));
    }
    let columns = columns();
    let data = open(root.path(), &looking(&columns)).unwrap();
    // Two of the indices have one colour, and are two classes all the same.
    assert_eq!((data.classes().len(), first(&data, 0, 3)), (3, vec![2, 1, 0]));
    let by_colour = Looking { masks: MaskKind::Palette, ..looking(&columns) };
    let data = open(root.path(), &by_colour).unwrap();
    assert_eq!(data.layout().to_string(), "images and palette masks");
    assert_eq!(
        (data.classes(), first(&data, 0, 3)),
        (&["class_0".to_owned(), "class_1".to_owned()][..], vec![1, 0, 1])
    );

    let (red, blue) = ([200, 0, 0], [0, 0, 200]);
    write(root.path(), "masks/a.png", &coloured(&[red, blue, red]));
    write(root.path(), "masks/b.png", &coloured(&[blue]));
    let data = open(root.path(), &looking(&columns)).unwrap();
    assert_eq!(
        (data.layout().to_string(), first(&data, 0, 4)),
        ("images and palette masks".to_owned(), vec![2, 1, 2, 0])
    );
    write(root.path(), "classes.csv", b"name,r,g,b\nwine,200,0,0\nvoid,0,0,0\nsea,0,0,200\n");
    let data = open(root.path(), &looking(&columns)).unwrap();
    assert_eq!((data.classes()[2].as_str(), first(&data, 0, 4)), ("sea", vec![0, 2, 0, 1]));
    // A file of names alone does not say which colour is which.
    std::fs::remove_file(root.path().join("classes.csv")).unwrap();
    write(root.path(), "classes.txt", b"void\nwine\nsea\n");
    assert_eq!(
        open(root.path(), &looking(&columns)).unwrap_err(),
        "the masks of `DATA` are in colour, and `classes.txt` does not say the colours; write NAME,R,G,B in each line; \
         the colours are `#000000`, `#0000c8`, `#c80000`"
    );
}

#[test]
fn numbered_objects_are_one_class() {
    let root = folder(&[("a", &[1, 2]), ("b", &[1]), ("c", &[0])]);
    // Sixteen bits: the values are 1, 2, 3.
    let wide: Vec<u8> = values(&[0, 1, 0, 2, 0, 3]).into_iter().chain(values(&[])).collect();
    write(root.path(), "images/d.jpg", &photograph(SIZE, 77));
    write(root.path(), "masks/d.png", &png(SIZE, ColorType::Grayscale, BitDepth::Sixteen, &[], &wide));
    let columns = columns();
    let data = open(root.path(), &looking(&columns)).unwrap();
    assert_eq!(
        (data.layout().to_string(), data.classes()[1].as_str()),
        ("images and instance masks".to_owned(), "object")
    );
    assert_eq!((first(&data, 0, 3), first(&data, 3, 4)), (vec![1, 1, 0], vec![1, 1, 1, 0]));
    assert_eq!(
        data.notes(),
        [
            "the masks number objects, up to 3 in a photograph: all are of one class, `object`; say --masks index if they are classes"
        ]
    );
    let said = Looking { masks: MaskKind::Index, ..looking(&columns) };
    let data = open(root.path(), &said).unwrap();
    assert_eq!(data.classes(), ["background", "class_1", "class_2", "class_3"]);
    write(root.path(), "classes.txt", b"ground\nperson\n");
    let data = open(root.path(), &looking(&columns)).unwrap();
    assert_eq!(
        (data.classes(), data.pixels()),
        (&["ground".to_owned(), "person".to_owned()][..], &[4 * 48 - 6, 6][..])
    );
}

#[test]
fn pascal_voc_has_its_lists_and_classes() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| format!("VOCdevkit/VOC2012/{path}");
    for (name, first) in [("2007_1", [15, 255]), ("2007_2", [1, 15]), ("2007_3", [20, 0])] {
        write(root.path(), &at(&format!("JPEGImages/{name}.jpg")), &photograph(SIZE, first[0]));
        let palette: Vec<u8> = (0..=255).flat_map(|value| [value, value, 255 - value]).collect();
        let mask = png(SIZE, ColorType::Indexed, BitDepth::Eight, &palette, &values(&first));
        write(root.path(), &at(&format!("SegmentationClass/{name}.png")), &mask);
    }
    write(root.path(), &at("JPEGImages/2007_9.jpg"), &photograph(SIZE, 99));
    write(root.path(), &at("ImageSets/Segmentation/train.txt"), b"2007_1\n2007_3\n");
    write(root.path(), &at("ImageSets/Segmentation/val.txt"), b"2007_2\n2007_9\n");
    let columns = columns();
    let data = open(root.path(), &looking(&columns)).unwrap();
    assert_eq!((data.layout().to_string(), data.classes().len()), ("Pascal VOC".to_owned(), 21));
    assert_eq!((data.split(Split::Train), data.split(Split::Validation)), (vec![0, 2], vec![1]));
    assert_eq!((first(&data, 0, 3), first(&data, 2, 2)), (vec![15, IGNORED, 0], vec![20, 0]));
    assert_eq!(
        data.notes()[0],
        "no file names the classes: they are Pascal VOC's; name others with --classes FILE"
    );
    assert_eq!(
        data.set_aside(),
        [(
            at("JPEGImages/2007_9.jpg"),
            format!(
                "listed in `{}`, but `{}` has no mask of it",
                at("ImageSets/Segmentation/val.txt"),
                at("SegmentationClass")
            )
        )]
    );
    write(root.path(), &at("classes.txt"), b"ground\ncat\n");
    let error = open(root.path(), &looking(&columns)).unwrap_err();
    assert!(
        error.contains(
            "the index 15 (#0f0ff0) is no class; `VOCdevkit/VOC2012/classes.txt` names `0 ground`, `1 cat`"
        ),
        "{error}"
    );
    // The same with masks in colour, as other programs save them.
    std::fs::remove_file(root.path().join(at("classes.txt"))).unwrap();
    for (name, first) in [
        ("2007_1", [[192, 128, 128], [224, 224, 192]]),
        ("2007_2", [[128, 0, 0], [0; 3]]),
        ("2007_3", [[0, 64, 128], [0; 3]]),
    ] {
        write(root.path(), &at(&format!("SegmentationClass/{name}.png")), &coloured(&first));
    }
    let data = open(root.path(), &looking(&columns)).unwrap();
    assert_eq!((first(&data, 0, 3), first(&data, 2, 2)), (vec![15, IGNORED, 0], vec![20, 0]));
}

/// The JPEG with EXIF that says how it is to be turned (TIFF 6.0, one directory, tag 0x0112).
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let tiff =
        [b'M', b'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
    let length = (2 + 6 + tiff.len()) as u16;
    [&jpeg[..2], &[0xFF, 0xE1], &length.to_be_bytes(), b"Exif\0\0", &tiff, &jpeg[2..]].concat()
}

#[test]
fn masks_turn_with_their_photographs() {
    // A bright block in a corner of a dark photograph, and the same block in its mask.
    let size = [32, 16];
    let is_inside = |x: u32, y: u32| x < 8 && y < 8;
    let bright = RgbImage::from_fn(size[0], size[1], |x, y| Rgb([if is_inside(x, y) { 255 } else { 0 }; 3]));
    let mut jpeg = Cursor::new(Vec::new());
    bright.write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    let stored = GrayImage::from_fn(size[0], size[1], |x, y| Luma([u8::from(is_inside(x, y))]));
    let root = tempfile::tempdir().unwrap();
    let columns = columns();
    for orientation in [1, 5, 6, 7, 8] {
        write(root.path(), "images/a.jpg", &with_orientation(&jpeg, orientation));
        let mask = png(size, ColorType::Grayscale, BitDepth::Eight, &[], stored.as_raw());
        write(root.path(), "masks/a.png", &mask);
        let data = open(root.path(), &looking(&columns)).unwrap();
        let (picture, map) = (data.load(0).unwrap(), data.mask(0).unwrap());
        assert_eq!(
            (picture.width(), picture.height()),
            (map.width(), map.height()),
            "orientation {orientation}"
        );
        let seen: Vec<u8> = picture.pixels().chunks_exact(3).map(|pixel| u8::from(pixel[0] > 127)).collect();
        assert_eq!(map.classes(), seen, "orientation {orientation}");
        let sample = &data.samples()[0];
        assert_eq!((sample.width, sample.height), (picture.width(), picture.height()));
        // A mask of the upright photograph stays as it is.
        let upright = [picture.width(), picture.height()];
        write(root.path(), "masks/a.png", &png(upright, ColorType::Grayscale, BitDepth::Eight, &[], &seen));
        let data = open(root.path(), &looking(&columns)).unwrap();
        assert_eq!(data.mask(0).unwrap().classes(), seen, "orientation {orientation}, upright");
    }
}

/// COCO's file of what is given in JSON.
fn coco(images: &str, annotations: &str) -> String {
    let categories = r#"[{"id": 7, "name": "tree"}, {"id": 3, "name": "car"}]"#;
    format!(r#"{{"images": [{images}], "annotations": [{annotations}], "categories": {categories}}}"#)
}

#[test]
fn outlines_and_runs_of_coco_are_drawn() {
    let root = tempfile::tempdir().unwrap();
    for name in ["train2017/a.jpg", "train2017/b.jpg", "val2017/c.jpg"] {
        write(root.path(), name, &photograph(SIZE, name.len() as u8));
    }
    let square = "[1, 0, 4, 0, 4, 2, 1, 2]";
    let train = coco(
        r#"{"id": 1, "file_name": "a.jpg", "width": 8, "height": 6}, {"id": 2, "file_name": "b.jpg", "width": 8, "height": 6}"#,
        &format!(
            r#"{{"id": 1, "image_id": 1, "category_id": 7, "segmentation": [{square}], "bbox": [1, 0, 3, 2], "iscrowd": 0}},
               {{"id": 2, "image_id": 1, "category_id": 3, "segmentation": {{"size": [6, 8], "counts": [12, 2, 34]}}}},
               {{"id": 3, "image_id": 1, "category_id": 3, "iscrowd": 1, "segmentation": {{"size": [6, 8], "counts": [0, 12, 36]}}}}"#
        ),
    );
    // The same square in packed runs: 6 outside, then 2 inside and 4 outside in three columns, and 24 more outside.
    let packed = tk_image::masks::Mask::from_runs(6, 8, vec![6, 2, 4, 2, 4, 2, 28]).unwrap().packed();
    let val = coco(
        r#"{"id": 1, "file_name": "c.jpg"}"#,
        &format!(
            r#"{{"id": 9, "image_id": 1, "category_id": 7, "segmentation": {{"size": [6, 8], "counts": "{packed}"}}}}"#
        ),
    );
    write(root.path(), "annotations/instances_train2017.json", train.as_bytes());
    write(root.path(), "annotations/instances_val2017.json", val.as_bytes());
    let columns = columns();
    let data = open(root.path(), &looking(&columns)).unwrap();
    assert_eq!(data.layout().to_string(), "COCO");
    assert_eq!(data.classes(), ["background", "car", "tree"]);
    assert_eq!((data.split(Split::Train), data.split(Split::Validation)), (vec![0, 1], vec![2]));
    let (void, car, tree) = (IGNORED, 1, 2);
    let rows = data.mask(0).unwrap().into_classes();
    // The crowd covers the first two columns, and is seen where nothing else is.
    assert_eq!(rows[..8], [void, tree, car, tree, 0, 0, 0, 0]);
    assert_eq!(rows[8..16], [void, tree, car, tree, 0, 0, 0, 0]);
    assert_eq!(rows[16..24], [void, void, 0, 0, 0, 0, 0, 0]);
    assert!(data.mask(1).unwrap().classes().iter().all(|&class| class == 0));
    assert_eq!(data.mask(2).unwrap().classes()[..8], [0, tree, tree, tree, 0, 0, 0, 0]);
    assert_eq!(data.pixels(), [48 * 3 - 12 - 10, 2, 10]);
    assert_eq!(
        data.summary(),
        "3 photographs with masks, 3 classes (background 91.0 %, car 1.5 %, tree 7.5 %); split by file: train 2, val 1"
    );
    assert_eq!(data.notes(), ["6.9 % of the pixels are ignored"]);
    assert_eq!(data.samples()[0].classes, [0, 1, 2]);

    // One file alone divides nothing, and its pictures lie above it.
    let file = root.path().join("annotations/instances_val2017.json");
    let data = open(&file, &looking(&columns)).unwrap();
    assert_eq!(
        (data.name(0), data.split_of(0), data.folder()),
        ("val2017/c.jpg".to_owned(), None, root.path())
    );
    assert_eq!(data.load(0).unwrap().width(), 8);
    for (said, expected) in [
        (
            Looking { classes: Some(&file), ..looking(&columns) },
            format!(
                "--classes {}: the categories of COCO's file are the classes; leave it away",
                file.display()
            ),
        ),
        (
            Looking { masks: MaskKind::Index, ..looking(&columns) },
            "--masks index: COCO's file has outlines, and no masks; leave it away".to_owned(),
        ),
        (
            Looking { ignore: Some(0), ..looking(&columns) },
            "--ignore 0: COCO's file has no values; what is ignored are its crowds; leave it away".to_owned(),
        ),
    ] {
        assert_eq!(Segments::open_on(root.path(), &said, 1).unwrap_err().to_string(), expected);
    }
    // Masks come before outlines.
    write(root.path(), "images/a.jpg", &photograph(SIZE, 1));
    write(root.path(), "masks/a.png", &grey(&[1]));
    assert_eq!(open(root.path(), &looking(&columns)).unwrap().layout().to_string(), "images and index masks");
}

#[test]
fn faults_of_coco_are_set_aside() {
    let root = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c", "d", "e", "twice"] {
        write(root.path(), &format!("images/{name}.jpg"), &photograph(SIZE, name.as_bytes()[0]));
    }
    write(root.path(), "images/turned.jpg", &with_orientation(&photograph(SIZE, 99), 6));
    let images: Vec<String> = ["a", "b", "c", "d", "e", "gone", "turned", "twice", "twice"]
        .iter()
        .enumerate()
        .map(|(id, name)| {
            format!(
                r#"{{"id": {id}, "file_name": "{name}.jpg", "width": {}, "height": 6}}"#,
                if *name == "e" { 80 } else { 8 }
            )
        })
        .collect();
    let square = r#""segmentation": [[1, 0, 4, 0, 4, 2, 1, 2]]"#;
    let annotations = [
        format!(r#"{{"id": 10, "image_id": 0, "category_id": 3, {square}}}"#),
        r#"{"id": 11, "image_id": 1, "category_id": 3, "bbox": [1, 0, 3, 2]}"#.to_owned(),
        format!(r#"{{"id": 12, "image_id": 2, "category_id": 4, {square}}}"#),
        r#"{"id": 13, "image_id": 3, "category_id": 3, "segmentation": {"size": [6, 8], "counts": [12, 2]}}"#
            .to_owned(),
        format!(r#"{{"id": 14, "image_id": 4, "category_id": 3, {square}}}"#),
        format!(r#"{{"id": 15, "image_id": 6, "category_id": 3, {square}}}"#),
        format!(r#"{{"id": 16, "image_id": 7, "category_id": 3, {square}}}"#),
        format!(r#"{{"id": 17, "image_id": 77, "category_id": 3, {square}}}"#),
    ];
    let file = coco(&images.join(", "), &annotations.join(", "));
    write(root.path(), "annotations/labels.json", file.as_bytes());
    let columns = columns();
    let data = open(root.path(), &looking(&columns)).unwrap();
    let aside: Vec<(String, String)> = data.set_aside();
    let aside: Vec<(&str, &str)> =
        aside.iter().map(|(name, reason)| (name.as_str(), reason.as_str())).collect();
    assert_eq!(
        aside,
        [
            ("annotations/labels.json: image 77", "1 annotation of a picture that is not in the file"),
            (
                "gone.jpg",
                "annotated in `annotations/labels.json` but not found in `annotations`, `.`, `images`"
            ),
            (
                "images/b.jpg",
                "annotated in `annotations/labels.json`: annotation 11 has neither outlines nor runs"
            ),
            (
                "images/c.jpg",
                "annotated in `annotations/labels.json`: annotation 12 is of category 4, which is not there"
            ),
            (
                "images/d.jpg",
                "annotated in `annotations/labels.json`: annotation 13: its runs cover 14 pixels, and 6 × 8 are 48"
            ),
            ("images/e.jpg", "annotated in `annotations/labels.json`: annotated for 80×6, the file has 8×6"),
            ("images/twice.jpg", "annotated twice and differently in `annotations/labels.json`"),
        ]
    );
    assert_eq!((data.name(0), data.name(1)), ("images/a.jpg".to_owned(), "images/turned.jpg".to_owned()));
    // Drawn on the stored picture, and turned with it: clockwise, so that its upper rows are the right columns.
    let turned = data.mask(1).unwrap();
    assert_eq!((turned.width(), turned.height()), (6, 8));
    assert_eq!(turned.classes()[6..12], [0, 0, 0, 0, 1, 1]);
    assert_eq!(turned.classes().iter().filter(|&&class| class == 1).count(), 6);
    assert_eq!(data.notes(), ["no pixel is of `tree`"]);

    // Boxes alone are no classes of pixels.
    write(root.path(), "annotations/labels.json", coco(&images[1], &annotations[1]).as_bytes());
    assert_eq!(
        open(root.path(), &looking(&columns)).unwrap_err(),
        "no photograph of `DATA` has a usable mask (set aside: `images/b.jpg`: annotated in `annotations/labels.json`: annotation 11 has neither outlines nor runs)"
    );
    write(root.path(), "annotations/labels.json", coco(&images[0], "").as_bytes());
    assert_eq!(
        open(root.path(), &looking(&columns)).unwrap_err(),
        "all pixels of the masks of `DATA` are of one class, `background`; draw what is to be told apart from it"
    );
    write(root.path(), "annotations/annotations.json", b"{\"images\": [");
    std::fs::remove_file(root.path().join("annotations/labels.json")).unwrap();
    assert!(
        open(root.path(), &looking(&columns))
            .unwrap_err()
            .starts_with("`DATA/annotations/annotations.json` is no COCO file: ")
    );
}

#[test]
fn each_fault_is_set_aside_with_its_reason() {
    let root = folder(&[("good", &[1, 2, 255]), ("strange", &[7]), ("void", &[])]);
    write(root.path(), "classes.txt", b"ground\ncar\ntree\n");
    write(root.path(), "masks/void.png", &grey(&[255; 48]));
    for name in ["alone", "cut", "other", "lossy", "text", "colour"] {
        write(root.path(), &format!("images/{name}.jpg"), &photograph(SIZE, 200));
    }
    let noise: Vec<u8> = (0..4096u32).map(|at| (at * at % 251) as u8).collect();
    let cut = png([64, 64], ColorType::Grayscale, BitDepth::Eight, &[], &noise);
    write(root.path(), "images/cut.jpg", &photograph([64, 64], 1));
    write(root.path(), "masks/cut.png", &cut[..cut.len() / 2]);
    write(
        root.path(),
        "masks/other.png",
        &png([6, 8], ColorType::Grayscale, BitDepth::Eight, &[], &values(&[1])),
    );
    write(root.path(), "masks/lossy.png", &photograph(SIZE, 3));
    write(root.path(), "masks/text.png", b"not a mask");
    write(root.path(), "masks/colour.png", &coloured(&[[1, 2, 3]]));
    write(root.path(), "masks/lost.png", &grey(&[1]));
    let jpeg = photograph(SIZE, 4);
    write(root.path(), "images/broken.jpg", &jpeg[..jpeg.len() / 2]);
    write(root.path(), "masks/broken.png", &grey(&[1]));
    let columns = columns();
    let data = open(root.path(), &looking(&columns)).unwrap();
    let (half, cut) = (jpeg.len() / 2, cut.len() / 2);
    let classes = "is no class; `classes.txt` names `0 ground`, `1 car`, `2 tree`";
    let expected = [
        ("images/alone.jpg", "a photograph without mask of its name".to_owned()),
        ("images/broken.jpg", format!("truncated JPEG: the file ends after {half} bytes, before its picture does")),
        ("images/colour.jpg", format!("its mask `masks/colour.png`: the colour #010203 {classes}")),
        ("images/cut.jpg", format!("its mask `masks/cut.png`: truncated PNG: the file ends after {cut} bytes, before its picture does")),
        (
            "images/lossy.jpg",
            "its mask `masks/lossy.png`: JPEG does not keep values as they are, so its pixels are no classes; save masks as PNG".to_owned(),
        ),
        (
            "images/other.jpg",
            "its mask `masks/other.png`: it has 6×8 pixels, and its photograph 8×6 pixels; draw it anew, or scale it without smoothing".to_owned(),
        ),
        ("images/strange.jpg", format!("its mask `masks/strange.png`: the value 7 {classes}")),
        (
            "images/text.jpg",
            "its mask `masks/text.png`: not an image: the content is text; expected JPEG, PNG, GIF, BMP, WebP or TIFF content".to_owned(),
        ),
        ("images/void.jpg", "its mask `masks/void.png`: all pixels are ignored, so there is nothing to learn".to_owned()),
        ("masks/lost.png", "a mask without photograph of its name".to_owned()),
    ];
    assert_eq!(data.set_aside(), expected.map(|(file, reason)| (file.to_owned(), reason)));
    assert_eq!((data.samples().len(), data.pixels()), (1, &[45, 1, 1][..]));
    assert_eq!(
        data.summary(),
        "1 photographs with masks, 3 classes (ground 95.7 %, car 2.1 %, tree 2.1 %); 10 set aside: listed"
    );
}

#[test]
fn what_is_no_data_set_is_told_with_the_way_out() {
    let columns = columns();
    let error =
        |root: &Path, looking: &Looking<'_>| open(root, looking).map(|data| data.summary()).unwrap_err();
    let root = folder(&[]);
    for name in ["images/a.jpg", "images/b.jpg"] {
        write(root.path(), name, &photograph(SIZE, 1));
    }
    let auto = looking(&columns);
    assert_eq!(
        error(root.path(), &auto),
        "no masks in `DATA`, which holds 2 pictures; looked for masks/ beside images/ (a mask is called as its photograph, or PHOTOGRAPH_mask), \
         Pascal VOC (JPEGImages, SegmentationClass and ImageSets/Segmentation) and COCO (a .json with images, annotations and categories)"
    );
    for name in ["masks/a.jpg", "masks/b.jpg"] {
        write(root.path(), name, &photograph(SIZE, 1));
    }
    assert_eq!(
        error(root.path(), &auto),
        "no photograph of `DATA` has a usable mask (2 set aside, the first `images/a.jpg`: its mask `masks/a.jpg`: \
         JPEG does not keep values as they are, so its pixels are no classes; save masks as PNG)"
    );
    let file = root.path().join("images/a.jpg");
    assert_eq!(
        error(&file, &auto),
        "`DATA` is a file; expected a folder of photographs and masks, or COCO's .json"
    );
    assert_eq!(error(&root.path().join("gone"), &auto), "no such file or folder: `DATA`");

    let root = folder(&[("a", &[0]), ("b", &[0])]);
    assert_eq!(
        error(root.path(), &auto),
        "all pixels of the masks of `DATA` are of one class, `background`; draw what is to be told apart from it"
    );
    let wide: Vec<u8> = (0..480u16).flat_map(|value| (value * 3).to_be_bytes()).collect();
    write(root.path(), "images/a.jpg", &photograph([24, 20], 1));
    write(root.path(), "masks/a.png", &png([24, 20], ColorType::Grayscale, BitDepth::Sixteen, &[], &wide));
    assert_eq!(
        error(root.path(), &auto),
        "479 values in the masks of `DATA`, at most 255 are classes; say --masks instances if each is an object, or save masks without smoothing"
    );
    let instances = Looking { masks: MaskKind::Instances, ..auto };
    assert_eq!(open(root.path(), &instances).unwrap().pixels(), [1 + 48, 478]);

    let label = Columns::default().label("dir".parse().unwrap());
    assert_eq!(
        error(root.path(), &looking(&label)),
        "--label dir: the classes of pixels stand in the masks; leave it away"
    );
    let column = Columns::default().split("set");
    assert!(matches!(Segments::open_on(root.path(), &looking(&column), 1), Err(SegmentError::Listing(_))));
    let missing = root.path().join("names.txt");
    let named = Looking { classes: Some(&missing), ..auto };
    assert!(
        error(root.path(), &named).starts_with("`DATA/names.txt` is no list of classes: it cannot be read: ")
    );
    write(root.path(), "names.txt", b"a\nb\na\n");
    assert_eq!(
        error(root.path(), &named),
        "`DATA/names.txt` is no list of classes: lines 1 and 3 both have the name `a`; change one"
    );
}

#[test]
fn threads_change_nothing_and_what_changed_since_is_told() {
    let masks: Vec<(String, Vec<u8>)> = (0..40u8).map(|at| (format!("{at:02}"), vec![at % 3, 3])).collect();
    let masks: Vec<(&str, &[u8])> =
        masks.iter().map(|(name, first)| (name.as_str(), first.as_slice())).collect();
    let root = folder(&masks);
    let columns = columns();
    let [one, many] =
        [1, 4].map(|threads| Segments::open_on(root.path(), &looking(&columns), threads).unwrap());
    assert_eq!((one.samples(), one.notes(), one.digest()), (many.samples(), many.notes(), many.digest()));
    // Other classes, another digest: of a mask, and of what values mean.
    write(root.path(), "masks/07.png", &grey(&[2, 2, 2]));
    let data = open(root.path(), &looking(&columns)).unwrap();
    assert_ne!(data.digest(), one.digest());
    assert_ne!(data.content(7), one.content(7));
    assert_eq!(data.content(8), one.content(8));
    let ignoring = Looking { ignore: Some(1), ..looking(&columns) };
    assert_ne!(open(root.path(), &ignoring).unwrap().digest(), data.digest());

    write(root.path(), "masks/07.png", &grey(&[9]));
    let error = data.mask(7).unwrap_err().to_string();
    assert_eq!(
        error,
        "the value 9 is no class; the classes are `0 background`, `1 class_1`, `2 class_2`, `3 class_3`"
    );
    write(
        root.path(),
        "masks/07.png",
        &png([4, 12], ColorType::Grayscale, BitDepth::Eight, &[], &values(&[])),
    );
    let error = data.mask(7).unwrap_err().to_string();
    assert!(error.starts_with("it has 4×12 pixels, and its photograph 8×6 pixels"), "{error}");
    std::fs::remove_file(root.path().join("masks/07.png")).unwrap();
    assert!(data.mask(7).unwrap_err().to_string().starts_with("cannot be read: "));
}

#[test]
fn penn_fudan_is_found_whole() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = here.ancestors().map(|folder| folder.join("shared/data/pennfudan")).find(|path| path.is_dir());
    let Some(path) = path else {
        eprintln!("skipped: the shared data are absent");
        return;
    };
    let data = Segments::open(path).unwrap();
    assert_eq!((data.len(), data.set_aside()), (170, vec![]));
    assert_eq!(data.layout().to_string(), "images and instance masks");
    // Counted by a few lines of Python that undo the filters of PNG: 5,822,482 of 33,779,178 pixels are not 0.
    assert_eq!(data.pixels(), [33_779_178 - 5_822_482, 5_822_482]);
    assert_eq!(data.summary(), "170 photographs with masks, 2 classes (background 82.8 %, object 17.2 %)");
    assert_eq!(
        data.notes(),
        [
            "the masks number objects, up to 8 in a photograph: all are of one class, `object`; say --masks index if they are classes"
        ]
    );
    let mut pixels = [0; 2];
    for position in 0..data.len() {
        let (picture, map) = (data.load(position).unwrap(), data.mask(position).unwrap());
        assert_eq!(
            (picture.width(), picture.height()),
            (map.width(), map.height()),
            "{}",
            data.name(position)
        );
        let counts = map.counts();
        pixels = [pixels[0] + counts[0], pixels[1] + counts[1]];
    }
    assert_eq!(pixels, data.pixels());
}
