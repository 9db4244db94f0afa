//! Long recordings are heard in windows as they are in one piece, in whatever blocks they come; folders keep what they hear.

use std::path::Path;

use serde_json::json;
use tk_audio::ctc::{align, beam, greedy};
use tk_audio::data::Clip;
use tk_audio::features::Waveform;
use tk_audio::recognition::{Decoding, Recognizer, RecognizerError, SpeechModel, SymbolChoice, Vocabulary};
use tk_engine::cpu::Machine;
use tk_engine::random::Stream;
use tk_engine::{Parameters, Tensor};
use tk_transfer::checkpoint::Precision;

/// A network with random weights. With `is_local` what leaves its layers is nothing, so that frames know their neighbours alone.
fn recognizer(norm: &str, is_local: bool) -> Recognizer {
    let config = json!({
        "model_type": "wav2vec2", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "conv_dim": [16, 24], "conv_kernel": [40, 16], "conv_stride": [20, 16],
        "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4, "feat_extract_norm": norm,
        "do_stable_layer_norm": norm == "layer", "initializer_range": 0.3,
    });
    let front_end = Waveform { do_normalize: !is_local, ..Waveform::default() };
    let vocabulary = Vocabulary::of_texts(["abcdefg"]);
    let mut model = SpeechModel::random(&config.to_string(), front_end, vocabulary, 1).unwrap();
    if is_local {
        let mut parameters = Parameters::default();
        for (name, tensor) in model.parameters.iter() {
            let is_end = name.contains("out_proj") || name.contains("output_dense");
            parameters.set(name, if is_end { Tensor::zeros(tensor.shape()) } else { tensor.clone() });
        }
        model.parameters = parameters;
    }
    Recognizer::new(model, &Machine::new(2)).unwrap()
}

fn noise(seconds: f64) -> Clip {
    let mut stream = Stream::new(7, &["noise".into()]);
    let mut level = 0.0;
    let samples: Vec<f32> = (0..(16_000.0 * seconds) as usize)
        .map(|at| {
            level = if at % 1600 == 0 { stream.normal() } else { level };
            (0.3 * level * stream.normal()) as f32
        })
        .collect();
    Clip::samples(&samples, 16_000).unwrap()
}

#[test]
fn windows_hear_what_one_piece_hears() {
    let recognizer = recognizer("layer", true);
    for seconds in [1.0, 29.9, 30.1, 54.0, 61.3, 100.0] {
        let clip = noise(seconds);
        let vocabulary = &recognizer.model().vocabulary;
        let spoken = greedy(&recognizer.logits_of(&clip).unwrap(), vocabulary.len(), vocabulary.blank());
        let expected = vocabulary.decode(spoken.iter().map(|spoken| spoken.symbol));
        let heard = recognizer.transcribe(&clip).unwrap();
        assert!(expected.len() > 10, "{expected}");
        assert_eq!(heard.text, expected, "{seconds} seconds");
        assert!((heard.seconds - seconds).abs() < 1e-4);
        let words: Vec<_> = heard.passages.iter().flat_map(|passage| &passage.words).collect();
        assert!(words.windows(2).all(|pair| pair[0].end <= pair[1].start), "times ascend");
        let first =
            spoken.iter().find(|spoken| !vocabulary.written(spoken.symbol).trim().is_empty()).unwrap();
        assert!((words[0].start - first.start as f64 * 0.02).abs() < 1e-9);
        assert!(words.iter().all(|word| word.probability > 0.0 && word.probability <= 1.0));
        let mut blocks = clip.values().chunks(1234).map(<[f32]>::to_vec);
        assert_eq!(recognizer.transcribe_blocks(&mut || Ok(blocks.next())).unwrap(), heard);
    }
}

