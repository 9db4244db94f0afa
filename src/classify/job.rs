//! What is to be done, said in the order in which one thinks of it.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tk_engine::cpu::Machine;
use tk_transfer::prefix::{PrecisionChoice, PrefixStore};

use super::modality::Modality;
use super::{Balance, Error, Event, Head, Mode, Run, Settings, fit, outlook};
use crate::hub::Hub;

pub use super::outlook::Outlook;

/// A job: a model is adapted to samples of one's own. `T` is what is learned: a [`Modality`] of classification, or speech.
pub struct Job<'a, T> {
    pub(crate) settings: Settings,
    pub(crate) machine: Option<Machine>,
    pub(crate) cache: PrefixStore,
    pub(crate) hub: Hub,
    pub(crate) checkpoint: Option<PathBuf>,
    pub(crate) every: Duration,
    pub(crate) cancel: &'a AtomicBool,
    pub(crate) observe: Box<dyn Fn(&Event) + 'a>,
    pub(crate) began: Option<Instant>,
    task: PhantomData<T>,
}

/// What is read when nobody cancels.
static NEVER: AtomicBool = AtomicBool::new(false);

impl<'a, T> Job<'a, T> {
    /// A job for a model by name: for photographs `small`, a name of the catalog, `hf:ORG/NAME`, `ARCHITECTURE=FILE`, or a folder with
    /// `config.json`; for texts `hf:ORG/NAME` or a folder.
    pub fn new(model: impl Into<String>) -> Self {
        Self::from_settings(Settings { model: Some(model.into()), ..Settings::default() })
    }

    /// A job as settings say it, such as those of a run that is repeated.
    pub fn from_settings(settings: Settings) -> Self {
        Self {
            settings,
            machine: None,
            cache: PrefixStore::none(),
            hub: Hub::none(),
            checkpoint: None,
            every: Duration::from_secs(30),
            cancel: &NEVER,
            observe: Box::new(|_| {}),
            began: None,
            task: PhantomData,
        }
    }

    /// The job of a run's folder, to be gone on with: what `run.toml` there says, with its checkpoint. The data are those that
    /// `settings().data` names; data or weights that changed are an error.
    ///
    /// # Errors
    /// When the folder holds no `run.toml`, or none that can be followed.
    pub fn resume(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let path = folder.join("run.toml");
        let text = std::fs::read_to_string(&path).map_err(|error| Error::Folder {
            path: folder.to_owned(),
            reason: format!("is no run's folder: run.toml: {error}"),
        })?;
        let settings = Settings::from_toml(&text, &path.display().to_string())?;
        Ok(Self::from_settings(settings).checkpoint(folder))
    }

    /// What the job's settings are so far.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The data, where they are opened by the job: a folder or a table.
    pub fn data(mut self, path: impl Into<String>) -> Self {
        self.settings.data = Some(path.into());
        self
    }

    /// How much is adapted. Replaces what an earlier mode said.
    pub fn mode(mut self, mode: Mode) -> Self {
        // A mode's settings are plain, so laying them over others cannot fail.
        if let Ok(settings) = self.settings.overlaid(&mode.settings) {
            self.settings = settings;
        }
        self
    }

    /// The head.
    pub fn head(mut self, head: Head) -> Self {
        self.settings.head = Some(head);
        self
    }

    /// The seed of every random choice; 0 if nothing is said.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// In how many bits convolutions and linear layers multiply; in f32 if nothing is said. What is saved is f32.
    pub fn precision(mut self, precision: PrecisionChoice) -> Self {
        self.settings.precision = Some(precision);
        self
    }

    /// What is done about classes of different sizes; nothing if nothing is said.
    pub fn balance(mut self, balance: Balance) -> Self {
        self.settings.balance = Some(balance);
        self
    }

    /// The side of the model's input in pixels.
    pub fn size(mut self, pixels: u32) -> Self {
        self.settings.size = Some(pixels);
        self
    }

    /// At most so many samples of each part of the data.
    pub fn limit(mut self, samples: usize) -> Self {
        self.settings.limit = Some(samples);
        self
    }

    /// Validation: `data`, `20%`, `5fold`, `none` or a folder.
    pub fn validation(mut self, choice: impl Into<String>) -> Self {
        self.settings.val = Some(choice.into());
        self
    }

    /// Where it runs; otherwise on all processors.
    pub fn machine(mut self, machine: Machine) -> Self {
        self.machine = Some(machine);
        self
    }

    /// A folder that remembers what frozen prefixes give; otherwise nothing is remembered beyond the run.
    pub fn cache(mut self, store: PrefixStore) -> Self {
        self.cache = store;
        self
    }

    /// Where published weights are looked for; otherwise models are folders and files alone. What is not there is an error: nothing is
    /// fetched.
    pub fn hub(mut self, hub: Hub) -> Self {
        self.hub = hub;
        self
    }

    /// A folder for `run.toml`, `metrics.jsonl` and the state from which a killed run goes on; a state that is there already is gone on
    /// with. Usually the folder that the run is saved to.
    pub fn checkpoint(mut self, folder: impl Into<PathBuf>) -> Self {
        self.checkpoint = Some(folder.into());
        self
    }

    /// The time between two written states; 30 seconds if nothing is said.
    pub fn checkpoint_every(mut self, time: Duration) -> Self {
        self.every = time;
        self
    }

    /// Set by another thread or a signal to stop at the next update.
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = cancel;
        self
    }

    /// Told what happens.
    pub fn observe(mut self, observe: impl Fn(&Event) + 'a) -> Self {
        self.observe = Box::new(observe);
        self
    }

    /// When the work began, for the seconds of the summary; otherwise when `fit` is called.
    pub fn began(mut self, instant: Instant) -> Self {
        self.began = Some(instant);
        self
    }
}

impl<M: Modality> Job<'_, M> {
    /// What would be done, and how long it may take. Writes nothing.
    ///
    /// # Errors
    /// As [`Job::fit`], as far as it can be told before.
    pub fn outlook(&self, data: &M::Dataset) -> Result<Outlook, Error> {
        let prepared = fit::prepare(self, data)?;
        let parts = prepared.division.parts(data, prepared.settings.limit, prepared.seed())?;
        outlook::look(&prepared, data, &parts)
    }

    /// Opens the data that the settings name.
    ///
    /// # Errors
    /// When there are none, or they cannot be used.
    pub fn open_data(&self) -> Result<M::Dataset, Error> {
        self.settings.check_task(M::TASK, M::FOREIGN)?;
        M::open_data(Path::new(self.settings.data.as_deref().unwrap_or_default()), &self.settings)
    }

    /// Does it.
    ///
    /// # Errors
    /// When settings do not fit together, the model or the data cannot be used, the audit finds a broken promise, or it is cancelled.
    pub fn fit(&self, data: &M::Dataset) -> Result<Run<M>, Error> {
        fit::fit(self, data)
    }
}
