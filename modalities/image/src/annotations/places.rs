//! Which picture belongs to a file of annotations: by the name that it gives, or by its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tk_transfer::data::listing::list_names;

use crate::data::{Tree, display, looks_like_image};

/// Folders that stand for what they hold, and not for a part of it: a picture and its annotation differ in these.
const KINDS: [&str; 9] =
    ["images", "image", "imgs", "jpegimages", "pngimages", "annotations", "annotation", "xmls", "labels"];

/// Whether a file is called as pictures are, those included that cannot be decoded and are to be set aside with a reason.
pub(super) fn is_picture(path: &Path) -> bool {
    const OTHERS: [&str; 8] = ["jfif", "jpe", "mpo", "heic", "heif", "avif", "jp2", "dng"];
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    looks_like_image(path) || ending.is_some_and(|ending| OTHERS.contains(&ending.as_str()))
}

/// Whether a file lies among masks, which are pictures of classes and called as the photographs are.
pub(super) fn is_mask(path: &Path) -> bool {
    let folders = path.parent().into_iter().flat_map(Path::components);
    folders
        .map(|folder| folder.as_os_str().to_string_lossy().to_lowercase())
        .any(|folder| folder.contains("mask") || folder.starts_with("segmentation"))
}

/// The pictures of a folder by name.
pub(super) struct Places<'a> {
    by_name: BTreeMap<&'a str, Vec<&'a Path>>,
    by_stem: BTreeMap<&'a str, Vec<&'a Path>>,
}

impl<'a> Places<'a> {
    /// Those of a tree, masks apart.
    pub fn new(tree: &'a Tree) -> Self {
        let mut places = Self { by_name: BTreeMap::new(), by_stem: BTreeMap::new() };
        let files = tree.files.iter().map(PathBuf::as_path);
        for path in files.filter(|path| is_picture(path) && !is_mask(path)) {
            let text = |part: Option<&'a std::ffi::OsStr>| part.and_then(|part| part.to_str());
            if let (Some(name), Some(stem)) = (text(path.file_name()), text(path.file_stem())) {
                places.by_name.entry(name).or_default().push(path);
                places.by_stem.entry(stem).or_default().push(path);
            }
        }
        places
    }

    /// The picture of a file of annotations, which may name it: one of that name, else one called as the file itself. The one beside the
    /// file or in its counterpart (`images` for `annotations`) is preferred; anywhere else there may be one only.
    ///
    /// # Errors
    /// The reason, in one line: there is none, or there are several.
    pub fn find(&self, annotations: &Path, named: Option<&str>) -> Result<&'a Path, String> {
        let named = named.map(str::trim).and_then(|path| path.rsplit(['/', '\\']).next());
        let named = named.filter(|name| !name.is_empty());
        let stem = annotations.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let of_name = named.and_then(|name| {
            // Converted pictures have another ending than the annotation says.
            let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
            [self.by_name.get(name), self.by_stem.get(name), self.by_stem.get(stem)]
                .into_iter()
                .flatten()
                .next()
        });
        let candidates = [of_name, self.by_stem.get(stem)].map(|found| found.map_or(&[][..], Vec::as_slice));
        let folder = annotations.parent().unwrap_or(Path::new(""));
        for found in candidates {
            if let Some(beside) = only(found.iter().filter(|path| path.parent() == Some(folder))) {
                return Ok(beside);
            }
            let place = place_of(folder);
            let counterparts = found.iter().filter(|path| path.parent().map(place_of) == Some(place.clone()));
            if let Some(counterpart) = only(counterparts) {
                return Ok(counterpart);
            }
        }
        if let Some(found) = candidates.iter().find_map(|found| only(found.iter())) {
            return Ok(found);
        }
        match candidates.into_iter().find(|found| !found.is_empty()) {
            Some(several) => {
                let names: Vec<String> = several.iter().map(|path| display(path)).collect();
                let names = list_names(names.iter().map(String::as_str));
                Err(format!("several pictures may be meant: {names}"))
            }
            None => Err(match named {
                Some(name) => format!("its picture `{name}` is not there, nor another called `{stem}`"),
                None => format!("no picture is called `{stem}`"),
            }),
        }
    }
}

/// The only one.
fn only<'p, 'a>(mut paths: impl Iterator<Item = &'p &'a Path>) -> Option<&'a Path>
where
    'a: 'p,
{
    match (paths.next(), paths.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// A folder without the names that stand for a kind of file.
fn place_of(folder: &Path) -> PathBuf {
    let is_kind = |name: &std::ffi::OsStr| KINDS.contains(&name.to_string_lossy().to_lowercase().as_str());
    folder.components().filter(|part| !is_kind(part.as_os_str())).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn pictures_are_found_beside_in_counterparts_or_alone() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        };
        for path in [
            "images/a.jpg",
            "masks/a.png",
            "SegmentationClass/a.png",
            "train/images/b.jpg",
            "val/images/b.jpg",
            "c.png",
            "deep/er/d.jpg",
            "x/e.jpg",
            "y/e.jpg",
            "images/sub.name.jpg",
        ] {
            write(path);
        }
        let tree = Tree::walk(folder.path()).unwrap();
        let places = Places::new(&tree);
        for (annotations, named, expected) in [
            ("annotations/a.xml", Some("a.jpg"), Ok("images/a.jpg")),
            // The named file exists only among the masks; the stem finds the photograph.
            ("annotations/a.txt", Some("Db/PNGImages/a.png"), Ok("images/a.jpg")),
            ("annotations/q.xml", Some("C:\\x\\a.jpg"), Ok("images/a.jpg")),
            ("annotations/q.xml", Some("a"), Ok("images/a.jpg")),
            ("annotations/q.xml", Some("a.bmp"), Ok("images/a.jpg")),
            ("annotations/a.xml", None, Ok("images/a.jpg")),
            ("annotations/sub.name.xml", Some(""), Ok("images/sub.name.jpg")),
            ("val/annotations/b.xml", Some("b.jpg"), Ok("val/images/b.jpg")),
            ("train/images/b.xml", Some("b.jpg"), Ok("train/images/b.jpg")),
            (
                "annotations/b.xml",
                None,
                Err("several pictures may be meant: `train/images/b.jpg`, `val/images/b.jpg`"),
            ),
            ("c.xml", Some("c.jpg"), Ok("c.png")),
            ("annotations/d.xml", Some("d.jpg"), Ok("deep/er/d.jpg")),
            ("z/e.xml", Some("e.jpg"), Err("several pictures may be meant: `x/e.jpg`, `y/e.jpg`")),
            ("f.xml", Some("g.jpg"), Err("its picture `g.jpg` is not there, nor another called `f`")),
            ("f.xml", None, Err("no picture is called `f`")),
        ] {
            let found = places.find(Path::new(annotations), named).map(display);
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{annotations} {named:?}");
        }
    }
}
