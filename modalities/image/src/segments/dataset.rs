//! Photographs whose pixels have classes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tk_transfer::data::listing::{ClassCount, Columns, ListingError};
use tk_transfer::data::{LabelKind, Labelled, Quarantine, Split};

use super::coding::Coding;
use super::error::SegmentError;
use super::look::{Candidate, Looked, MaskSource};
use super::recognise::{Found, recognise};
use super::settle::{Known, Tally, settle};
use super::{ClassMap, IGNORED, Layout, Looking, MaskError, MaskKind};
use crate::data::{DecodeError, Loader, LoaderOptions, Orientation, Picture, display, read_file};

/// Photographs whose pixels have classes: folders of images and masks, Pascal VOC, or COCO.
///
/// Opening reads every file once, for its digest, its size and the values of its mask; what does not go together is set aside. Masks are not
/// kept: [`Segments::mask`] decodes them anew.
#[derive(Clone, Debug)]
pub struct Segments {
    root: PathBuf,
    folder: PathBuf,
    layout: Layout,
    coding: Coding,
    samples: Vec<Segment>,
    masks: Vec<(MaskSource, Orientation)>,
    pixels: Vec<u64>,
    notes: Vec<String>,
    quarantine: Quarantine,
    divided_by: Option<&'static str>,
}

/// One photograph whose pixels have classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The file, relative to [`Segments::folder`].
    pub path: PathBuf,
    /// The width in pixels, upright.
    pub width: u32,
    /// The height in pixels, upright.
    pub height: u32,
    /// The classes that occur in its mask, ascending.
    pub classes: Vec<usize>,
    /// The part of the data that its folder or a list names, if they do.
    pub split: Option<Split>,
    /// What must not be divided.
    pub group: Option<String>,
    /// The BLAKE3 digest of the photograph's and the mask's bytes.
    pub digest: [u8; 32],
}

impl Segment {
    /// The path as text, with `/` between parts.
    pub fn name(&self) -> String {
        display(&self.path)
    }
}

