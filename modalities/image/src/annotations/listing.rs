//! Pictures as annotation files list them, before anyone has looked at the pictures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use tk_transfer::data::{Quarantine, Split};

use super::notes::Counted;
use crate::data::display;

/// What annotation files say.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The classes' names, in the order of their numbers.
    pub classes: Vec<String>,
    /// The pictures, whose files are there.
    pub pictures: Vec<Annotated>,
    /// Pictures whose annotations are of no use, and why.
    pub aside: Vec<(PathBuf, String)>,
    /// Annotations without a picture by their names, and why.
    pub quarantine: Quarantine,
    /// What says which picture belongs to which part, if anything does.
    pub divided_by: Option<&'static str>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// A picture and the boxes that are annotated in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Annotated {
    /// The picture's file.
    pub path: PathBuf,
    /// The name of the file that annotates it.
    pub source: String,
    /// Width and height of the picture that was annotated, where they are stated.
    pub stated: Option<[u32; 2]>,
    pub boxes: Vec<Marked>,
    pub split: Option<Split>,
}

/// A box as it is annotated.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Marked {
    pub class: usize,
    pub place: Place,
    /// In pixels, or as a share of the picture's, as the place is.
    pub area: Option<f64>,
    pub is_crowd: bool,
}

/// Left, top, width and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    /// In pixels of the picture that was annotated.
    Pixels([f64; 4]),
    /// In shares of the upright picture's width and height.
    Shares([f64; 4]),
}

impl Listing {
    /// Makes the pictures' paths relative to one folder, which is returned: see [`relate`].
    pub fn relate(&mut self, home: &Path) -> PathBuf {
        let folder = relate(home, self.pictures.iter_mut().map(|picture| &mut picture.path).collect());
        for (path, reason) in std::mem::take(&mut self.aside) {
            let path = if path.starts_with(&folder) { path } else { in_full(&path) };
            self.quarantine.add(display(path.strip_prefix(&folder).unwrap_or(&path)), reason);
        }
        folder
    }

    /// Keeps each picture once, ordered by path. What is annotated alike again is counted in a note and belongs to the first part, train
    /// before val before test; what is annotated differently is set aside.
    pub fn keep_once(&mut self) {
        let mut pictures = std::mem::take(&mut self.pictures);
        pictures.sort_by_key(|picture| (picture.split.is_none(), picture.split));
        let mut kept: BTreeMap<PathBuf, Annotated> = BTreeMap::new();
        let mut contradicted: BTreeSet<PathBuf> = BTreeSet::new();
        let mut again = Counted::default();
        let mut across: BTreeMap<(Split, Split), Counted> = BTreeMap::new();
        for picture in pictures {
            let Some(first) = kept.get(&picture.path) else {
                kept.insert(picture.path.clone(), picture);
                continue;
            };
            let name = display(&picture.path);
            if first.stated != picture.stated || first.boxes != picture.boxes {
                let reason = match first.source == picture.source {
                    true => format!("annotated twice and differently in `{}`", first.source),
                    false => {
                        format!("annotated differently in `{}` and `{}`", first.source, picture.source)
                    }
                };
                self.quarantine.add(name, reason);
                contradicted.insert(picture.path);
                continue;
            }
            match (first.split, picture.split) {
                (Some(first), Some(second)) if first != second => {
                    across.entry((first, second)).or_default().add(1, &name);
                }
                _ => again.add(1, &name),
            }
        }
        kept.retain(|path, _| !contradicted.contains(path));
        self.pictures = kept.into_values().collect();
        let again = again
            .note("picture is listed twice, and counts once", "pictures are listed again, and count once");
        self.notes.extend(again);
        for ((first, second), counted) in across {
            let rest = format!("in {} and {}, and counts as {}", first.name(), second.name(), first.name());
            let several = format!("pictures are {}", rest.replace("counts", "count"));
            self.notes.extend(counted.note(&format!("picture is {rest}"), &several));
        }
    }
}

