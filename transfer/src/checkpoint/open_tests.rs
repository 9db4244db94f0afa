//! Files that PyTorch itself wrote (`testdata/make.py`), and the ways of opening any file.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Cursor;
use std::path::Path;

use super::{Checkpoint, Format};

/// The values of `weights()` in `testdata/make.py`, in its order.
fn expected_weights() -> Vec<(&'static str, Vec<usize>, Vec<f32>)> {
    let counted = |count: u8| (0..count).map(f32::from).collect::<Vec<f32>>();
    vec![
        ("transposed", vec![4, 3], vec![0., 4., 8., 1., 5., 9., 2., 6., 10., 3., 7., 11.]),
        ("window", vec![2, 2], vec![17., 18., 21., 22.]),
        ("shared", vec![2, 3, 4], counted(24)),
        ("parameter", vec![2], vec![0.5, -1.5]),
        ("channels_last", vec![1, 2, 2, 4], counted(16)),
        ("scalar", vec![], vec![7.0]),
        ("empty", vec![0, 3], vec![]),
    ]
}

#[test]
fn reads_what_torch_save_writes() {
    for (bytes, format) in [
        (&include_bytes!("testdata/zip.pth")[..], Format::TorchZip),
        // Its name, which members begin with, makes their first entry in the directory 76 bytes long.
        (include_bytes!("testdata/twenty_one_characters.pth"), Format::TorchZip),
        (include_bytes!("testdata/legacy.pth"), Format::TorchLegacy),
    ] {
        let checkpoint = Checkpoint::from_bytes("w.pth", bytes).unwrap();
        assert_eq!(checkpoint.format(), format);
        assert_eq!(checkpoint.container(), None);
        let read: Vec<_> = checkpoint
            .names()
            .map(|name| (name, checkpoint.info(name).unwrap().shape.clone(), checkpoint.f32(name).unwrap()))
            .collect();
        assert_eq!(read, expected_weights(), "{format}");
        assert_eq!(checkpoint.bytes_on_disk(), bytes.len() as u64);
        assert_eq!(checkpoint.digest(), blake3::hash(bytes));
    }
}

#[test]
fn reads_every_type_that_torch_stores() {
    let checkpoint = Checkpoint::from_bytes("d.pth", &include_bytes!("testdata/dtypes.pth")[..]).unwrap();
    let types: Vec<String> = checkpoint.names().map(|n| checkpoint.info(n).unwrap().to_string()).collect();
    assert_eq!(
        types,
        ["f64 [3]", "f32 [3]", "f16 [3]", "bf16 [3]", "i64 [3]", "i32 [3]", "u8 [3]", "bool [3]"]
    );
    for name in checkpoint.names() {
        assert_eq!(checkpoint.f32(name).unwrap(), [1.0, 0.0, 1.0], "{name}");
    }
}

#[test]
fn finds_the_weights_of_a_training_script() {
    let checkpoint = Checkpoint::from_bytes("n.pth", &include_bytes!("testdata/nested.pth")[..]).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["weight", "bias"]);
    assert_eq!(checkpoint.f32("weight").unwrap(), [0.25, 0.25]);
    assert_eq!(checkpoint.f32("bias").unwrap(), [2.0]);
    assert_eq!(checkpoint.container(), Some("state_dict"));
    assert_eq!(checkpoint.dropped_prefix(), "module.");
    assert_eq!(checkpoint.ignored(), ["epoch", "best", "optimizer", "7"]);
}

