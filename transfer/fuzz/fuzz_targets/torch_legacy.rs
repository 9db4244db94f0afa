#![no_main]
//! A file of before PyTorch 1.6 as it is.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tk_transfer_fuzz::judge_bytes(data));
