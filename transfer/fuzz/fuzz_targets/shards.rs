#![no_main]
//! An index of shards, beside one shard that is whole.

use std::sync::LazyLock;

/// `a`: two numbers; as safetensors has it.
const SHARD: &[u8] = b"\x38\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}  \0\0\0\0\0\0\0\0";

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("s"), SHARD).expect("a shard");
    folder
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let index = FOLDER.path().join("model.safetensors.index.json");
    std::fs::write(&index, data).expect("an index");
    tk_transfer_fuzz::judge_file(&index, data.len() + SHARD.len());
});
