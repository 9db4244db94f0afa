"""PyTorch on the encoder of transformer_speed.rs. Usage: python transformer_speed.py [THREADS]"""

import sys
import time

import torch
from transformers import BertConfig, BertForSequenceClassification

BATCH, LENGTH, ROUNDS = 32, 26, 15


def report(what, run):
    run()
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    seconds.sort()
    median = seconds[ROUNDS // 2]
    print(f"{what}: {BATCH / median:.0f} sentences/s, {1e3 * median:.1f} ms (best {1e3 * seconds[0]:.1f} ms)")


def main():
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, num_labels=2
    )
    model = BertForSequenceClassification(config)
    tokens = torch.arange(BATCH * LENGTH).mul(7919).remainder(30522).view(BATCH, LENGTH)
    inputs = {
        "input_ids": tokens,
        "attention_mask": torch.ones_like(tokens),
        "token_type_ids": torch.zeros_like(tokens),
    }
    model.eval()

    def infer():
        with torch.inference_mode():
            model(**inputs)

    report("inference", infer)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)

    def step():
        optimizer.zero_grad()
        model(**inputs).logits.mul(0.01).sum().backward()
        optimizer.step()

    report("training", step)


main()
