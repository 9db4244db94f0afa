//! Which samples train, which validate, which test.

use std::collections::BTreeSet;
use std::path::Path;

use tk_engine::random::Stream;
use tk_transfer::data::split::stratified;
use tk_transfer::data::table::is_table;
use tk_transfer::data::{Labelled, Labels, Split, Strata};

use super::{Error, ModeName, Settings};

/// Where validation or test samples come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choice {
    /// The folders of the data name them.
    Data,
    /// A share of the training samples, drawn by class.
    Share(f64),
    /// Folds of the training samples.
    Folds(usize),
    /// There are none.
    None,
    /// A folder of their own.
    Folder(String),
}

impl Choice {
    /// Reads `data`, `20%`, `5fold`, `none` or a folder.
    fn parse(text: &str, key: &str) -> Result<Self, Error> {
        let refuse = |expected: &str| Error::usage(format!("--{key} {text}: expected {expected}"));
        match text {
            "data" => return Ok(Self::Data),
            "none" => return Ok(Self::None),
            _ => {}
        }
        if let Some(percent) = text.strip_suffix('%') {
            let share =
                percent.trim().parse::<f64>().ok().filter(|percent| *percent > 0.0 && *percent < 100.0);
            return share
                .map(|percent| Self::Share(percent / 100.0))
                .ok_or_else(|| refuse("a share between 0% and 100%"));
        }
        if let Some(folds) = text.strip_suffix("fold").and_then(|count| count.parse::<usize>().ok()) {
            return if folds >= 2 { Ok(Self::Folds(folds)) } else { Err(refuse("at least 2 folds")) };
        }
        match Path::new(text).is_dir() || is_table(Path::new(text)) {
            true => Ok(Self::Folder(text.to_owned())),
            false => Err(refuse(
                "`data`, `none`, a share such as 20%, a count such as 5fold, or an existing folder or table",
            )),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Data => "data".into(),
            Self::None => "none".into(),
            Self::Share(share) => format!("{}%", (share * 1e8).round() / 1e6),
            Self::Folds(folds) => format!("{folds}fold"),
            Self::Folder(folder) => folder.clone(),
        }
    }
}

/// How the data is divided, and the data sets that were opened for it.
pub(crate) struct Division<D> {
    pub validation: Choice,
    pub test: Choice,
    validation_data: Option<D>,
    test_data: Option<D>,
}

/// Some samples of a data set.
pub struct Part<'a, D> {
    /// The data set.
    pub dataset: &'a D,
    /// Positions in it.
    pub positions: Vec<usize>,
}

impl<D> Clone for Part<'_, D> {
    fn clone(&self) -> Self {
        Self { dataset: self.dataset, positions: self.positions.clone() }
    }
}

/// Samples by what they are used for.
pub(crate) struct Parts<'a, D> {
    pub training: Part<'a, D>,
    pub validation: Option<Part<'a, D>>,
    pub test: Option<Part<'a, D>>,
    pub leaks: Leaks,
}

/// What is on both sides of the division, and so makes scores better than they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaks {
    /// Validation and test samples that are byte for byte among the training samples.
    samples: usize,
    /// Groups with both training and other samples, as only the data's own splits can have.
    groups: usize,
}

impl Leaks {
    fn between<'p, 'a: 'p, D: Labelled + 'a>(
        training: &Part<'a, D>,
        others: impl Iterator<Item = &'p Part<'a, D>> + Clone,
    ) -> Self {
        let known: BTreeSet<[u8; 32]> = training.contents().collect();
        let samples = others.clone().flat_map(Part::contents).filter(|digest| known.contains(digest)).count();
        let set = |part: &Part<'a, D>| part.groups().into_iter().flatten().collect::<BTreeSet<String>>();
        let elsewhere: BTreeSet<String> = others.flat_map(set).collect();
        Self { samples, groups: set(training).intersection(&elsewhere).count() }
    }

    /// A line for each kind there is.
    pub fn lines(self) -> Vec<String> {
        let lines = [
            (self.samples, "held-out samples are byte for byte among the training samples"),
            (self.groups, "groups have training and held-out samples"),
        ];
        let found = lines.into_iter().filter(|&(count, _)| count > 0);
        found.map(|(count, what)| format!("{count} {what}")).collect()
    }
}