impl Segments {
    /// The data set at a path, of which nothing more is known, looked at on all processors.
    ///
    /// # Errors
    /// No masks are there, not one of them is usable, or they hold but one class, or too many.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SegmentError> {
        let columns = Columns::default();
        let looking = Looking { classes: None, masks: MaskKind::Auto, ignore: None, columns: &columns };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self::open_on(path, &looking, threads)
    }

    /// As [`Segments::open`], with what is known, on so many threads.
    ///
    /// # Errors
    /// As [`Segments::open`]; or what is known does not go with the data.
    pub fn open_on(
        path: impl AsRef<Path>,
        looking: &Looking<'_>,
        threads: usize,
    ) -> Result<Self, SegmentError> {
        let root = path.as_ref().to_owned();
        check_columns(&root, looking.columns)?;
        let Found { folder, layout, candidates, names, coding, mut quarantine, mut notes, divided_by } =
            recognise(&root, looking)?;
        let (candidates, groups) = grouped(candidates, looking.columns, &mut quarantine);
        let looked = look(&folder, candidates.clone(), threads);
        let mut usable: Vec<(Candidate, Option<String>, Looked)> = Vec::with_capacity(looked.len());
        for ((candidate, group), looked) in candidates.into_iter().zip(groups).zip(looked) {
            match looked {
                Ok(looked) => usable.push((candidate, group, looked)),
                Err(reason) => quarantine.add(display(&candidate.photograph), reason),
            }
        }
        if usable.is_empty() {
            return Err(SegmentError::NoneUsable { path: root, quarantine });
        }
        let (coding, found) = match coding {
            Some(coding) => (coding, Vec::new()),
            None => {
                let tallies: Vec<&Tally> = usable.iter().map(|(_, _, looked)| &looked.tally).collect();
                let is_voc = layout == Some(Layout::PascalVoc);
                let (masks, ignore) = (looking.masks, looking.ignore);
                settle(&tallies, &Known { root: &root, names: names.as_ref(), masks, ignore, is_voc })?
            }
        };
        notes.extend(found);
        let layout = layout.unwrap_or(coding.rule.layout());
        let pixels = vec![0; coding.classes.len()];
        let (samples, masks) = (Vec::with_capacity(usable.len()), Vec::with_capacity(usable.len()));
        let mut data =
            Self { root, folder, layout, coding, samples, masks, pixels, notes, quarantine, divided_by };
        let mut ignored = 0;
        for (candidate, group, looked) in usable {
            ignored += data.add(candidate, group, &looked);
        }
        if data.samples.is_empty() {
            return Err(SegmentError::NoneUsable { path: data.root, quarantine: data.quarantine });
        }
        let mut occurring = data.coding.classes.iter().zip(&data.pixels).filter(|(_, pixels)| **pixels > 0);
        if let (Some((class, _)), None) = (occurring.next(), occurring.next()) {
            let class = class.clone();
            return Err(SegmentError::OneClass { path: data.root, class, quarantine: data.quarantine });
        }
        data.notes.extend(data.notes_on_pixels(ignored));
        Ok(data)
    }

    /// Adds a sample, or sets it aside. Returns how many of its pixels are ignored.
    fn add(&mut self, candidate: Candidate, group: Option<String>, looked: &Looked) -> u64 {
        let Candidate { photograph, mask, split } = candidate;
        let mut counts = vec![0; self.coding.classes.len()];
        let mut ignored = 0;
        for (&value, &pixels) in &looked.tally {
            match self.coding.class_of(value) {
                Ok(IGNORED) => ignored += pixels,
                // Rules name classes that there are.
                Ok(class) => counts[usize::from(class)] += pixels,
                Err(error) => {
                    self.quarantine.add(display(&photograph), mask.wrong(error));
                    return 0;
                }
            }
        }
        let classes: Vec<usize> = (0..counts.len()).filter(|&class| counts[class] > 0).collect();
        if classes.is_empty() {
            let reason = mask.wrong("all pixels are ignored, so there is nothing to learn");
            self.quarantine.add(display(&photograph), reason);
            return 0;
        }
        self.pixels.iter_mut().zip(counts).for_each(|(pixels, more)| *pixels += more);
        let [width, height] = looked.upright;
        let digest = looked.digest;
        self.samples.push(Segment { path: photograph, width, height, classes, split, group, digest });
        self.masks.push((mask, looked.turn));
        ignored
    }

    fn notes_on_pixels(&self, ignored: u64) -> Vec<String> {
        let mut notes = Vec::new();
        if ignored > 0 {
            let all = ignored + self.pixels.iter().sum::<u64>();
            notes.push(format!("{} of the pixels are ignored", percent(ignored, all)));
        }
        let absent = self.coding.classes.iter().zip(&self.pixels).filter(|(_, pixels)| **pixels == 0);
        let absent: Vec<&str> = absent.map(|(class, _)| class.as_str()).collect();
        if !absent.is_empty() {
            let absent = tk_transfer::data::listing::list_names(absent);
            notes.push(format!("no pixel is of {absent}"));
        }
        notes
    }

    /// All usable samples, ordered by path.
    pub fn samples(&self) -> &[Segment] {
        &self.samples
    }

    /// What the samples' paths are relative to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How the data set is laid out.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// What a user should know of what was found, in lines: where the classes come from, what was taken for what, what was left out.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How many pixels each class has, over all samples: `[classes]`. Ignored ones are of none.
    pub fn pixels(&self) -> &[u64] {
        &self.pixels
    }

    /// Where a sample's photograph lies.
    pub fn path(&self, position: usize) -> PathBuf {
        self.folder.join(&self.samples[position].path)
    }

    /// The decoded photograph of a sample, upright.
    ///
    /// # Errors
    /// The file cannot be read any more or is damaged. The caller sets it aside.
    pub fn load(&self, position: usize) -> Result<Picture, DecodeError> {
        Picture::from_bytes(&read_file(&self.path(position))?)
    }

    /// The class of every pixel of a sample's upright photograph, decoded anew each time.
    ///
    /// # Errors
    /// The mask cannot be read any more, or is another than it was when the data set was opened.
    pub fn mask(&self, position: usize) -> Result<ClassMap, MaskError> {
        let (mask, turn) = &self.masks[position];
        let Segment { width, height, .. } = self.samples[position];
        let upright = [width, height];
        let map = mask.map(&self.folder, &self.coding, upright)?.turned(*turn);
        let found = [map.width(), map.height()];
        match found == upright {
            true => Ok(map),
            false => Err(MaskError::Size { found, stored: upright, upright }),
        }
    }
}

