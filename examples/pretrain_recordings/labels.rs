//! What is to be learnt of each recording: words, phones, who speaks, and what happened to the sound.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::RATE;

/// The longest speech that is heard to its end, in bytes of a WAV file: what is behind the network's frames cannot be learnt.
const LONGEST: u64 = 44 + 2 * (RATE as u64 * 165 / 100);

/// Labels that fewer recordings have are left out.
const FEWEST: usize = 40;

/// Every so manieth recording is held out.
const HELD_OUT: usize = 20;

/// Writes the table that is trained on: `path`, `labels` (divided by `|`), `split`.
///
/// # Errors
/// When the corpus cannot be read, `espeak-ng` is missing, or the table cannot be written.
pub fn write_table(corpus: &Path, sounds: &[(PathBuf, BTreeSet<String>)], table: &Path) -> Result<()> {
    let transcripts = corpus.join("transcripts.tsv");
    let transcripts =
        std::fs::read_to_string(&transcripts).with_context(|| transcripts.display().to_string())?;
    let mut spoken = Vec::new();
    for line in transcripts.split_inclusive('\n').skip(1).filter_map(|line| line.strip_suffix('\n')) {
        let [path, text, voice, effect] = line.split('\t').collect::<Vec<_>>()[..] else {
            anyhow::bail!("transcripts.tsv: {line:?} has no four columns");
        };
        let path = std::path::absolute(corpus.join(path))?;
        if path.metadata()?.len() <= LONGEST {
            spoken.push((path, text, voice, effect));
        }
    }
    let texts: BTreeSet<&str> = spoken.iter().map(|(_, text, ..)| *text).collect();
    let phones = phones(&texts, &table.with_extension("txt"))?;
    let mut rows: Vec<(PathBuf, BTreeSet<String>)> = Vec::new();
    for (path, text, voice, effect) in spoken {
        let mut labels: BTreeSet<String> = text.split(' ').map(|word| format!("word:{word}")).collect();
        labels.extend(phones.get(text).into_iter().flatten().cloned());
        labels.extend(voice_labels(voice));
        labels.extend(effect_labels(effect));
        labels.insert("speech".to_owned());
        rows.push((path, labels));
    }
    rows.extend_from_slice(sounds);

    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    rows.iter()
        .flat_map(|(_, labels)| labels)
        .for_each(|label| *counts.entry(label.clone()).or_default() += 1);
    let mut text = String::from("path\tlabels\tsplit\n");
    for (number, (path, labels)) in rows.iter().enumerate() {
        let kept: Vec<&str> =
            labels.iter().filter(|label| counts[*label] >= FEWEST).map(String::as_str).collect();
        let split = if number % HELD_OUT == 0 { "val" } else { "train" };
        text.push_str(&format!("{}\t{}\t{split}\n", path.display(), kept.join("|")));
    }
    let aside = table.with_extension("part");
    std::fs::write(&aside, text)?;
    Ok(std::fs::rename(&aside, table)?)
}

/// The phones of each text in espeak-ng's American English, and which is the first and the last.
fn phones<'a>(texts: &BTreeSet<&'a str>, scratch: &Path) -> Result<BTreeMap<&'a str, Vec<String>>> {
    // An empty line between them keeps them apart.
    let lines: Vec<&str> = texts.iter().copied().collect();
    std::fs::write(scratch, lines.join("\n\n"))?;
    let run =
        Command::new("espeak-ng").args(["-q", "-x", "--sep=_", "-v", "en-us", "-f"]).arg(scratch).output();
    let output = run.context("espeak-ng does not start: apt install espeak-ng")?.stdout;
    let output = String::from_utf8(output).context("espeak-ng")?;
    std::fs::remove_file(scratch)?;
    ensure!(output.lines().count() == lines.len(), "espeak-ng: a line for each text was expected");
    let labels = |line: &str| {
        let phones: Vec<String> = line.split([' ', '_']).filter_map(phone).collect();
        let ends = [("begins", phones.first()), ("ends", phones.last())];
        let ends = ends.into_iter().filter_map(|(which, phone)| Some(format!("{which}:{}", phone?)));
        phones.iter().map(|phone| format!("phone:{phone}")).chain(ends).collect()
    };
    Ok(lines.into_iter().zip(output.lines().map(labels)).collect())
}

/// A phone without its stress and its variants.
fn phone(written: &str) -> Option<String> {
    let plain: String =
        written.chars().filter(|mark| mark.is_ascii_alphanumeric() || "@:".contains(*mark)).collect();
    let short = plain.trim_end_matches(|mark: char| mark.is_ascii_digit());
    let phone = if short.is_empty() { &plain } else { short };
    (!phone.trim_matches(':').is_empty()).then(|| phone.to_owned())
}

/// Of `espeak-ng:en-us+f3 rate:150 pitch:43 gap:0 tract:0.93`: the voice, its accent, and thirds of all numbers.
fn voice_labels(voice: &str) -> Vec<String> {
    let mut parts = voice.split(' ');
    let speaker = parts.next().unwrap_or_default();
    let mut labels: Vec<String> =
        match speaker.strip_prefix("espeak-ng:").and_then(|name| name.split_once('+')) {
            Some((accent, variant)) => vec![format!("accent:{accent}"), format!("voice:{variant}")],
            None => vec![format!("voice:{speaker}")],
        };
    let engine = speaker.split(':').next().unwrap_or_default();
    labels.push(format!("engine:{engine}"));
    for (what, value) in parts.filter_map(|part| part.split_once(':')) {
        let Ok(value) = value.parse::<f64>() else { continue };
        let [low, high] = match (engine, what) {
            (_, "tract") => [0.95, 1.05],
            (_, "stretch") => [1.0, 1.3],
            (_, "rate") => [130.0, 175.0],
            ("flite", "pitch") => [105.0, 150.0],
            (_, "pitch") => [35.0, 65.0],
            _ => continue,
        };
        let third = if value < low {
            "low"
        } else if value < high {
            "middle"
        } else {
            "high"
        };
        labels.push(match what {
            "pitch" => format!("{engine} pitch:{third}"),
            _ => format!("{what}:{third}"),
        });
    }
    labels
}

/// Of `tight room:0.35:2 white:17 narrow:3669`: the kinds, and whether rooms are long and noise is loud.
pub fn effect_labels(effect: &str) -> Vec<String> {
    let kind = |part: &str| {
        let mut words = part.split(':');
        let (kind, number) = (words.next().unwrap_or_default(), words.next());
        let number: Option<f64> = number.and_then(|number| number.parse().ok());
        match (kind, number) {
            ("room", Some(seconds)) => format!("room:{}", if seconds > 0.25 { "long" } else { "short" }),
            (
                kind @ ("tight" | "loose" | "wide" | "narrow" | "telephone" | "clipped" | "mulaw"
                | "eightbits"),
                _,
            ) => {
                format!("effect:{kind}")
            }
            (noise, Some(decibels)) if decibels > 25.0 => format!("faint:{noise}"),
            (noise, _) => format!("noise:{noise}"),
        }
    };
    effect.split(' ').map(kind).collect()
}