impl<D: Labelled> Part<'_, D> {
    /// The classes of each sample.
    pub fn labels(&self) -> Labels {
        self.dataset.labels(&self.positions)
    }

    /// The group of each sample, where the data have groups.
    pub(crate) fn groups(&self) -> Option<Vec<String>> {
        self.positions.iter().map(|&position| self.dataset.group(position).map(str::to_owned)).collect()
    }

    /// The digest of each sample.
    fn contents(&self) -> impl Iterator<Item = [u8; 32]> {
        self.positions.iter().map(|&position| self.dataset.content(position))
    }

    /// At most `limit` samples, evenly by class, drawn by the seed. A sample of several classes counts as of the first.
    fn limited(mut self, limit: Option<usize>, seed: u64) -> Self {
        let Some(limit) = limit.filter(|limit| *limit < self.positions.len()) else { return self };
        // Samples without any class come last.
        let mut by_class = vec![Vec::new(); self.dataset.classes().len() + 1];
        for &position in &self.positions {
            let of = self.dataset.labels_of(position).first();
            by_class[of.map_or(self.dataset.classes().len(), |&class| class)].push(position);
        }
        for (class, positions) in by_class.iter_mut().enumerate() {
            Stream::new(seed, &["limit".into(), class.into()]).shuffle(positions);
        }
        let longest = by_class.iter().map(Vec::len).max().unwrap_or(0);
        let rounds = (0..longest).flat_map(|round| by_class.iter().filter_map(move |class| class.get(round)));
        self.positions = rounds.take(limit).copied().collect();
        self.positions.sort_unstable();
        self
    }
}

impl<D: Labelled> Division<D> {
    /// Follows settings and, where they say nothing, the data: its own validation samples; else in features mode 5 folds, else 20 %. `open`
    /// opens data of their own.
    pub fn new(
        settings: &Settings,
        data: &D,
        mode: ModeName,
        with_folds: bool,
        open: impl Fn(&Path, &Settings) -> Result<D, Error>,
    ) -> Result<Self, Error> {
        let has = |split: Split| !data.split(split).is_empty();
        let validation = match settings.val.as_deref() {
            Some(text) => Choice::parse(text, "val")?,
            None if has(Split::Validation) => Choice::Data,
            None if mode == ModeName::Features && with_folds => Choice::Folds(5),
            None => Choice::Share(0.2),
        };
        let test = match settings.test.as_deref() {
            Some(text) => Choice::parse(text, "test")?,
            None if has(Split::Test) => Choice::Data,
            None => Choice::None,
        };
        let refuse = |message: String| Err(Error::usage(message));
        match (&validation, &test) {
            (Choice::Folds(_), _) if !with_folds => {
                return refuse(
                    "--val 5fold works in features mode only, with head logreg, svm or mlp; say --val 20%"
                        .into(),
                );
            }
            (_, Choice::Folds(_)) => {
                return refuse("--test takes no folds; say --test 10% or a folder".into());
            }
            (Choice::Data, _) if !has(Split::Validation) => {
                return refuse(format!(
                    "--val data: `{}` names no validation samples (val, valid or dev)",
                    data.root().display()
                ));
            }
            (_, Choice::Data) if !has(Split::Test) => {
                return refuse(format!("--test data: `{}` names no test samples", data.root().display()));
            }
            _ => {}
        }
        let opened = |choice: &Choice| match choice {
            Choice::Folder(folder) => {
                let path = Path::new(folder);
                same_classes(open(path, &settings.for_data(path))?, data).map(Some)
            }
            _ => Ok(None),
        };
        let (validation_data, test_data) = (opened(&validation)?, opened(&test)?);
        Ok(Self { validation, test, validation_data, test_data })
    }

    /// Writes the choices down.
    pub fn record(&self, settings: &mut Settings) {
        settings.val = Some(self.validation.text());
        settings.test = Some(self.test.text());
    }

