//! What agreement with the reference executor (in `tests/engine`) does not show.

use super::super::testing::{machines, numbers};
use super::*;

const SHAPE: AttentionShape = AttentionShape { batch: 2, query: 3, key: 19, width: 8, heads: 2 };

/// A mask `[2, 1, 1, 19]` that lets the first keys of each sample through.
fn mask(lengths: [usize; 2], closed: f32) -> Vec<f32> {
    let row = |length| (0..SHAPE.key).map(move |key| if key < length { 0.0 } else { closed });
    lengths.into_iter().flat_map(row).collect()
}

#[test]
fn what_is_masked_has_no_share_at_all() {
    let query = numbers(1, SHAPE.query_len());
    let (key, clean) = (numbers(2, SHAPE.key_len()), numbers(3, SHAPE.key_len()));
    let lengths = [17, 4];
    let mut value = clean.clone();
    for (sample, length) in lengths.into_iter().enumerate() {
        let row = SHAPE.key * SHAPE.width;
        value[sample * row..][length * SHAPE.width..row].fill(1e30);
    }
    for machine in machines() {
        for closed in [-3e38, f32::MIN, f32::NEG_INFINITY] {
            let mask = mask(lengths, closed);
            let attend = |value: &[f32]| {
                let mask = Some(Mask { data: &mask, sizes: [2, 1, 1] });
                let operands = Operands { query: &query, key: &key, value, mask };
                let mut y = vec![f32::NAN; SHAPE.query_len()];
                forward(&machine, &SHAPE, operands, None, None, &mut y);
                y
            };
            assert_eq!(attend(&value), attend(&clean), "{closed}, {:?}", machine.isa);
        }
    }
}

#[test]
fn a_row_that_is_masked_as_a_whole_is_a_mean() {
    let (query, key) = (numbers(1, SHAPE.query_len()), numbers(2, SHAPE.key_len()));
    let (value, mask) = (vec![2.0; SHAPE.key_len()], mask([0, 19], -3e38));
    let mask = Some(Mask { data: &mask, sizes: [2, 1, 1] });
    for machine in machines() {
        let mut y = vec![f32::NAN; SHAPE.query_len()];
        let operands = Operands { query: &query, key: &key, value: &value, mask };
        forward(&machine, &SHAPE, operands, None, None, &mut y);
        assert!(y.iter().all(|y| (y - 2.0).abs() < 1e-5), "{:?}: {y:?}", machine.isa);
    }
}
