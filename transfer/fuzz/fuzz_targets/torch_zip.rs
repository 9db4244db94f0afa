#![no_main]
//! A whole archive as it is.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tk_transfer_fuzz::judge_bytes(data));
