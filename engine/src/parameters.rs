//! The values of parameters: f32 masters by published name, each with a version that counts its changes.

use std::collections::BTreeMap;

use crate::graph::{Graph, Init};
use crate::random::Stream;
use crate::{EngineError, Result, Tensor};

/// Parameter values by name. Cheap to clone: values are shared until they change.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    values: BTreeMap<String, (Tensor, u64)>,
}

/// Equal values are equal parameters, however often they were set.
impl PartialEq for Parameters {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Parameters {
    /// Every parameter of a graph at its initial value, drawn from the seed and the parameter's name.
    pub fn initial(graph: &Graph, seed: u64) -> Self {
        let mut parameters = Self::default();
        parameters.initialise(graph, seed);
        parameters
    }

    /// Gives those parameters of the graph that have no value yet their initial ones; returns their names.
    pub fn initialise(&mut self, graph: &Graph, seed: u64) -> Vec<String> {
        let mut names = Vec::new();
        for spec in graph.parameters() {
            if !self.values.contains_key(&spec.name) {
                let values = initial(
                    spec.init,
                    &spec.shape,
                    Stream::new(seed, &["init".into(), spec.name.as_str().into()]),
                );
                if let Ok(tensor) = Tensor::new(&spec.shape, values) {
                    self.set(&spec.name, tensor);
                    names.push(spec.name.clone());
                }
            }
        }
        names
    }

    /// A parameter's value.
    ///
    /// # Errors
    /// When it has none.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        match self.values.get(name) {
            Some((tensor, _)) => Ok(tensor),
            None => Err(EngineError::MissingParameter { name: name.to_owned() }),
        }
    }

    /// Sets a value and counts its version up.
    pub fn set(&mut self, name: &str, tensor: Tensor) {
        let version = self.version(name) + 1;
        self.values.insert(name.to_owned(), (tensor, version));
    }

    /// How often the value was set; 0 when there is none.
    pub fn version(&self, name: &str) -> u64 {
        self.values.get(name).map_or(0, |(_, version)| *version)
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.values.iter().map(|(name, (tensor, _))| (name.as_str(), tensor))
    }

    /// Drops a value.
    pub fn remove(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// A digest of one value's bytes. Hexadecimal BLAKE3.
    ///
    /// # Errors
    /// When there is no value of this name, or it is not f32.
    pub fn digest(&self, name: &str) -> Result<String> {
        Ok(blake3::hash(bytemuck::cast_slice(self.get(name)?.as_f32()?)).to_hex().to_string())
    }
}

fn initial(init: Init, shape: &[usize], mut stream: Stream) -> Vec<f32> {
    let count = shape.iter().product();
    // [out, in / groups, kernel…]: fan-out counts the outputs that one input reaches within its group.
    let fan_in: usize = shape.iter().skip(1).product();
    let fan_out: usize =
        shape.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, size)| size).product();
    let mut draw =
        |sample: &dyn Fn(&mut Stream) -> f64| (0..count).map(|_| sample(&mut stream) as f32).collect();
    match init {
        Init::Zeros => vec![0.0; count],
        Init::Ones => vec![1.0; count],
        Init::Constant(value) => vec![value as f32; count],
        Init::KaimingNormalFanOut => {
            let deviation = (2.0 / fan_out.max(1) as f64).sqrt();
            draw(&|stream| stream.normal() * deviation)
        }
        Init::Normal(deviation) => draw(&|stream| stream.normal() * deviation),
        Init::UniformFanIn => {
            let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
            draw(&|stream| stream.range(-bound, bound))
        }
        Init::XavierUniform => {
            let bound = (6.0 / (fan_in + fan_out).max(1) as f64).sqrt();
            draw(&|stream| stream.range(-bound, bound))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn versions_count_changes() {
        let mut parameters = Parameters::default();
        assert_eq!(parameters.version("a"), 0);
        assert!(parameters.get("a").is_err());
        parameters.set("a", Tensor::zeros(&[2]));
        let before = parameters.digest("a").unwrap();
        parameters.set("a", Tensor::new(&[2], vec![0.0, 1.0]).unwrap());
        assert_eq!(parameters.version("a"), 2);
        assert_ne!(before, parameters.digest("a").unwrap());
    }

    #[test]
    fn initial_values_have_the_deviation_they_name() {
        let cases = [
            (Init::KaimingNormalFanOut, vec![64, 32, 3, 3], (2.0f64 / (64.0 * 9.0)).sqrt()),
            (Init::KaimingNormalFanOut, vec![64, 1, 3, 3], (2.0f64 / (64.0 * 9.0)).sqrt()),
            (Init::Constant(1e-6), vec![100], 1e-6),
            (Init::Normal(0.02), vec![100, 200], 0.02),
            (Init::UniformFanIn, vec![100, 300], (1.0 / 300f64 / 3.0).sqrt()),
            (Init::XavierUniform, vec![64, 32, 3, 3], (2.0f64 / (96.0 * 9.0)).sqrt()),
        ];
        for (init, shape, deviation) in cases {
            let values = initial(init, &shape, Stream::new(0, &["x".into()]));
            let square: f64 =
                values.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>() / values.len() as f64;
            assert!((square.sqrt() / deviation - 1.0).abs() < 0.1, "{init:?}: {}", square.sqrt());
        }
    }
}
