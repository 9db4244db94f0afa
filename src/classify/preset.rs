//! From settings to a recipe: what is not said, the family's preset decides; what would have no effect is refused.

use tk_engine::Graph;
use tk_image::data::Level;
use tk_transfer::data::LabelKind;
use tk_transfer::fit::{Balance, OptimizerChoice, Phase, Recipe, Schedule};
use tk_transfer::freeze::{BatchNorm, Freeze};

use super::gradual::{divided, unfreezing};
use super::modality::{Defaults, Modality};
use super::{Aim, Error, Head, HeadInit, ModeName, Settings};

/// Settings that only training by gradient descent looks at.
const TRAINING: [&str; 21] = [
    "head-init",
    "unfreeze",
    "freeze",
    "batch-norm",
    "epochs",
    "lr",
    "weight-decay",
    "schedule",
    "warmup",
    "layer-decay",
    "optimizer",
    "clip",
    "label-smoothing",
    "moving-average",
    "patience",
    "monitor",
    "batch",
    "accumulate",
    "augment",
    "mixup",
    "views",
];

/// Those of them that are about a head that trains, or about comparing epochs.
const OF_A_TRAINED_HEAD: [&str; 5] = ["head-init", "label-smoothing", "patience", "monitor", "mixup"];

/// The width of the hidden layer of an `mlp` head.
const HIDDEN: usize = 128;

/// Views of a picture that are remembered when a frozen prefix is.
const VIEWS: u64 = 4;

/// The parameters of low-rank pairs.
const LOW_RANK: &str = r"re:\.lora_[AB]\.weight$";

/// Below this many samples a batch's own statistics are too rough for batch-norm.
const LEAST_BATCH_FOR_STATISTICS: usize = 16;

/// What is done, decided.
#[derive(Clone, Debug)]
pub(crate) struct Preset {
    pub mode: ModeName,
    pub head: Head,
    /// How the head is made.
    pub method: Method,
}

/// How a head, and perhaps more, is made.
#[derive(Clone, Debug)]
pub(crate) enum Method {
    /// A probe on frozen features.
    Probe,
    /// Gradient descent on pairs of samples, then a probe.
    Contrast { recipe: Recipe, augment: Level },
    /// Gradient descent.
    Train { recipe: Recipe, head_init: HeadInit, augment: Level, label_smoothing: f64 },
}

/// What deciding must know of a task.
pub(crate) struct Task {
    /// Its name.
    pub name: &'static str,
    /// Keys of settings that it does not have.
    pub foreign: &'static [&'static str],
    /// What is learned.
    pub aim: Aim,
}

impl Task {
    /// Classification of a kind of sample.
    pub fn of<M: Modality>(kind: LabelKind) -> Self {
        Self { name: M::TASK, foreign: M::FOREIGN, aim: Aim::Classes(kind) }
    }
}

/// Mode and head of settings, before a model is known.
pub(crate) fn mode_and_head(settings: &Settings) -> Result<(ModeName, Head), Error> {
    let says_freeze = settings.unfreeze.is_some() || settings.freeze.is_some();
    let mode = settings.mode.unwrap_or(if says_freeze { ModeName::Partial } else { ModeName::Features });
    let is_probed = matches!(mode, ModeName::Features | ModeName::Contrastive);
    let head = settings.head.unwrap_or(if is_probed { Head::Logreg } else { Head::Linear });
    if mode == ModeName::Contrastive && head == Head::Linear {
        return Err(Error::usage_with(
            "contrastive mode fits a probe on what it has trained, and no linear head by gradient descent",
            "leave --head out, or say --head svm or mlp",
        ));
    }
    if !is_probed && matches!(head, Head::Logreg | Head::Svm) {
        return Err(Error::usage_with(
            format!(
                "head {} is for features and contrastive mode; {} mode trains a linear head that starts from a logistic regression",
                head.name(),
                mode.name()
            ),
            "leave --head out, or say --mode features",
        ));
    }
    if mode == ModeName::Lora && head == Head::Mlp {
        return Err(Error::usage_with(
            "lora mode trains a linear head, the only one that an adapter can hold",
            "leave --head out, or say --mode partial",
        ));
    }
    Ok((mode, head))
}

