//! Damaged files of every format: each yields a checkpoint whose tensors can be read, or one line of error; never a panic.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use tk_engine::random::Stream;

use super::{Checkpoint, Precision, SaveTensor, save};

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let tensors = [
        SaveTensor { name: "a.weight", shape: &[2, 3], values: &[1.0; 6] },
        SaveTensor { name: "a.bias", shape: &[2], values: &[2.0; 2] },
    ];
    save(&path, &tensors, Precision::F32, &BTreeMap::new()).unwrap();
    vec![
        ("safetensors", std::fs::read(&path).unwrap()),
        ("zip", include_bytes!("testdata/zip.pth").to_vec()),
        ("nested zip", include_bytes!("testdata/nested.pth").to_vec()),
        ("legacy", include_bytes!("testdata/legacy.pth").to_vec()),
    ]
}

/// Opens damaged bytes; whatever opens must be readable, with as many values as its shape says.
fn judge(what: &str, bytes: Vec<u8>) -> Option<Checkpoint> {
    let size = bytes.len();
    match Checkpoint::from_bytes("damaged", bytes) {
        Ok(checkpoint) => {
            for name in checkpoint.names() {
                let elements = checkpoint.info(name).unwrap().elements();
                assert!(elements <= size, "{what}: {elements} elements from {size} bytes");
                assert_eq!(checkpoint.f32(name).unwrap().len(), elements, "{what}");
            }
            Some(checkpoint)
        }
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with("`damaged` ") && line.len() < 2000, "{what}: {line}");
            None
        }
    }
}

#[test]
fn every_truncation_is_an_error() {
    for (what, bytes) in samples() {
        assert!(judge(what, bytes.clone()).is_some(), "{what} is whole");
        for length in 0..bytes.len() {
            assert!(
                judge(what, bytes[..length].to_vec()).is_none(),
                "{what} cut to {length} of {}",
                bytes.len()
            );
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    for (what, bytes) in samples() {
        let mut stream = Stream::new(1, &[what.into()]);
        let mut opened = 0;
        for round in 0..4000 {
            let mut damaged = bytes.clone();
            for _ in 0..=stream.below(if round % 2 == 0 { 1 } else { 8 }) {
                let at = stream.below(damaged.len());
                // Small changes of lengths and offsets are the ones that nearly fit.
                damaged[at] = match stream.below(3) {
                    0 => stream.bits() as u8,
                    1 => damaged[at] ^ (1 << stream.below(8)),
                    _ => damaged[at].wrapping_add(1),
                };
            }
            opened += usize::from(judge(what, damaged).is_some());
        }
        assert!(opened > 0 && opened < 4000, "{what}: {opened} opened, so the test tells nothing");
    }
}

#[test]
fn random_instructions_never_panic() {
    let instructions =
        b"\x80\x81\x85\x86\x87\x88\x89\x8a\x8c\x8f\x90\x91\x92\x93\x94().0123BCGJKMNQRTUX]abcdehijlopqrstu}";
    let mut stream = Stream::new(2, &["instructions".into()]);
    for _ in 0..20_000 {
        let mut bytes = b"\x80\x02".to_vec();
        for _ in 0..stream.below(60) {
            bytes.push(match stream.below(4) {
                0 => stream.below(4) as u8,
                _ => instructions[stream.below(instructions.len())],
            });
        }
        judge("instructions", bytes);
    }
}
