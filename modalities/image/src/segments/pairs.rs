//! Which mask belongs to which photograph: told from the names of files and folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tk_transfer::data::listing::list_names;

use crate::annotations::notes::Counted;
use crate::annotations::parts::part_of;
use crate::data::{Quarantine, Split, Tree, display, looks_like_image};

/// Folders of photographs, in small letters.
const PHOTOGRAPHS: [&str; 6] = ["images", "image", "imgs", "img", "jpegimages", "pngimages"];

/// Folders of masks, in small letters.
const MASKS: [&str; 9] = [
    "masks",
    "mask",
    "labels",
    "label",
    "annotations",
    "annotation",
    "segmentationclass",
    "segmentationclasspng",
    "pedmasks",
];

/// What masks have behind the names of their photographs.
const SUFFIXES: [&str; 12] = [
    "_mask",
    "-mask",
    "_masks",
    "_label",
    "-label",
    "_labels",
    "_gt",
    "_seg",
    "_segmentation",
    "_annotation",
    "_L",
    "_P",
];

/// The same, where masks lie among photographs.
const BESIDE: &[&str] = &["_mask", "-mask", "_label", "-label"];

/// A photograph and its mask, relative to the data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub photograph: PathBuf,
    pub mask: PathBuf,
    pub split: Option<Split>,
}

/// The pairs of a data set.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub pairs: Vec<Pair>,
    /// Photographs and masks that stand alone, and what could not be listed.
    pub quarantine: Quarantine,
    pub notes: Vec<String>,
    /// What says which part of the data a photograph is of.
    pub divided_by: Option<&'static str>,
    /// Folders, relative to the data set, that may hold the names of the classes.
    pub names_in: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Photograph,
    Mask,
}

/// A picture by its folders.
#[derive(Debug)]
struct Placed<'a> {
    path: &'a Path,
    /// What its folders say that it is.
    role: Option<Role>,
    /// Its folders without those that say so; folders of parts by one name.
    place: Vec<String>,
    split: Option<Split>,
}

/// Photographs by their names without endings.
#[derive(Default)]
struct Photographs<'a> {
    /// Those of one place.
    placed: BTreeMap<(&'a [String], &'a str), Vec<&'a Placed<'a>>>,
    /// Those of all.
    anywhere: BTreeMap<&'a str, Vec<&'a Placed<'a>>>,
}