impl Preset {
    /// Decides everything for a model's graph and its family's defaults for the mode, and writes it into the settings, which then say all of it.
    pub fn resolve(
        settings: &mut Settings,
        graph: &Graph,
        defaults: Defaults,
        task: &Task,
    ) -> Result<Self, Error> {
        let (mode, head) = mode_and_head(settings)?;
        let is_probe = mode == ModeName::Features && head != Head::Linear;
        if mode == ModeName::Contrastive && task.aim != Aim::Classes(LabelKind::Single) {
            return Err(Error::usage_with(
                format!("contrastive mode is for samples of one class each, and {} has others", task.name),
                "say --mode full",
            ));
        }
        let given = settings.to_table()?;
        if is_probe && let Some(key) = TRAINING.iter().find(|key| given.contains_key(**key)) {
            return Err(Error::usage_with(
                format!("`{key}` has no effect in features mode with head {}", head.name()),
                "add --mode partial or --mode full, or take --head linear",
            ));
        }
        if mode != ModeName::Lora && (settings.lora_rank.is_some() || settings.lora_alpha.is_some()) {
            return Err(Error::usage_with(
                "`lora-rank` and `lora-alpha` are of lora mode",
                "add --mode lora",
            ));
        }
        if is_probe && settings.balance == Some(Balance::Sampler) {
            return Err(Error::usage_with(
                format!("a {} head is fitted on all samples at once, so there are none to draw", head.name()),
                "say --balance weights, which does the same for it",
            ));
        }
        if is_probe
            && task.aim == Aim::Classes(LabelKind::Multi)
            && settings.balance == Some(Balance::Weights)
        {
            return Err(Error::usage_with(
                "a probe of several classes for each sample takes no weights",
                "leave --balance out, or say --mode partial",
            ));
        }
        if settings.patience.is_some() {
            settings.monitor.get_or_insert(task.aim.metric());
        }
        if let Some(metric) = settings.monitor.filter(|metric| !metric.is_of(task.aim)) {
            let known = task.aim.known();
            return Err(Error::usage(format!(
                "`monitor` {metric:?} is no score of these data; expected {known} or loss"
            )));
        }
        if head != Head::Mlp && settings.hidden.is_some() {
            return Err(Error::usage_with("`hidden` is the width of an mlp head", "add --head mlp"));
        }
        settings.task = Some(task.name.into());
        settings.mode = Some(mode);
        settings.head = Some(head);
        if head == Head::Mlp {
            let hidden = *settings.hidden.get_or_insert(HIDDEN);
            at_least_one("hidden", hidden)?;
        }
        settings.seed.get_or_insert(0);
        settings.precision.get_or_insert_default();
        settings.balance.get_or_insert_default();
        settings.max_bad.get_or_insert_with(|| "5%".into());
        let method = match (is_probe, mode) {
            (true, _) => Method::Probe,
            (false, ModeName::Contrastive) => contrast(settings, graph, head, defaults, task)?,
            (false, _) => training(settings, graph, (mode, head), defaults, task)?,
        };
        Ok(Self { mode, head, method })
    }

    /// The recipe, where there is training by gradient descent.
    pub fn recipe(&self) -> Option<&Recipe> {
        match &self.method {
            Method::Probe => None,
            Method::Train { recipe, .. } | Method::Contrast { recipe, .. } => Some(recipe),
        }
    }

    /// What is frozen in the end, in the last phase.
    pub fn freeze(&self) -> (Freeze, BatchNorm) {
        match self.recipe().and_then(|recipe| recipe.phases.last()) {
            Some(phase) => (phase.freeze.clone(), phase.batch_norm),
            None => (Freeze::Backbone, BatchNorm::Frozen),
        }
    }
}

/// As other training, but that no head is trained and nothing is compared meanwhile.
fn contrast(
    settings: &mut Settings,
    graph: &Graph,
    head: Head,
    defaults: Defaults,
    task: &Task,
) -> Result<Method, Error> {
    let given = settings.to_table()?;
    if let Some(key) = OF_A_TRAINED_HEAD.iter().find(|key| given.contains_key(**key)) {
        return Err(Error::usage_with(
            format!("`{key}` has no effect in contrastive mode, whose head is a probe"),
            "leave it out, or say --mode full",
        ));
    }
    settings.head_init = Some(HeadInit::Random);
    let trained = training(settings, graph, (ModeName::Contrastive, head), defaults, task)?;
    (settings.head_init, settings.label_smoothing) = (None, None);
    match trained {
        Method::Train { recipe, augment, .. } => Ok(Method::Contrast { recipe, augment }),
        other => Ok(other),
    }
}

