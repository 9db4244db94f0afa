//! Where COCO's files lie, and the pictures that they annotate.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use tk_transfer::data::listing::list_names;
use tk_transfer::data::{Quarantine, Split};

use super::file::{CocoAnnotation, CocoFile, CocoImage};
use super::reading::is_coco;
use crate::annotations::AnnotationError;
use crate::annotations::listing::{Annotated, Listing, Marked, Place};
use crate::annotations::parts::{names_of, part_of_file};
use crate::data::{Tree, display};

/// So many files are looked into before a folder is taken to hold other JSON.
const MOST_LOOKED_INTO: usize = 200;

/// A file of annotations and the part of the data that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartFile {
    /// Relative to the data set.
    pub path: PathBuf,
    /// The word that names the part, and the part.
    pub part: Option<(String, Split)>,
}

/// The files of a tree that annotate it: those called `instances…`, else `_annotations.coco.json`, else those whose content is COCO's. Of
/// several, those whose names or folders say which part they are of. What is left out is named in a note.
///
/// # Errors
/// Several files are of one part, or none says of which.
pub(crate) fn files_in(root: &Path, tree: &Tree) -> Result<(Vec<PartFile>, Option<String>), AnnotationError> {
    let is_json = |path: &&Path| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let files: Vec<&Path> = tree.files.iter().map(PathBuf::as_path).filter(is_json).collect();
    let called = |is_so: fn(&str) -> bool| -> Vec<&Path> {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().to_lowercase());
        files.iter().copied().filter(|path| name(path).is_some_and(|name| is_so(&name))).collect()
    };
    let mut found = called(|name| name.starts_with("instances"));
    if found.is_empty() {
        found = called(|name| name == "_annotations.coco.json");
    }
    if found.is_empty() {
        let is_near = |path: &&&Path| path.components().count() <= 3;
        let near = files.iter().filter(is_near).take(MOST_LOOKED_INTO);
        found = near.copied().filter(|path| holds_coco(&root.join(path), path)).collect();
    }
    let files = found.into_iter().map(|path| PartFile { path: path.to_owned(), part: part_of_file(path) });
    choose(root, files.collect())
}

/// A file that is cut off and called `annotations` is taken for one of COCO's, whose reader says where it ends.
fn holds_coco(full: &Path, path: &Path) -> bool {
    let Ok(bytes) = std::fs::read(full) else { return false };
    let is_called_so =
        || path.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with("annotations"));
    is_coco(&bytes).unwrap_or_else(|_| is_called_so())
}

fn choose(root: &Path, files: Vec<PartFile>) -> Result<(Vec<PartFile>, Option<String>), AnnotationError> {
    let (with_part, without): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.part.is_some());
    let names =
        |files: &[PartFile]| -> Vec<String> { files.iter().map(|file| display(&file.path)).collect() };
    if with_part.is_empty() {
        return match without.len() {
            0 | 1 => Ok((without, None)),
            _ => Err(AnnotationError::WhichFile { path: root.to_owned(), files: names(&without) }),
        };
    }
    let mut parts: BTreeMap<Split, PartFile> = BTreeMap::new();
    for file in with_part {
        let Some((_, part)) = file.part else { continue };
        let second = display(&file.path);
        if let Some(first) = parts.insert(part, file) {
            return Err(AnnotationError::TwoForOnePart { part, first: display(&first.path), second });
        }
    }
    let left_out = names(&without);
    let note = (!left_out.is_empty()).then(|| {
        format!(
            "{} says no part (train, val, test), and is left out",
            list_names(left_out.iter().map(String::as_str))
        )
    });
    Ok((parts.into_values().collect(), note))
}

/// What files say of the pictures that are there.
#[derive(Debug, Default)]
pub(crate) struct AnnotatedFiles {
    /// The categories of all files by id.
    pub categories: BTreeMap<i64, String>,
    pub pictures: Vec<AnnotatedPicture>,
    /// Pictures that are not there, and annotations of pictures that are not in their file.
    pub quarantine: Quarantine,
    pub notes: Vec<String>,
}