/// The photographs of a tree that have masks in a folder called so, or beside them under the photograph's name and `_mask`. Nothing where
/// there is not one mask.
pub(super) fn list(tree: &Tree) -> Option<Pairs> {
    let pictures: Vec<Placed<'_>> =
        tree.files.iter().filter(|path| looks_like_image(path)).map(|path| placed(path)).collect();
    let beside: BTreeSet<(Option<&Path>, &str)> =
        pictures.iter().filter_map(|picture| Some((picture.path.parent(), stem(picture.path)?))).collect();
    let has_folder = pictures.iter().any(|picture| picture.role == Some(Role::Mask));
    let is_mask = |picture: &&Placed<'_>| match has_folder {
        true => picture.role == Some(Role::Mask),
        false => bare(picture.path, BESIDE).any(|stem| beside.contains(&(picture.path.parent(), stem))),
    };
    let (masks, photographs): (Vec<&Placed<'_>>, Vec<&Placed<'_>>) = pictures.iter().partition(is_mask);
    if masks.is_empty() {
        return None;
    }
    let mut by_stem = Photographs::default();
    for photograph in &photographs {
        if let Some(stem) = stem(photograph.path) {
            by_stem.placed.entry((&photograph.place, stem)).or_default().push(photograph);
            by_stem.anywhere.entry(stem).or_default().push(photograph);
        }
    }
    let mut pairs =
        Pairs { divided_by: Some("folder"), quarantine: tree.unreadable.clone(), ..Pairs::default() };
    let mut masks_of: BTreeMap<&Path, Vec<&Placed<'_>>> = BTreeMap::new();
    for mask in &masks {
        match by_stem.of(mask).map(Vec::as_slice) {
            Some([photograph]) => masks_of.entry(photograph.path).or_default().push(mask),
            Some(several) => {
                let names = names_of(several.iter().map(|photograph| photograph.path));
                pairs.quarantine.add(display(mask.path), format!("a mask of several photographs: {names}"));
                for photograph in several {
                    let reason =
                        format!("it shares a mask, `{}`, with another of its name", display(mask.path));
                    pairs.quarantine.add(display(photograph.path), reason);
                }
            }
            None => pairs.quarantine.add(display(mask.path), "a mask without photograph of its name"),
        }
    }
    // Where one photograph has a mask, the others beside it should; elsewhere lie pictures of other purposes.
    let meant: BTreeSet<Option<&Path>> = masks_of.keys().map(|path| path.parent()).collect();
    let mut alone: Vec<&Placed<'_>> = Vec::new();
    let mut elsewhere = Counted::default();
    for photograph in photographs {
        match masks_of.get(photograph.path).map(Vec::as_slice) {
            Some([mask]) => {
                let (photograph, mask, split) =
                    (photograph.path.to_owned(), mask.path.to_owned(), photograph.split);
                pairs.pairs.push(Pair { photograph, mask, split });
            }
            Some(several) => {
                let names = names_of(several.iter().map(|mask| mask.path));
                pairs
                    .quarantine
                    .add(display(photograph.path), format!("it has several masks: {names}; keep one"));
            }
            None if photograph.role.is_some() || meant.contains(&photograph.path.parent()) => {
                alone.push(photograph)
            }
            None => elsewhere.add(1, &display(photograph.path)),
        }
    }
    pairs.set_aside(alone);
    pairs.notes.extend(elsewhere.note(
        "picture lies outside of the folders of photographs and masks, and is left out",
        "pictures lie outside of the folders of photographs and masks, and are left out",
    ));
    pairs.names_in = names_in(&masks);
    Some(pairs)
}

impl Pairs {
    /// Photographs without masks; test pictures that are handed out without any are worth a note alone.
    fn set_aside(&mut self, alone: Vec<&Placed<'_>>) {
        let is_test = |split: Option<Split>| split == Some(Split::Test);
        let has_tested = self.pairs.iter().any(|pair| is_test(pair.split));
        let mut unscored = Counted::default();
        for photograph in alone {
            match is_test(photograph.split) && !has_tested {
                true => unscored.add(1, &display(photograph.path)),
                false => {
                    self.quarantine.add(display(photograph.path), "a photograph without mask of its name")
                }
            }
        }
        self.notes.extend(unscored.note(
            "photograph of test has no mask, as none there has, and is left out",
            "photographs of test have no masks, as none there has, and are left out",
        ));
    }
}

impl<'a> Photographs<'a> {
    /// Those that a mask is called after: whose name it has, or has before a suffix; or whose whole name, as `a.jpg.png`. Those of its place
    /// come first; elsewhere there may be but one, which is not of another part.
    fn of<'b>(&'b self, mask: &'b Placed<'b>) -> Option<&'b Vec<&'a Placed<'a>>> {
        let own = stem(mask.path)?;
        let whole = Some(Path::new(own)).filter(|own| looks_like_image(own)).and_then(stem);
        let stems = || [own].into_iter().chain(bare(mask.path, &SUFFIXES)).chain(whole);
        let in_place = |stem: &'b str| self.placed.get(&(mask.place.as_slice(), stem));
        let is_meant = |found: &&'b Vec<&Placed<'_>>| match found.as_slice() {
            [only] => mask.split.is_none() || mask.split == only.split,
            _ => false,
        };
        let alone = |stem: &'b str| self.anywhere.get(stem).filter(is_meant);
        stems().find_map(in_place).or_else(|| stems().find_map(alone))
    }
}

