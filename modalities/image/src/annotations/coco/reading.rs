//! From the JSON of COCO's files to what it says, whatever dress its numbers and outlines wear.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::file::{CocoAnnotation, CocoFile, CocoImage, Runs, Segmentation};
use super::number::Number;
use crate::annotations::AnnotationError;
use crate::annotations::notes::Counted;

#[derive(Deserialize)]
struct RawFile {
    images: Option<Vec<RawImage>>,
    annotations: Option<Vec<RawAnnotation>>,
    categories: Option<Vec<RawCategory>>,
}

#[derive(Deserialize)]
struct RawImage {
    id: Number,
    file_name: String,
    width: Option<Number>,
    height: Option<Number>,
}

#[derive(Deserialize)]
struct RawAnnotation {
    id: Option<Number>,
    image_id: Number,
    category_id: Number,
    bbox: Option<Vec<Number>>,
    area: Option<Number>,
    iscrowd: Option<Number>,
    segmentation: Option<RawSegmentation>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawSegmentation {
    Runs {
        size: [usize; 2],
        counts: Runs,
    },
    Polygons(Vec<Vec<f64>>),
    Polygon(Vec<f64>),
    /// Neither: the box may be good all the same.
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct RawCategory {
    id: Number,
    name: Option<String>,
}

/// Whether bytes are JSON of which this could be made: an object with pictures, annotations and categories.
///
/// # Errors
/// They are no JSON.
pub(super) fn is_coco(bytes: &[u8]) -> Result<bool, serde_json::Error> {
    #[derive(Deserialize)]
    struct Keys {
        images: Option<IgnoredAny>,
        annotations: Option<IgnoredAny>,
        categories: Option<IgnoredAny>,
    }
    match serde_json::from_slice::<Keys>(without_mark(bytes)) {
        Ok(Keys { images, annotations, categories }) => {
            Ok(images.is_some() && annotations.is_some() && categories.is_some())
        }
        Err(error) if error.is_data() => Ok(false),
        Err(error) => Err(error),
    }
}

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

impl CocoFile {
    /// What a file says.
    ///
    /// # Errors
    /// The file cannot be read, is no JSON or not COCO's, has one id for different things, or a category without a name of its own. That
    /// annotations are of pictures and categories that are there is not looked at.
    pub fn read(path: &Path) -> Result<Self, AnnotationError> {
        let bytes = std::fs::read(path)
            .map_err(|source| AnnotationError::Unreadable { path: path.to_owned(), source })?;
        let damaged =
            |reason: String| AnnotationError::Damaged { path: path.to_owned(), format: "COCO file", reason };
        let text = without_mark(&bytes);
        if text.trim_ascii_start().starts_with(b"[") {
            return Err(damaged(
                "it is a list; expected an object with images, annotations and categories".into(),
            ));
        }
        let RawFile { images, annotations, categories } = serde_json::from_slice(text).map_err(|error| {
            damaged(if error.is_data() { error.to_string() } else { format!("no JSON: {error}") })
        })?;
        let missing =
            |key: &str| damaged(format!("it has no `{key}`; expected images, annotations and categories"));
        let images = images.ok_or_else(|| missing("images"))?;
        let annotations = annotations.ok_or_else(|| missing("annotations"))?;
        let categories = settle_categories(path, categories.ok_or_else(|| missing("categories"))?)?;
        let images = images.into_iter().map(image).collect::<Result<Vec<_>, _>>().map_err(damaged)?;
        let annotations =
            annotations.into_iter().map(annotation).collect::<Result<Vec<_>, _>>().map_err(damaged)?;

        let mut notes = Vec::new();
        let same = |what| move |id| AnnotationError::SameId { path: path.to_owned(), what, id };
        let (images, again) =
            once(images, |image| Some(image.id), |image| image.file_name.clone()).map_err(same("images"))?;
        notes.extend(again.note(
            "picture stands there twice, and counts once",
            "pictures stand there twice, and count once",
        ));
        let name = |annotation: &CocoAnnotation| format!("annotation {}", annotation.id.unwrap_or_default());
        let (annotations, again) =
            once(annotations, |annotation| annotation.id, name).map_err(same("annotations"))?;
        notes.extend(
            again.note("box stands there twice, and counts once", "boxes stand there twice, and count once"),
        );
        Ok(Self { images, annotations, categories, notes })
    }
}

/// Those with an id once each; and how many were there again.
///
/// # Errors
/// The id that two different ones have.
fn once<T: PartialEq>(
    all: Vec<T>,
    id: impl Fn(&T) -> Option<i64>,
    name: impl Fn(&T) -> String,
) -> Result<(Vec<T>, Counted), i64> {
    let mut places: HashMap<i64, usize> = HashMap::with_capacity(all.len());
    let mut kept: Vec<T> = Vec::with_capacity(all.len());
    let mut again = Counted::default();
    for one in all {
        let id = id(&one);
        match id.and_then(|id| kept.get(*places.get(&id)?)) {
            Some(first) if *first == one => again.add(1, &name(&one)),
            Some(_) => return Err(id.unwrap_or_default()),
            None => {
                places.extend(id.map(|id| (id, kept.len())));
                kept.push(one);
            }
        }
    }
    Ok((kept, again))
}

/// Categories by id, each with a name of its own.
fn settle_categories(path: &Path, raw: Vec<RawCategory>) -> Result<Vec<(i64, String)>, AnnotationError> {
    let wrong = |reason: String| AnnotationError::Classes { path: path.to_owned(), reason };
    let mut categories: BTreeMap<i64, String> = BTreeMap::new();
    for RawCategory { id, name } in raw {
        let id = id.whole().ok_or_else(|| {
            wrong(format!("the id of a category is {}; expected a whole number", id.real()))
        })?;
        let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| wrong(format!("category {id} has no name; give it one")))?;
        if categories.get(&id).is_some_and(|first| *first != name) {
            return Err(AnnotationError::SameId { path: path.to_owned(), what: "categories", id });
        }
        categories.insert(id, name);
    }
    let mut names: BTreeMap<&str, i64> = BTreeMap::new();
    for (&id, name) in &categories {
        if let Some(first) = names.insert(name, id) {
            return Err(wrong(format!("categories {first} and {id} are both called `{name}`; rename one")));
        }
    }
    match categories.is_empty() {
        true => Err(wrong("it has no categories, so there is nothing to learn; add them".to_owned())),
        false => Ok(categories.into_iter().collect()),
    }
}

fn image(raw: RawImage) -> Result<CocoImage, String> {
    let id = whole(raw.id, "the id of a picture")?;
    let side = |side: Option<Number>| side.and_then(Number::side);
    match raw.file_name.trim().is_empty() {
        true => Err(format!("picture {id} has an empty `file_name`")),
        false => {
            Ok(CocoImage { id, file_name: raw.file_name, width: side(raw.width), height: side(raw.height) })
        }
    }
}

fn annotation(raw: RawAnnotation) -> Result<CocoAnnotation, String> {
    let id = raw.id.map(|id| whole(id, "the id of an annotation")).transpose()?;
    let name = || id.map_or_else(|| "an annotation".to_owned(), |id| format!("annotation {id}"));
    let bbox = raw.bbox.filter(|bbox| !bbox.is_empty()).map(|bbox| {
        let sides: Vec<f64> = bbox.into_iter().map(Number::real).collect();
        <[f64; 4]>::try_from(sides)
            .map_err(|sides| format!("the bbox of {} has {} numbers; expected 4", name(), sides.len()))
    });
    let segmentation = raw.segmentation.and_then(|segmentation| match segmentation {
        RawSegmentation::Runs { size, counts } => Some(Segmentation::Runs { size, counts }),
        RawSegmentation::Polygons(outlines) if outlines.iter().all(Vec::is_empty) => None,
        RawSegmentation::Polygons(outlines) => Some(Segmentation::Polygons(outlines)),
        RawSegmentation::Polygon(outline) => Some(Segmentation::Polygons(vec![outline])),
        RawSegmentation::Other(_) => None,
    });
    Ok(CocoAnnotation {
        id,
        image_id: whole(raw.image_id, &format!("the image_id of {}", name()))?,
        category_id: whole(raw.category_id, &format!("the category_id of {}", name()))?,
        bbox: bbox.transpose()?,
        area: raw.area.map(Number::real),
        is_crowd: raw.iscrowd.is_some_and(|iscrowd| iscrowd.real() != 0.0),
        segmentation,
    })
}

fn whole(number: Number, what: &str) -> Result<i64, String> {
    number.whole().ok_or_else(|| format!("{what} is {}; expected a whole number", number.real()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(text: &str) -> Result<CocoFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        std::fs::write(&path, text).unwrap();
        CocoFile::read(&path).map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
    }

    fn file(images: &str, annotations: &str, categories: &str) -> String {
        format!(
            r#"{{"info": {{}}, "images": [{images}], "annotations": [{annotations}], "categories": [{categories}]}}"#
        )
    }

    const IMAGE: &str = r#"{"id": 7, "file_name": "a.jpg", "width": 64, "height": 48}"#;
    const CATEGORIES: &str = r#"{"id": 9, "name": "fox"}, {"id": 2, "name": " hare "}"#;

    fn annotation_with(rest: &str) -> String {
        format!(r#"{{"id": 1, "image_id": 7, "category_id": 9{rest}}}"#)
    }

    #[test]
    fn annotations_are_read_in_every_dress() {
        let plain = CocoAnnotation {
            id: Some(1),
            image_id: 7,
            category_id: 9,
            bbox: None,
            area: None,
            is_crowd: false,
            segmentation: None,
        };
        let outlines = |outlines: &[&[f64]]| {
            let polygons = Segmentation::Polygons(outlines.iter().map(|outline| outline.to_vec()).collect());
            CocoAnnotation { segmentation: Some(polygons), ..plain.clone() }
        };
        let runs = |counts| {
            let runs = Segmentation::Runs { size: [2, 3], counts };
            CocoAnnotation { segmentation: Some(runs), ..plain.clone() }
        };
        for (rest, expected, bounds) in [
            ("", plain.clone(), None),
            (r#", "bbox": [], "segmentation": [], "area": null, "iscrowd": null"#, plain.clone(), None),
            (
                r#", "bbox": [1, "2", 3.5, 4], "area": "12.5", "iscrowd": 1"#,
                CocoAnnotation {
                    bbox: Some([1.0, 2.0, 3.5, 4.0]),
                    area: Some(12.5),
                    is_crowd: true,
                    ..plain.clone()
                },
                Some([1.0, 2.0, 3.5, 4.0]),
            ),
            (
                r#", "segmentation": [[1, 2, 5, 2, 5, 8], [0, 3, 1, 3, 1, 4]]"#,
                outlines(&[&[1.0, 2.0, 5.0, 2.0, 5.0, 8.0], &[0.0, 3.0, 1.0, 3.0, 1.0, 4.0]]),
                Some([0.0, 2.0, 5.0, 6.0]),
            ),
            (
                r#", "segmentation": [1, 2, 5, 2, 5, 8]"#,
                outlines(&[&[1.0, 2.0, 5.0, 2.0, 5.0, 8.0]]),
                Some([1.0, 2.0, 4.0, 6.0]),
            ),
            (
                r#", "segmentation": {"size": [2, 3], "counts": [2, 3, 1]}"#,
                runs(Runs::List(vec![2, 3, 1])),
                Some([1.0, 0.0, 2.0, 2.0]),
            ),
            (
                r#", "segmentation": {"size": [2, 3], "counts": "231"}"#,
                runs(Runs::Packed("231".into())),
                Some([1.0, 0.0, 2.0, 2.0]),
            ),
            (r#", "segmentation": {"size": [2, 3], "counts": [9]}"#, runs(Runs::List(vec![9])), None),
            (r#", "segmentation": "none""#, plain.clone(), None),
        ] {
            let text = file(IMAGE, &annotation_with(rest), CATEGORIES);
            assert_eq!(is_coco(text.as_bytes()).ok(), Some(true));
            let read = read(&format!("\u{feff}{text}")).unwrap();
            assert_eq!(read.annotations, std::slice::from_ref(&expected), "{rest}");
            assert_eq!(read.annotations.first().unwrap().bounds(), bounds, "{rest}");
            assert_eq!(read.categories, [(2, "hare".to_owned()), (9, "fox".to_owned())]);
            assert_eq!(read.images.first().unwrap().stated(), Some([64, 48]));
        }
    }

    #[test]
    fn what_stands_there_twice_counts_once() {
        let (one, box_) = (annotation_with(""), r#", "bbox": [1, 2, 3, 4]"#);
        let text = file(
            &format!("{IMAGE}, {IMAGE}"),
            &format!("{one}, {one}, {one}"),
            &format!("{CATEGORIES}, {CATEGORIES}"),
        );
        let read_once = read(&text).unwrap();
        assert_eq!(
            (read_once.images.len(), read_once.annotations.len(), read_once.categories.len()),
            (1, 1, 2)
        );
        assert_eq!(
            read_once.notes,
            [
                "1 picture stands there twice, and counts once (`a.jpg`)",
                "2 boxes stand there twice, and count once (the first in `annotation 1`)"
            ]
        );
        // Annotations without ids are never the same.
        let nameless = one.replace(r#""id": 1, "#, "");
        assert_eq!(
            read(&file(IMAGE, &format!("{nameless}, {nameless}"), CATEGORIES)).unwrap().annotations.len(),
            2
        );

        let other = annotation_with(box_);
        let other_image = IMAGE.replace("a.jpg", "b.jpg");
        let other_category = r#"{"id": 2, "name": "owl"}"#;
        for (text, what) in [
            (file(IMAGE, &format!("{one}, {other}"), CATEGORIES), "annotations with the id 1"),
            (file(&format!("{IMAGE}, {other_image}"), "", CATEGORIES), "images with the id 7"),
            (file(IMAGE, "", &format!("{CATEGORIES}, {other_category}")), "categories with the id 2"),
        ] {
            let expected = format!("`FILE` has two different {what}; give each its own, or remove one");
            assert_eq!(read(&text).unwrap_err(), expected);
        }
    }

    #[test]
    fn what_is_no_coco_is_named_in_one_line() {
        for (text, expected) in [
            ("{".to_owned(), "`FILE` is no COCO file: no JSON: EOF"),
            (" [{}]".to_owned(), "`FILE` is no COCO file: it is a list; expected an object with"),
            (
                "{\"images\": 3}".to_owned(),
                "`FILE` is no COCO file: invalid type: integer `3`, expected a sequence",
            ),
            (r#"{"images": []}"#.to_owned(), "`FILE` is no COCO file: it has no `annotations`; expected"),
            (file(IMAGE, "", ""), "`FILE`: it has no categories, so there is nothing to learn; add them"),
            (file(IMAGE, "", r#"{"id": 3}"#), "`FILE`: category 3 has no name; give it one"),
            (file(IMAGE, "", r#"{"id": 3, "name": " "}"#), "`FILE`: category 3 has no name; give it one"),
            (
                file(IMAGE, "", r#"{"id": 3, "name": "fox"}, {"id": 4, "name": "fox"}"#),
                "`FILE`: categories 3 and 4 are both called `fox`; rename one",
            ),
            (
                file(r#"{"id": 7}"#, "", CATEGORIES),
                "`FILE` is no COCO file: missing field `file_name` at line 1",
            ),
            (
                file(r#"{"id": 7, "file_name": " "}"#, "", CATEGORIES),
                "`FILE` is no COCO file: picture 7 has an empty `file_name`",
            ),
            (
                file(IMAGE, &annotation_with(r#", "bbox": [1, 2, 3]"#), CATEGORIES),
                "`FILE` is no COCO file: the bbox of annotation 1 has 3 numbers; expected 4",
            ),
            (
                file(IMAGE, r#"{"image_id": 1.5, "category_id": 2}"#, CATEGORIES),
                "`FILE` is no COCO file: the image_id of an annotation is 1.5; expected a whole number",
            ),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains('\n'), "{error}");
        }
        for (text, expected) in [("{}", Some(false)), ("[1]", Some(false)), ("{", None)] {
            assert_eq!(is_coco(text.as_bytes()).ok(), expected, "{text}");
        }
        assert!(
            CocoFile::read(Path::new("no/such.json")).unwrap_err().to_string().contains("cannot be read")
        );
    }
}
