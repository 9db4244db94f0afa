//! What agreement with the reference executor (in `tests/engine`) does not show.

use super::super::testing::{assert_close, machines, numbers, widen};
use super::*;
use crate::random::Stream;

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

/// Result and gradients of query, key and value, in f64, one query at a time.
fn oracle(shape: &AttentionShape, numbers: [&[f32]; 4], dropout: Option<Dropped<'_>>) -> [Vec<f64>; 4] {
    let [q, k, v, dy] = numbers.map(widen);
    let (head, scale) = (shape.head(), 1.0 / (shape.head() as f64).sqrt());
    let mut found = [0, 1, 2, 3].map(|which| {
        let length = if which == 0 || which == 1 { shape.query_len() } else { shape.key_len() };
        vec![0.0; length]
    });
    let [y, dq, dk, dv] = &mut found;
    for place in 0..shape.batch * shape.heads * shape.query {
        let (sample, which, query) =
            (place / (shape.heads * shape.query), place / shape.query % shape.heads, place % shape.query);
        let at = |length: usize, row: usize| (sample * length + row) * shape.width + which * head;
        let (asks, keys) = (at(shape.query, query), (0..shape.key).map(|key| at(shape.key, key)));
        let keys: Vec<usize> = keys.collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let cut = |numbers: &[f64], start: usize| numbers[start..][..head].to_vec();
        let powers: Vec<f64> =
            keys.iter().map(|&key| (scale * dot(&cut(&q, asks), &cut(&k, key))).exp()).collect();
        let total: f64 = powers.iter().sum();
        let factor = |key: usize| match dropout {
            Some(Dropped { rate, streams }) => {
                let position = (which * shape.query + query) * shape.key + key;
                let is_kept = streams[sample].unit_at(position as u64) >= rate;
                if is_kept { 1.0 / (1.0 - rate) } else { 0.0 }
            }
            None => 1.0,
        };
        let slopes: Vec<f64> = keys
            .iter()
            .enumerate()
            .map(|(at, &key)| factor(at) * dot(&cut(&dy, asks), &cut(&v, key)))
            .collect();
        let mean: f64 = powers.iter().zip(&slopes).map(|(power, slope)| power / total * slope).sum();
        for (index, &key) in keys.iter().enumerate() {
            let share = powers[index] / total;
            let dscore = scale * share * (slopes[index] - mean);
            for channel in 0..head {
                y[asks + channel] += factor(index) * share * v[key + channel];
                dv[key + channel] += factor(index) * share * dy[asks + channel];
                dq[asks + channel] += dscore * k[key + channel];
                dk[key + channel] += dscore * q[asks + channel];
            }
        }
    }
    found
}

#[test]
fn many_queries_and_keys_agree_with_f64() {
    // More queries than a block has, more keys than a tile, heads of more than one panel, rows that would collide.
    for [query, key, heads, head] in [[60, 70, 2, 40], [113, 31, 1, 8], [1, 256, 1, 16]] {
        let shape = AttentionShape { batch: 2, query, key, width: heads * head, heads };
        let [q, dy] = [1, 4].map(|seed| numbers(seed, shape.query_len()));
        let [k, v] = [2, 3].map(|seed| numbers(seed, shape.key_len()));
        let streams = [5, 6].map(|seed| Stream::new(seed, &[]));
        for dropout in [None, Some(Dropped { rate: 0.3, streams: &streams })] {
            let [y, dq, dk, dv] = oracle(&shape, [&q, &k, &v, &dy], dropout);
            for machine in machines() {
                let operands = Operands { query: &q, key: &k, value: &v, mask: None };
                let mut found = vec![f32::NAN; shape.query_len()];
                let mut kept = vec![f32::NAN; shape.kept_len()];
                forward(&machine, &shape, operands, dropout, Some(&mut kept), &mut found);
                let context = |what: &str| format!("{what} of {shape:?}, {dropout:?}, {:?}", machine.isa);
                assert_close(&found, &y, 1e-5, &context("result"));
                let mut gradients = [&q, &k, &v].map(|numbers| vec![f32::NAN; numbers.len()]);
                let [query, key, value] = &mut gradients;
                let wanted =
                    Gradients { query: Some(query), key: Some(key), value: Some(value), scores: None };
                backward(&machine, &shape, operands, dropout, &kept, &dy, wanted);
                for (found, (expected, what)) in
                    gradients.iter().zip([(&dq, "query"), (&dk, "key"), (&dv, "value")])
                {
                    assert_close(found, expected, 1e-5, &context(what));
                }
            }
        }
    }
}
