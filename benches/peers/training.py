"""Training and inference speed beside PyTorch, in one run.

    python benches/peers/training.py target/release/tk [--rounds 5] [--batch 8] [--models resnet50,mobilenetv2_100]

Needs torch and timm. Each round measures PyTorch (eager, and channels_last) and `tk bench` in turn, each in a process of its own, with the same
batch, input size, optimizer (AdamW) and batch-norm mode (batch statistics). Prints medians of images per second and the median of the rounds' ratios.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys

PEER = """
import sys, time, json, torch, timm
name, batch, size, threads, layout = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
torch.manual_seed(0)
torch.set_num_threads(threads)
form = torch.channels_last if layout == 'channels_last' else torch.contiguous_format
model = timm.create_model(name, pretrained=False).to(memory_format=form)
x = torch.randn(batch, 3, size, size).to(memory_format=form)
y = torch.randint(0, 1000, (batch,))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
def step():
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
def rate(work, least):
    work()
    times = []
    while sum(times) < least or len(times) < 3:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    times.sort()
    return batch / times[len(times) // 2]
model.train()
training = rate(step, 4.0)
model.eval()
with torch.inference_mode():
    inference = rate(lambda: model(x), 2.0)
print(json.dumps({'training_per_second': training, 'inference_per_second': inference}))
"""


def run(command):
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tk")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--models", default="resnet50,mobilenetv2_100")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {arguments.threads} threads, batch {arguments.batch}, {arguments.size} px, "
          f"{arguments.rounds} rounds; images per second, medians")
    print("| model | work | tk | eager | channels_last | tk / eager | tk / channels_last |")
    print("|---|---|---|---|---|---|---|")
    for model in arguments.models.split(","):
        rows = {"training_per_second": [], "inference_per_second": []}
        for _ in range(arguments.rounds):
            size = [str(arguments.batch), str(arguments.size), str(arguments.threads)]
            eager = run([sys.executable, "-c", PEER, model, *size, "eager"])
            last = run([sys.executable, "-c", PEER, model, *size, "channels_last"])
            ours = run([arguments.tk, "bench", model, "--batch", str(arguments.batch), "--size", str(arguments.size),
                        "--threads", str(arguments.threads), "--json"])
            for key, measured in rows.items():
                measured.append((ours[key], eager[key], last[key]))
        for key, measured in rows.items():
            median = lambda values: statistics.median(values)
            ours, eager, last = (median(row[i] for row in measured) for i in range(3))
            ratios = [median(row[0] / row[i] for row in measured) for i in (1, 2)]
            print(f"| {model} | {key.split('_')[0]} | {ours:.1f} | {eager:.1f} | {last:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