#[test]
fn refuses_code_and_whole_models_by_name() {
    for (bytes, expected) in [
        (
            &include_bytes!("testdata/code.pth")[..],
            "`x.pth` carries code: it would call `posix.system` (byte ",
        ),
        (
            include_bytes!("testdata/whole.pth"),
            "`x.pth` is a whole pickled object of class `__main__.Net` (byte ",
        ),
        (
            b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.",
            "`x.pth` carries code: it would call `os.system`",
        ),
    ] {
        let error = Checkpoint::from_bytes("x.pth", bytes).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(error.contains("torch.save(model.state_dict(), …)"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn a_pickle_of_other_things_says_what_it_holds() {
    for (bytes, expected) in [
        (&b"\x80\x02}."[..], "holds no named tensors, but an empty dictionary"),
        (b"\x80\x02]K\x01a.", "holds no named tensors, but a list"),
        (
            b"\x80\x02}(X\x01\0\0\0aK\x01X\x01\0\0\0b}u.",
            "holds no named tensors, but `a` (a number), `b` (a dictionary)",
        ),
    ] {
        let error = Checkpoint::from_bytes("x.pth", bytes).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn contents_decide_and_strangers_are_named() {
    let mut script = zip::ZipWriter::new(Cursor::new(Vec::new()));
    script.start_file("net/code/__torch__.py", zip::write::SimpleFileOptions::default()).unwrap();
    let script = script.finish().unwrap().into_inner();
    let web = b"<!DOCTYPE html><html>".to_vec();
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n".to_vec();
    for (bytes, expected) in [
        (Vec::new(), "it is empty"),
        (script, "it is a TorchScript program"),
        (web, "it is a web page"),
        (lfs, "Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n....".to_vec(), "HDF5"),
        (b"{\"a\": 1}".to_vec(), "it is JSON"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f{}".to_vec(), "its header claims 9223372036854775807 bytes"),
        (b"hello".to_vec(), "it begins with the bytes [68, 65, 6c, 6c, 6f]"),
        (b"PK\x03\x04rest".to_vec(), "is a zip archive that cannot be read"),
        (include_bytes!("testdata/zip.pth")[..900].to_vec(), "the file may be cut short"),
        (b"\x02\0\0\0\0\0\0\0{}".to_vec(), "holds no named tensors, but an empty header"),
        (b"\x28\0\0\0\0\0\0\0{\"a\\nb\":{\"dtype\":\"F9\",\"shape\":[],\"x\":1}}".to_vec(), "a\\nb"),
    ] {
        let error = Checkpoint::from_bytes("x", bytes).unwrap_err().to_string();
        assert!(error.starts_with("`x` ") && error.contains(expected), "expected {expected}, got {error}");
    }
    let mut legacy = include_bytes!("testdata/legacy.pth").to_vec();
    legacy.truncate(legacy.len() - 3);
    let error = Checkpoint::from_bytes("x", legacy).unwrap_err().to_string();
    assert!(error.contains("is truncated: expected "), "{error}");
}

#[test]
fn opens_files_and_names_what_is_absent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors"); // The extension misleads on purpose.
    std::fs::write(&path, include_bytes!("testdata/zip.pth")).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.format(), Format::TorchZip);
    let error = checkpoint.f32("transpozed").unwrap_err().to_string();
    assert!(error.ends_with("has no tensor `transpozed`; nearest: `transposed`"), "{error}");
    for path in [folder.path(), Path::new("absent.pth")] {
        let error = Checkpoint::open(path).unwrap_err().to_string();
        assert!(error.contains("cannot be read: "), "{error}");
    }
}

#[test]
fn opens_shards_beside_their_index() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let shard = |tensor: &str, value: u8| {
        let header = format!(r#"{{"{tensor}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#);
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[value]].concat()
    };
    write("1.safetensors", &shard("a", 1));
    write("2.safetensors", &shard("b", 2));
    let index = br#"{"metadata":{},"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#;
    write("m.index.json", index);
    let path = folder.path().join("m.index.json");
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.format(), Format::ShardedSafetensors);
    assert_eq!((checkpoint.f32("a").unwrap(), checkpoint.f32("b").unwrap()), (vec![1.0], vec![2.0]));
    assert_eq!(checkpoint.bytes_on_disk(), (index.len() + 2 * shard("a", 1).len()) as u64);
    let digest = checkpoint.digest();

    write("2.safetensors", &shard("b", 3));
    assert_ne!(Checkpoint::open(&path).unwrap().digest(), digest);
    for (bytes, expected) in [
        (shard("c", 2), "names the shard `2.safetensors`, which has no tensor `b`"),
        (shard("b", 2)[..20].to_vec(), "names the shard `2.safetensors`, which is truncated"),
    ] {
        write("2.safetensors", &bytes);
        let error = Checkpoint::open(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