/// The names that a mask's photograph may have when the mask's own has something behind it.
fn bare<'a>(path: &'a Path, suffixes: &'static [&'static str]) -> impl Iterator<Item = &'a str> {
    let stem = stem(path).unwrap_or_default();
    suffixes.iter().filter_map(move |suffix| stem.strip_suffix(suffix)).filter(|bare| !bare.is_empty())
}

fn stem(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()
}

fn placed(path: &Path) -> Placed<'_> {
    let mut placed = Placed { path, role: None, place: Vec::new(), split: None };
    for folder in path.parent().into_iter().flat_map(Path::components) {
        let name = folder.as_os_str().to_string_lossy();
        let (role, split) = meaning(&name);
        if let Some(split) = split {
            placed.split.get_or_insert(split);
            placed.place.push(split.name().to_owned());
        }
        match role {
            // The innermost counts.
            Some(role) => placed.role = Some(role),
            None if split.is_none() => placed.place.push(name.into_owned()),
            None => {}
        }
    }
    placed
}

/// What a folder's name says: that there are photographs or masks, that they are of a part, or both, as `train_masks`.
fn meaning(folder: &str) -> (Option<Role>, Option<Split>) {
    let folder = folder.to_lowercase();
    let role = |word: &str| match word {
        word if PHOTOGRAPHS.contains(&word) => Some(Role::Photograph),
        word if MASKS.contains(&word) => Some(Role::Mask),
        _ => None,
    };
    if let Some(role) = role(&folder) {
        return (Some(role), None);
    }
    if let Some((first, second)) = folder.split_once(['_', '-', ' ']) {
        for (word, part) in [(second, first), (first, second)] {
            if let (Some(role), Some(split)) = (role(word), part_of(part)) {
                return (Some(role), Some(split));
            }
        }
    }
    (None, part_of(&folder))
}

