//! Rows of a head that tell classes, when other classes are wanted.

use tk_engine::graph::ParameterSpec;
use tk_transfer::earlier_head::shared_classes;

/// How the rows of a parameter follow the classes: for each of some boxes, rows that are of no class (the background's) and then one for each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    boxes: usize,
    before: usize,
    width: usize,
}

impl Rows {
    /// Of a parameter of a head for so many classes, given what it is in a head for one more. `None` where it does not depend on their count.
    pub fn of(parameter: &ParameterSpec, with_another: &ParameterSpec, classes: usize) -> Option<Self> {
        let (rows, more) = (*parameter.shape.first()?, *with_another.shape.first()?);
        let boxes = more.checked_sub(rows).filter(|&boxes| boxes > 0)?;
        let before = (rows / boxes).checked_sub(classes)?;
        Some(Self { boxes, before, width: parameter.shape[1..].iter().product() })
    }

    /// Gives a head for `classes` the rows of those that a head for `trained` has too, and the rows of no class. Nothing, where they have none in
    /// common. Returns their names.
    pub fn keep(
        &self,
        values: &mut [f32],
        classes: &[String],
        kept: &[f32],
        trained: &[String],
    ) -> Vec<String> {
        let shared = shared_classes(trained, classes);
        let names = shared.iter().map(|&(to, _)| classes[to].clone()).collect();
        if shared.is_empty() {
            return names;
        }
        let of_no_class = (0..self.before).map(|row| (row, row));
        let of_classes = shared.into_iter().map(|(to, from)| (self.before + to, self.before + from));
        let pairs: Vec<(usize, usize)> = of_no_class.chain(of_classes).collect();
        let row = |of: usize, of_box: usize, at: usize| {
            let start = (of_box * (self.before + of) + at) * self.width;
            start..start + self.width
        };
        for of_box in 0..self.boxes {
            for &(to, from) in &pairs {
                let places = (row(classes.len(), of_box, to), row(trained.len(), of_box, from));
                if let (Some(new), Some(old)) = (values.get_mut(places.0), kept.get(places.1)) {
                    new.copy_from_slice(old);
                }
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use tk_engine::graph::{Init, Kind};

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn rows_follow_their_classes_for_every_box() {
        let spec = |rows: usize| ParameterSpec {
            name: "weight".into(),
            shape: vec![rows, 1, 2],
            kind: Kind::Weight,
            init: Init::Zeros,
        };
        // Two boxes, for each the background and two classes.
        let rows = Rows::of(&spec(6), &spec(8), 2).unwrap();
        assert_eq!(rows, Rows { boxes: 2, before: 1, width: 2 });
        assert_eq!(Rows::of(&spec(6), &spec(6), 2), None);
        let kept: Vec<f32> = (0..16).map(|at| 10.0 + at as f32).collect();
        let (trained, classes) = (names(&["cat", "dog", "owl"]), names(&["owl", "ant"]));
        let mut values = [0.0; 12];
        assert_eq!(rows.keep(&mut values, &classes, &kept, &trained), ["owl"]);
        assert_eq!(values, [10.0, 11.0, 16.0, 17.0, 0.0, 0.0, 18.0, 19.0, 24.0, 25.0, 0.0, 0.0]);
        let mut none = [0.0; 12];
        assert_eq!(rows.keep(&mut none, &names(&["ant", "bee"]), &kept, &trained), [""; 0]);
        assert_eq!(none, [0.0; 12]);
    }
}
