"""Tagging beside transformers: the same encoder, data and recipe, several seeds.

    cargo build --release --bin tk
    python benches/peers/tags.py TK MINILM ../shared/data/wnut17 [--seed 0 1 2] [--epochs 5] [--rate 1e-4] [--threads 2]

Needs torch, transformers and seqeval. MINILM is a BERT folder, the data a folder of train, dev and test files in CoNLL's form. Both sides train every layer:
AdamW with weight decay 0.01 on matrices, batches of 32, a tenth of warm-up and a straight line down, clipping 1.0, dropout as the model says, 128 tokens. transformers' tags
go through its own tokenizer (`is_split_into_words`) and seqeval; what its truncation cuts off is not scored there and is here. Prints F1 on the test part, and seconds of training.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCH, LONGEST, DECAY = 32, 128, 0.01


def ours(tk, model, data, seed, epochs, rate, threads, folder):
    command = [tk, "text-tag", data, "-m", model, "--mode", "full", "--epochs", epochs, "--lr", rate, "--batch", BATCH]
    command += ["--schedule", "linear", "--warmup", 0.1, "--weight-decay", DECAY, "--layer-decay", 1, "--max-tokens", LONGEST, "--seed", seed, "--threads", threads, "--out", folder, "--set", "clip=1"]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    summary = json.loads((folder / "summary.json").read_text())
    return summary["test"]["f1"], summary["seconds"]["train"]


def read(file):
    sentences, words, tags = [], [], []
    for line in [*file.read_text(encoding="utf-8").split("\n"), ""]:
        if line.strip():
            word, *_, tag = line.split("\t")
            words.append(word)
            tags.append(tag.strip())
        elif words:
            sentences.append((words, tags))
            words, tags = [], []
    return sentences


def theirs(model, data, seed, epochs, rate, threads):
    import torch
    from seqeval.metrics import f1_score
    from transformers import AutoModelForTokenClassification, AutoTokenizer, get_linear_schedule_with_warmup

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    random.seed(seed)
    parts = {name: read(data / f"{name}.conll") for name in ("train", "test")}
    names = sorted({tag for _, tags in parts["train"] for tag in tags})
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForTokenClassification.from_pretrained(model, num_labels=len(names))

    def batch(sentences):
        encoded = tokenizer([words for words, _ in sentences], is_split_into_words=True, truncation=True, max_length=LONGEST, padding=True, return_tensors="pt")
        labels = torch.full(encoded["input_ids"].shape, -100)
        for row, (_, tags) in enumerate(sentences):
            before = None
            for place, word in enumerate(encoded.word_ids(row)):
                if word is not None and word != before:
                    labels[row, place] = names.index(tags[word]) if tags[word] in names else -100
                before = word
        return encoded, labels

    plain = [parameter for parameter in network.parameters() if parameter.ndim < 2]
    matrices = [parameter for parameter in network.parameters() if parameter.ndim >= 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0}], lr=rate)
    each = -(-len(parts["train"]) // BATCH)
    schedule = get_linear_schedule_with_warmup(optimizer, round(0.1 * epochs * each), epochs * each)
    network.train()
    began = time.perf_counter()
    for _ in range(epochs):
        order = random.sample(parts["train"], len(parts["train"]))
        for start in range(0, len(order), BATCH):
            encoded, labels = batch(order[start : start + BATCH])
            optimizer.zero_grad()
            network(**encoded, labels=labels).loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - began
    network.eval()
    truth, told = [], []
    for start in range(0, len(parts["test"]), BATCH):
        sentences = parts["test"][start : start + BATCH]
        encoded, labels = batch(sentences)
        with torch.inference_mode():
            best = network(**encoded).logits.argmax(-1)
        for row in range(len(sentences)):
            places = (labels[row] >= 0).nonzero().flatten().tolist()
            truth.append([names[labels[row, place]] for place in places])
            told.append([names[best[row, place]] for place in places])
    return f1_score(truth, told), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tk")
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seed", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    sums = [0.0, 0.0]
    for seed in arguments.seed:
        with tempfile.TemporaryDirectory() as temporary:
            here = ours(arguments.tk, arguments.model.resolve(), arguments.data, seed, arguments.epochs, arguments.rate, arguments.threads, Path(temporary) / "run")
        there = theirs(arguments.model, arguments.data, seed, arguments.epochs, arguments.rate, arguments.threads)
        sums = [sums[0] + here[0], sums[1] + there[0]]
        shown = {"seed": seed, "tk": round(here[0], 4), "transformers": round(there[0], 4), "seconds": [round(here[1], 1), round(there[1], 1)]}
        print(json.dumps(shown), flush=True)
    print(json.dumps({"mean": [round(value / len(arguments.seed), 4) for value in sums]}))


if __name__ == "__main__":
    sys.exit(main())
