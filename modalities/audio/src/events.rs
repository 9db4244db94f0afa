//! What is where in a long recording: windows of it are classified, and neighbours that agree become one event.

use std::collections::BTreeMap;

use serde::Serialize;
use tk_transfer::data::LabelKind;

use crate::classifier::{Classifier, ClassifierError};
use crate::data::{Clip, DecodeError};

/// Windows that are classified at once.
const AT_ONCE: usize = 16;

/// How a recording is cut, in seconds: windows of one length, each beginning a hop after the one before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Windows {
    window: f64,
    hop: f64,
}

/// Windows that cannot be cut or heard.
#[derive(Debug, thiserror::Error)]
pub enum WindowsError {
    /// A window of no length, or longer than what the network looks at.
    #[error(
        "a window of {window} seconds: the network looks at {most:.2}; expected at most so many, and more than 0"
    )]
    Window {
        /// The window.
        window: f64,
        /// What the network looks at.
        most: f64,
    },
    /// A hop of no length, or over something that is in no window.
    #[error(
        "a hop of {hop} seconds between windows of {window}; expected more than 0, and no gap between them"
    )]
    Hop {
        /// The hop.
        hop: f64,
        /// The window.
        window: f64,
    },
}

/// Events that cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The sound cannot be heard.
    #[error(transparent)]
    Sound(#[from] DecodeError),
    /// The classifier failed.
    #[error(transparent)]
    Classifier(#[from] ClassifierError),
}

/// A class that is heard for a while.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SoundEvent {
    /// Seconds from the recording's beginning.
    pub start: f64,
    /// Seconds from the recording's beginning.
    pub end: f64,
    /// The class.
    pub label: String,
    /// Its mean probability in the windows.
    pub score: f32,
}

impl Windows {
    /// Windows for a network that looks at `most` seconds: as long as that, and each half in the next, where nothing else is said.
    ///
    /// # Errors
    /// When the network would not hear all of a window, or there would be gaps.
    pub fn new(window: Option<f64>, hop: Option<f64>, most: f64) -> Result<Self, WindowsError> {
        let window = window.unwrap_or(most);
        // What a network looks at is a count of frames; a hundredth more or less is not heard.
        if !(window > 0.0 && window <= most + 0.01) {
            return Err(WindowsError::Window { window, most });
        }
        let hop = hop.unwrap_or(window / 2.0);
        if !(hop > 0.0 && hop <= window) {
            return Err(WindowsError::Hop { hop, window });
        }
        Ok(Self { window, hop })
    }
}

impl Classifier {
    /// The events in a recording that comes in blocks of samples of one channel at a rate in Hz, until `None`; sorted by their beginnings.
    /// Each window speaks for the time around its middle, up to where the next window's begins. It says its most probable class, or, where
    /// a sample may have several, all classes; but none that is less probable than `least`. A recording that is shorter than a window is
    /// heard in one piece. Only some windows are in memory at a time.
    ///
    /// # Errors
    /// When a block cannot be read, a window cannot be heard, or the engine fails.
    pub fn events(
        &self,
        rate: u32,
        windows: Windows,
        least: f32,
        next: &mut dyn FnMut() -> Result<Option<Vec<f32>>, DecodeError>,
    ) -> Result<Vec<SoundEvent>, EventsError> {
        let samples = |seconds: f64| ((seconds * f64::from(rate)).round() as usize).max(1);
        let mut cutter = Cutter::new(samples(windows.window), samples(windows.hop));
        let (mut said, mut waiting) = (Vec::new(), Vec::new());
        loop {
            let block = next()?;
            match &block {
                Some(block) => cutter.push(block, &mut waiting),
                None => waiting.extend(cutter.rest()),
            }
            while waiting.len() >= AT_ONCE || (block.is_none() && !waiting.is_empty()) {
                let some: Vec<(usize, Vec<f32>)> = waiting.drain(..waiting.len().min(AT_ONCE)).collect();
                let clips = some.iter().map(|(_, samples)| Clip::samples(samples, rate));
                let predictions = self.predict_all(&clips.collect::<Result<Vec<_>, _>>()?)?;
                for ((start, samples), prediction) in some.into_iter().zip(predictions) {
                    let prediction = prediction?;
                    let classes: Vec<(usize, f32)> = match self.model().kind {
                        LabelKind::Single => vec![prediction.best()],
                        LabelKind::Multi => prediction.probabilities.iter().copied().enumerate().collect(),
                    };
                    let classes = classes.into_iter().filter(|(_, share)| *share >= least).collect();
                    said.push(Said { range: [start, start + samples.len()], classes });
                }
            }
            if block.is_none() {
                break;
            }
        }
        let seconds = |samples: usize| samples as f64 / f64::from(rate);
        let name = |class: usize| self.classes().get(class).cloned().unwrap_or_else(|| class.to_string());
        let event = |joined: Joined| SoundEvent {
            start: seconds(joined.range[0]),
            end: seconds(joined.range[1]),
            label: name(joined.class),
            score: (joined.sum / joined.windows as f64) as f32,
        };
        Ok(join(&said).into_iter().map(event).collect())
    }
}

/// Cuts blocks into windows.
struct Cutter {
    window: usize,
    hop: usize,
    /// Samples from the beginning of the last window on.
    kept: Vec<f32>,
    /// Where they begin.
    from: usize,
    /// Where the next window begins.
    next: usize,
    /// Where the last one ended; 0 before the first.
    covered: usize,
}

impl Cutter {
    fn new(window: usize, hop: usize) -> Self {
        Self { window, hop, kept: Vec::new(), from: 0, next: 0, covered: 0 }
    }

