//! Checkpoints of transformers load by name, whichever way they spell weight-norm.

use std::collections::BTreeMap;

use tk_audio::architectures::speech::{Padding, RENAMES, Speech, SpeechHead};
use tk_engine::testing::fill_all;
use tk_transfer::checkpoint::{
    Checkpoint, Need, ParameterRequest, Precision, SaveTensor, Target, load_into, save,
};

const OLD: [&str; 2] = ["weight_g", "weight_v"];
const NEW: [&str; 2] = ["parametrizations.weight.original0", "parametrizations.weight.original1"];

#[test]
fn both_spellings_of_weight_norm_load() {
    let folder = tempfile::tempdir().unwrap();
    for model_type in ["wav2vec2", "hubert"] {
        let config = format!(
            r#"{{"model_type": "{model_type}", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
                "intermediate_size": 12, "conv_dim": [4, 6], "conv_kernel": [10, 3], "conv_stride": [5, 2],
                "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}}"#
        );
        let network = Speech::from_json(&config).unwrap();
        let graph = network.build(SpeechHead::Ctc { symbols: 5 }, Padding::Ignored).unwrap();
        let filled = fill_all(&graph).unwrap();
        for spelling in [OLD, NEW] {
            let path = folder.path().join(format!("{model_type}.{}.safetensors", spelling[0]));
            let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = (graph.parameters().iter())
                .map(|spec| {
                    let mut name = network.published_name(&spec.name);
                    for (new, spelt) in NEW.iter().zip(spelling) {
                        name = name.replace(new, spelt);
                    }
                    (name, spec.shape.clone(), filled.get(&spec.name).unwrap().to_f32())
                })
                .collect();
            let mask = format!("{model_type}.masked_spec_embed");
            tensors.push((mask.clone(), vec![8], vec![0.5; 8]));
            assert!(tensors.iter().any(|(name, ..)| {
                *name == format!("{model_type}.encoder.pos_conv_embed.conv.{}", spelling[1])
            }));
            let views: Vec<SaveTensor<'_>> =
                (tensors.iter()).map(|(name, shape, values)| SaveTensor { name, shape, values }).collect();
            save(&path, &views, Precision::F32, &BTreeMap::new()).unwrap();

            let requests: Vec<ParameterRequest> = (graph.parameters().iter())
                .map(|spec| ParameterRequest {
                    name: spec.name.clone(),
                    shape: spec.shape.clone(),
                    need: Need::Required,
                })
                .collect();
            let target = Target { model: model_type, parameters: &requests, rules: RENAMES };
            let loaded = load_into(&target, &Checkpoint::open(&path).unwrap()).unwrap();
            assert_eq!(loaded.report.unused, [mask]);
            assert_eq!(loaded.values.len(), graph.parameters().len());
            for (name, values) in &loaded.values {
                assert_eq!(*values, filled.get(name).unwrap().to_f32(), "{model_type}, {name}");
            }
        }
    }
}
