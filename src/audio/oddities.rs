//! What is odd about some of the recordings of a data set, in words.

use std::collections::BTreeMap;

use tk_audio::data::{Clip, Remark};

/// A line for each kind of oddity among recordings that were looked at, and one where the lowest rate is below the model's, both in Hz.
pub(crate) fn lines(clips: &[Clip], looked_at: usize, lowest: Option<u32>, rate: u32) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for remark in clips.iter().flat_map(Clip::remarks) {
        let what = match remark {
            Remark::DeadChannels { .. } => "have silent channels, which are left out",
            Remark::EndedEarly => "end before their header says",
            Remark::Silent => "are silent throughout",
            Remark::Clipped { .. } => "are clipped",
            Remark::LostToResampling { .. } => "lose more than 1 % of their energy to resampling",
        };
        *counts.entry(what).or_default() += 1;
    }
    let mut lines: Vec<String> = counts
        .into_iter()
        .map(|(what, count)| format!("{count} of {looked_at} recordings that were looked at {what}"))
        .collect();
    if let Some(lowest) = lowest.filter(|&lowest| lowest < rate) {
        lines.push(format!(
            "recordings at {lowest} Hz have nothing above {} Hz, where the model listens too",
            lowest / 2
        ));
    }
    lines
}
