//! A backbone with a head, as adapting sees it.

use std::marker::PhantomData;

use tk_engine::{Graph, Parameters, Tensor};
use tk_image::data::Level;
use tk_image::framing::Framing;
use tk_image::grafted::Grafted;
use tk_transfer::checkpoint::LoadReport;
use tk_transfer::data::LabelKind;
use tk_transfer::fit::Schedule;
use tk_transfer::low_rank::LowRank;

use super::Dense;
use crate::classify::{Defaults, Error, HeadInit, ModeName, Network};

/// A network of a task.
pub struct GraftedNetwork<T: Dense>(pub(crate) Grafted<T::Head>, PhantomData<fn() -> T>);

impl<T: Dense> GraftedNetwork<T> {
    pub(crate) fn new(model: Grafted<T::Head>) -> Self {
        Self(model, PhantomData)
    }
}

impl<T: Dense> Clone for GraftedNetwork<T> {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl<T: Dense> Network for GraftedNetwork<T> {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn architecture(&self) -> &str {
        self.0.architecture.name
    }

    fn input(&self) -> String {
        let size = match self.0.input.framing {
            Framing::Exact { height, width } => format!("{width}×{height} pixels"),
            Framing::Shorter { least, .. } => format!("shorter side {least} pixels"),
        };
        format!("{size}, head {}", tk_image::grafted::Graft::name(&self.0.head))
    }

    fn graph(&self) -> &Graph {
        &self.0.graph
    }

    fn parameters(&self) -> &Parameters {
        &self.0.parameters
    }

    fn with(mut self, graph: Graph, parameters: Parameters) -> Self {
        (self.0.graph, self.0.parameters) = (graph, parameters);
        self
    }

    fn finished(self) -> Result<Self, Error> {
        Ok(Self::new(self.0.merged()?))
    }

    fn low_rank(&self) -> Option<&LowRank> {
        self.0.low_rank.as_ref()
    }

    fn head(&self) -> &str {
        "head"
    }

    fn report(&self) -> Option<&LoadReport> {
        self.0.report.as_ref()
    }

    fn with_kept(self, _: Vec<String>) -> Self {
        self
    }

    fn with_kind(self, _: LabelKind) -> Self {
        self
    }

    fn digest(&self) -> &str {
        &self.0.digest
    }

    fn defaults(&self, mode: ModeName) -> Defaults {
        let (epochs, batch, learning_rate) = T::rates(mode);
        let augment = if mode == ModeName::Features { Level::Light } else { Level::Standard };
        Defaults {
            epochs,
            batch,
            learning_rate,
            schedule: Schedule::OneCycle,
            warmup: 0.0,
            // The head is new, the backbone is not: from the head to the first stage rates fall to a tenth.
            layer_decay: Some(rounded(0.1f64.powf(1.0 / (self.0.graph.stages().len() - 1).max(1) as f64))),
            weight_decay: 0.01,
            clip: Some(10.0),
            head_init: HeadInit::Random,
            augment,
        }
    }

    fn remark(&self) -> Option<&'static str> {
        (self.0.name == tk_image::model::EMBEDDED)
            .then_some("The embedded default is small; larger published weights are usually better.")
    }

    fn blank(&self, samples: usize) -> Vec<Tensor> {
        self.0.blank(samples)
    }
}

/// Three digits.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
