//! Pascal VOC: an XML file for each picture.
//!
//! VOC's own corners are numbers of pixels from 1 on, both included. Programs that write the format since count from 0 and mean edges, and
//! most that read it, as users of torchvision do, take either for edges: so does this. Left is `xmin`, top is `ymin`, width is
//! `xmax - xmin` and height is `ymax - ymin`.

use std::path::Path;

use roxmltree::{Document as Xml, Node, ParsingOptions};

use super::documents::{self, Document, Object, Read, stated_size};
use super::listing::Listing;
use crate::data::Tree;

/// Whether a file that begins so is an annotation.
pub(super) fn is_voc(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(start);
    let after = text.split("<annotation").nth(1).and_then(|after| after.chars().next());
    after.is_some_and(|after| matches!(after, '>' | '/') || after.is_whitespace())
}

/// The pictures that the XML files of a tree annotate.
pub(super) fn list(root: &Path, tree: &Tree) -> Listing {
    documents::list(root, tree, "xml", read)
}

fn read(bytes: &[u8]) -> Read {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 from byte {} on; save it as UTF-8", error.valid_up_to()))?;
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let xml = Xml::parse_with_options(text.trim_start_matches('\u{feff}'), options)
        .map_err(|error| format!("no XML: {}", error.to_string().replace('\n', " ")))?;
    let root = xml.root_element();
    if !root.has_tag_name("annotation") {
        return Ok(None);
    }
    let size = child(root, "size");
    let side = |name| size.and_then(|size| number(size, name).transpose()).transpose();
    let stated = match (side("width")?, side("height")?) {
        (Some(width), Some(height)) => stated_size(width, height),
        _ => None,
    };
    let objects = root.children().filter(|node| node.has_tag_name("object"));
    let objects = objects.map(object).collect::<Result<_, _>>()?;
    Ok(Some(Document { named: text_of(root, "filename").map(str::to_owned), stated, objects }))
}

fn object(node: Node<'_, '_>) -> Result<Object, String> {
    let line = node.document().text_pos_at(node.range().start).row;
    let label = text_of(node, "name").ok_or_else(|| format!("the object in line {line} has no <name>"))?;
    let bounds = child(node, "bndbox")
        .ok_or_else(|| format!("the object `{label}` in line {line} has no <bndbox>"))?;
    let corner = |name: &str| {
        number(bounds, name)?.ok_or_else(|| format!("the box of `{label}` in line {line} has no <{name}>"))
    };
    let [left, top, right, bottom] = [corner("xmin")?, corner("ymin")?, corner("xmax")?, corner("ymax")?];
    let is_crowd =
        text_of(node, "difficult").is_some_and(|marked| !matches!(marked, "0" | "false" | "False"));
    Ok(Object { label: label.to_owned(), bounds: [left, top, right - left, bottom - top], is_crowd })
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// The text of a child, unless it is empty.
fn text_of<'a>(node: Node<'a, 'a>, name: &str) -> Option<&'a str> {
    child(node, name)?.text().map(str::trim).filter(|text| !text.is_empty())
}

fn number(node: Node<'_, '_>, name: &str) -> Result<Option<f64>, String> {
    let read = |text: &str| {
        text.parse().map_err(|_| format!("<{name}> in <{}> is `{text}`, no number", node.tag_name().name()))
    };
    text_of(node, name).map(read).transpose()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn with_object(inside: &str) -> String {
        format!(
            "<annotation>\n<filename>a.jpg</filename>\n<size><width>64</width><height>48</height><depth>3</depth></size>\n\
             <object>{inside}</object></annotation>"
        )
    }

    const BOX: &str = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>11.5</xmax><ymax> 22 </ymax></bndbox>";

    #[test]
    fn objects_are_read_with_their_edges() {
        let parts = "<part><name>head</name><bndbox><xmin>3</xmin></bndbox></part>";
        let document = |is_crowd| Document {
            named: Some("a.jpg".into()),
            stated: Some([64, 48]),
            objects: vec![Object { label: "red fox".into(), bounds: [1.0, 2.0, 10.5, 20.0], is_crowd }],
        };
        for (inside, is_crowd) in [
            (format!("<name> red fox </name>{BOX}"), false),
            (format!("<name>red fox</name><difficult>0</difficult>{BOX}"), false),
            (format!("<name>red fox</name>{parts}<difficult>1</difficult>{BOX}"), true),
        ] {
            assert_eq!(read(with_object(&inside).as_bytes()).unwrap(), Some(document(is_crowd)), "{inside}");
        }
        let marked =
            format!("\u{feff}<?xml version=\"1.0\"?>{}", with_object(&format!("<name>red fox</name>{BOX}")));
        assert_eq!(read(marked.as_bytes()).unwrap(), Some(document(false)));
        let unknown = with_object("").replace("64", "0").replace("<object></object>", "");
        let background = Document { named: Some("a.jpg".into()), ..Document::default() };
        assert_eq!(read(unknown.as_bytes()).unwrap(), Some(background));
        assert_eq!(read(b"<annotation/>").unwrap(), Some(Document::default()));
        assert_eq!(read(b"<project/>").unwrap(), None);
    }

    #[test]
    fn what_is_missing_is_named_in_one_line() {
        for (text, expected) in [
            ("<annotation".to_owned(), "no XML: "),
            (with_object(BOX), "the object in line 4 has no <name>"),
            (with_object("<name>fox</name>"), "the object `fox` in line 4 has no <bndbox>"),
            (
                with_object(&format!("<name>fox</name>{}", BOX.replace("ymin", "y"))),
                "the box of `fox` in line 4 has no <ymin>",
            ),
            (
                with_object(&format!("<name>fox</name>{}", BOX.replace("11.5", "wide"))),
                "<xmax> in <bndbox> is `wide`, no number",
            ),
            (with_object("").replace("48", "tall"), "<height> in <size> is `tall`, no number"),
        ] {
            let reason = read(text.as_bytes()).unwrap_err();
            assert!(reason.starts_with(expected) && !reason.contains('\n'), "{reason}");
        }
        assert_eq!(read(b"<annotation>\xff").unwrap_err(), "not UTF-8 from byte 12 on; save it as UTF-8");
    }

    #[test]
    fn annotations_are_told_from_other_xml() {
        for (start, expected) in [
            ("<?xml version='1.0'?>\n<annotation verified=\"yes\">", true),
            ("<annotation>", true),
            ("<annotation/>", true),
            ("<annotations><image/>", false),
            ("<project>", false),
            ("", false),
        ] {
            assert_eq!(is_voc(start.as_bytes()), expected, "{start}");
        }
    }
}
