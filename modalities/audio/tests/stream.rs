//! Recordings in blocks and in parts: the same as in one piece, without holding them.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::path::{Path, PathBuf};

use tk_audio::data::{Clip, DecodeError, Remark, SoundStream};

fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// All blocks one after another, and how many there were.
fn whole(path: &Path, rate: Option<u32>) -> Result<(Vec<f32>, usize), DecodeError> {
    let mut stream = SoundStream::open(path, rate)?;
    let (mut samples, mut blocks) = (Vec::new(), 0);
    while let Some(block) = stream.next_block()? {
        assert!(!block.is_empty());
        samples.extend(block);
        blocks += 1;
    }
    assert_eq!(stream.next_block()?, None, "the end stays the end");
    Ok((samples, blocks))
}

/// A WAV file of 16 bits.
fn wav(path: &Path, rate: u32, channels: u16, samples: impl Iterator<Item = i16>) {
    let spec = hound::WavSpec {
        channels,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    samples.for_each(|sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
}

fn noise(index: usize) -> i16 {
    ((index * 7919 + index / 13 * 31) % 20_011) as i16 - 10_000
}

#[test]
fn blocks_are_what_the_whole_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = recordings();
    assert_eq!(files.len(), 14);
    // Three channels, so that blocks end within frames, and one that only sounds at the end.
    let late = folder.path().join("late.wav");
    let count = 3 * 50_000;
    wav(&late, 44_100, 3, (0..count).map(|at| if at % 3 == 1 && at < count - 9 { 0 } else { noise(at) }));
    files.push(late.clone());
    for (name, level) in [("silent.wav", 0), ("clipped.wav", i16::MAX)] {
        let path = folder.path().join(name);
        wav(&path, 16_000, 1, std::iter::repeat_n(level, 40_000));
        let remark = if level == 0 { Remark::Silent } else { Remark::Clipped { share: 1.0 } };
        assert_eq!(Clip::open(&path).unwrap().remarks(), [remark]);
        files.push(path);
    }
    for path in &files {
        let clip = Clip::open(path).unwrap();
        let (own, _) = whole(path, None).unwrap();
        assert_eq!(own, clip.values(), "{}", path.display());
        for rate in [16_000, 22_050, 48_000] {
            // Nothing depends on how sound is cut into pieces.
            let (found, _) = whole(path, Some(rate)).unwrap();
            assert_eq!(found, clip.at_rate(rate).unwrap().values(), "{} at {rate}", path.display());
        }
        let mut stream = SoundStream::open(path, None).unwrap();
        while stream.next_block().unwrap().is_some() {}
        assert_eq!(stream.remarks(), clip.remarks(), "{}", path.display());
        assert_eq!((stream.own_rate(), stream.rate()), (clip.rate(), clip.rate()));
    }
    assert!(whole(&late, None).unwrap().1 > 3, "more than one block");
}

#[test]
fn parts_are_cut_from_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("long.wav");
    wav(&long, 8000, 2, (0..2 * 30_000).map(noise));
    let recordings = recordings();
    let longer = recordings.iter().filter(|path| Clip::open(path).unwrap().seconds() > 0.05);
    let mut count = 0;
    for path in longer.chain([&long]) {
        count += 1;
        let clip = Clip::open(path).unwrap();
        let rate = f64::from(clip.rate());
        for (first, last) in [(0, 100), (10, 300), (157, clip.values().len())] {
            // A little more than the last sample, as printed times are.
            let part = Clip::open_part(path, first as f64 / rate, (last as f64 - 0.01) / rate).unwrap();
            assert_eq!(part.values(), &clip.values()[first..last], "{} {first} {last}", path.display());
        }
        let rest = Clip::open_part(path, 100.0 / rate, 1e6).unwrap();
        assert_eq!(rest.values(), &clip.values()[100..]);
        for (start, end) in [(1e6, 2e6), (0.01, 0.01), (0.02, 0.01)] {
            let error = Clip::open_part(path, start, end).unwrap_err();
            assert_eq!(error, DecodeError::NoSuchPart { start, end }, "{}", path.display());
        }
    }
    assert!(count > 3, "{count}");
}

#[test]
fn what_is_no_sound_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    std::fs::write(&path, b"no sound at all, only words").unwrap();
    assert!(matches!(SoundStream::open(&path, None).err(), Some(DecodeError::Unknown(_))));
    wav(&path, 8000, 1, std::iter::empty());
    assert_eq!(SoundStream::open(&path, None).err(), Some(DecodeError::Empty));
    wav(&path, 8000, 1, (0..10).map(noise));
    assert_eq!(SoundStream::open(&path, Some(10)).err(), Some(DecodeError::Rate(10)));
    let missing = folder.path().join("none.wav");
    assert!(matches!(SoundStream::open(missing, None).err(), Some(DecodeError::Unreadable(_))));
}

/// The most memory that this program had, in bytes.
#[cfg(target_os = "linux")]
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    1024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat_for_three_hours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.wav");
    wav(&path, 8000, 1, [1i16].into_iter());
    // Silence that takes no place on disk; a length of nothing is read as all there is.
    let hours = 3 * 3600 * 8000;
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(44 + 2 * hours).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(40)).unwrap();
    file.write_all(&[0; 4]).unwrap();

    let mut stream = SoundStream::open(&path, Some(16_000)).unwrap();
    stream.next_block().unwrap().unwrap();
    let before = peak();
    let mut count = 0;
    while let Some(block) = stream.next_block().unwrap() {
        count += block.len() as u64;
    }
    assert!(count > 2 * hours - 100_000, "{count}");
    // All samples would take 691 MB. The other tests here run at the same time and take little.
    let grown = peak() - before;
    assert!(grown < 32 << 20, "{grown} bytes");
}