fn training(
    settings: &mut Settings,
    graph: &Graph,
    (mode, head): (ModeName, Head),
    defaults: Defaults,
    task: &Task,
) -> Result<Method, Error> {
    let is_last_only = mode == ModeName::Features;
    let head_init = *settings.head_init.get_or_insert(match head {
        _ if defaults.head_init == HeadInit::Kept => HeadInit::Kept,
        Head::Linear if !is_last_only => defaults.head_init,
        _ => HeadInit::Random,
    });
    if head_init == HeadInit::Kept && defaults.head_init != HeadInit::Kept {
        return Err(Error::usage_with(
            "there is no head to keep: the model is no run that shares a class with the data and has a head of this form",
            "name a run with -m RUN, or leave --head-init out",
        ));
    }
    if head == Head::Mlp && head_init == HeadInit::Probe {
        return Err(Error::usage(
            "an mlp head cannot start from a probe, which is linear; say --head-init random",
        ));
    }
    let freeze = freeze(settings, mode)?;
    let is_cached = mode == ModeName::Gradual || !matches!(freeze, Freeze::Nothing);
    let steps = match mode {
        ModeName::Gradual => unfreezing(graph, settings.model.as_deref().unwrap_or_default(), &freeze)?,
        _ => vec![freeze],
    };
    let epochs = *settings.epochs.get_or_insert(steps.len() * defaults.epochs);
    let batch = *settings.batch.get_or_insert(defaults.batch);
    let accumulate = *settings.accumulate.get_or_insert(1);
    let patience = settings.patience.unwrap_or(1);
    for (key, count) in
        [("epochs", epochs), ("batch", batch), ("accumulate", accumulate), ("patience", patience)]
    {
        at_least_one(key, count)?;
    }
    // What the task does not have stays unsaid, here and below.
    let batch_norm = match task.foreign.contains(&"batch-norm") {
        true => BatchNorm::Frozen,
        false => {
            let has_statistics =
                batch >= LEAST_BATCH_FOR_STATISTICS && !is_last_only && mode != ModeName::Lora;
            *settings.batch_norm.get_or_insert(match has_statistics {
                true => BatchNorm::Train,
                false => BatchNorm::Frozen,
            })
        }
    };
    if mode == ModeName::Lora && batch_norm == BatchNorm::Train {
        return Err(Error::usage(
            "lora mode leaves running statistics as they are, since an adapter holds none; say --batch-norm frozen",
        ));
    }
    let optimizer = *settings.optimizer.get_or_insert(OptimizerChoice::AdamW);
    let rate = match optimizer {
        OptimizerChoice::AdamW => defaults.learning_rate,
        OptimizerChoice::Sgd => 10.0 * defaults.learning_rate,
    };
    let learning_rate =
        *settings.learning_rate.get_or_insert_with(|| rounded(rate * (batch * accumulate) as f64 / 32.0));
    let weight_decay = *settings.weight_decay.get_or_insert(defaults.weight_decay);
    let schedule = *settings.schedule.get_or_insert(defaults.schedule);
    if schedule == Schedule::OneCycle && settings.warmup.is_some() {
        return Err(Error::usage(
            "`warmup` has no effect with the one-cycle schedule, which has its own; say --schedule cosine",
        ));
    }
    let warmup = match schedule {
        Schedule::OneCycle => 0.0,
        _ => *settings.warmup.get_or_insert(defaults.warmup),
    };
    let decay = || defaults.layer_decay.unwrap_or_else(|| decay_to_a_hundredth(graph));
    let layer_decay = *settings.layer_decay.get_or_insert_with(decay);
    if let (None, Some(norm)) = (settings.clip, defaults.clip) {
        settings.clip = Some(norm);
    }
    let augment = match task.foreign.contains(&"augment") {
        true => Level::None,
        false => *settings.augment.get_or_insert(defaults.augment),
    };
    let views = match (augment, is_cached) {
        (Level::None, _) => {
            if settings.views.is_some_and(|views| views != 1) {
                return Err(Error::usage("`views` has no effect with augment none; say --augment light"));
            }
            1
        }
        (_, true) => *settings.views.get_or_insert(VIEWS),
        (_, false) => *settings.views.get_or_insert(0),
    };
    let label_smoothing = *settings.label_smoothing.get_or_insert(0.0);
    for (key, value, within) in [
        ("lr", learning_rate, learning_rate > 0.0),
        ("weight-decay", weight_decay, weight_decay >= 0.0),
        ("warmup", warmup, (0.0..1.0).contains(&warmup)),
        ("layer-decay", layer_decay, layer_decay > 0.0 && layer_decay <= 1.0),
        ("label-smoothing", label_smoothing, (0.0..1.0).contains(&label_smoothing)),
        ("mixup", settings.mixup.unwrap_or(1.0), settings.mixup.unwrap_or(1.0) > 0.0),
        ("clip", settings.clip.unwrap_or(1.0), settings.clip.unwrap_or(1.0) > 0.0),
        (
            "moving-average",
            settings.moving_average.unwrap_or(0.5),
            (0.0..1.0).contains(&settings.moving_average.unwrap_or(0.5)),
        ),
    ] {
        if !within || !value.is_finite() {
            return Err(Error::usage(format!("`{key}` is {value}, which is out of range")));
        }
    }
    let phases = divided(epochs, steps)?
        .into_iter()
        .map(|(freeze, epochs)| Phase { freeze, batch_norm, epochs, learning_rate, schedule, warmup })
        .collect();
    let recipe = Recipe {
        phases,
        batch,
        accumulate,
        optimizer,
        weight_decay,
        layer_decay,
        clip: settings.clip,
        moving_average: settings.moving_average,
        mixup: settings.mixup,
        monitor: settings.monitor.map(|metric| metric.monitor(settings.patience)),
        views: (views > 0).then_some(views),
        seed: settings.seed.unwrap_or(0),
    };
    Ok(Method::Train { recipe, head_init, augment, label_smoothing })
}