/// A picture of a file, and what is annotated in it.
#[derive(Debug)]
pub(crate) struct AnnotatedPicture {
    /// The picture's file.
    pub path: PathBuf,
    pub image: CocoImage,
    /// In the order of the file.
    pub annotations: Vec<CocoAnnotation>,
    /// The name of the file that annotates it.
    pub source: String,
    pub split: Option<Split>,
}

impl PartFile {
    /// A file that was named, and the folder that it is relative to.
    pub fn of(path: &Path) -> (PathBuf, Self) {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let name = PathBuf::from(path.file_name().unwrap_or_default());
        // The word tells where pictures may lie; one file alone divides nothing.
        (folder, Self { path: name, part: part_of_file(path) })
    }
}

impl AnnotatedFiles {
    /// What files of a folder say of the pictures that are found around them.
    ///
    /// # Errors
    /// As [`CocoFile::read`]; or one category has different names in two files.
    pub fn read(root: &Path, files: &[PartFile]) -> Result<Self, AnnotationError> {
        let mut all = Self::default();
        let mut read: Vec<(&PartFile, CocoFile)> = Vec::with_capacity(files.len());
        for file in files {
            let path = root.join(&file.path);
            let coco = CocoFile::read(&path)?;
            for (id, name) in &coco.categories {
                let first = all.categories.entry(*id).or_insert_with(|| name.clone());
                if first != name {
                    let reason = format!(
                        "category {id} is `{name}` here and `{first}` in another file; give both one name"
                    );
                    return Err(AnnotationError::Classes { path, reason });
                }
            }
            read.push((file, coco));
        }
        let mut names: BTreeMap<&str, i64> = BTreeMap::new();
        for (&id, name) in &all.categories {
            if let Some(first) = names.insert(name, id) {
                let reason = format!(
                    "categories {first} and {id} are both called `{name}`, in different files; rename one"
                );
                return Err(AnnotationError::Classes { path: root.to_owned(), reason });
            }
        }
        for (file, coco) in read {
            all.add(root, file, coco);
        }
        Ok(all)
    }

    fn add(&mut self, root: &Path, file: &PartFile, coco: CocoFile) {
        let source = display(&file.path);
        self.notes.extend(coco.notes.iter().map(|note| format!("`{source}`: {note}")));
        let places = PictureFolders::around(root, file);
        let known: BTreeSet<i64> = coco.images.iter().map(|image| image.id).collect();
        self.quarantine.merge(strangers(&source, &coco.annotations, &known));
        let mut objects: HashMap<i64, Vec<CocoAnnotation>> = HashMap::new();
        for annotation in coco.annotations {
            objects.entry(annotation.image_id).or_default().push(annotation);
        }
        for image in coco.images {
            let Some(path) = places.find(&image.file_name) else {
                let looked = places.names(root);
                let looked = list_names(looked.iter().map(String::as_str));
                let reason = format!("annotated in `{source}` but not found in {looked}");
                self.quarantine.add(image.file_name, reason);
                continue;
            };
            let annotations = objects.remove(&image.id).unwrap_or_default();
            let split = file.part.as_ref().map(|(_, part)| *part);
            self.pictures.push(AnnotatedPicture { path, image, annotations, source: source.clone(), split });
        }
    }
}

/// The pictures that one file annotates, looked for around it.
///
/// # Errors
/// As [`CocoFile::read`].
pub(in crate::annotations) fn list_file(path: &Path) -> Result<Listing, AnnotationError> {
    let (folder, file) = PartFile::of(path);
    list(&folder, &[file])
}