/// Makes paths relative to one folder, which is returned: to `home` where all lie in it, else to the folder above, else to the deepest that
/// holds all.
pub(crate) fn relate(home: &Path, mut paths: Vec<&mut PathBuf>) -> PathBuf {
    let is_in = |path: &Path, folder: &Path| path.strip_prefix(folder).is_ok_and(is_plain);
    let above = home.parent().filter(|above| !above.as_os_str().is_empty());
    let mut near = [Some(home), above].into_iter().flatten();
    let folder = match near.find(|folder| paths.iter().all(|path| is_in(path, folder))) {
        Some(folder) => folder.to_owned(),
        None => {
            paths.iter_mut().for_each(|path| **path = in_full(path));
            common(paths.iter().map(|path| path.as_path()))
        }
    };
    for path in paths {
        if let Ok(relative) = path.strip_prefix(&folder) {
            *path = relative.to_owned();
        }
    }
    folder
}

/// Whether a path leads only downwards.
fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// From the root on, without steps upwards.
fn in_full(path: &Path) -> PathBuf {
    let real = || {
        let folder = std::fs::canonicalize(path.parent()?).ok()?;
        Some(folder.join(path.file_name()?))
    };
    real().unwrap_or_else(|| path.to_owned())
}

/// The deepest folder that holds all files.
fn common<'a>(mut paths: impl Iterator<Item = &'a Path>) -> PathBuf {
    let mut folder = paths.next().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
    for path in paths {
        while !path.starts_with(&folder) {
            if !folder.pop() {
                break;
            }
        }
    }
    folder
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(path: &str, source: &str, split: Option<Split>, left: f64) -> Annotated {
        let place = Place::Pixels([left, 0.0, 1.0, 1.0]);
        let boxes = vec![Marked { class: 0, place, area: None, is_crowd: false }];
        Annotated { path: path.into(), source: source.into(), stated: None, boxes, split }
    }

    #[test]
    fn a_picture_counts_once_and_contradictions_are_set_aside() {
        let (train, validation) = (Some(Split::Train), Some(Split::Validation));
        let mut listing = Listing {
            pictures: vec![
                picture("b", "val.json", validation, 1.0),
                picture("a", "train.json", train, 1.0),
                picture("b", "train.json", train, 1.0),
                picture("c", "train.json", train, 1.0),
                picture("c", "train.json", train, 1.0),
                picture("d", "train.json", train, 1.0),
                picture("d", "val.json", validation, 2.0),
                picture("e", "x", None, 1.0),
                picture("e", "x", None, 2.0),
            ],
            ..Listing::default()
        };
        listing.keep_once();
        let kept: Vec<_> = listing.pictures.iter().map(|p| (display(&p.path), p.split)).collect();
        assert_eq!(kept, [("a".into(), train), ("b".into(), train), ("c".into(), train)]);
        assert_eq!(
            listing.quarantine.iter().collect::<Vec<_>>(),
            [
                ("d", "annotated differently in `train.json` and `val.json`"),
                ("e", "annotated twice and differently in `x`")
            ]
        );
        assert_eq!(
            listing.notes,
            [
                "1 picture is listed twice, and counts once (`c`)",
                "1 picture is in train and val, and counts as train (`b`)"
            ]
        );
    }

    #[test]
    fn paths_are_relative_to_the_nearest_folder_that_holds_all() {
        for (home, paths, folder, relative) in [
            ("d", ["d/images/a", "d/b"], "d", ["images/a", "b"]),
            ("d/annotations", ["d/images/a", "d/b"], "d", ["images/a", "b"]),
            ("/x/y/z", ["/p/q/a", "/p/r/b"], "/p", ["q/a", "r/b"]),
            ("/x/y", ["/p/q/a", "/p/q/r/b"], "/p/q", ["a", "r/b"]),
        ] {
            let pictures = paths.map(|path| picture(path, "", None, 0.0)).into();
            let mut listing = Listing { pictures, ..Listing::default() };
            assert_eq!(listing.relate(Path::new(home)), Path::new(folder), "{home}");
            let found: Vec<String> = listing.pictures.iter().map(|picture| display(&picture.path)).collect();
            assert_eq!(found, relative, "{home}");
        }
    }
}