/// What is frozen, by mode and by what was said.
fn freeze(settings: &mut Settings, mode: ModeName) -> Result<Freeze, Error> {
    match (mode, &settings.unfreeze, &settings.freeze) {
        (_, Some(_), Some(_)) => {
            Err(Error::usage("--freeze and --unfreeze exclude each other: say one of them"))
        }
        (ModeName::Features, None, None) => Ok(Freeze::Backbone),
        (ModeName::Features, ..) => {
            let message =
                "features mode freezes the whole backbone, so --freeze and --unfreeze have no effect";
            Err(Error::usage_with(message, "say --mode partial"))
        }
        (ModeName::Lora, None, None) => Ok(Freeze::AllBut(LOW_RANK.parse()?)),
        (ModeName::Lora, ..) => Err(Error::usage_with(
            "lora mode trains low-rank pairs and the head, so --freeze and --unfreeze have no effect",
            "say --mode partial",
        )),
        (ModeName::Full | ModeName::Gradual | ModeName::Contrastive, None, None) => Ok(Freeze::Nothing),
        (ModeName::Gradual | ModeName::Contrastive, Some(selection), None) => {
            Ok(Freeze::AllBut(selection.parse()?))
        }
        (ModeName::Full, Some(_), None) => Err(Error::usage_with(
            "in full mode everything trains, so --unfreeze has no effect",
            "say --mode partial",
        )),
        (_, None, Some(selection)) => Ok(Freeze::Only(selection.parse()?)),
        (ModeName::Partial, unfreeze, None) => {
            let text = unfreeze.clone().unwrap_or_else(|| "last:1".into());
            let selection = text.parse()?;
            settings.unfreeze = Some(text);
            Ok(Freeze::AllBut(selection))
        }
    }
}

/// The decay with which the first stage has a hundredth of the head's learning rate.
fn decay_to_a_hundredth(graph: &Graph) -> f64 {
    let mut stages = graph.parameter_stages();
    stages.sort_unstable();
    stages.dedup();
    rounded(0.01f64.powf(1.0 / stages.len().saturating_sub(1).max(1) as f64))
}

/// Four digits, so that files show what a person would have written.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

