//! VOC's lists of pictures: `ImageSets/Main/train.txt`, `val.txt`, `test.txt`, or `trainval.txt` in place of the first two.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tk_transfer::data::{Quarantine, Split};

use crate::data::{Tree, display};

/// What the lists of a data set say; a data set may hold several years, each with its own.
#[derive(Debug, Default)]
pub(super) struct ImageSets {
    years: Vec<Year>,
}

/// The lists of one folder that has `ImageSets`.
#[derive(Debug)]
struct Year {
    /// Relative to the data set.
    folder: PathBuf,
    /// The parts of each picture, ascending, by the stem of its name.
    parts: BTreeMap<String, Vec<Split>>,
    /// Those of the lists that no file annotates, with the list.
    absent: BTreeMap<String, String>,
    notes: Vec<String>,
}

impl ImageSets {
    /// The lists of a tree. Those by class (`cat_train.txt`) and by other purposes are passed over.
    pub fn read(root: &Path, tree: &Tree) -> Self {
        let is_list =
            |path: &&PathBuf| path.parent().is_some_and(|folder| folder.ends_with("ImageSets/Main"));
        let lists = tree.files.iter().filter(is_list);
        let folders: BTreeSet<&Path> = lists.filter_map(|path| path.ancestors().nth(3)).collect();
        let years = folders.into_iter().filter_map(|folder| Year::read(root, tree, folder));
        Self { years: years.collect() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.years.is_empty()
    }

    /// The parts that a file of annotations belongs to: none when no list has it. `None` when there is no list.
    pub fn parts_of(&self, annotations: &Path) -> Option<&[Split]> {
        let year = self.years.iter().filter(|year| annotations.starts_with(&year.folder));
        let year = year.max_by_key(|year| year.folder.components().count())?;
        let stem = annotations.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        Some(year.parts.get(stem).map_or(&[], Vec::as_slice))
    }

    /// What lists name and no file annotates.
    pub fn absent(&self) -> Quarantine {
        let mut quarantine = Quarantine::default();
        for year in &self.years {
            for (stem, list) in &year.absent {
                let name = display(&year.folder.join(stem));
                quarantine.add(name, format!("listed in `{list}`, but no file annotates it"));
            }
        }
        quarantine
    }

    /// What the user should know of the lists.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.years.iter().flat_map(|year| year.notes.clone())
    }
}

impl Year {
    fn read(root: &Path, tree: &Tree, folder: &Path) -> Option<Self> {
        let list = |name: &str| {
            let path = folder.join("ImageSets/Main").join(name);
            let text = std::fs::read(root.join(&path)).ok()?;
            // Each line is a name, in lists by class followed by a mark.
            let text = String::from_utf8_lossy(&text).into_owned();
            let names = text.lines().filter_map(|line| line.split_whitespace().next());
            let stem =
                |name: &str| Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let is_plain = |name: &str| !name.contains('.');
            let names: Vec<String> = names
                .filter_map(|name| if is_plain(name) { Some(name.to_owned()) } else { stem(name) })
                .collect();
            (!names.is_empty()).then(|| (display(&path), names))
        };
        let mut lists: BTreeMap<Split, (String, Vec<String>)> = BTreeMap::new();
        for (name, split) in
            [("train.txt", Split::Train), ("val.txt", Split::Validation), ("test.txt", Split::Test)]
        {
            lists.extend(list(name).map(|list| (split, list)));
        }
        if !lists.contains_key(&Split::Train) && !lists.contains_key(&Split::Validation) {
            lists.extend(list("trainval.txt").map(|list| (Split::Train, list)));
        }
        if lists.is_empty() {
            return None;
        }
        let annotated: BTreeSet<&str> = tree
            .files_in(folder)
            .filter(|path| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("xml")))
            .filter_map(|path| path.file_stem().and_then(|stem| stem.to_str()))
            .collect();
        let (mut parts, mut absent) = (BTreeMap::<String, Vec<Split>>::new(), BTreeMap::new());
        let mut notes = Vec::new();
        for (split, (list, names)) in lists {
            let count = names.len();
            let (known, missing): (Vec<String>, Vec<String>) =
                names.into_iter().partition(|name| annotated.contains(name.as_str()));
            // Competitions keep what there is to find in their test pictures to themselves.
            if known.is_empty() && split == Split::Test {
                notes.push(format!("none of the {count} pictures of `{list}` is annotated: left out"));
                continue;
            }
            absent.extend(missing.into_iter().map(|name| (name, list.clone())));
            for name in known {
                let parts = parts.entry(name).or_default();
                if !parts.contains(&split) {
                    parts.push(split);
                }
            }
        }
        Some(Self { folder: folder.to_owned(), parts, absent, notes })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn lists_divide_what_is_annotated_beside_them() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for stem in ["a", "b", "c", "d"] {
            write(&format!("VOC2007/Annotations/{stem}.xml"), "");
            write(&format!("VOC2012/Annotations/{stem}.xml"), "");
        }
        write("other/e.xml", "");
        write("VOC2007/ImageSets/Main/train.txt", "a\n b \n\nz\n");
        write("VOC2007/ImageSets/Main/val.txt", "b.jpg\r\nc 1\n");
        write("VOC2007/ImageSets/Main/trainval.txt", "a\nb\nc\nd\n");
        write("VOC2007/ImageSets/Main/test.txt", "x\ny\n");
        write("VOC2007/ImageSets/Main/cat_train.txt", "d 1\n");
        write("VOC2012/ImageSets/Main/trainval.txt", "a\n");
        write("VOC2012/ImageSets/Layout/train.txt", "b\n");
        let tree = Tree::walk(root.path()).unwrap();
        let sets = ImageSets::read(root.path(), &tree);
        let (train, validation) = (Split::Train, Split::Validation);
        for (path, expected) in [
            ("VOC2007/Annotations/a.xml", Some(&[train][..])),
            ("VOC2007/Annotations/b.xml", Some(&[train, validation])),
            ("VOC2007/Annotations/c.xml", Some(&[validation])),
            ("VOC2007/Annotations/d.xml", Some(&[])),
            ("VOC2012/Annotations/a.xml", Some(&[train])),
            ("VOC2012/Annotations/b.xml", Some(&[])),
            ("other/e.xml", None),
        ] {
            assert_eq!(sets.parts_of(Path::new(path)), expected, "{path}");
        }
        assert_eq!(
            sets.absent().iter().collect::<Vec<_>>(),
            [("VOC2007/z", "listed in `VOC2007/ImageSets/Main/train.txt`, but no file annotates it")]
        );
        assert_eq!(
            sets.notes().collect::<Vec<_>>(),
            ["none of the 2 pictures of `VOC2007/ImageSets/Main/test.txt` is annotated: left out"]
        );
        let nothing = tempfile::tempdir().unwrap();
        let tree = Tree::walk(nothing.path()).unwrap();
        assert!(ImageSets::read(nothing.path(), &tree).is_empty());
    }
}
