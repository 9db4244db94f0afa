//! Annotated pictures, looked at: digests, sizes, and every box in its upright picture.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tk_transfer::data::listing::{ClassCount, Columns, ListingError};
use tk_transfer::data::{LabelKind, Labelled, Quarantine, Split};

use super::bounds::{Settled, settle};
use super::listing::Listing;
use super::notes::Counted;
use super::places::is_picture;
use super::recognise;
use super::{AnnotationError, AnnotationFormat, Scene};
use crate::data::{DecodeError, Loader, LoaderOptions, Picture, display, inspect, read_file};

/// Photographs with boxes around their objects, in one of the formats of [`AnnotationFormat`].
///
/// Opening reads every picture once: for its digest, its size and its EXIF orientation. Boxes are brought into the upright picture and
/// clipped to it. What is no picture, or annotated for a picture of another size, is set aside.
#[derive(Clone, Debug)]
pub struct Scenes {
    root: PathBuf,
    folder: PathBuf,
    format: AnnotationFormat,
    classes: Vec<String>,
    samples: Vec<Scene>,
    /// The distinct classes of each picture's objects, ascending.
    labels: Vec<Vec<usize>>,
    quarantine: Quarantine,
    divided_by: Option<&'static str>,
    notes: Vec<String>,
}

impl Scenes {
    /// The annotated pictures at a path, looked at on all processors: a folder, COCO's `.json` or YOLO's `data.yaml`.
    ///
    /// # Errors
    /// There is no such path, it holds no annotations that are known or contradictory ones, or not one picture and object that can be used.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, AnnotationError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self::open_on(path, &Columns::default(), threads)
    }

    /// As [`Scenes::open`], on so many threads. Groups are selected of the pictures' paths; nothing else of the columns has a meaning here.
    ///
    /// # Errors
    /// As [`Scenes::open`]; or a column or labels are asked for.
    pub fn open_on(
        path: impl AsRef<Path>,
        columns: &Columns,
        threads: usize,
    ) -> Result<Self, AnnotationError> {
        let root = path.as_ref().to_owned();
        if let Some(found) = columns.labels() {
            return Err(AnnotationError::Label { found });
        }
        if let Some(column) = columns.column_name() {
            return Err(ListingError::NoColumns { path: root, selector: column.to_owned() }.into());
        }
        let (format, mut listing) = recognise::list(&root)?;
        let home = if root.is_file() { root.parent().unwrap_or(Path::new("")) } else { &root };
        let folder = listing.relate(home);
        let unannotated = unannotated(&folder, &listing);
        listing.notes.extend(unannotated);
        listing.keep_once();
        listing.settle_parts(&root)?;
        let mut scenes = Self {
            root,
            folder,
            format,
            classes: std::mem::take(&mut listing.classes),
            samples: Vec::with_capacity(listing.pictures.len()),
            labels: Vec::new(),
            quarantine: std::mem::take(&mut listing.quarantine),
            divided_by: listing.divided_by,
            notes: std::mem::take(&mut listing.notes),
        };
        scenes.look_at(listing, columns, threads);
        scenes.check()?;
        Ok(scenes)
    }

    /// Reads the listed pictures, and keeps those that can be used.
    fn look_at(&mut self, listing: Listing, columns: &Columns, threads: usize) {
        let paths: Vec<PathBuf> =
            listing.pictures.iter().map(|picture| self.folder.join(&picture.path)).collect();
        let looked = Loader::new((0..paths.len()).collect(), LoaderOptions::new(threads), move |index| {
            paths.get(index).map_or(Err(DecodeError::Empty), |path| inspect(path))
        });
        let (mut clipped, mut dropped, mut turned) =
            (Counted::default(), Counted::default(), Counted::default());
        let mut empty = Counted::default();
        for (picture, (_, looked)) in listing.pictures.into_iter().zip(looked) {
            let name = display(&picture.path);
            let usable = looked.map_err(|error| error.to_string()).and_then(|(digest, header)| {
                Ok((digest, header.upright(), settle(&picture, &header)?, columns.group_of_file(&name)?))
            });
            let (digest, [width, height], settled, group) = match usable {
                Ok(usable) => usable,
                Err(reason) => {
                    self.quarantine.add(name, reason);
                    continue;
                }
            };
            let Settled { objects, clipped: over, dropped: lost, is_turned } = settled;
            clipped.add(over, &name);
            dropped.add(lost, &name);
            turned.add(usize::from(is_turned), &name);
            empty.add(usize::from(objects.is_empty()), &name);
            let learned = objects.iter().filter(|object| !object.is_crowd).map(|object| object.class);
            self.labels.push(learned.collect::<BTreeSet<_>>().into_iter().collect());
            let (path, split) = (picture.path, picture.split);
            self.samples.push(Scene { path, width, height, objects, split, group, digest });
        }
        self.notes.extend(turned.note(
            "picture is stored turned, and its boxes were turned with it",
            "pictures are stored turned, and their boxes were turned with them",
        ));
        self.notes.extend(clipped.note(
            "box reaches out of its picture, and was clipped",
            "boxes reach out of their pictures, and were clipped",
        ));
        self.notes.extend(dropped.note(
            "box has no area in its picture, and is left out",
            "boxes have no area in their pictures, and are left out",
        ));
        self.notes
            .extend(empty.note("picture has no object: background", "pictures have no object: background"));
    }

    /// There has to be something to learn. Classes without objects get a note.
    fn check(&mut self) -> Result<(), AnnotationError> {
        let path = || self.root.clone();
        if self.samples.is_empty() {
            return Err(AnnotationError::NoPictures { path: path(), quarantine: self.quarantine.clone() });
        }
        let found: BTreeSet<usize> = self.labels.iter().flatten().copied().collect();
        if found.is_empty() {
            let (pictures, quarantine) = (self.samples.len(), self.quarantine.clone());
            return Err(AnnotationError::NoObjects { path: path(), pictures, quarantine });
        }
        let without = |(class, name): (usize, &String)| {
            (!found.contains(&class)).then(|| format!("class `{name}` has no objects"))
        };
        self.notes.extend(self.classes.iter().enumerate().filter_map(without));
        Ok(())
    }

    /// All usable pictures, ordered by path.
    pub fn samples(&self) -> &[Scene] {
        &self.samples
    }

    /// The format that was recognised.
    pub fn format(&self) -> AnnotationFormat {
        self.format
    }

    /// What the pictures' paths are relative to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a picture lies.
    ///
    /// # Panics
    /// When there is no such picture.
    pub fn path(&self, position: usize) -> PathBuf {
        self.folder.join(&self.samples[position].path)
    }

    /// The decoded picture at a position, upright.
    ///
    /// # Errors
    /// The file cannot be read any more, or is damaged where only decoding shows it.
    ///
    /// # Panics
    /// When there is no such picture.
    pub fn load(&self, position: usize) -> Result<Picture, DecodeError> {
        Picture::from_bytes(&read_file(&self.path(position))?)
    }

    /// What a user should know and need not mend, one line each: names that were changed, boxes that were clipped or left out, pictures without
    /// objects or annotations, classes without objects.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl Labelled for Scenes {
    fn root(&self) -> &Path {
        &self.root
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn kind(&self) -> LabelKind {
        LabelKind::Multi
    }

    /// The distinct classes of the objects that are learned from, so that every part gets its share of each.
    fn labels_of(&self, sample: usize) -> &[usize] {
        &self.labels[sample]
    }

    fn name(&self, sample: usize) -> String {
        self.samples[sample].name()
    }

    fn content(&self, sample: usize) -> [u8; 32] {
        self.samples[sample].digest
    }

    fn split_of(&self, sample: usize) -> Option<Split> {
        self.samples[sample].split
    }

    fn group(&self, sample: usize) -> Option<&str> {
        self.samples[sample].group.as_deref()
    }

    /// A BLAKE3 digest of the classes, and of every picture's path, content, objects, split and group.
    fn digest(&self) -> [u8; 32] {
        let mut text = format!("{:?}\n", self.classes);
        for Scene { path, width, height, objects, split, group, digest } in &self.samples {
            let path = display(path);
            text.push_str(&format!("{path:?} {digest:?} {width} {height} {objects:?} {split:?} {group:?}\n"));
        }
        *blake3::hash(text.as_bytes()).as_bytes()
    }

    /// One line, such as `170 photographs, 423 objects of 1 class (PASCAL 1.00)`.
    fn summary(&self) -> String {
        let objects = || self.samples.iter().flat_map(|sample| &sample.objects);
        let crowds = objects().filter(|object| object.is_crowd).count();
        let count = |count: usize, one: &str, several: &str| {
            format!("{count} {}", if count == 1 { one } else { several })
        };
        let photographs = if self.samples.len() == 1 { "photograph" } else { "photographs" };
        let mut what = format!(
            "{photographs}, {} of {}",
            count(objects().count() - crowds, "object", "objects"),
            count(self.classes.len(), "class", "classes")
        );
        if crowds > 0 {
            what.push_str(&format!(" and {crowds} neither learned from nor missed"));
        }
        what.push_str(&format!(" ({})", self.format));
        let total = ClassCount::total(&what, self.samples.iter().map(|sample| sample.split));
        let mut text = ClassCount::summary(&total, &[], self.divided_by);
        if !self.quarantine.is_empty() {
            text.push_str(&format!("; {} set aside: listed", self.quarantine.len()));
        }
        text
    }

    fn set_aside(&self) -> Vec<(String, String)> {
        self.quarantine.iter().map(|(file, reason)| (file.to_owned(), reason.to_owned())).collect()
    }
}

/// A note of pictures that lie beside annotated ones and are not annotated themselves.
fn unannotated(folder: &Path, listing: &Listing) -> Option<String> {
    let listed: BTreeSet<&Path> = listing.pictures.iter().map(|picture| picture.path.as_path()).collect();
    let folders: BTreeSet<&Path> = listed.iter().filter_map(|path| path.parent()).collect();
    let mut found = Counted::default();
    for beside in folders {
        let entries = std::fs::read_dir(folder.join(beside)).into_iter().flatten().flatten();
        let names: BTreeSet<_> = entries.map(|entry| entry.file_name()).collect();
        for name in names {
            let path = beside.join(name);
            let text = display(&path);
            let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if is_picture(&path)
                && !is_hidden
                && !listed.contains(path.as_path())
                && !listing.quarantine.contains(&text)
            {
                found.add(1, &text);
            }
        }
    }
    found.note("picture is not annotated, and left out", "pictures are not annotated, and left out")
}