    /// The parts of the data.
    pub fn parts<'a>(&'a self, data: &'a D, limit: Option<usize>, seed: u64) -> Result<Parts<'a, D>, Error> {
        let mut positions = match data.is_split() {
            true => data.split(Split::Train),
            false => (0..data.len()).collect(),
        };
        let own = |split| Some(Part { dataset: data, positions: data.split(split) });
        let whole = |dataset: &'a Option<D>| {
            dataset.as_ref().map(|dataset| Part { dataset, positions: (0..dataset.len()).collect() })
        };
        let test = match self.test {
            Choice::Data => own(Split::Test),
            Choice::Share(share) => Some(held_out(data, &mut positions, share, seed ^ 1)?),
            _ => whole(&self.test_data),
        };
        let validation = match self.validation {
            Choice::Data => own(Split::Validation),
            Choice::Share(share) => Some(held_out(data, &mut positions, share, seed)?),
            _ => whole(&self.validation_data),
        };
        let limited = |part: Part<'a, D>| part.limited(limit, seed);
        let training = limited(Part { dataset: data, positions });
        let (validation, test) = (validation.map(limited), test.map(limited));
        let leaks = Leaks::between(&training, validation.iter().chain(&test));
        Ok(Parts { training, validation, test, leaks })
    }
}

/// Takes a share of the samples out, by class.
fn held_out<'a, D: Labelled>(
    data: &'a D,
    positions: &mut Vec<usize>,
    share: f64,
    seed: u64,
) -> Result<Part<'a, D>, Error> {
    let labels = data.labels(positions);
    let ids: Vec<String> = positions.iter().map(|&position| data.name(position)).collect();
    let groups = Part { dataset: data, positions: positions.clone() }.groups();
    let strata =
        Strata { classes: data.classes(), labels: labels.view(), groups: groups.as_deref(), ids: Some(&ids) };
    let is_held = stratified(&strata, share, seed)?;
    let side = |wanted: bool| -> Vec<usize> {
        positions
            .iter()
            .zip(&is_held)
            .filter(|(_, held)| **held == wanted)
            .map(|(&position, _)| position)
            .collect()
    };
    let (held, rest) = (side(true), side(false));
    *positions = rest;
    Ok(Part { dataset: data, positions: held })
}

/// A data set of its own must have the same classes, for a class is known by its position.
fn same_classes<D: Labelled>(other: D, data: &D) -> Result<D, Error> {
    match other.classes() == data.classes() {
        true => Ok(other),
        false => Err(Error::Misfit(format!(
            "`{}` has the classes {}, and `{}` has {}; they must be the same",
            other.root().display(),
            other.classes().join(", "),
            data.root().display(),
            data.classes().join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn choices_are_read_and_written() {
        for text in ["data", "none", "20%", "12.5%", "5fold", "."] {
            assert_eq!(Choice::parse(text, "val").unwrap().text(), text);
        }
        for text in ["0%", "100%", "x%", "1fold", "no/such/folder", "sometimes"] {
            assert!(Choice::parse(text, "val").is_err(), "{text}");
        }
    }

    #[test]
    fn shares_and_limits_keep_every_class_and_do_not_overlap() {
        let folder = tempfile::tempdir().unwrap();
        tk_image::data::draw_demo(folder.path(), 0).unwrap();
        let data = tk_image::data::Dataset::open(folder.path()).unwrap();
        let settings = Settings { test: Some("10%".into()), ..Settings::default() };
        let open = |path: &Path, _: &Settings| Ok(tk_image::data::Dataset::open(path)?);
        let division = Division::new(&settings, &data, ModeName::Full, false, open).unwrap();
        let parts = division.parts(&data, None, 3).unwrap();
        let (validation, test) = (parts.validation.unwrap(), parts.test.unwrap());
        let mut all =
            [parts.training.positions.clone(), validation.positions.clone(), test.positions].concat();
        all.sort_unstable();
        assert_eq!(all, (0..200).collect::<Vec<_>>());
        assert_eq!(validation.positions.len(), 36);
        let few = parts.training.limited(Some(12), 3);
        let mut counts = [0; 5];
        few.labels().view().iter().flatten().for_each(|&class| counts[class] += 1);
        assert_eq!(counts, [3, 3, 2, 2, 2]);
    }
}
