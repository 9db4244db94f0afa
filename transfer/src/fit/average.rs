//! An exponential moving average of weights (Polyak averaging as timm's `ModelEma` does it).

use std::collections::BTreeMap;

use tk_engine::{Parameters, Result, Tensor};

/// The average of the values that training changes, running statistics included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MovingAverage {
    decay: f64,
    values: BTreeMap<String, Tensor>,
}

impl MovingAverage {
    /// An average that starts at the first values it sees.
    pub fn new(decay: f64) -> Self {
        Self { decay, values: BTreeMap::new() }
    }

    /// Goes on from stored values.
    pub fn resumed(decay: f64, values: BTreeMap<String, Tensor>) -> Self {
        Self { decay, values }
    }

    /// Moves towards the values of the named parameters after `updates` updates. Early on the average follows faster, so that it
    /// forgets where it started.
    ///
    /// # Errors
    /// When a parameter has no value.
    pub fn follow(&mut self, parameters: &Parameters, names: &[String], updates: u64) -> Result<()> {
        let decay = self.decay.min((1.0 + updates as f64) / (10.0 + updates as f64)) as f32;
        for name in names {
            let new = parameters.get(name)?;
            match self.values.get_mut(name) {
                None => {
                    self.values.insert(name.clone(), new.clone());
                }
                Some(average) => {
                    for (average, &new) in average.as_f32_mut()?.iter_mut().zip(new.as_f32()?) {
                        *average = decay * *average + (1.0 - decay) * new;
                    }
                }
            }
        }
        Ok(())
    }

    /// The averages by name.
    pub fn values(&self) -> &BTreeMap<String, Tensor> {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_average_approaches_a_constant() {
        let mut parameters = Parameters::default();
        parameters.set("w", Tensor::zeros(&[1]));
        let names = vec!["w".to_owned()];
        let mut average = MovingAverage::new(0.9);
        average.follow(&parameters, &names, 1).unwrap();
        parameters.set("w", Tensor::new(&[1], vec![1.0]).unwrap());
        for updates in 100..120 {
            average.follow(&parameters, &names, updates).unwrap();
        }
        let value = average.values()["w"].to_f32()[0];
        assert!((value - (1.0 - 0.9f32.powi(20))).abs() < 1e-5, "{value}");
    }
}
