#![no_main]
//! A pickle in an archive whose checksums hold, with two storages beside it: what a mutated archive hardly ever reaches.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let entries: [(&str, &[u8]); 5] = [
        ("archive/data.pkl", data),
        ("archive/byteorder", b"little"),
        ("archive/data/0", &[1; 64]),
        ("archive/data/1", &[2; 16]),
        ("archive/version", b"3\n"),
    ];
    for (name, bytes) in entries {
        archive.start_file(name, options).expect("an entry of a new archive");
        archive.write_all(bytes).expect("memory");
    }
    let file = archive.finish().expect("memory").into_inner();
    tk_transfer_fuzz::judge_bytes(&file);
});