impl Labelled for Segments {
    fn root(&self) -> &Path {
        &self.root
    }

    fn classes(&self) -> &[String] {
        &self.coding.classes
    }

    fn len(&self) -> usize {
        self.samples.len()
    }

    /// Any number: those of its pixels.
    fn kind(&self) -> LabelKind {
        LabelKind::Multi
    }

    fn labels_of(&self, sample: usize) -> &[usize] {
        &self.samples[sample].classes
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

    /// A BLAKE3 digest of what values stand for, and of every sample's path, classes, split, group and content.
    fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        add(&format!("{:?} {:?}", self.coding.classes, self.coding.rule));
        for sample in &self.samples {
            let Segment { classes, split, group, digest, .. } = sample;
            add(&format!("{:?} {classes:?} {split:?} {group:?} {digest:?}", sample.name()));
        }
        *hasher.finalize().as_bytes()
    }

    /// One line, such as `170 photographs with masks, 2 classes (background 80.1 %, person 19.9 %)`.
    fn summary(&self) -> String {
        const SHOWN: usize = 6;
        let total =
            ClassCount::total("photographs with masks", self.samples.iter().map(|sample| sample.split));
        let mut text = ClassCount::summary(&total, &[], None);
        let parts = ClassCount::summary(&total, &[], self.divided_by);
        let parts = parts.strip_prefix(&text).unwrap_or_default();
        let (classes, all) = (&self.coding.classes, self.pixels.iter().sum());
        let shares =
            classes.iter().zip(&self.pixels).map(|(class, &of)| format!("{class} {}", percent(of, all)));
        let mut shown = shares.take(SHOWN).collect::<Vec<_>>().join(", ");
        if classes.len() > SHOWN {
            shown.push_str(&format!(" and {} more", classes.len() - SHOWN));
        }
        text.push_str(&format!(", {} classes ({shown}){parts}", classes.len()));
        if !self.quarantine.is_empty() {
            text.push_str(&format!("; {} set aside: listed", self.quarantine.len()));
        }
        text
    }

    fn set_aside(&self) -> Vec<(String, String)> {
        self.quarantine.iter().map(|(file, reason)| (file.to_owned(), reason.to_owned())).collect()
    }
}

/// Columns that ask for what masks do not have.
fn check_columns(root: &Path, columns: &Columns) -> Result<(), SegmentError> {
    if let Some(labels) = columns.labels() {
        let reason = "the classes of pixels stand in the masks";
        return Err(SegmentError::Option { option: format!("--label {labels}"), reason });
    }
    match columns.column_name() {
        Some(column) => {
            Err(ListingError::NoColumns { path: root.to_owned(), selector: column.to_owned() }.into())
        }
        None => Ok(()),
    }
}

/// The candidates with the group of each; those whose names tell none are set aside.
fn grouped(
    candidates: Vec<Candidate>,
    columns: &Columns,
    quarantine: &mut Quarantine,
) -> (Vec<Candidate>, Vec<Option<String>>) {
    let mut grouped = (Vec::with_capacity(candidates.len()), Vec::with_capacity(candidates.len()));
    for candidate in candidates {
        let name = display(&candidate.photograph);
        match columns.group_of_file(&name) {
            Ok(group) => {
                grouped.0.push(candidate);
                grouped.1.push(group);
            }
            Err(reason) => quarantine.add(name, reason),
        }
    }
    grouped
}

/// Looks at all, in their order.
fn look(folder: &Path, candidates: Vec<Candidate>, threads: usize) -> Vec<Result<Looked, String>> {
    let (folder, candidates) = (folder.to_owned(), Arc::new(candidates));
    let all = (0..candidates.len()).collect();
    let loader = Loader::new(all, LoaderOptions::new(threads), move |index| {
        candidates
            .get(index)
            .map_or_else(|| Err("it is not there".to_owned()), |candidate| candidate.look(&folder))
    });
    loader.map(|(_, looked)| looked).collect()
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}
