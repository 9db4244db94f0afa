//! Published weights on the command line: fetched where a hub's name was said, and what is shown meanwhile.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use transferkit::classify::Error;
use transferkit::hub::{Files, Hub, HubError, PREFIX, PullEvent, Repository};

use super::arguments::Network;
use super::{Failure, console, environment};

/// The embedded models' names, and for what they are the default.
pub const EMBEDDED: [(&str, &str); 4] = [
    (tk_image::model::EMBEDDED, "photographs"),
    (tk_audio::model::EMBEDDED, "recordings"),
    (tk_audio::recognition::EMBEDDED, "speech"),
    (tk_text::EMBEDDED, "texts"),
];

/// A model that was named, where published weights are looked for, and the folder that the name means, if it means one.
pub struct Located {
    pub name: String,
    pub hub: Hub,
    pub folder: PathBuf,
}

/// Whether a name is an embedded model's.
pub fn is_embedded(name: &str) -> bool {
    EMBEDDED.iter().any(|(embedded, _)| *embedded == name)
}

/// Looks a model up by its name; a repository of the hub that is not here is fetched, unless that was forbidden.
pub fn locate(name: &str, network: &Network) -> Result<Located, Failure> {
    let hub = ready(name, network)?;
    let folder = match Repository::of_model(name) {
        Some(repository) => {
            let snapshot = hub.snapshot(&repository.map_err(failed)?);
            snapshot.map_or_else(|| name.into(), |snapshot| snapshot.folder)
        }
        // Where a run is wanted, it comes before an embedded default of the same name.
        None if is_embedded(name) && Path::new(name).join("config.json").is_file() => {
            Path::new(".").join(name)
        }
        None => name.into(),
    };
    Ok(Located { name: name.to_owned(), hub, folder })
}

/// The hub's folders, with all repositories in them that names joined by commas mean. Other names stay as they are.
pub fn ready(names: &str, network: &Network) -> Result<Hub, Failure> {
    let hub = environment::hub();
    for name in names.split(',').map(str::trim) {
        let Some(repository) = Repository::of_model(name) else { continue };
        let repository = repository.map_err(failed)?;
        if hub.snapshot(&repository).is_some_and(|snapshot| snapshot.holds_model()) {
            continue;
        }
        if let Some(reason) = environment::offline(network) {
            let folder = hub.cache().unwrap_or(Path::new("")).display().to_string();
            return Err(Failure::usage(format!("`{name}` is not in `{folder}`, and {reason}"))
                .help(format!("where there is a network: tk models pull {name}")));
        }
        pull(&hub, &repository, Files::Model)?;
    }
    Ok(hub)
}

/// Fetches files of a repository and shows it.
pub fn pull(hub: &Hub, repository: &Repository, files: Files<'_>) -> Result<PathBuf, Failure> {
    let shown = Shown::new();
    let result = environment::remote()?.pull(hub, repository, files, &|event| shown.event(event));
    shown.end();
    result.map(|snapshot| snapshot.folder).map_err(failed)
}

/// Fetches a file of no repository and shows it.
pub fn pull_file(hub: &Hub, model: &str, url: &str, licence: &str) -> Result<PathBuf, Failure> {
    let shown = Shown::new();
    let result =
        environment::remote()?.pull_file(hub, model, url, Some(licence), &|event| shown.event(event));
    shown.end();
    result.map_err(failed)
}

/// A hub's error as the user sees it.
pub fn failed(error: HubError) -> Failure {
    Error::from(error).into()
}

/// What is told of a name that begins as a repository's and lacks the prefix.
pub fn prefixed(name: &str) -> Option<String> {
    let is_repository = name.contains('/') && name.parse::<Repository>().is_ok();
    is_repository.then(|| format!("{PREFIX}{name}"))
}

/// Lines on standard error; on a terminal a bar.
struct Shown {
    is_terminal: bool,
    bar: RefCell<Option<(String, ProgressBar)>>,
}

impl Shown {
    fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), bar: RefCell::default() }
    }

    fn event(&self, event: &PullEvent) {
        match event {
            PullEvent::Found { address, commit, licence, files, missing_bytes, bytes } => {
                let commit = commit.as_ref().map_or_else(String::new, |commit| format!(" at {commit}"));
                self.line("address", &format!("{address}{commit}"));
                let count = if *files == 1 { "1 file".to_owned() } else { format!("{files} files") };
                self.line("size", &format!("{count}, {}; to fetch {}", size(*bytes), size(*missing_bytes)));
                self.line("licence", licence.as_deref().unwrap_or("not stated; see the model's page"));
            }
            PullEvent::Damaged { file } => self.line("damaged", &format!("{file}: fetched anew")),
            PullEvent::Waiting { file } => {
                self.line("waiting", &format!("{file}: another process fetches it"))
            }
            PullEvent::Fetched { file, done, total } => self.progress(file, *done, *total),
            PullEvent::Again { reason, pause } => {
                self.line("again", &format!("{reason}; next attempt in {:.0} s", pause.as_secs_f64()));
            }
        }
    }

    fn progress(&self, file: &str, done: u64, total: Option<u64>) {
        if !self.is_terminal {
            if total == Some(done) {
                self.line("fetched", &format!("{file}, {}", size(done)));
            }
            return;
        }
        let mut current = self.bar.borrow_mut();
        if current.as_ref().is_none_or(|(shown, _)| shown != file) {
            if let Some((_, bar)) = current.take() {
                bar.finish_and_clear();
            }
            let bar = ProgressBar::new(total.unwrap_or(0));
            let form = "fetch    {msg} {bytes}/{total_bytes} {bar:24} {bytes_per_sec} {eta} left";
            bar.set_style(
                ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_message(file.to_owned());
            *current = Some((file.to_owned(), bar));
        }
        if let Some((_, bar)) = &*current {
            bar.set_position(done);
        }
    }

    fn line(&self, name: &str, text: &str) {
        let text = format!("{name:<8} {text}");
        match &*self.bar.borrow() {
            Some((_, bar)) => bar.suspend(|| console::note(&text)),
            None => console::note(&text),
        }
    }

    fn end(&self) {
        if let Some((_, bar)) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }
}

/// Bytes in words, in powers of ten.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
