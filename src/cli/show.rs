//! What is shown while a run goes on, and when it is done.

use std::cell::{Cell, RefCell};
use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use transferkit::classify::{Event, LabelKind, Modality, Run, Scored};

use super::{Failure, console};

/// Without a terminal, a line of progress at most this often.
const SPARSE: Duration = Duration::from_secs(10);

/// Shows events: lines and bars on standard error, or JSON on standard output.
pub struct Show {
    json: bool,
    terminal: bool,
    bar: RefCell<Option<(String, ProgressBar)>>,
    spoken: Cell<Instant>,
    /// The first thing that went wrong with writing.
    failed: RefCell<Option<Failure>>,
}

impl Show {
    /// With `json`, an object for each event.
    pub fn new(json: bool) -> Self {
        Self {
            json,
            terminal: std::io::stderr().is_terminal(),
            bar: RefCell::default(),
            spoken: Cell::new(Instant::now()),
            failed: RefCell::default(),
        }
    }

    /// Takes an event in.
    pub fn event(&self, event: &Event) {
        if self.json {
            if let Err(failure) = console::json(event) {
                self.failed.borrow_mut().get_or_insert(failure);
            }
            return;
        }
        match event {
            Event::Data { summary, .. } => self.line("data", summary),
            Event::Model { loaded, .. } => self.line("model", loaded),
            Event::Plan { summary, .. } => self.line("plan", summary),
            Event::Precision { summary, .. } => self.line("precision", summary),
            Event::Features { done, total } => self.progress("features", *done, *total, ""),
            Event::Probe { samples } => {
                if self.terminal {
                    self.progress("probe", 0, 0, &format!("fitted on {samples}"));
                }
            }
            Event::Phase { number, phases, stages, fallbacks, .. } => {
                if *phases > 1 {
                    self.line("phase", &format!("{}/{phases} trains {}", number + 1, stages.join(", ")));
                }
                if *fallbacks > 0 {
                    let slow = "operations run without a kernel and are slow; `tk bench` names them";
                    self.line("", &format!("{fallbacks} {slow}"));
                }
            }
            Event::Step { epoch, epochs, step, steps, loss, .. } => {
                let done = (epoch - 1) * steps + step;
                self.progress(
                    "train",
                    done,
                    epochs * steps,
                    &format!("epoch {epoch}/{epochs} loss {loss:.3}"),
                );
            }
            Event::Epoch(record) => {
                let scores: String =
                    record.validation.iter().map(|(name, value)| format!("  {name} {value:.3}")).collect();
                self.line(
                    "epoch",
                    &format!("{} loss {:.4}{scores}  {:.1} s", record.epoch, record.loss, record.seconds),
                );
            }
            Event::Best { best, patience } => {
                let stopped =
                    patience.map_or_else(String::new, |epochs| format!("; none of {epochs} more was better"));
                self.line(
                    "best",
                    &format!("epoch {}, {} {:.3}{stopped}", best.epoch, best.metric, best.value),
                );
            }
            Event::Remark { text } => self.line("inputs", text),
            Event::Resumed { updates } => self.line("resumed", &format!("after {updates} updates")),
            Event::SetAside { file, reason } => self.line("aside", &format!("{file}: {reason}")),
        }
    }

    /// Ends the bar; reports what went wrong with writing.
    pub fn finish(&self) -> Result<(), Failure> {
        if let Some((_, bar)) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
        self.failed.borrow_mut().take().map_or(Ok(()), Err)
    }

    fn line(&self, name: &str, text: &str) {
        let text = format!("{name:<8} {text}");
        match &*self.bar.borrow() {
            Some((_, bar)) => bar.suspend(|| console::note(&text)),
            None => console::note(&text),
        }
    }

