//! Recordings as a source: plain views stay what they are, varied ones follow from their number and the seed.

use std::path::Path;

use tk_audio::architectures::{Config, Start};
use tk_audio::data::{Dataset, Distortion, Hearing, Masks, Recordings, SpectrogramStore, Views};
use tk_engine::cpu::Pool;
use tk_transfer::fit::{Source, View};

#[test]
fn distorted_views_are_others_and_the_same_again() {
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let folder = tempfile::tempdir().unwrap();
    for (class, name) in [("a", "speech.flac"), ("b", "speech.ogg")] {
        std::fs::create_dir(folder.path().join(class)).unwrap();
        std::fs::copy(recordings.join(name), folder.path().join(class).join(name)).unwrap();
    }
    let data = Dataset::open(folder.path()).unwrap();
    let config = r#"{"model_type": "audio-spectrogram-transformer", "max_length": 16, "num_mel_bins": 8, "patch_size": 8}"#;
    let Start { architecture, front_end } = Start::read(&Config::from_json(config).unwrap(), None).unwrap();
    let store = SpectrogramStore::new(1 << 20);
    let source = |distortion: Distortion, seed: u64| {
        let views = Views { distortion, masks: Masks::default(), seed };
        let (extractor, architecture) = (front_end.extractor(), architecture.clone());
        let hearing = Hearing { extractor, architecture, batch: 2, pool: Pool::new(1) };
        Recordings::new(&data, vec![0, 1], hearing, views, &store)
    };
    let values = |source: &Recordings<'_>, view: View| {
        let batch = source.load(&[0, 1], view).unwrap();
        assert_eq!((batch.inputs[0].shape(), source.failed()), (&[2, 8, 16, 1][..], Vec::new()));
        batch.inputs[0].as_f32().unwrap().to_vec()
    };
    let plain = source(Distortion::default(), 1);
    let all = Distortion { length_percent: 10, gain_decibels: 6.0, noise_decibels: Some([10.0, 40.0]) };
    let distorted = source(all, 1);
    let first = values(&distorted, View::Augmented(1));
    assert_eq!(values(&plain, View::Augmented(1)), values(&plain, View::Plain));
    assert_eq!(values(&distorted, View::Plain), values(&plain, View::Plain));
    assert_ne!(first, values(&plain, View::Plain));
    assert_eq!(values(&distorted, View::Augmented(1)), first);
    assert_ne!(values(&distorted, View::Augmented(2)), first);
    assert_ne!(values(&source(all, 2), View::Augmented(1)), first);
    // What is remembered of one view is never taken for another.
    let keys = [
        plain.cache_key(0, View::Plain),
        plain.cache_key(0, View::Augmented(1)),
        distorted.cache_key(0, View::Augmented(1)),
        distorted.cache_key(0, View::Augmented(2)),
        source(all, 2).cache_key(0, View::Augmented(1)),
    ];
    assert!(keys.iter().enumerate().all(|(index, key)| !keys[..index].contains(key)), "{keys:?}");
    assert_eq!(distorted.cache_key(0, View::Plain), keys[0]);
}