fn at_least_one(key: &str, value: usize) -> Result<(), Error> {
    match value {
        0 => Err(Error::usage(format!("`{key}` is 0; expected at least 1"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tk_image::architectures::{self, FineTuning};

    fn graph() -> Graph {
        let settings = architectures::Settings::classes(3);
        architectures::find("resnet18").unwrap().build(&settings).unwrap()
    }

    #[test]
    fn what_a_task_does_not_have_stays_unsaid() {
        use crate::text::Texts;
        for text in ["", "mode = \"lora\"", "mode = \"full\"", "mode = \"partial\""] {
            let mut settings = Settings::from_toml(text, "test").unwrap();
            let (mode, _) = mode_and_head(&settings).unwrap();
            let task = Task::of::<Texts>(LabelKind::Single);
            Preset::resolve(&mut settings, &graph(), crate::text::defaults(mode, 384), &task).unwrap();
            settings.check_task(Texts::TASK, Texts::FOREIGN).unwrap();
        }
    }

    fn resolve(text: &str) -> Result<(Preset, Settings), Error> {
        let mut settings = Settings::from_toml(text, "test")?;
        let (mode, _) = mode_and_head(&settings)?;
        let family = FineTuning { learning_rate: 1.25e-4, layer_decay: None, weight_decay: 0.02 };
        let defaults = crate::image::defaults(mode, family);
        let task = Task::of::<crate::image::Photographs>(LabelKind::Single);
        Ok((Preset::resolve(&mut settings, &graph(), defaults, &task)?, settings))
    }

    #[test]
    fn what_is_resolved_resolves_to_itself() {
        for text in [
            "",
            "head = \"mlp\"",
            "head = \"svm\"",
            "mode = \"partial\"",
            "mode = \"partial\"\nbalance = \"sampler\"",
            "balance = \"weights\"",
            "mode = \"full\"\nschedule = \"cosine\"",
            "mode = \"full\"\nfreeze = \"stem\"",
            "mode = \"features\"\nhead = \"linear\"",
            "unfreeze = \"last:2\"\nbatch = 8",
            "mode = \"lora\"",
            "mode = \"full\"\npatience = 3",
            "mode = \"gradual\"\nunfreeze = \"last:2\"",
        ] {
            let (_, once) = resolve(text).unwrap();
            let (_, twice) = resolve(&once.to_toml().unwrap()).unwrap();
            assert_eq!(once, twice, "{text}");
        }
    }

    #[test]
    fn defaults_are_the_family_s() {
        let (preset, settings) = resolve("mode = \"full\"").unwrap();
        let recipe = preset.recipe().unwrap();
        assert_eq!((recipe.batch, recipe.phases[0].learning_rate), (32, 1.25e-4));
        assert_eq!(recipe.weight_decay, 0.02);
        // Six stages with parameters: the first has a hundredth of the head's rate.
        assert!((recipe.layer_decay.powi(5) - 0.01).abs() < 1e-4);
        assert_eq!(settings.head, Some(Head::Linear));
        assert_eq!(recipe.phases[0].batch_norm, BatchNorm::Train);
        assert_eq!(resolve("mode = \"full\"\nbatch = 8").unwrap().0.freeze().1, BatchNorm::Frozen);
        assert_eq!(resolve("freeze = \"stem\"").unwrap().0.mode, ModeName::Partial);
    }

    #[test]
    fn what_has_no_effect_is_refused() {
        for (text, expected) in [
            ("epochs = 3", "`epochs` has no effect in features mode"),
            ("mode = \"full\"\nhead = \"logreg\"", "head logreg is for features and contrastive mode"),
            ("mode = \"full\"\nhead = \"svm\"", "head svm is for features and contrastive mode"),
            ("mode = \"full\"\nunfreeze = \"last:1\"", "--unfreeze has no effect"),
            ("freeze = \"stem\"\nunfreeze = \"last:1\"", "exclude each other"),
            ("mode = \"full\"\nwarmup = 0.1", "`warmup` has no effect"),
            ("balance = \"sampler\"", "a logreg head is fitted on all samples at once"),
            ("mode = \"full\"\nhead-init = \"kept\"", "there is no head to keep"),
            ("hidden = 3", "width of an mlp head"),
            ("mode = \"full\"\nhidden = 3", "width of an mlp head"),
            ("mode = \"full\"\nepochs = 0", "`epochs` is 0"),
            ("mode = \"full\"\npatience = 0", "`patience` is 0"),
            ("patience = 3", "`patience` has no effect in features mode"),
            ("mode = \"full\"\nlr = -1.0", "`lr` is -1"),
            ("mode = \"full\"\nmixup = 0.0", "`mixup` is 0"),
            ("unfreeze = \"last:x\"", "is not a selection"),
            ("mode = \"lora\"\nhead = \"mlp\"", "lora mode trains a linear head"),
            ("mode = \"lora\"\nbatch-norm = \"train\"", "leaves running statistics"),
        ] {
            let error = resolve(text).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.kind(), super::super::Kind::Usage);
        }
    }
}