/// The folders that may name the classes: the data set's, those above the masks, and the masks' own.
fn names_in(masks: &[&Placed<'_>]) -> Vec<PathBuf> {
    let own: BTreeSet<&Path> = masks.iter().filter_map(|mask| mask.path.parent()).collect();
    let above: BTreeSet<&Path> = own.iter().filter_map(|folder| folder.parent()).collect();
    let mut folders = vec![PathBuf::new()];
    for folder in above.into_iter().chain(own).map(Path::to_owned) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

fn names_of<'a>(paths: impl Iterator<Item = &'a Path>) -> String {
    let names: Vec<String> = paths.map(display).collect();
    list_names(names.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn listed(files: &[&str]) -> Option<Pairs> {
        let root = tempfile::tempdir().unwrap();
        for path in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        list(&Tree::walk(root.path()).unwrap())
    }

    fn told(pairs: &Pairs) -> Vec<String> {
        let part = |pair: &Pair| pair.split.map(|split| format!(" {}", split.name())).unwrap_or_default();
        let told =
            |pair: &Pair| format!("{} {}{}", display(&pair.photograph), display(&pair.mask), part(pair));
        pairs.pairs.iter().map(told).collect()
    }

    #[test]
    fn masks_are_found_in_every_layout() {
        for (files, expected) in [
            (
                &["images/a.jpg", "masks/a.png", "images/b.jpg", "masks/b.png"][..],
                &["images/a.jpg masks/a.png", "images/b.jpg masks/b.png"][..],
            ),
            (&["PNGImages/a.png", "PedMasks/a_mask.png"], &["PNGImages/a.png PedMasks/a_mask.png"]),
            (
                &["JPEGImages/a.b.jpg", "SegmentationClass/a.b.png"],
                &["JPEGImages/a.b.jpg SegmentationClass/a.b.png"],
            ),
            (&["img/a.jpg", "labels/a.jpg.png", "labels/a.txt"], &["img/a.jpg labels/a.jpg.png"]),
            (
                &["train/images/a.jpg", "train/masks/a-mask.png", "valid/images/a.jpg", "val/masks/a.png"],
                &[
                    "train/images/a.jpg train/masks/a-mask.png train",
                    "valid/images/a.jpg val/masks/a.png val",
                ],
            ),
            (
                &[
                    "images/training/x/a.jpg",
                    "annotations/training/x/a.png",
                    "images/validation/a.jpg",
                    "annotations/validation/a.png",
                ],
                &[
                    "images/training/x/a.jpg annotations/training/x/a.png train",
                    "images/validation/a.jpg annotations/validation/a.png val",
                ],
            ),
            (&["train/a.jpg", "train_masks/a_mask.gif"], &["train/a.jpg train_masks/a_mask.gif train"]),
            (
                &["train/a.jpg", "train/a_mask.png", "valid/b.jpg", "valid/b_mask.png"],
                &["train/a.jpg train/a_mask.png train", "valid/b.jpg valid/b_mask.png val"],
            ),
            // As the Oxford pets have them.
            (&["images/a.jpg", "annotations/trimaps/a.png"], &["images/a.jpg annotations/trimaps/a.png"]),
            (&["train/images/a.jpg", "masks/a.png"], &["train/images/a.jpg masks/a.png train"]),
            (&["train/images/a.jpg", "val/masks/a.png"], &[]),
            (&["images/x/a.jpg", "images/y/a.jpg", "masks/a.png"], &[]),
            // The whole name comes before what a suffix leaves.
            (&["images/a.jpg", "images/a_L.jpg", "labels/a_L.png", "labels/a_L_L.png"], &[]),
            (
                &["images/a.jpg", "images/a_L.jpg", "labels/a_L.png", "labels/a.png"],
                &["images/a.jpg labels/a.png", "images/a_L.jpg labels/a_L.png"],
            ),
        ] {
            assert_eq!(told(&listed(files).unwrap()), expected, "{files:?}");
        }
        for files in [&["images/a.jpg", "masks/a.txt"][..], &["cats/a.jpg", "dogs/b.jpg"], &[]] {
            assert!(listed(files).is_none(), "{files:?}");
        }
    }

    #[test]
    fn what_stands_alone_is_set_aside() {
        let files = [
            "images/a.jpg",
            "images/b.jpg",
            "images/c.jpg",
            "images/c.png",
            "images/d.jpg",
            "masks/a.png",
            "masks/c.png",
            "masks/d.png",
            "masks/d_mask.png",
            "masks/e.png",
            "logo/x.png",
        ];
        let pairs = listed(&files).unwrap();
        assert_eq!(told(&pairs), ["images/a.jpg masks/a.png"]);
        assert_eq!(
            pairs.quarantine.iter().collect::<Vec<_>>(),
            [
                ("images/b.jpg", "a photograph without mask of its name"),
                ("images/c.jpg", "it shares a mask, `masks/c.png`, with another of its name"),
                ("images/c.png", "it shares a mask, `masks/c.png`, with another of its name"),
                ("images/d.jpg", "it has several masks: `masks/d.png`, `masks/d_mask.png`; keep one"),
                ("masks/c.png", "a mask of several photographs: `images/c.jpg`, `images/c.png`"),
                ("masks/e.png", "a mask without photograph of its name"),
            ]
        );
        assert_eq!(
            pairs.notes,
            [
                "1 picture lies outside of the folders of photographs and masks, and is left out (`logo/x.png`)"
            ]
        );
        let files = ["train/images/a.jpg", "train/masks/a.png", "test/images/b.jpg", "test/images/c.jpg"];
        let pairs = listed(&files).unwrap();
        assert!(pairs.quarantine.is_empty(), "{:?}", pairs.quarantine);
        assert_eq!(
            pairs.notes,
            [
                "2 photographs of test have no masks, as none there has, and are left out (the first in `test/images/b.jpg`)"
            ]
        );
    }

    #[test]
    fn names_are_looked_for_around_the_masks() {
        let pairs = listed(&["train/images/a.jpg", "train/masks/a.png"]).unwrap();
        assert_eq!(pairs.names_in, ["", "train", "train/masks"].map(PathBuf::from));
    }
}