#[test]
fn a_beam_is_written_where_it_lies() {
    let plain = recognizer("group", false);
    let clip = noise(2.0);
    let (symbols, blank) = (plain.model().vocabulary.len(), plain.model().vocabulary.blank());
    let mut scores = plain.logits_of(&clip).unwrap();
    for row in scores.chunks_exact_mut(symbols) {
        let sum: f32 = row.iter().map(|logit| logit.exp()).sum();
        row.iter_mut().for_each(|logit| *logit -= sum.ln());
    }
    let best = beam(&scores, symbols, blank, 5).remove(0);
    let expected = plain.model().vocabulary.decode(best.symbols.iter().copied());
    assert_eq!(align(&scores, symbols, blank, &best.symbols).unwrap().len(), best.symbols.len());
    let searched = plain.with_decoding(Decoding::Beam { width: 5 });
    assert_eq!(searched.transcribe(&clip).unwrap().text, expected);
}

#[test]
fn a_folder_keeps_what_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let clip = noise(1.5);
    for norm in ["layer", "group"] {
        let recognizer = recognizer(norm, false);
        recognizer.save(folder.path(), Precision::F32, Default::default(), "card").unwrap();
        let again = Recognizer::load(folder.path(), &Machine::new(1)).unwrap();
        assert_eq!(again.logits_of(&clip).unwrap(), recognizer.logits_of(&clip).unwrap());
        assert_eq!(again.model().vocabulary, recognizer.model().vocabulary);
        assert_eq!(again.model().is_masked(), norm == "layer");
    }
}

#[test]
fn rows_of_shared_symbols_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let published = recognizer("layer", false);
    published.save(folder.path(), Precision::F32, Default::default(), "").unwrap();
    let open = |symbols: &SymbolChoice<'_>| SpeechModel::open(folder.path(), symbols, 0).unwrap();
    let other = Vocabulary::of_texts(["CAT"]);
    let model = open(&SymbolChoice::Given(&other));
    let row = |model: &SpeechModel, symbol: &str| {
        let at = model.vocabulary.symbols().iter().position(|own| own == symbol).unwrap();
        model.parameters.get("lm_head.weight").unwrap().to_f32()[at * 32..(at + 1) * 32].to_vec()
    };
    for (new, old) in [("A", "a"), ("C", "c"), ("|", "|"), ("<pad>", "<pad>")] {
        assert_eq!(row(&model, new), row(published.model(), old), "{new}");
    }
    assert_ne!(row(&model, "T"), row(published.model(), "b"));
    assert_eq!(model.report.unwrap().kept.len(), 7);
    // What spells all texts stays whole; where it does not, texts have their own.
    let make = || Vocabulary::of_texts(["xyz"]);
    assert_eq!(open(&SymbolChoice::Fitting(&|_| true, &make)).vocabulary, published.model().vocabulary);
    assert_eq!(open(&SymbolChoice::Fitting(&|_| false, &make)).vocabulary, make());
}

#[test]
fn what_cannot_be_heard_or_opened_is_said() {
    let recognizer = recognizer("layer", false);
    let error = recognizer.transcribe(&Clip::samples(&[0.1; 30], 16_000).unwrap()).unwrap_err();
    assert!(matches!(error, RecognizerError::Sound(_)) && error.to_string().contains("too short"), "{error}");
    let silence = recognizer.transcribe(&Clip::samples(&[0.0; 16_000], 16_000).unwrap()).unwrap();
    assert!((silence.seconds - 1.0).abs() < 1e-9);
    let message = |folder: &Path| {
        SpeechModel::open(folder, &SymbolChoice::Published, 0).map(|_| ()).unwrap_err().to_string()
    };
    assert!(message(Path::new("nowhere")).contains("no such folder"));
    let folder = tempfile::tempdir().unwrap();
    recognizer.save(folder.path(), Precision::F32, Default::default(), "").unwrap();
    std::fs::remove_file(folder.path().join("vocab.json")).unwrap();
    assert!(message(folder.path()).contains("no layer of CTC"), "{}", message(folder.path()));
    std::fs::write(folder.path().join("vocab.json"), "{\"a\": 0}").unwrap();
    assert!(message(folder.path()).contains("no `<pad>`"), "{}", message(folder.path()));
}
