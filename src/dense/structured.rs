//! A task on maps as a structured one.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tk_engine::cpu::Machine;
use tk_image::data::PictureStore;
use tk_image::framing::{Marked, Variation, Viewing, Views};
use tk_image::grafted::Runner;
use tk_image::model::EMBEDDED;
use tk_transfer::adapt::AdaptError;
use tk_transfer::data::{Labelled, Quarantine};
use tk_transfer::freeze::BatchNorm;
use tk_transfer::task::Task;

use super::open::open_model;
use super::{Dense, Drawn, GraftedNetwork, Shows};
use crate::classify::{Aim, Error, Loading, Look, ModeName, Part, Settings, Summary};
use crate::hub::{Hub, Repository};
use crate::image::repository;
use crate::report::{Note, ReportData};
use crate::structured::{Card, Structured};

/// Decoded pictures are kept up to so many bytes.
const STORE_BYTES: usize = 1 << 30;

impl<T: Dense> Structured for T {
    const TASK: &'static str = <T as Dense>::TASK;
    const FOREIGN: &'static [&'static str] = <T as Dense>::FOREIGN;
    const DEFAULT: &'static str = EMBEDDED;
    const MODE: ModeName = ModeName::Partial;
    const SAMPLES: &'static str = "photographs";
    const EXAMPLE: &'static str = "photo.jpg --draw seen";
    const ANSWERS: &'static str = "found";

    type Network = GraftedNetwork<T>;
    type Data = <T as Dense>::Data;
    type Store = PictureStore;
    type Model = Runner<T::Head>;
    type Scored = <T as Dense>::Scored;

    fn aim() -> Aim {
        <T as Dense>::aim()
    }

    fn open_data(path: &Path, settings: &Settings) -> Result<<T as Dense>::Data, Error> {
        <T as Dense>::open_data(path, settings)
    }

    fn notes(data: &<T as Dense>::Data) -> Vec<Note> {
        <T as Dense>::notes(data)
    }

    fn settle(settings: &mut Settings, mode: ModeName) {
        if mode == ModeName::Partial && settings.freeze.is_none() && settings.unfreeze.is_none() {
            settings.unfreeze = Some("last:2".into());
        }
        // Statistics of pictures few at a time are rough; a head that has none of its own must learn them.
        settings.batch_norm.get_or_insert(BatchNorm::Head);
    }

    fn open_model(
        settings: &mut Settings,
        hub: &Hub,
        data: &<T as Dense>::Data,
        mode: ModeName,
    ) -> Result<GraftedNetwork<T>, Error> {
        Ok(GraftedNetwork::new(open_model::<T>(settings, hub, data.classes(), mode)?))
    }

    fn repository(model: &str) -> Option<Repository> {
        repository(model).ok().flatten()
    }

    fn classes(network: &GraftedNetwork<T>) -> &[String] {
        &network.0.labels
    }

    fn store() -> PictureStore {
        PictureStore::new(STORE_BYTES)
    }

    /// Decodes everything once, so that every epoch sees the same samples.
    fn unusable(
        part: &Part<'_, <T as Dense>::Data>,
        store: &PictureStore,
        look: &Look<'_, GraftedNetwork<T>>,
        cancel: &AtomicBool,
    ) -> Result<Vec<(usize, String)>, Error> {
        let failed = Mutex::new(Vec::new());
        let (data, positions) = (part.dataset, &part.positions);
        look.pool.for_each(positions.len(), |index| {
            let position = positions[index];
            if !cancel.load(Ordering::Relaxed)
                && let Err(error) = store.get(position, || data.picture(position))
            {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push((position, error.to_string()));
            }
        });
        if cancel.load(Ordering::Relaxed) {
            return Err(AdaptError::Interrupted.into());
        }
        let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.sort();
        Ok(failed)
    }

    fn source<'a>(
        part: &Part<'a, <T as Dense>::Data>,
        store: &'a PictureStore,
        look: &Look<'a, GraftedNetwork<T>>,
    ) -> Result<Box<dyn Loading + 'a>, Error> {
        let viewing = Viewing {
            input: look.model.0.input.clone(),
            variation: Variation::from(look.augment),
            seed: look.seed,
            batch: look.batch,
            pool: look.pool.clone(),
        };
        Ok(Box::new(Views::new(part.dataset, part.positions.clone(), viewing, store)))
    }

    fn task(network: &GraftedNetwork<T>, machine: &Machine) -> Box<dyn Task> {
        <T as Dense>::task(&network.0.head, network.0.labels.len(), machine)
    }

    fn model(network: GraftedNetwork<T>, machine: &Machine) -> Result<Runner<T::Head>, Error> {
        Ok(Runner::new(network.0, machine)?)
    }

    fn evaluate(
        model: &Runner<T::Head>,
        data: &<T as Dense>::Data,
        positions: &[usize],
        settings: &Settings,
    ) -> Result<(<T as Dense>::Scored, Quarantine), Error> {
        <T as Dense>::evaluate(model, data, positions, settings.seed.unwrap_or(0))
    }

    fn check(model: &Runner<T::Head>, data: &<T as Dense>::Data) -> Result<(), Error> {
        if data.classes() == model.labels() {
            return Ok(());
        }
        Err(Error::Misfit(format!(
            "`{}` has the classes {}, and the model knows {}",
            data.root().display(),
            data.classes().join(", "),
            model.labels().join(", ")
        )))
    }

    fn told(model: &Runner<T::Head>) -> &[String] {
        model.labels()
    }

    fn save(
        model: &Runner<T::Head>,
        folder: &Path,
        fields: serde_json::Map<String, serde_json::Value>,
        card: &str,
    ) -> Result<(), Error> {
        Ok(model.save(folder, fields, card)?)
    }

    fn show(
        scored: &<T as Dense>::Scored,
        part: &Part<'_, <T as Dense>::Data>,
        classes: &[String],
        report: &mut ReportData,
    ) {
        report.found = Some(scored.found(classes, &|position| {
            let picture = part.dataset.picture(position).ok()?;
            Some(Drawn { file: part.dataset.name(position), picture })
        }));
    }

    fn card(summary: &Summary) -> Card {
        let [tag, title] = T::CARD;
        Card {
            front: format!("pipeline_tag: {tag}"),
            title: format!("{title} of {}", summary.classes.join(", ")),
            limits: "It knows the classes above and nothing else.",
            usage: "`tk predict FOLDER photo.jpg`. The tensors of `model.safetensors` are named as torchvision names them.",
        }
    }
}

impl<D: Marked + Sync> Loading for Views<'_, D> {
    fn failed(&self) -> Vec<(usize, String)> {
        Views::failed(self)
    }
}
