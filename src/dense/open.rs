//! The network that settings name.

use std::path::Path;

use tk_image::framing::{Framing, Input};
use tk_image::grafted::{Graft, Grafted, HeadChoice, is_grafted};
use tk_image::model::{EMBEDDED, Head as ModelHead, Model};

use super::Dense;
use crate::classify::{Error, ModeName, Settings};
use crate::hub::Hub;
use crate::image::{pinned, resolve};

/// The model that settings name: a network with its head, which is kept as far as it fits the classes, or a classifier, which gets one.
pub(super) fn open_model<T: Dense>(
    settings: &mut Settings,
    hub: &Hub,
    classes: &[String],
    mode: ModeName,
) -> Result<Grafted<T::Head>, Error> {
    let name = settings.model.get_or_insert_with(|| EMBEDDED.to_owned()).clone();
    let seed = settings.seed.unwrap_or(0);
    let choice = HeadChoice::Classes { names: classes, seed };
    let whole = |text: &str| T::published().iter().find(|published| published.name == text);
    let file = name.split_once('=').and_then(|(text, file)| Some((whole(text)?, file)));
    let mut model = if let Some((published, file)) = file {
        said_head(settings, published.name)?;
        Grafted::published(published, Path::new(file), &choice)?
    } else if Path::new(&name).is_dir() && is_grafted::<T::Head>(Path::new(&name)) {
        said_head(settings, &name)?;
        Grafted::open(Path::new(&name), &choice)?
    } else {
        if whole(&name).is_some() {
            return Err(Error::usage_with(
                format!("`{name}` is known, but its weights are not here"),
                format!("give torchvision's checkpoint file: -m {name}=FILE.pth"),
            ));
        }
        let origin = resolve(&name, hub)?;
        settings.model = Some(pinned(&name, hub)?);
        let backbone = Model::open(&origin, ModelHead::New { classes: 1, seed })?;
        let channels = tk_image::backbone::maps(&backbone.graph)?.last().map_or(0, |map| map.channels);
        let said = settings.graft.get_or_insert_with(|| T::HEADS[0].to_owned());
        let head = T::head(said, channels)
            .ok_or_else(|| Error::usage(format!("--head {said}: expected {}", T::HEADS.join(", "))))?;
        let preprocess = &backbone.preprocess;
        let input = Input {
            framing: T::framing(&head, settings.size.unwrap_or(T::SIDE)),
            interpolation: preprocess.interpolation,
            is_aliased: false,
            mean: preprocess.mean,
            std: preprocess.std,
        };
        Grafted::on_backbone(backbone, head, input, classes, seed)?
    };
    settings.graft = Some(model.head.name().to_owned());
    if let Some(size) = settings.size {
        model.input.framing = match model.input.framing {
            Framing::Exact { .. } => Framing::Exact { height: size, width: size },
            Framing::Shorter { .. } => Framing::shorter(size),
        };
    }
    if let Some(problem) = model.input.framing.problem() {
        return Err(Error::usage(format!("--size: {problem}")));
    }
    let shapes: Vec<Vec<usize>> = model.blank(1).iter().map(|pixels| pixels.shape().to_vec()).collect();
    if let Err(error) = model.graph.infer(&shapes) {
        return Err(Error::usage(format!(
            "--size: pictures are too small for this head ({error}); take larger ones"
        )));
    }
    settings.size = Some(match model.input.framing {
        Framing::Exact { height, .. } => height,
        Framing::Shorter { least, .. } => least,
    });
    if settings.from_scratch == Some(true) {
        model = model.from_scratch(seed);
    }
    match mode {
        ModeName::Lora => {
            let (rank, alpha) = settings.low_rank()?;
            Ok(model.with_low_rank(rank, alpha, seed)?)
        }
        _ => Ok(model),
    }
}

/// Refuses a head beside a model that has its own.
fn said_head(settings: &Settings, name: &str) -> Result<(), Error> {
    // A resumed run says which head its model has.
    match &settings.graft {
        Some(head) if settings.provenance.is_none() => Err(Error::usage_with(
            format!("--head {head}: `{name}` has its own head"),
            "leave --head out, or name a backbone with -m",
        )),
        _ => Ok(()),
    }
}
