#![no_main]
//! Bytes behind a header length that fits, so that the header itself is what is explored.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tk_transfer_fuzz::judge_bytes(data);
    // The header ends where the last brace stands.
    let header = data.iter().rposition(|byte| *byte == b'}').map_or(0, |last| last + 1);
    let mut file = (header as u64).to_le_bytes().to_vec();
    file.extend_from_slice(data);
    tk_transfer_fuzz::judge_bytes(&file);
});
