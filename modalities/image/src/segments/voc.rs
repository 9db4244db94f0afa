//! Pascal VOC: photographs, masks and the lists that divide them (<http://host.robots.ox.ac.uk/pascal/VOC/voc2012/>, "segmentation").

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::names::{ClassNames, Keys};
use super::pairs::{Pair, Pairs};
use crate::annotations::notes::Counted;
use crate::catalog::voc_classes;
use crate::data::{Split, Tree, display, looks_like_image};

/// The colour of the border around objects, which belongs to no class.
pub(super) const BORDER: [u8; 3] = [224, 224, 192];

/// The names of the classes, and the values or colours that stand for them.
pub(super) fn class_names(by_colour: bool) -> ClassNames {
    let names = voc_classes();
    let keys = match by_colour {
        true => Keys::Colours((0..).take(names.len()).map(colour).collect()),
        false => Keys::Places,
    };
    ClassNames { source: "Pascal VOC".to_owned(), names, keys }
}

/// The colour of a class: its bits go to red, green and blue in turn, the lowest to the highest place.
fn colour(class: u8) -> [u8; 3] {
    let mut colour = [0; 3];
    for bit in (0..8).filter(|bit| class >> bit & 1 == 1) {
        colour[bit % 3] |= 1 << (7 - bit / 3);
    }
    colour
}

/// The photographs of every `JPEGImages` beside which masks and lists lie; nothing where there are none.
pub(super) fn list(root: &Path, tree: &Tree) -> Option<Pairs> {
    let mut pairs =
        Pairs { divided_by: Some("ImageSets"), names_in: vec![PathBuf::new()], ..Pairs::default() };
    let mut is_found = false;
    for photographs in tree.folders().filter(|folder| folder.ends_with("JPEGImages")) {
        let folder = photographs.parent().unwrap_or(Path::new(""));
        let masks = ["SegmentationClass", "SegmentationClassPNG"].map(|name| folder.join(name));
        let Some(masks) = masks.into_iter().find(|masks| files_by_stem(tree, masks).next().is_some()) else {
            continue;
        };
        let lists = Lists::read(root, tree, folder);
        if lists.is_empty() {
            continue;
        }
        is_found = true;
        list_year(tree, photographs, &masks, lists, &mut pairs);
    }
    is_found.then_some(pairs)
}

/// What the lists beside one folder of photographs name.
fn list_year(tree: &Tree, photographs: &Path, masks: &Path, lists: Lists, pairs: &mut Pairs) {
    let by_stem = |folder: &Path| -> BTreeMap<String, PathBuf> { files_by_stem(tree, folder).collect() };
    let (in_photographs, in_masks) = (by_stem(photographs), by_stem(masks));
    pairs.names_in.push(photographs.parent().unwrap_or(Path::new("")).to_owned());
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (list, split, names) in lists.0 {
        // Competitions keep the masks of their test pictures to themselves.
        if split == Some(Split::Test) && !names.iter().any(|name| in_masks.contains_key(name)) {
            let count = names.len();
            pairs.notes.push(format!("no photograph of `{list}` has a mask ({count} named): left out"));
            continue;
        }
        let mut again = Counted::default();
        for name in names {
            if !seen.insert(name.clone()) {
                again.add(1, &name);
                continue;
            }
            match (in_photographs.get(&name), in_masks.get(&name)) {
                (Some(photograph), Some(mask)) => {
                    pairs.pairs.push(Pair { photograph: photograph.clone(), mask: mask.clone(), split });
                }
                (Some(photograph), None) => {
                    let reason = format!("listed in `{list}`, but `{}` has no mask of it", display(masks));
                    pairs.quarantine.add(display(photograph), reason);
                }
                (None, _) => {
                    let reason =
                        format!("listed in `{list}`, but `{}` has no such photograph", display(photographs));
                    pairs.quarantine.add(display(&photographs.join(&name)), reason);
                }
            }
        }
        pairs.notes.extend(again.note(
            &format!("name of `{list}` stands in an earlier list, or twice, and counts once"),
            &format!("names of `{list}` stand in an earlier list, or twice, and count once"),
        ));
    }
}

/// The pictures directly in a folder by their names without endings.
fn files_by_stem<'a>(tree: &'a Tree, folder: &Path) -> impl Iterator<Item = (String, PathBuf)> + use<'a> {
    let folder = folder.to_owned();
    let is_here = move |path: &&Path| path.parent() == Some(&folder) && looks_like_image(path);
    let files = tree.files.iter().map(PathBuf::as_path).filter(is_here);
    files.filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path.to_owned())))
}

/// The lists of one year: what each is called, the part that it stands for, and what it names.
struct Lists(Vec<(String, Option<Split>, Vec<String>)>);

