//! The head of an earlier run, of which a new one keeps what the classes that both know have in common.

use tk_engine::{Parameters, Result, Tensor};

use crate::classification::HeadForm;

/// A trained head.
#[derive(Clone, Debug)]
pub struct EarlierHead {
    /// Its form.
    pub form: HeadForm,
    /// The classes' names, in the order of its rows.
    pub classes: Vec<String>,
    /// Its values, under the names that a new head of the same form has.
    pub parameters: Parameters,
}

impl EarlierHead {
    /// The head of a whole model: those parameters that are of it.
    pub fn of(
        form: HeadForm,
        classes: Vec<String>,
        model: &Parameters,
        is_of_head: impl Fn(&str) -> bool,
    ) -> Self {
        let mut parameters = Parameters::default();
        for (name, tensor) in model.iter().filter(|(name, _)| is_of_head(name)) {
            parameters.set(name, tensor.clone());
        }
        Self { form, classes, parameters }
    }

    /// The classes that a new head knows too: their places there and here.
    pub fn shared(&self, classes: &[String]) -> Vec<(usize, usize)> {
        shared_classes(&self.classes, classes)
    }

    /// Gives a new head of the same form, whose values are there, the rows of the classes that both know, and layers before the
    /// last one whole. `head` is the prefix of a linear head's parameters; returns the names of the classes that were kept.
    ///
    /// # Errors
    /// When values are missing, or not f32.
    pub fn keep(&self, parameters: &mut Parameters, head: &str, classes: &[String]) -> Result<Vec<String>> {
        let last = match self.form {
            HeadForm::Linear => head.to_owned(),
            HeadForm::Mlp { .. } => format!("{head}.2"),
        };
        let shared = self.shared(classes);
        for (name, earlier) in self.parameters.iter() {
            let new = parameters.get(name)?;
            if name.strip_prefix(&last).is_none_or(|end| !end.starts_with('.')) {
                if new.shape() == earlier.shape() {
                    parameters.set(name, earlier.clone());
                }
                continue;
            }
            let shape = new.shape().to_vec();
            let width: usize = shape.iter().skip(1).product();
            let mut values = new.to_f32();
            let rows = earlier.as_f32()?;
            for &(to, from) in &shared {
                let places = (to * width..(to + 1) * width, from * width..(from + 1) * width);
                if let (Some(row), Some(kept)) = (values.get_mut(places.0), rows.get(places.1)) {
                    row.copy_from_slice(kept);
                }
            }
            parameters.set(name, Tensor::new(&shape, values)?);
        }
        Ok(shared.into_iter().filter_map(|(new, _)| classes.get(new).cloned()).collect())
    }
}

/// Those of some classes that are among earlier ones: their places here and there.
pub fn shared_classes(earlier: &[String], classes: &[String]) -> Vec<(usize, usize)> {
    let place = |name: &String| earlier.iter().position(|class| class == name);
    classes.iter().enumerate().filter_map(|(new, name)| Some((new, place(name)?))).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn parameters(values: &[(&str, &[usize], &[f32])]) -> Parameters {
        let mut parameters = Parameters::default();
        for (name, shape, values) in values {
            parameters.set(name, Tensor::new(shape, values.to_vec()).unwrap());
        }
        parameters
    }

    #[test]
    fn rows_follow_their_classes_and_earlier_layers_stay_whole() {
        let backbone: (&str, &[usize], &[f32]) = ("stem.weight", &[1], &[9.0]);
        let linear = |bias: &'static [f32], weight: &'static [f32]| {
            parameters(&[backbone, ("fc.weight", &[bias.len(), 2], weight), ("fc.bias", &[bias.len()], bias)])
        };
        let earlier = linear(&[1.0, 2.0, 3.0], &[11.0, 12.0, 21.0, 22.0, 31.0, 32.0]);
        let classes = names(&["ants", "bees", "wasps"]);
        let head = EarlierHead::of(HeadForm::Linear, classes, &earlier, |name| name.starts_with("fc."));
        assert_eq!(head.parameters.iter().count(), 2);
        let mut new = linear(&[0.0, 0.0], &[0.0; 4]);
        let kept = head.keep(&mut new, "fc", &names(&["moths", "ants"])).unwrap();
        assert_eq!((kept, new), (names(&["ants"]), linear(&[0.0, 1.0], &[0.0, 0.0, 11.0, 12.0])));

        let hidden = |first: f32, last: &'static [f32]| {
            parameters(&[("fc.0.weight", &[1, 1], &[first]), ("fc.2.weight", &[last.len(), 1], last)])
        };
        let form = HeadForm::Mlp { hidden: 1 };
        let head = EarlierHead::of(form, names(&["a", "b"]), &hidden(5.0, &[6.0, 7.0]), |_| true);
        let mut new = hidden(0.0, &[0.0; 3]);
        head.keep(&mut new, "fc", &names(&["b", "c", "a"])).unwrap();
        assert_eq!(new, hidden(5.0, &[7.0, 0.0, 6.0]));
        assert!(head.keep(&mut Parameters::default(), "fc", &names(&["a"])).is_err());
    }
}