    /// Takes samples; windows that are whole now come out, each with where it begins.
    fn push(&mut self, block: &[f32], into: &mut Vec<(usize, Vec<f32>)>) {
        self.kept.extend_from_slice(block);
        while self.from + self.kept.len() >= self.next + self.window {
            self.kept.drain(..self.next - self.from);
            self.from = self.next;
            into.push((self.from, self.kept[..self.window].to_vec()));
            self.covered = self.from + self.window;
            self.next += self.hop;
        }
    }

    /// The window that ends with the recording, where something is in no window yet; all of it, where it is shorter than one.
    fn rest(&mut self) -> Option<(usize, Vec<f32>)> {
        let end = self.from + self.kept.len();
        let start = end.saturating_sub(self.window);
        (end > self.covered).then(|| (start, self.kept.split_off(start - self.from)))
    }
}

/// What a window says: its samples, and classes with their probabilities.
struct Said {
    range: [usize; 2],
    classes: Vec<(usize, f32)>,
}

/// Windows one after another that say the same class.
#[derive(Debug, PartialEq)]
struct Joined {
    range: [usize; 2],
    class: usize,
    sum: f64,
    windows: usize,
}

fn join(said: &[Said]) -> Vec<Joined> {
    let middle = |at: usize| (said[at].range[0] + said[at].range[1]) / 2;
    let (mut open, mut done) = (BTreeMap::<usize, Joined>::new(), Vec::new());
    for (at, Said { range, classes }) in said.iter().enumerate() {
        let start = if at == 0 { range[0] } else { (middle(at - 1) + middle(at)) / 2 };
        let end = if at + 1 == said.len() { range[1] } else { (middle(at) + middle(at + 1)) / 2 };
        let goes_on = |class: usize| classes.iter().any(|(said, _)| *said == class);
        let ended: Vec<usize> = open.keys().copied().filter(|&class| !goes_on(class)).collect();
        done.extend(ended.iter().filter_map(|class| open.remove(class)));
        for &(class, share) in classes {
            let joined =
                open.entry(class).or_insert(Joined { range: [start, end], class, sum: 0.0, windows: 0 });
            joined.range[1] = end;
            joined.sum += f64::from(share);
            joined.windows += 1;
        }
    }
    done.extend(open.into_values());
    done.sort_by_key(|joined| (joined.range, joined.class));
    done
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// The windows of so many samples that come in blocks of a size.
    fn cut(samples: usize, block: usize, window: usize, hop: usize) -> Vec<(usize, Vec<f32>)> {
        let sound: Vec<f32> = (0..samples).map(|at| at as f32).collect();
        let mut cutter = Cutter::new(window, hop);
        let mut windows = Vec::new();
        sound.chunks(block).for_each(|block| cutter.push(block, &mut windows));
        windows.extend(cutter.rest());
        windows
    }

    #[test]
    fn all_of_a_recording_is_in_windows_however_it_comes() {
        for (samples, window, hop, expected) in [
            (10, 4, 2, vec![0, 2, 4, 6]),
            (11, 4, 2, vec![0, 2, 4, 6, 7]),
            (11, 4, 4, vec![0, 4, 7]),
            (4, 4, 1, vec![0]),
            (3, 4, 2, vec![0]),
            (0, 4, 2, vec![]),
        ] {
            for block in [1, 3, 100] {
                let windows = cut(samples, block, window, hop);
                let starts: Vec<usize> = windows.iter().map(|(start, _)| *start).collect();
                assert_eq!(starts, expected, "{samples} {window} {hop} {block}");
                for (start, values) in &windows {
                    let own: Vec<f32> = (*start..samples.min(start + window)).map(|at| at as f32).collect();
                    assert_eq!(*values, own);
                }
            }
        }
    }

    #[test]
    fn only_a_window_and_a_block_are_kept() {
        let mut cutter = Cutter::new(100, 50);
        let mut windows = Vec::new();
        for _ in 0..1000 {
            cutter.push(&[0.0; 30], &mut windows);
            windows.clear();
            assert!(cutter.kept.len() <= 150, "{}", cutter.kept.len());
        }
    }

    #[test]
    fn neighbours_that_agree_are_one_event() {
        let said = |start: usize, classes: &[(usize, f32)]| Said {
            range: [start, start + 4],
            classes: classes.to_vec(),
        };
        let windows = [
            said(0, &[(1, 0.5)]),
            said(2, &[(1, 1.0), (0, 0.75)]),
            said(4, &[(0, 0.25)]),
            said(6, &[]),
            said(8, &[(1, 0.5)]),
        ];
        let joined = |start, end, class, sum, windows| Joined { range: [start, end], class, sum, windows };
        let expected = [joined(0, 5, 1, 1.5, 2), joined(3, 7, 0, 1.0, 2), joined(9, 12, 1, 0.5, 1)];
        assert_eq!(join(&windows), expected);
        assert_eq!(join(&[]), []);
    }

    #[test]
    fn windows_that_would_not_be_heard_whole_are_refused() {
        assert_eq!(Windows::new(None, None, 2.0).unwrap(), Windows { window: 2.0, hop: 1.0 });
        assert_eq!(Windows::new(Some(1.0), None, 2.0).unwrap(), Windows { window: 1.0, hop: 0.5 });
        for (window, hop) in [
            (Some(3.0), None),
            (Some(0.0), None),
            (Some(f64::NAN), None),
            (None, Some(2.5)),
            (None, Some(0.0)),
        ] {
            assert!(Windows::new(window, hop, 2.0).is_err(), "{window:?} {hop:?}");
        }
    }
}
