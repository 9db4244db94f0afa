"""A tagger that tk has trained, opened by transformers: both must tell the same tags, and what they tell of published ones must agree.

    python tests/parity/tags_open.py TK MODEL DATA

Needs torch and transformers. MODEL is an encoder's folder, DATA a folder of CoNLL files with tabs. tk trains on some sentences and tags the validation part; transformers opens
the run's folder with AutoModelForTokenClassification and tags the same words. Then transformers saves the network again and tk tags with that.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer


def tk(program, *arguments):
    ended = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def told(folder, sentences):
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    except (TypeError, ValueError):
        tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForTokenClassification.from_pretrained(folder).eval()
    tags = []
    for words in sentences:
        encoded = tokenizer(words, is_split_into_words=True, return_tensors="pt")
        with torch.inference_mode():
            best = network(**encoded).logits[0].argmax(-1).tolist()
        own, before = ["O"] * len(words), None
        for place, word in enumerate(encoded.word_ids(0)):
            if word is not None and word != before:
                own[word] = network.config.id2label[best[place]]
            before = word
        tags.append(own)
    return tags, tokenizer, network


def main():
    program, model, data = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    with tempfile.TemporaryDirectory() as temporary:
        run, again = Path(temporary) / "run", Path(temporary) / "again"
        tk(program, "text-tag", data, "-m", model, "--limit", 1000, "--epochs", 3, "--lr", 5e-4, "--test", "none", "--out", run)
        lines = [json.loads(line) for line in (run / "tagged.jsonl").read_text().splitlines()]
        theirs, tokenizer, network = told(run, [line["words"] for line in lines])
        words = sum(len(line["words"]) for line in lines)
        apart = sum(a != b for line, tags in zip(lines, theirs) for a, b in zip(line["told"], tags))
        entities = sum(tag != "O" for line in lines for tag in line["told"])
        print(f"{apart} of {words} words are told otherwise; {entities} are told to be of an entity")
        network.save_pretrained(again)
        tokenizer.save_pretrained(again)
        here, there = (json.loads(tk(program, "evaluate", folder, data, "--json").splitlines()[-1]) for folder in (run, again))
        print(f"from transformers' folder: {'the same' if here['metrics'] == there['metrics'] else 'other'} scores")
        assert apart == 0 and entities > 0 and here["metrics"] == there["metrics"]


main()
