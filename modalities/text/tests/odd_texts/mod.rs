//! Texts that no user would write.

use tk_engine::random::mix;

/// The first and last character of each kind of text, as in `tokens.py`.
const KINDS: [(u32, u32); 20] = [
    (0x00, 0x1f),
    (0x20, 0x7e),
    (0x61, 0x7a),
    (0x7f, 0xa0),
    (0xa1, 0x17f),
    (0x300, 0x36f),
    (0x590, 0x5ff),
    (0x600, 0x6ff),
    (0x900, 0x97f),
    (0xe00, 0xe7f),
    (0x2000, 0x206f),
    (0x3040, 0x30ff),
    (0x4e00, 0x9fff),
    (0xac00, 0xd7a3),
    (0xfe00, 0xfe0f),
    (0xfff0, 0xfffd),
    (0x1f300, 0x1faff),
    (0x20000, 0x2a6df),
    (0xe0020, 0xe007f),
    (0x1e900, 0x1e943),
];

/// The odd text of a number, as in `tokens.py`.
pub fn odd(index: u64) -> String {
    let mut counter = index * 1000;
    let mut below = |bound: u64| {
        counter += 1;
        mix(mix(counter) + 1) % bound
    };
    let mut text = String::new();
    for _ in 0..below(13) {
        let (first, last) = KINDS[below(KINDS.len() as u64) as usize];
        if below(3) > 0 {
            text.push(' ');
        }
        for _ in 0..1 + below(8) {
            text.push(char::from_u32(first + below(u64::from(last - first) + 1) as u32).unwrap());
        }
    }
    text
}