/// The pictures that files of a folder annotate.
///
/// # Errors
/// As [`AnnotatedFiles::read`].
pub(in crate::annotations) fn list(root: &Path, files: &[PartFile]) -> Result<Listing, AnnotationError> {
    let AnnotatedFiles { categories, pictures, quarantine, notes } = AnnotatedFiles::read(root, files)?;
    let mut listing = Listing { divided_by: Some("file"), quarantine, notes, ..Listing::default() };
    let classes: BTreeMap<i64, usize> = categories.keys().copied().zip(0..).collect();
    for AnnotatedPicture { path, image, annotations, source, split } in pictures {
        match annotations.iter().map(|annotation| marked(annotation, &classes)).collect() {
            Ok(boxes) => {
                listing.pictures.push(Annotated { path, source, stated: image.stated(), boxes, split })
            }
            Err(reason) => listing.aside.push((path, format!("in `{source}` {reason}"))),
        }
    }
    listing.classes = categories.into_values().collect();
    Ok(listing)
}

fn marked(annotation: &CocoAnnotation, classes: &BTreeMap<i64, usize>) -> Result<Marked, String> {
    let (name, category) = (annotation.name(), annotation.category_id);
    let class = *classes
        .get(&category)
        .ok_or_else(|| format!("{name} is of category {category}, which is not there"))?;
    let bounds = annotation.bounds().ok_or_else(|| format!("{name} has neither a box nor an outline"))?;
    Ok(Marked { class, place: Place::Pixels(bounds), area: annotation.area, is_crowd: annotation.is_crowd })
}

/// Annotations of pictures that are not in the file, by the picture's number.
fn strangers(source: &str, annotations: &[CocoAnnotation], known: &BTreeSet<i64>) -> Quarantine {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for annotation in annotations.iter().filter(|annotation| !known.contains(&annotation.image_id)) {
        *counts.entry(annotation.image_id).or_default() += 1;
    }
    let mut quarantine = Quarantine::default();
    for (id, count) in counts {
        let annotations = if count == 1 { "1 annotation" } else { &format!("{count} annotations") };
        quarantine.add(
            format!("{source}: image {id}"),
            format!("{annotations} of a picture that is not in the file"),
        );
    }
    quarantine
}

/// The folders in which a file's pictures may lie, the likeliest first.
struct PictureFolders(Vec<PathBuf>);

impl PictureFolders {
    /// Folders named after the part, the file's own and those for pictures: beside the file, then one level up, then at the root.
    fn around(root: &Path, file: &PartFile) -> Self {
        let words: Vec<&str> = match &file.part {
            Some((word, part)) => {
                [word.as_str()].into_iter().chain(names_of(*part).iter().copied()).collect()
            }
            None => Vec::new(),
        };
        let full = root.join(&file.path);
        let beside = full.parent().unwrap_or(Path::new("")).to_owned();
        // The folder above a relative one may have no name here.
        let above = beside.join("..");
        let above = beside.parent().filter(|path| !path.as_os_str().is_empty()).map_or(above, Path::to_owned);
        let mut folders: Vec<PathBuf> = Vec::new();
        for base in [&beside, &above, &root.to_owned()] {
            for word in &words {
                folders.extend([base.join(word), base.join("images").join(word)]);
            }
            folders.push(base.clone());
            folders.extend(["images", "JPEGImages", "data"].map(|name| base.join(name)));
        }
        let mut seen = BTreeSet::new();
        folders.retain(|folder| {
            (folder.as_os_str().is_empty() || folder.is_dir()) && seen.insert(folder.clone())
        });
        Self(folders)
    }

    /// The file of a picture: as it is named, else by its last name alone.
    fn find(&self, file_name: &str) -> Option<PathBuf> {
        let name = file_name.trim();
        let turned = name.replace('\\', "/");
        let last = turned.rsplit('/').next().unwrap_or_default();
        let mut tried: Vec<&str> = vec![name];
        tried.extend([turned.as_str(), last].into_iter().filter(|other| *other != name));
        let tidy = |name: &str| Path::new(name).components().collect::<PathBuf>();
        let in_folders = |name: &str| {
            let name = tidy(name);
            self.0.iter().map(move |folder| folder.join(&name))
        };
        tried.into_iter().flat_map(in_folders).find(|path| path.is_file())
    }

