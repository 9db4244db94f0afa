//! From a waveform to frames: convolutions over time, normed and activated (wav2vec, arXiv 1904.05862).

use tk_engine::graph::{Activation, Convolution, GraphBuilder, Init, Kind, Op, Value};

/// PyTorch's epsilon of norms, which these layers keep whatever the transformer's is.
const EPSILON: f64 = 1e-5;

/// The convolutions that make frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// The width, the kernel and the stride of each convolution.
    pub convolutions: Vec<[usize; 3]>,
    /// Whether convolutions add a bias.
    pub bias: bool,
    /// What is normed.
    pub norm: FeatureNorm,
    /// The activation behind each convolution.
    pub activation: Activation,
}

/// `feat_extract_norm` of `config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureNorm {
    /// `group`: each channel of the first convolution over time.
    Group,
    /// `layer`: each frame of every convolution over its channels.
    Layer,
}

impl Features {
    /// How many frames a waveform becomes; 0 where it is too short for one.
    pub fn frames(&self, samples: usize) -> usize {
        self.convolutions.iter().fold(samples, |length, &[_, kernel, stride]| {
            length.checked_sub(kernel).map_or(0, |room| room / stride + 1)
        })
    }

    /// The least number of samples that become a frame.
    pub fn least_samples(&self) -> usize {
        self.convolutions.iter().rev().fold(1, |frames, &[_, kernel, stride]| (frames - 1) * stride + kernel)
    }

    /// `[batch, samples, 1]` to `[batch, frames, width]`.
    pub(super) fn build(&self, b: &mut GraphBuilder, mut x: Value) -> Value {
        for (layer, &[width, kernel, stride]) in self.convolutions.iter().enumerate() {
            let name = format!("feature_extractor.conv_layers.{layer}");
            x = convolution(b, &format!("{name}.conv"), x, [width, kernel, stride], self.bias);
            let norm = format!("{name}.layer_norm");
            x = match self.norm {
                FeatureNorm::Group if layer == 0 => b.group_norm(&norm, x, width, EPSILON),
                FeatureNorm::Group => x,
                FeatureNorm::Layer => b.layer_norm(&norm, x, EPSILON),
            };
            x = b.activation(&format!("{name}.activation"), x, self.activation);
        }
        x
    }
}

fn convolution(
    b: &mut GraphBuilder,
    name: &str,
    x: Value,
    [width, kernel, stride]: [usize; 3],
    bias: bool,
) -> Value {
    let channels = b.channels(x);
    // He et al. 2015 (arXiv 1502.01852), by fan-in.
    let init = Init::Normal((2.0 / (channels * kernel) as f64).sqrt());
    let weight = b.parameter(&format!("{name}.weight"), &[width, channels, kernel], Kind::Weight, init);
    let mut inputs = vec![x, weight];
    if bias {
        inputs.push(b.parameter(&format!("{name}.bias"), &[width], Kind::Bias, Init::Zeros));
    }
    let walk = Convolution { stride: [1, stride], padding: [0; 4], dilation: [1; 2], groups: 1 };
    b.add(name, Op::Convolution(walk), &inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_as_transformers_counts_them() {
        // Wav2Vec2Model._get_feat_extract_output_lengths
        let kernels = [(10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)];
        let features = Features {
            convolutions: kernels.map(|(kernel, stride)| [512, kernel, stride]).to_vec(),
            bias: false,
            norm: FeatureNorm::Group,
            activation: Activation::Gelu,
        };
        for (samples, frames) in [(16_000, 49), (400, 1), (399, 0), (0, 0), (720, 2), (160_000, 499)] {
            assert_eq!(features.frames(samples), frames, "{samples} samples");
        }
        assert_eq!(features.least_samples(), 400);
    }
}