impl Lists {
    fn read(root: &Path, tree: &Tree, folder: &Path) -> Self {
        let sets = folder.join("ImageSets/Segmentation");
        let mut lists: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
        let is_list = |path: &&PathBuf| {
            path.parent() == Some(&sets) && path.extension().is_some_and(|ending| ending == "txt")
        };
        for path in tree.files.iter().filter(is_list) {
            let (Some(stem), Ok(text)) = (path.file_stem(), std::fs::read(root.join(path))) else { continue };
            let text = String::from_utf8_lossy(&text);
            let names: Vec<String> = text.lines().filter_map(name_in).collect();
            if !names.is_empty() {
                lists.insert(stem.to_string_lossy().into_owned(), (display(path), names));
            }
        }
        let parts = [("train", Split::Train), ("val", Split::Validation), ("test", Split::Test)];
        let mut found: Vec<(String, Option<Split>, Vec<String>)> = Vec::new();
        for (stem, split) in parts {
            found.extend(lists.remove(stem).map(|(list, names)| (list, Some(split), names)));
        }
        let is_train_listed = found.iter().any(|(_, split, _)| *split == Some(Split::Train));
        if let (false, Some((list, mut names))) = (is_train_listed, lists.remove("trainval")) {
            names.retain(|name| !found.iter().any(|(_, _, others)| others.contains(name)));
            found.push((list, Some(Split::Train), names));
        }
        if found.is_empty() {
            found.extend(lists.into_values().map(|(list, names)| (list, None, names)));
        }
        Self(found)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The name in a line, which may be a path with an ending.
fn name_in(line: &str) -> Option<String> {
    let word = line.split_whitespace().next()?;
    let name = word.rsplit(['/', '\\']).next()?;
    let stem = match looks_like_image(Path::new(name)) {
        true => Path::new(name).file_stem()?.to_str()?,
        false => name,
    };
    (!stem.is_empty()).then(|| stem.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn colours_are_those_of_the_development_kit() {
        // The colours that the kit's VOClabelcolormap gives for these classes.
        for (class, expected) in [
            (0, [0, 0, 0]),
            (1, [128, 0, 0]),
            (2, [0, 128, 0]),
            (4, [0, 0, 128]),
            (7, [128, 128, 128]),
            (8, [64, 0, 0]),
            (15, [192, 128, 128]),
            (20, [0, 64, 128]),
            (255, BORDER),
        ] {
            assert_eq!(colour(class), expected, "class {class}");
        }
    }

    #[test]
    fn lists_divide_what_has_masks() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for name in ["a", "b", "c", "d", "e"] {
            write(&format!("VOC2012/JPEGImages/{name}.jpg"), "");
        }
        for name in ["a", "b", "d"] {
            write(&format!("VOC2012/SegmentationClass/{name}.png"), "");
            write(&format!("VOC2007/SegmentationClass/{name}.png"), "");
            write(&format!("VOC2007/JPEGImages/{name}.jpg"), "");
        }
        write("VOC2012/ImageSets/Segmentation/train.txt", "a\nJPEGImages/b.jpg x\n\n");
        write("VOC2012/ImageSets/Segmentation/val.txt", "b\r\nc\r\nz\r\n");
        write("VOC2012/ImageSets/Segmentation/trainval.txt", "a\nb\nc\nd\n");
        write("VOC2012/ImageSets/Segmentation/test.txt", "e\n");
        write("VOC2007/ImageSets/Segmentation/val.txt", "a\n");
        write("VOC2007/ImageSets/Segmentation/trainval.txt", "a\nb\n");
        write("VOC2012/ImageSets/Main/train.txt", "d\n");
        let pairs = list(root.path(), &Tree::walk(root.path()).unwrap()).unwrap();
        let found: Vec<String> = pairs
            .pairs
            .iter()
            .map(|pair| {
                format!(
                    "{} {} {}",
                    display(&pair.photograph),
                    display(&pair.mask),
                    pair.split.unwrap().name()
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                "VOC2007/JPEGImages/a.jpg VOC2007/SegmentationClass/a.png val",
                "VOC2007/JPEGImages/b.jpg VOC2007/SegmentationClass/b.png train",
                "VOC2012/JPEGImages/a.jpg VOC2012/SegmentationClass/a.png train",
                "VOC2012/JPEGImages/b.jpg VOC2012/SegmentationClass/b.png train",
            ]
        );
        assert_eq!(
            pairs.quarantine.iter().collect::<Vec<_>>(),
            [
                (
                    "VOC2012/JPEGImages/c.jpg",
                    "listed in `VOC2012/ImageSets/Segmentation/val.txt`, but `VOC2012/SegmentationClass` has no mask of it"
                ),
                (
                    "VOC2012/JPEGImages/z",
                    "listed in `VOC2012/ImageSets/Segmentation/val.txt`, but `VOC2012/JPEGImages` has no such photograph"
                ),
            ]
        );
        assert_eq!(
            pairs.notes,
            [
                "1 name of `VOC2012/ImageSets/Segmentation/val.txt` stands in an earlier list, or twice, and counts once (`b`)",
                "no photograph of `VOC2012/ImageSets/Segmentation/test.txt` has a mask (1 named): left out",
            ]
        );
    }

    #[test]
    fn other_lists_divide_nothing_and_none_is_no_pascal_voc() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("JPEGImages/a.jpg", "");
        write("SegmentationClass/a.png", "");
        assert!(list(root.path(), &Tree::walk(root.path()).unwrap()).is_none());
        write("ImageSets/Segmentation/default.txt", "a\n");
        let pairs = list(root.path(), &Tree::walk(root.path()).unwrap()).unwrap();
        assert_eq!(pairs.pairs.len(), 1);
        assert_eq!(pairs.pairs[0].split, None);
    }
}
