"""Sentence embeddings and full fine-tuning beside transformers, in one run.

    python benches/peers/texts.py target/release/tk MINILM SST2 [--rounds 3] [--sentences 1600] [--batch 32]

Needs torch and transformers. MINILM is a BERT folder, SST2 a folder with train.tsv (`sentence TAB label`). Each round measures transformers and `tk`
in turn, each in a process of its own, on two threads in f32. Embedding: transformers sorts by length, batches of 64; tokenising is included and loading is
not, on both sides (`process` is `tk embed` from start to end, loading and writing included). Fine-tuning: one epoch, AdamW 5e-5, clipping 1.0, on the same sentences;
loading and tokenising are left out on both sides. Prints medians of sentences per second and of the rounds' ratios.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

PEER = """
import sys, time, json, torch
from transformers import AutoTokenizer, AutoModel, AutoModelForSequenceClassification
folder, table, threads, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
torch.manual_seed(0)
rows = [line.rstrip('\\n').split('\\t') for line in open(table)]
texts, labels = [row[0] for row in rows], [int(row[1]) for row in rows]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModel.from_pretrained(folder).eval()
order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
def embed(order):
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            batch = tokenizer([texts[i] for i in order[start:start + 64]], padding=True, truncation=True, return_tensors='pt')
            hidden, mask = model(**batch).last_hidden_state, batch['attention_mask'].unsqueeze(-1)
            (hidden * mask).sum(1) / mask.sum(1)
embed(order[:64])
start = time.perf_counter()
embed(order)
embedding = len(texts) / (time.perf_counter() - start)
model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2).train()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01)
permutation = torch.randperm(len(texts)).tolist()
encoded = [tokenizer([texts[i] for i in permutation[s:s + size]], padding=True, truncation=True, return_tensors='pt') for s in range(0, len(texts), size)]
start = time.perf_counter()
for number, batch in enumerate(encoded):
    target = torch.tensor([labels[i] for i in permutation[size * number:size * number + size]])
    optimizer.zero_grad()
    model(**batch, labels=target).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
training = len(texts) / (time.perf_counter() - start)
print(json.dumps({'embedding': embedding, 'training': training}))
"""


def ours(tk, folder, table, count, threads, batch):
    with tempfile.TemporaryDirectory() as place:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True}
        start = time.perf_counter()
        command = [tk, "embed", folder, table, "-o", f"{place}/e.safetensors", "--threads", str(threads)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        process = count / (time.perf_counter() - start)
        embedding = count / float(re.search(r"in ([\d.]+) s", told)[1])
        subprocess.run([tk, "text-classify", table, "-m", folder, "--mode", "full", "--epochs", "1", "--batch", str(batch), "--lr", "5e-5", "--val", "none",
                        "--test", "none", "--out", f"{place}/run", "--cache", f"{place}/cache", "--threads", str(threads)], **quiet)
        seconds = json.load(open(f"{place}/run/summary.json"))["seconds"]["train"]
        return {"embedding": embedding, "process": process, "training": count / seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tk")
    parser.add_argument("minilm")
    parser.add_argument("sst2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=1600)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    measured = []
    with tempfile.TemporaryDirectory() as place:
        table = f"{place}/sentences.tsv"
        lines = open(f"{arguments.sst2}/train.tsv").readlines()[:arguments.sentences]
        open(table, "w").writelines(lines)
        for _ in range(arguments.rounds):
            command = [sys.executable, "-c", PEER, arguments.minilm, table, str(arguments.threads), str(arguments.batch)]
            theirs = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            theirs = json.loads(theirs.strip().splitlines()[-1])
            mine = ours(arguments.tk, arguments.minilm, table, len(lines), arguments.threads, arguments.batch)
            measured.append((mine, theirs))
    print("| work | tk | transformers | ratio |\n|---|---|---|---|")
    for work, against in (("embedding", "embedding"), ("process", "embedding"), ("training", "training")):
        mine = statistics.median(row[0][work] for row in measured)
        theirs = statistics.median(row[1][against] for row in measured)
        ratio = statistics.median(row[0][work] / row[1][against] for row in measured)
        print(f"| {work} | {mine:.1f} | {theirs:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
