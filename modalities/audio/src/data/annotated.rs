//! Files of annotations as transcripts: each interval of a tier is an utterance.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tk_transfer::data::Quarantine;
use tk_transfer::data::listing::Columns;
use tk_transfer::data::table::is_table;
use walkdir::WalkDir;

use super::annotations::{Annotations, Interval, is_annotated};
use super::transcripts::{LIST, TranscriptError, Transcripts, Utterance, relative, split_of};

/// The utterances of a file of annotations, or of the files below a folder; `None` where there are none, or where tables or lists say what is
/// said. The label's column is the tier, or a type of tiers; without one there must be one tier alone.
pub(super) fn list(root: &Path, columns: Option<&Columns>) -> Result<Option<Transcripts>, TranscriptError> {
    let mut quarantine = Quarantine::default();
    let wanted = columns.and_then(Columns::labels);
    if wanted.is_some() && columns.is_some_and(|columns| columns.column_name().is_none()) {
        // The files' own names say it.
        return Ok(None);
    }
    let Some((folder, files)) = files(root, &mut quarantine) else { return Ok(None) };
    let mut read = Vec::new();
    for path in files {
        match Annotations::open(&path) {
            Ok(annotations) => read.push((path, annotations)),
            // One file of many may be damaged.
            Err(error) if root.is_dir() => quarantine.add(relative(&folder, &path), error),
            Err(error) => return Err(error.into()),
        }
    }
    let tiers: BTreeSet<&str> = read.iter().flat_map(|(_, annotations)| annotations.tiers()).collect();
    let tiers: Vec<String> = tiers.into_iter().map(str::to_owned).collect();
    let is_meant = |interval: &Interval| match &wanted {
        Some(name) => interval.tier == *name || interval.tier_type.as_ref() == Some(name),
        None => true,
    };
    let has_meant = read.iter().any(|(_, annotations)| annotations.intervals.iter().any(is_meant));
    match wanted.clone() {
        None if tiers.len() > 1 => return Err(TranscriptError::Tiers { path: root.to_owned(), tiers }),
        Some(tier) if !has_meant && !tiers.is_empty() => {
            return Err(TranscriptError::NoTier { path: root.to_owned(), tier, tiers });
        }
        _ => {}
    }
    let mut utterances = Vec::new();
    let mut divided_by = None;
    for (path, annotations) in read {
        let name = relative(&folder, &path);
        let Annotations { recording, intervals, set_aside } = annotations;
        set_aside.into_iter().for_each(|(id, reason)| quarantine.add(format!("{name}:{id}"), reason));
        let Some(recording) = recording else {
            quarantine
                .add(name, "no recording beside it: none that it names, and none that is called as it is");
            continue;
        };
        let split = path.parent().and_then(|parent| parent.strip_prefix(&folder).ok()).and_then(split_of);
        if split.is_some() {
            divided_by = Some("folder".to_owned());
        }
        utterances.extend(intervals.into_iter().filter(is_meant).map(|interval| Utterance {
            path: relative(&folder, &recording),
            part: Some([interval.start, interval.end]),
            text: interval.text,
            split,
            group: interval.speaker,
        }));
    }
    if utterances.is_empty() {
        return Err(TranscriptError::NoneUsable { path: root.to_owned(), quarantine });
    }
    Ok(Some(Transcripts { folder, utterances, quarantine, columns: None, divided_by }))
}

/// A folder and the files of annotations in it. A folder with tables or lists of transcripts has none.
fn files(root: &Path, quarantine: &mut Quarantine) -> Option<(PathBuf, Vec<PathBuf>)> {
    if root.is_file() {
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        return is_annotated(root).then(|| (folder, vec![root.to_owned()]));
    }
    let mut files = Vec::new();
    for entry in WalkDir::new(root).follow_links(true).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.depth() == 1 && is_table(entry.path()) => return None,
            Ok(entry) if entry.file_name().to_string_lossy().ends_with(LIST) => return None,
            Ok(entry) if entry.file_type().is_file() && is_annotated(entry.path()) => {
                files.push(entry.into_path())
            }
            Ok(_) => {}
            Err(error) => {
                let path = error.path().map_or_else(String::new, |path| relative(root, path));
                quarantine.add(path, format!("cannot be read: {}", error.to_string().replace('\n', " ")));
            }
        }
    }
    (!files.is_empty()).then(|| (root.to_owned(), files))
}
