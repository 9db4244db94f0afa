//! Files of every format and with every fault: what is read, what is remarked, what is refused. `recordings.py` made the files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tk_audio::data::{Clip, DecodeError, Remark};

/// What another program makes of a file: every 13th sample of so many.
#[derive(Deserialize)]
struct Expected {
    rate: u32,
    length: usize,
    values: Vec<f32>,
}

const EVERY: usize = 13;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

fn expected() -> BTreeMap<String, Expected> {
    let text = std::fs::read_to_string(folder().with_extension("json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

/// A recording of bytes, under a name that says nothing.
fn read(bytes: &[u8]) -> Result<Clip, DecodeError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording");
    std::fs::write(&path, bytes).unwrap();
    Clip::open(path)
}

/// The file `i16.wav` with other bytes at a place.
fn patched(place: usize, by: &[u8]) -> Vec<u8> {
    let mut wav = bytes("i16.wav");
    wav[place..place + by.len()].copy_from_slice(by);
    wav
}

// Where `i16.wav` has the number of channels, the rate, the bits of a sample, the length of the sound and the sound.
const CHANNELS: usize = 22;
const RATE: usize = 24;
const BITS: usize = 34;
const LENGTH: usize = 40;
const SOUND: usize = 44;

/// The largest difference from what another program found, where that begins so many samples later, and how many were compared.
fn difference(found: &[f32], expected: &Expected, shift: usize) -> (f32, usize) {
    let pairs = expected.values.iter().enumerate();
    let differences = pairs.filter_map(|(at, value)| Some((found.get(at * EVERY + shift)? - value).abs()));
    differences.fold((0.0, 0), |(most, count), difference| (difference.max(most), count + 1))
}

#[test]
fn every_format_is_told_by_content_and_decoded_as_others_do() {
    let expected = expected();
    assert_eq!(expected.len(), 14);
    for (name, expected) in &expected {
        let clip = Clip::open(folder().join(name)).unwrap();
        assert_eq!(clip.rate(), expected.rate, "{name}");
        // Numbers are printed to 10⁻⁶. Vorbis is exact but for rounding; decoders of MP3 and AAC differ by about one level of 16 bits.
        let tolerance = match name.as_str() {
            "speech.m4a" | "speech_mp3.wav" => 1e-4,
            "speech.ogg" => 2e-5,
            _ => 1e-6,
        };
        let (most, count) = difference(clip.values(), expected, 0);
        assert!(most <= tolerance && count == expected.values.len(), "{name}: {most}, {count} compared");
        assert_eq!(clip.values().len(), expected.length, "{name}");
        let is_dead = name == "dead_channel.wav";
        let remarks: &[Remark] = if is_dead { &[Remark::DeadChannels { dead: 1, channels: 2 }] } else { &[] };
        assert_eq!(clip.remarks(), remarks, "{name}");
    }
}

#[test]
fn the_beginning_alone_is_the_beginning_of_all() {
    for name in ["speech.flac", "speech.ogg", "speech.m4a", "speech_mp3.wav", "i24.wav"] {
        let path = folder().join(name);
        let (all, beginning) = (Clip::open(&path).unwrap(), Clip::open_beginning(&path, 0.004).unwrap());
        assert_eq!(beginning.values(), &all.values()[..32], "{name}");
    }
}

#[test]
fn a_wrong_length_in_a_header_does_not_lose_the_sound() {
    let whole = read(&bytes("i16.wav")).unwrap();
    for said in [0, u32::MAX, 0xFFFF_FFFE] {
        assert_eq!(read(&patched(LENGTH, &said.to_le_bytes())).unwrap(), whole, "{said}");
    }
    let more = read(&patched(LENGTH, &40_000u32.to_le_bytes())).unwrap();
    assert_eq!((more.values(), more.remarks()), (whole.values(), &[Remark::EndedEarly][..]));
    // Cut in the middle of a sample.
    let mut cut = bytes("i16.wav");
    cut.truncate(SOUND + 61);
    let cut = read(&cut).unwrap();
    assert_eq!((cut.values(), cut.remarks()), (&whole.values()[..30], &[Remark::EndedEarly][..]));
    let mut tail = bytes("i16.wav");
    tail.extend(b"LIST\x04\0\0\0abcd");
    assert_eq!(read(&tail).unwrap(), whole, "what stands behind the sound is none");
}

#[test]
fn what_is_no_recording_is_refused_in_one_line() {
    let with_float = |value: f32| {
        let mut wav = bytes("f32.wav");
        let end = wav.len() - 4;
        wav[end..].copy_from_slice(&value.to_le_bytes());
        wav
    };
    let mut empty = patched(LENGTH, &[0; 4]);
    empty.truncate(SOUND);
    let mut places = bytes("extensible.wav");
    places[43] = 0x80;
    let cases: [(Vec<u8>, &str); 13] = [
        (Vec::new(), "the file is empty"),
        (b"<!DOCTYPE html>\n<html>".to_vec(), "no recording: expected WAV, FLAC"),
        (bytes("i16.wav")[..30].to_vec(), "without `fmt ` and `data` chunks"),
        (patched(12, b"junk"), "damaged: "),
        (empty, "the recording is empty"),
        (patched(RATE, &[0; 4]), "a rate of 0 Hz"),
        (patched(RATE, &[0xFF; 4]), "a rate of 4294967295 Hz"),
        (patched(CHANNELS, &[0; 2]), "damaged: 0 channels"),
        (patched(CHANNELS, &[1, 0x80]), "damaged: 32769 channels"),
        (places, "at places 0x80000004"),
        (patched(BITS, &[40, 0]), "damaged: no sample of 40 bits"),
        (with_float(f32::NAN), "sample 39 is not a number"),
        (with_float(f32::INFINITY), "sample 39 is not a number"),
    ];
    for (index, (bytes, part)) in cases.into_iter().enumerate() {
        let message = read(&bytes).map(|clip| clip.values().len()).unwrap_err().to_string();
        assert!(message.contains(part) && !message.contains('\n'), "{index}: `{message}` lacks `{part}`");
    }
    for path in [folder().join("absent.wav"), folder()] {
        let message = Clip::open(path).unwrap_err().to_string();
        assert!(message.starts_with("cannot be read: ") && !message.contains('\n'), "{message}");
    }
}

/// Cut and changed files give sound or one line, never a panic, and never more sound than there was.
#[test]
fn damaged_files_are_read_or_refused() {
    let mut read_at_all = 0;
    for (name, expected) in &expected() {
        let whole = bytes(name);
        let least = Clip::open(folder().join(name)).unwrap().values().len().max(expected.length);
        for place in (0..whole.len()).step_by(whole.len() / 40 + 1) {
            let mut changed = whole.clone();
            changed[place] ^= 0x5A;
            match read(&whole[..place]) {
                Ok(clip) => assert!(clip.values().len() <= least, "{name}, cut at {place}"),
                Err(error) => assert!(!error.to_string().contains('\n'), "{name}, cut at {place}: {error}"),
            }
            match read(&changed) {
                Ok(clip) => {
                    read_at_all += 1;
                    assert!(clip.values().iter().all(|sample| sample.is_finite()), "{name} at {place}");
                }
                Err(error) => assert!(!error.to_string().contains('\n'), "{name} at {place}: {error}"),
            }
        }
    }
    assert!(read_at_all > 100, "{read_at_all} changed files were read");
}

/// FLAC says how much there should be; one block holds all of this file's. Other streams that break off between two blocks cannot be told
/// from whole ones.
#[test]
fn a_stream_that_breaks_off_is_no_whole_recording() {
    let cut = |name: &str, keep: usize| {
        let mut cut = bytes(name);
        cut.truncate(keep);
        read(&cut).map(|clip| (clip.values().len(), clip.remarks().to_vec()))
    };
    for (name, keep, reason) in [
        ("speech.flac", 1300, "no part of it can be decoded"),
        ("speech.flac", 6, "it begins as FLAC, and no sound can be found in it"),
        ("speech.ogg", 2900, "it begins as Ogg, and no sound can be found in it"),
        ("speech.m4a", 1200, "it begins as M4A, and no sound can be found in it"),
    ] {
        assert_eq!(cut(name, keep), Err(DecodeError::Damaged(reason.into())), "{name} to {keep}");
    }
    let (length, remarks) = cut("speech_mp3.wav", 1000).unwrap();
    assert!(length < 1000, "{length} {remarks:?}");
    // A header that counts more than there is: the last four bytes of a number of 36 bits, after 4 + 4 + 13 bytes and 4 bits.
    let mut more = bytes("speech.flac");
    assert_eq!(more[22..26], 1000u32.to_be_bytes());
    more[22..26].copy_from_slice(&1001u32.to_be_bytes());
    let more = read(&more).unwrap();
    assert_eq!((more.values().len(), more.remarks()), (1000, &[Remark::EndedEarly][..]));
}
