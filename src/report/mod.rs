//! `report.html`: one page that says how good a run is, why, and what to look at next.
//!
//! [`ReportData`] is plain data that the command line gathers; [`render`] turns it into a page. Nothing here computes a score, reads a
//! file or knows a model. The page needs nothing but itself: its style stands in it, its pictures and sounds are data URIs, it runs no script and
//! its content policy forbids the network. Charts are drawn here rather than by a plotting library, because their colours follow the
//! reader's light or dark theme. The same data give the same bytes.

mod data;
mod number;
mod page;

mod headline;
mod result;

mod confusion;
mod tables;

mod found;
mod heard;
mod pictures;
mod tagged;

mod calibration;
mod chart;
mod curves;
mod probe;

mod dataset;
mod model;
mod settings;

#[cfg(test)]
mod specimen;

pub use calibration::{Calibration, ReliabilityBin};
pub use data::{
    CacheCount, Candidate, ClassCount, ClassScores, DataPart, FoundPart, Gallery, Heard, HeardPart,
    ModelPart, Note, ParameterCount, Pictured, ProbePart, ReportData, Scores, SettingGroup, Shown, StagePart,
    StageRole, TaggedPart, TaggedSentence,
};
pub use page::render;
