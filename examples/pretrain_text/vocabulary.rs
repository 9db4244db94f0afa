//! The student's vocabulary: frequent pieces of the teacher's.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use tk_engine::Tensor;
use tk_engine::cpu::Pool;
use tk_engine::random::Stream;
use tk_text::data::Tokenizer;

/// Chooses pieces and writes `vocab.txt` and `tokenizer_config.json`; their numbers in the teacher's vocabulary come back.
///
/// A teacher's WordPiece vocabulary lists pieces about by how frequent they are in what it was trained on. Half of the pieces are the first of
/// these, half the most frequent of the corpus that are not among them; every single character stays, so that every word can be spelled.
pub fn write(
    teacher: &Path,
    sentences: &[&str],
    count: usize,
    out: &Path,
    pool: &Pool,
) -> Result<Vec<usize>> {
    let text = std::fs::read_to_string(teacher.join("vocab.txt")).context("the teacher's vocab.txt")?;
    let pieces: Vec<&str> = text.lines().collect();
    let tokenizer = Tokenizer::open(teacher)?;
    let texts: Vec<_> = sentences.iter().map(|&sentence| (sentence, None)).collect();
    let mut counts = vec![0usize; pieces.len()];
    for tokens in tokenizer.encode_all(&texts, pool)? {
        tokens.ids.iter().for_each(|&id| counts[id as usize] += 1);
    }
    let is_used = |id: &usize| !pieces[*id].starts_with("[unused");
    let is_ascii_letter = |id: &usize| {
        let piece = pieces[*id].strip_prefix("##").unwrap_or(pieces[*id]);
        piece.len() == 1 || piece.starts_with('[') && piece.ends_with(']')
    };
    let all = || (0..pieces.len()).filter(is_used);
    let mut kept: BTreeSet<usize> = all().filter(is_ascii_letter).collect();
    // Letters of other scripts are rare here and many.
    let plain = |id: &usize| pieces[*id].is_ascii();
    for id in all().filter(plain) {
        if kept.len() >= count / 2 {
            break;
        }
        kept.insert(id);
    }
    let mut by_count: Vec<usize> = all().filter(plain).collect();
    by_count.sort_by_key(|&id| (std::cmp::Reverse(counts[id]), id));
    for id in by_count {
        if kept.len() >= count {
            break;
        }
        kept.insert(id);
    }
    let kept: Vec<usize> = kept.into_iter().collect();
    let lines: String = kept.iter().map(|&id| format!("{}\n", pieces[id])).collect();
    std::fs::write(out.join("vocab.txt"), lines)?;
    let config = r#"{"do_lower_case": true, "model_max_length": 256, "tokenizer_class": "BertTokenizer"}"#;
    std::fs::write(out.join("tokenizer_config.json"), format!("{config}\n"))?;
    Ok(kept)
}

/// The teacher's vectors of some pieces, in the student's width: distances stay about as they are under random directions (Johnson and
/// Lindenstrauss 1984).
pub fn projected(words: &[f32], kept: &[usize], width: usize, seed: u64) -> Result<Tensor> {
    let rows = words.len() / TEACHER_WIDTH;
    anyhow::ensure!(
        rows * TEACHER_WIDTH == words.len(),
        "the teacher's vectors have {TEACHER_WIDTH} numbers"
    );
    let mut stream = Stream::new(seed, &["directions".into()]);
    let scale = (width as f64).sqrt().recip();
    let directions: Vec<f32> = (0..width * TEACHER_WIDTH).map(|_| (stream.normal() * scale) as f32).collect();
    let mut values = Vec::with_capacity(kept.len() * width);
    for &id in kept {
        let word = &words[id * TEACHER_WIDTH..][..TEACHER_WIDTH];
        let along = |direction: &[f32]| direction.iter().zip(word).map(|(a, b)| a * b).sum::<f32>();
        values.extend(directions.chunks_exact(TEACHER_WIDTH).map(along));
    }
    Ok(Tensor::new(&[kept.len(), width], values)?)
}

/// Numbers of a token's vector in MiniLM.
const TEACHER_WIDTH: usize = 384;
