"""Writes edit_distance.json: what jiwer counts between sentences, beside which edit_distance.rs runs.

    pip install jiwer==4.0.0
    python edit_distance.py

Every entry is [reference, hypothesis, [hits, substitutions, insertions, deletions] of words, the same of characters]. The last entries are
random words of a small alphabet, where many alignments have the fewest edits.
"""

import json
import random
from pathlib import Path

import jiwer

SENTENCES = [
    ("", ""),
    ("", "noise"),
    ("silence", ""),
    ("the quick brown fox jumps over the lazy dog", "the quick brown fox jumps over the lazy dog"),
    ("the quick brown fox jumps over the lazy dog", "a quick brown box jumped over lazy dogs today"),
    ("i saw her duck", "eye sore duck her"),
    ("recognise speech", "wreck a nice beach"),
    ("zwölf Boxkämpfer jagen Viktor", "zwolf boxkämpfer jagten Viktor quer"),
    ("今天 天气 很 好", "今天 天 气 好"),
    ("a a a a", "a a"),
    ("a b a b a b", "b a b a b a"),
    ("saturday", "sunday"),
]


def words(generator: random.Random) -> str:
    return " ".join(generator.choice("abc") for _ in range(generator.randint(0, 12)))


def counts(output) -> list[int]:
    return [output.hits, output.substitutions, output.insertions, output.deletions]


def main() -> None:
    generator = random.Random(7)
    pairs = SENTENCES + [(words(generator), words(generator)) for _ in range(60)]
    rows = [
        [said, heard, counts(jiwer.process_words(said, heard)), counts(jiwer.process_characters(said, heard))]
        for said, heard in pairs
    ]
    said, heard = [row[0] for row in rows], [row[1] for row in rows]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    text = f'{{"wer": {jiwer.wer(said, heard)!r}, "cer": {jiwer.cer(said, heard)!r}, "rows": [\n{lines}\n]}}\n'
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