    fn names(&self, root: &Path) -> Vec<String> {
        let name = |folder: &PathBuf| match folder.strip_prefix(root) {
            Ok(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
            Ok(inside) => display(inside),
            Err(_) => folder.display().to_string(),
        };
        self.0.iter().map(name).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const COCO: &str = r#"{"images": [], "annotations": [], "categories": []}"#;

    fn found(files: &[(&str, &str)]) -> Result<(Vec<String>, Option<String>), String> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let tree = Tree::walk(root.path()).unwrap();
        let name = |file: PartFile| match file.part {
            Some((_, part)) => format!("{} {}", part.name(), display(&file.path)),
            None => display(&file.path),
        };
        files_in(root.path(), &tree)
            .map(|(files, note)| (files.into_iter().map(name).collect(), note))
            .map_err(|error| error.to_string().replace(&root.path().display().to_string(), "DATA"))
    }

    #[test]
    fn files_are_found_by_name_and_by_content() {
        for (files, expected) in [
            (
                &[
                    ("annotations/instances_val2017.json", ""),
                    ("annotations/instances_train2017.json", ""),
                    ("annotations/person_keypoints_train2017.json", COCO),
                ][..],
                &["train annotations/instances_train2017.json", "val annotations/instances_val2017.json"][..],
            ),
            (
                &[
                    ("train/_annotations.coco.json", ""),
                    ("valid/_annotations.coco.json", ""),
                    ("x.json", COCO),
                ],
                &["train train/_annotations.coco.json", "val valid/_annotations.coco.json"],
            ),
            (&[("labels.json", COCO), ("package.json", "{}"), ("broken.json", "{")], &["labels.json"]),
            (&[("annotations.json", "{")], &["annotations.json"]),
            (&[("far/too/deep/a.json", COCO), ("list.json", "[]")], &[]),
        ] {
            let (names, note) = found(files).unwrap();
            assert_eq!((names.join("; "), note), (expected.join("; "), None));
        }
        let (names, note) = found(&[("a.json", COCO), ("train.json", COCO)]).unwrap();
        assert_eq!(names, ["train train.json"]);
        assert_eq!(note.unwrap(), "`a.json` says no part (train, val, test), and is left out");
        for (files, expected) in [
            (
                [("a.json", COCO), ("b.json", COCO)],
                "`DATA` holds several annotation files (`a.json`, `b.json`); name one of them, or call them train, val and test",
            ),
            (
                [("train.json", COCO), ("train/x.json", COCO)],
                "`train/x.json` and `train.json` both annotate train; name one of them, or remove the other",
            ),
        ] {
            assert_eq!(found(&files).unwrap_err(), expected);
        }
    }

    #[test]
    fn pictures_are_looked_for_in_the_folder_of_their_part_first() {
        let root = tempfile::tempdir().unwrap();
        for path in
            ["images/a.jpg", "images/val/a.jpg", "val2017/a.jpg", "annotations/b.jpg", "images/sub/c.jpg"]
        {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let part = |word: &str| Some((word.to_owned(), Split::Validation));
        for (part, name, expected) in [
            (part("val2017"), "a.jpg", Some("val2017/a.jpg")),
            (part("valid"), "a.jpg", Some("images/val/a.jpg")),
            (None, "a.jpg", Some("images/a.jpg")),
            (None, "./images/../images/a.jpg", Some("images/../images/a.jpg")),
            (None, "b.jpg", Some("annotations/b.jpg")),
            (None, "sub\\c.jpg", Some("images/sub/c.jpg")),
            (None, "/home/ana/photos/a.jpg", Some("images/a.jpg")),
            (None, "d.jpg", None),
            (None, "sub", None),
        ] {
            let file = PartFile { path: "annotations/x.json".into(), part };
            let folders = PictureFolders::around(root.path(), &file);
            let found = folders.find(name);
            let found = found.map(|path| path.strip_prefix(root.path()).unwrap().display().to_string());
            assert_eq!(found.as_deref(), expected, "{name}");
        }
        let file = PartFile { path: "annotations/x.json".into(), part: None };
        assert_eq!(
            PictureFolders::around(root.path(), &file).names(root.path()),
            ["annotations", ".", "images"]
        );
    }
}
