"""`tk` beside PyTorch and ONNX Runtime, in one run.

    python benches/peers/compare.py target/release/tk [--rounds 3] [--batch 8] [--only inference,training,memory,cold,job]
        [--models resnet50,vgg16,mobilenetv2_100] [--encoder FOLDER --tokens 128] [--photos ants-bees] [--runtimes eager,channels_last,bf16,onnxruntime]
        [--precision f32|bf16|int8] [--isa avx2]

Needs torch, timm and onnxruntime; transformers for an encoder. In each round every side is measured in turn, each in a process of its own, on the same
inputs and threads. Rates are samples per second; training is AdamW on everything with batch statistics; memory is the peak of a process that trains.
`cold` is one prediction, whole process, with the embedded default on both sides; `job` is the transfer-learning tutorial's fixed-feature recipe (25
epochs, new augmentation in each) beside `tk image-classify` with its defaults (a logistic probe, no augmented views), the embedded default on both sides.
`--isa avx2` holds both sides to AVX2 (ONNX Runtime cannot be held). Prints medians, and the medians of the rounds' ratios.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PEER = str(Path(__file__).with_name("peer.py"))
DEFAULT_MODEL = str(Path(__file__).parents[2] / "weights" / "small")


def told(command):
    """The JSON object that a command prints last."""
    output = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
    return json.loads(output.strip().splitlines()[-1])


def timed(command):
    """Seconds and peak memory of a whole process."""
    start = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {command}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024


def table(title, unit, ours, peers):
    """A row: medians, and ratios by round. `peers` maps names to lists; more is better where the unit is a rate."""
    is_rate = unit.endswith("/s")
    cells = [f"tk {statistics.median(ours):.4g} {unit}"]
    for name, theirs in peers.items():
        ratio = statistics.median(a / b if is_rate else b / a for a, b in zip(ours, theirs))
        cells.append(f"{name} {statistics.median(theirs):.4g}: {ratio:.2f}×")
    print(f"| {title} | " + " | ".join(cells) + " |", flush=True)


def rates(arguments, work, runtimes):
    for model, size in arguments.subjects:
        ours, peers = [], {runtime: [] for runtime in runtimes}
        flag = "--tokens" if os.path.isdir(model) else "--size"
        for _ in range(arguments.rounds):
            measured = told([arguments.tk, "bench", model, "--batch", arguments.batch, flag, size, "--threads", arguments.threads, "--only", work, "--precision", arguments.precision, "--json"])
            ours.append(measured[f"{work}_per_second"])
            for runtime, rows in peers.items():
                rows.append(told([sys.executable, PEER, work, model, runtime, arguments.batch, size, arguments.threads])["per_second"])
        table(f"{work} {Path(model).name}, {arguments.precision}, batch {arguments.batch}", "samples/s", ours, peers)


def memory(arguments):
    for model, size in arguments.subjects:
        flag = "--tokens" if os.path.isdir(model) else "--size"
        command = [arguments.tk, "bench", model, "--batch", arguments.batch, flag, size, "--threads", arguments.threads, "--only", "training", "--json"]
        ours = told(command)["peak_memory_bytes"] / 1e6
        theirs = told([sys.executable, PEER, "training", model, "eager", arguments.batch, size, arguments.threads])["peak_memory_bytes"] / 1e6
        table(f"peak memory, training {Path(model).name}, batch {arguments.batch}", "MB", [ours], {"eager": [theirs]})


def cold(arguments):
    photo = next(path for path in sorted(Path(arguments.photos).rglob("*.jpg")))
    ours, theirs = [], []
    for _ in range(arguments.rounds):
        ours.append(timed([arguments.tk, "predict", "small", photo, "--threads", arguments.threads]))
        theirs.append(timed([sys.executable, PEER, "cold", DEFAULT_MODEL, photo, arguments.threads]))
    table("cold prediction, whole process", "s", [row[0] for row in ours], {"PyTorch and timm": [row[0] for row in theirs]})
    table("its peak memory", "MB", [row[1] / 1e6 for row in ours], {"PyTorch and timm": [row[1] / 1e6 for row in theirs]})


def job(arguments):
    ours, theirs, accuracies = [], [], ([], [])
    for seed in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as place:
            command = [arguments.tk, "image-classify", arguments.photos, "--seed", seed, "--out", f"{place}/run", "--cache", f"{place}/cache"]
            ours.append(timed([*command, "--threads", arguments.threads])[0])
            accuracies[0].append(json.load(open(f"{place}/run/summary.json"))["metrics"]["accuracy"])
        start = time.perf_counter()
        accuracies[1].append(told([sys.executable, PEER, "job", DEFAULT_MODEL, arguments.photos, 25, seed, arguments.threads])["accuracy"])
        theirs.append(time.perf_counter() - start)
    table("the tutorial's job, whole process", "s", ours, {"its script": theirs})
    means = [statistics.mean(side) for side in accuracies]
    print(f"| its accuracy, mean of {arguments.rounds} seeds | tk {means[0]:.3f} | its script {means[1]:.3f} (best epoch) |", flush=True)


def processor():
    try:
        lines = open("/proc/cpuinfo").read().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tk")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--models", default="resnet50,vgg16,mobilenetv2_100")
    parser.add_argument("--encoder")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--photos")
    parser.add_argument("--runtimes", default="eager,channels_last,onnxruntime")
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16", "int8"])
    parser.add_argument("--isa", choices=["avx2"])
    parser.add_argument("--only", default="inference,training,memory,cold,job")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    arguments.subjects = [(model, arguments.size) for model in arguments.models.split(",") if model]
    if arguments.encoder:
        arguments.subjects.append((arguments.encoder, arguments.tokens))
    if arguments.isa:
        held = {"TRANSFERKIT_ISA": "avx2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
        os.environ.update(held)
    runtimes = [runtime for runtime in arguments.runtimes.split(",") if not (arguments.isa and runtime == "onnxruntime")]
    print(f"{processor()}, {arguments.isa or 'every instruction set'}, {arguments.threads} threads, {arguments.size} px, {arguments.tokens} tokens, {arguments.rounds} rounds\n")
    for work in arguments.only.split(","):
        if work == "inference":
            rates(arguments, work, runtimes)
        elif work == "training":
            rates(arguments, work, [runtime for runtime in runtimes if runtime not in ("onnxruntime", "bf16_whole")])
        elif work == "memory":
            memory(arguments)
        elif arguments.photos:
            {"cold": cold, "job": job}[work](arguments)
        else:
            print(f"{work} needs --photos", file=sys.stderr)


if __name__ == "__main__":
    main()
