//! Networks that others publish whole: backbone and head under one name.

use super::{Graft, GraftError};
use crate::architectures::{self, ModelArgs, Settings};
use crate::framing::Input;
use tk_engine::Graph;

/// A network that is published with its head.
pub struct Published<H: 'static> {
    /// The publisher's name.
    pub name: &'static str,
    /// Its backbone, by timm's name.
    pub backbone: &'static str,
    /// How its backbone differs from timm's network of that name.
    pub model_args: fn() -> ModelArgs,
    /// Its head.
    pub head: fn() -> H,
    /// How pictures become its input.
    pub input: fn() -> Input,
    /// The classes of the published weights.
    pub labels: fn() -> Vec<String>,
}

impl<H: Graft> Published<H> {
    /// What its backbone is built with.
    pub fn settings(&self) -> Settings {
        Settings { model_args: (self.model_args)(), ..Settings::classes(1) }
    }

    /// Its graph for so many classes.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn build(&self, classes: usize) -> Result<Graph, GraftError> {
        let architecture = architectures::find(self.backbone)?;
        let backbone = architecture.build(&self.settings())?;
        Ok((self.head)().graft(&backbone, architecture, classes)?)
    }

    /// The name of a parameter of a graph that was built so, on disk.
    pub fn published_name(&self, graph: &Graph, parameter: &str) -> String {
        super::model::on_disk(&(self.head)(), graph, parameter).0
    }

    /// What the numbers of a parameter are less on disk.
    pub fn shift(&self, graph: &Graph, parameter: &str) -> f32 {
        super::model::on_disk(&(self.head)(), graph, parameter).1
    }
}