    fn progress(&self, name: &str, done: usize, total: usize, text: &str) {
        if self.terminal {
            let mut current = self.bar.borrow_mut();
            if current.as_ref().is_none_or(|(shown, _)| shown != name) {
                if let Some((_, bar)) = current.take() {
                    bar.finish_and_clear();
                }
                *current = Some((name.to_owned(), bar(name, total)));
            }
            if let Some((_, bar)) = &*current {
                bar.set_position(done as u64);
                bar.set_message(text.to_owned());
            }
        } else if done < total && self.spoken.get().elapsed() >= SPARSE {
            self.spoken.set(Instant::now());
            self.line(name, &format!("{done}/{total} {text}"));
        }
    }
}

fn bar(name: &str, total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64);
    let template = format!("{name:<8} {{pos}}/{{len}} {{bar:24}} {{per_sec}} {{eta}} left {{msg}}");
    // The template is fixed, so a failure would only mean a plainer bar.
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar
}

/// The closing lines: scores, audit, the next command, and the folder last.
pub fn close<M: Modality>(run: &Run<M>, folder: &Path, data: &str) -> Result<(), Failure> {
    if let Some(scored) = run.validation() {
        console::line(&format!("{}   {}", scores(scored)?, audit(run)))?;
    } else {
        console::line(&format!("not scored   {}", audit(run)))?;
    }
    if let Some(tested) = run.test() {
        console::line(&format!("test     {}", scores(tested)?))?;
    }
    let aside = run.quarantine().count();
    if aside > 0 {
        console::note(&format!("aside    {aside} files could not be used; see quarantine.json"));
    }
    console::note(&format!("next     {}", next(run, folder, data)));
    console::line(&folder.display().to_string())
}

/// One line of scores, such as `accuracy 0.934 (0.88–0.97)  macro-F1 0.933  weakest: ants recall 0.89`.
pub fn scores(scored: &Scored) -> Result<String, Failure> {
    let value = |name: &str| scored.metrics.get(name).copied().unwrap_or(f64::NAN);
    let (first, second, title) = match scored.kind() {
        LabelKind::Single => ("accuracy", "macro_f1", "macro-F1"),
        LabelKind::Multi => ("map", "micro_f1", "micro-F1"),
    };
    let interval = scored.intervals.get(first);
    let interval =
        interval.map_or_else(String::new, |range| format!(" ({:.2}–{:.2})", range.low, range.high));
    let mut text = format!("{first} {:.3}{interval}  {title} {:.3}", value(first), value(second));
    let lines = scored.per_class()?;
    let scored_classes = lines.iter().filter(|line| line.samples > 0);
    if let Some(weakest) = scored_classes.min_by(|a, b| a.recall.total_cmp(&b.recall)) {
        text.push_str(&format!("  weakest: {} recall {:.2}", weakest.class, weakest.recall));
    }
    let baseline = scored.baseline();
    Ok(format!("{text}  {} {:.2}", baseline.how, baseline.value))
}

fn audit<M: Modality>(run: &Run<M>) -> String {
    let unchanged: usize = run.audits().iter().map(|report| report.frozen.len()).max().unwrap_or(0);
    let trained: usize = run.audits().iter().map(|report| report.trained.len()).max().unwrap_or(0);
    match unchanged {
        0 => format!("audit ok: {trained} tensors trained"),
        _ => format!("audit ok: {unchanged} tensors unchanged, {trained} trained"),
    }
}

/// The command that is worth trying next.
pub fn next<M: Modality>(run: &Run<M>, folder: &Path, data: &str) -> String {
    let settings = run.settings();
    let model = settings.model.as_deref().filter(|model| *model != M::DEFAULT);
    let model = model.map_or_else(String::new, |model| format!(" -m {}", quoted(model)));
    match run.summary().mode.as_str() {
        "features" => format!("tk {} {}{model} --mode partial --unfreeze last:1", M::TASK, quoted(data)),
        "partial" => format!("tk {} {}{model} --mode full", M::TASK, quoted(data)),
        _ => format!("tk predict {} {}", quoted(&folder.display().to_string()), M::EXAMPLE),
    }
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-=:,%+@".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
