"""Detectors and segmenters beside torchvision, in one run.

    cargo build --release --workspace --example bench_dense
    python benches/peers/dense.py target/release/examples/bench_dense [--rounds 3] [--only fcos,deeplab,…]

Needs torch and torchvision. Both sides have the same networks with the numbers of tests/parity, the same pictures and targets, the same loss, SGD
with momentum, batch-norm by running statistics, f32, the same threads. The losses of the first twenty steps are shown beside each other; then in
each round every measurement is made by both, one after the other, and the ratios of the rounds are told by their median.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tests" / "parity"))

CLASSES = 4
STEPS = 20
RATE = 1e-4

# Network, kind of work, pictures in a batch, side in pixels.
MEASUREMENTS = {
    "fcos": ("fcos_resnet50_fpn", "training", 2, 320),
    "fcos-inference": ("fcos_resnet50_fpn", "inference", 2, 320),
    "deeplab": ("deeplabv3_resnet50", "training", 2, 320),
    "deeplab-inference": ("deeplabv3_resnet50", "inference", 2, 320),
    "lraspp": ("lraspp_mobilenet_v3_large", "training", 4, 320),
}


def pace(step):
    """Seconds of a step in the median, after one that is not counted."""
    step()
    times = []
    while sum(times) < 6.0 or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def network(name):
    """A network for four classes, and its loss of pictures."""
    import dense
    import torch
    import torch.nn.functional as F
    from torchvision.models import detection, segmentation
    from torchvision.models.detection.image_list import ImageList

    dense.NORM_GAIN = {}
    if name.startswith("fcos"):
        model = dense.filled(name, detection.fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=CLASSES))

        def forward(pixels):
            features = list(model.backbone(pixels).values())
            return features, model.head(features)

        def loss(pixels):
            batch, side = pixels.shape[0], pixels.shape[2]
            features, outputs = forward(pixels)
            anchors = model.anchor_generator(ImageList(pixels, [(side, side)] * batch), features)
            boxes = torch.tensor([[0.1, 0.15, 0.5, 0.7], [0.55, 0.3, 0.95, 0.9]])
            boxes = (boxes * side).round()
            targets = [{"boxes": boxes, "labels": torch.tensor([n % CLASSES, (n + 1) % CLASSES])} for n in range(batch)]
            return sum(model.compute_loss(targets, outputs, anchors, [f.shape[2] * f.shape[3] for f in features]).values())

        return model, forward, loss
    arguments = {} if name.startswith("lraspp") else {"aux_loss": True}
    model = dense.filled(name, getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=CLASSES, **arguments))

    def loss(pixels):
        batch, side = pixels.shape[0], pixels.shape[2]
        at = torch.arange(batch * side * side)
        classes = ((at // 16 + at // side // 16) % CLASSES).reshape(batch, side, side)
        outputs = model(pixels)
        total = F.cross_entropy(outputs["out"], classes)
        return total + 0.5 * F.cross_entropy(outputs["aux"], classes) if "aux" in outputs else total

    return model, model, loss


def peer(name, work, batch, side, threads):
    """torchvision's side of a measurement."""
    import fill
    import torch

    torch.set_num_threads(threads)
    model, forward, loss = network(name)
    pixels = torch.from_numpy(fill.image(batch, side))
    if work == "inference":
        with torch.inference_mode():
            return {"per_second": batch / pace(lambda: forward(pixels))}
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)

    def step():
        optimizer.zero_grad()
        value = loss(pixels)
        value.backward()
        optimizer.step()
        return value.item()

    if work == "gradients":
        loss(pixels).backward()
        return {"norms": {name: p.grad.norm().item() for name, p in model.named_parameters() if p.grad is not None}}
    if work == "losses":
        return {"losses": [step() for _ in range(STEPS)]}
    return {"per_second": batch / pace(step)}


def told(command):
    """The JSON object that a command prints last."""
    output = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
    return json.loads(output.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(MEASUREMENTS))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--losses", default="fcos_resnet50_fpn,deeplabv3_resnet50", help="networks whose first losses are shown")
    arguments = parser.parse_args()

    def both(words):
        return told([arguments.program, *words]), told([sys.executable, __file__, "peer", *words])

    for name in filter(None, arguments.losses.split(",")):
        ours, theirs = both([name, "losses", 2, 320, arguments.threads])
        print(f"{name}: losses of the first {STEPS} steps, ours and theirs")
        for mine, other in zip(ours["losses"], theirs["losses"], strict=True):
            print(f"  {mine:.5f} {other:.5f}")
    rows = {name: [] for name in arguments.only.split(",")}
    for _ in range(arguments.rounds):
        for name, row in rows.items():
            ours, theirs = both([*MEASUREMENTS[name], arguments.threads])
            row.append((ours["per_second"], theirs["per_second"]))
    print("| work | tk | torchvision | ratio | its least and greatest |\n|---|---|---|---|---|")
    for name, row in rows.items():
        ratios = [mine / other for mine, other in row]
        mine, other = (statistics.median(side) for side in zip(*row))
        print(f"| {name} | {mine:.3g} | {other:.3g} | {statistics.median(ratios):.2f}× | {min(ratios):.2f}–{max(ratios):.2f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        name, work, *numbers = sys.argv[2:]
        print(json.dumps(peer(name, work, *map(int, numbers))))
    else:
        main()
