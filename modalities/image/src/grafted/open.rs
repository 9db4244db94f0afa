//! Opening: a classifier's weights get a new head, a folder that was saved here keeps its own where the classes are the same.

use std::path::Path;

use tk_engine::graph::ParameterSpec;
use tk_engine::{Parameters, Tensor};
use tk_transfer::checkpoint::{Checkpoint, Need, ParameterRequest, Target, load_into};

use super::rows::Rows;
use super::{Config, Graft, GraftError, Grafted, Published};
use crate::architectures::{Architecture, Settings, find};
use crate::framing::Input;
use crate::model::Model;

/// Which classes a network's head tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadChoice<'a> {
    /// Those that it was trained for.
    Published,
    /// These. A head that was trained for the same ones, in the same order, is kept; of another the rows of those that both know are kept, and the
    /// seed decides the values of the rest.
    Classes {
        /// Their names.
        names: &'a [String],
        /// The seed.
        seed: u64,
    },
}

/// Whether a folder holds a network with a grafted head of this kind.
pub fn is_grafted<H: Graft>(folder: &Path) -> bool {
    let text = std::fs::read_to_string(folder.join("config.json")).unwrap_or_default();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    config.get("task").and_then(serde_json::Value::as_str) == Some(H::TASK)
}

impl<H: Graft> Grafted<H> {
    /// A new head on a classifier's backbone, whose own head is dropped; the seed decides its values.
    ///
    /// # Errors
    /// When the backbone does not leave the maps that the head needs.
    pub fn on_backbone(
        model: Model,
        head: H,
        input: Input,
        labels: &[String],
        seed: u64,
    ) -> Result<Self, GraftError> {
        let graph = head.graft(&model.graph, model.architecture, labels.len())?;
        let mut parameters = Parameters::default();
        for spec in graph.parameters() {
            if let Ok(value) = model.parameters.get(&spec.name) {
                parameters.set(&spec.name, value.clone());
            }
        }
        parameters.initialise(&graph, seed);
        Ok(Self {
            name: model.name,
            architecture: model.architecture,
            settings: model.settings,
            head,
            graph,
            parameters,
            input,
            labels: labels.to_vec(),
            report: model.report,
            digest: model.digest,
            base: model.base,
            low_rank: None,
            adapter: None,
        })
    }

    /// A checkpoint of a network that is published with its head.
    ///
    /// # Errors
    /// When the file is missing, damaged, or of something else.
    pub fn published(
        published: &Published<H>,
        file: &Path,
        choice: &HeadChoice<'_>,
    ) -> Result<Self, GraftError> {
        if !file.is_file() {
            return Err(GraftError::Missing { path: file.to_owned(), reason: "no such file".into() });
        }
        let architecture = find(published.backbone)?;
        let whole = Whole {
            name: published.name.to_owned(),
            architecture,
            settings: published.settings(),
            head: (published.head)(),
            input: (published.input)(),
            base: format!("{}={}", published.name, absolute(file)),
        };
        let checkpoint = Checkpoint::open(file)?;
        // Weights for other classes than the published ones say how many they are, not what they are called.
        let labels = (published.labels)();
        let labels = match whole.head.classes_of(&checkpoint) {
            Some(count) if count != labels.len() => {
                (0..count).map(|class| format!("class_{class}")).collect()
            }
            _ => labels,
        };
        whole.load(&checkpoint, labels, choice)
    }

    /// A folder that [`Grafted::save`] wrote.
    ///
    /// # Errors
    /// When files are missing, damaged, or of something else.
    pub fn open(folder: &Path, choice: &HeadChoice<'_>) -> Result<Self, GraftError> {
        let config = Config::<H>::read(folder)?;
        let weights = Checkpoint::find_in(folder).ok_or_else(|| GraftError::Missing {
            path: folder.to_owned(),
            reason: "it has no model.safetensors".into(),
        })?;
        let (architecture, settings) = config.backbone.network()?;
        let whole = Whole {
            name: tk_transfer::hub::folder_name(folder),
            architecture,
            settings,
            head: config.head,
            input: config.input,
            base: absolute(folder),
        };
        whole.load(&Checkpoint::open(&weights)?, config.label_names, choice)
    }
}

/// A network with its head, before its weights are loaded.
struct Whole<H> {
    name: String,
    architecture: &'static Architecture,
    settings: Settings,
    head: H,
    input: Input,
    base: String,
}

impl<H: Graft> Whole<H> {
    /// Loads weights that were trained for classes of these names. Where others are wanted, what tells a class that is new begins anew, and
    /// everything else is kept.
    fn load(
        self,
        checkpoint: &Checkpoint,
        trained: Vec<String>,
        choice: &HeadChoice<'_>,
    ) -> Result<Grafted<H>, GraftError> {
        let Self { name, architecture, settings, head, input, base } = self;
        let (labels, seed) = match *choice {
            HeadChoice::Published => (trained.clone(), 0),
            HeadChoice::Classes { names, seed } => (names.to_vec(), seed),
        };
        let backbone = architecture.build(&settings)?;
        let graph = head.graft(&backbone, architecture, labels.len())?;
        // What depends on the count of classes has another shape for another count.
        let another = head.graft(&backbone, architecture, labels.len() + 1)?;
        let rows_of = |name: &str| -> Option<Rows> {
            let [own, more] = [graph.parameter(name)?, another.parameter(name)?];
            let rows = Rows::of(&graph.parameters()[own], &another.parameters()[more], labels.len());
            rows.filter(|_| labels != trained)
        };
        let request = |spec: &ParameterSpec, need: Need| ParameterRequest {
            name: spec.name.clone(),
            shape: spec.shape.clone(),
            need,
        };
        let rules = head.rules();
        let load = |parameters: Vec<ParameterRequest>| {
            load_into(&Target { model: &name, parameters: &parameters, rules: &rules }, checkpoint)
        };
        let need = |name: &str| if rows_of(name).is_some() { Need::NewHead } else { Need::Required };
        let mut loaded =
            load(graph.parameters().iter().map(|spec| request(spec, need(&spec.name))).collect())?;
        let mut parameters = Parameters::default();
        for (parameter, values) in loaded.values {
            let index = graph.parameter(&parameter);
            let shape = index.map(|index| graph.parameters()[index].shape.clone()).unwrap_or_default();
            parameters.set(&parameter, Tensor::new(&shape, values)?);
        }
        parameters.initialise(&graph, seed);

        let earlier = head.graft(&backbone, architecture, trained.len())?;
        let telling = earlier.parameters().iter().filter(|spec| rows_of(&spec.name).is_some());
        for (parameter, kept) in load(telling.map(|spec| request(spec, Need::Head)).collect())?.values {
            let Some(rows) = rows_of(&parameter) else { continue };
            let tensor = parameters.get(&parameter)?;
            let (shape, mut values) = (tensor.shape().to_vec(), tensor.to_f32());
            loaded.report.kept = rows.keep(&mut values, &labels, &kept, &trained);
            parameters.set(&parameter, Tensor::new(&shape, values)?);
        }
        Ok(Grafted {
            name,
            architecture,
            settings,
            head,
            graph,
            parameters,
            input,
            labels,
            report: Some(loaded.report),
            digest: checkpoint.digest().to_hex().to_string(),
            base,
            low_rank: None,
            adapter: None,
        })
    }
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
