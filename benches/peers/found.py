"""Detection and segmentation beside torchvision: the same weights, data, split and recipe, several seeds.

    cargo build --release --bin tk
    python benches/peers/found.py TK DATA --task detect|segment [--seed 0 1 2] [--epochs 12] [--threads 2] [--control]

Needs torch, torchvision, timm, pycocotools and pillow. tk trains first (`--mode full --augment light`, AdamW, one cycle, batch-norm frozen but in the head); torchvision's
FCOS, or its FCN head, on timm's network with the weights that tk carries goes through as many epochs over the same photographs with the same rates. Both are scored by
torchvision's own way to boxes and pycocotools, or by mean intersection over union, on the photographs that tk held out. `--control` adds tk from random values to the first seed.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import nn

SIDE, MOST, BATCH, RATE, DECAY = 320, 533, 8, 5e-4, 0.01
WEIGHTS = Path(__file__).parent.parent.parent / "weights" / "small"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def run(tk, data, task, seed, epochs, folder, *more):
    command = [tk, f"image-{task}", data, "--mode", "full", "--augment", "light", "--epochs", epochs, "--lr", RATE, "--schedule", "one-cycle"]
    command += ["--layer-decay", 1, "--weight-decay", DECAY, "--batch", BATCH, "--seed", seed, "--out", folder, "--set", "clip=10", *more]
    command += ["--head", "fcn"] if task == "segment" else []
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    summary = json.loads((folder / "summary.json").read_text())
    held = [json.loads(line) for line in (folder / "found.jsonl").read_text().splitlines()]
    return summary["metrics"], {Path(line["file"]).name: line for line in held}, summary["seconds"]["train"]


def backbone(task):
    """timm's network with the weights that tk carries, and the maps that a head reads."""
    config = json.loads((WEIGHTS / "config.json").read_text())
    arguments = {key: value for key, value in config["model_args"].items() if key not in ("num_classes", "in_chans", "global_pool")}
    stride = {"output_stride": 8} if task == "segment" else {}
    model = timm.create_model(config["architecture"], num_classes=0, **arguments, **stride)
    state = load_file(WEIGHTS / "model.safetensors")
    missing = model.load_state_dict({key: value.float() for key, value in state.items() if not key.startswith("fc.")}, strict=False)
    assert not missing.unexpected_keys and all(key.endswith("num_batches_tracked") for key in missing.missing_keys)
    return model


class Body(nn.Module):
    def __init__(self, task):
        super().__init__()
        self.net = backbone(task)

    def forward(self, x):
        net = self.net
        x = net.layer1(net.maxpool(net.act1(net.bn1(net.conv1(x)))))
        two = net.layer2(x)
        three = net.layer3(two)
        return two, three, net.layer4(three)

    def train(self, mode=True):
        # Batch-norm by running statistics.
        return super().train(False)


def detector(classes):
    from functools import partial

    from torchvision.models.detection.fcos import FCOS, FCOSClassificationHead, FCOSHead, FCOSRegressionHead
    from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelP6P7

    class Pyramid(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.out_channels = Body("detect"), 128
            channels = [self.body.net.feature_info[at]["num_chs"] for at in (2, 3, 4)]
            self.fpn = FeaturePyramidNetwork(channels, 128, LastLevelP6P7(128, 128))

        def forward(self, x):
            return self.fpn(dict(zip("012", self.body(x))))

    head = FCOSHead(128, 1, classes, num_convs=2)
    norm = partial(nn.GroupNorm, 16)
    head.classification_head = FCOSClassificationHead(128, 1, classes, num_convs=2, norm_layer=norm)
    head.regression_head = FCOSRegressionHead(128, 1, num_convs=2, norm_layer=norm)
    return FCOS(Pyramid(), classes, head=head, score_thresh=0.05)


class Segmenter(nn.Module):
    def __init__(self, classes):
        from torchvision.models.segmentation.fcn import FCNHead

        super().__init__()
        self.body = Body("segment")
        self.classifier = FCNHead(self.body.net.num_features, classes)

    def forward(self, x):
        return F.interpolate(self.classifier(self.body(x)[-1]), x.shape[-2:], mode="bilinear", align_corners=False)


def pixels(image):
    """A photograph's pixels at its size in the network, as tk resizes."""
    scale = min(SIDE / min(image.size), MOST / max(image.size))
    size = [max(1, math.floor(side * scale)) for side in image.size]
    kind = json.loads((WEIGHTS / "config.json").read_text())["pretrained_cfg"]["interpolation"]
    resized = image.resize(size, Image.Resampling.BICUBIC if kind == "bicubic" else Image.Resampling.BILINEAR)
    values = torch.from_numpy(np.asarray(resized).copy()).permute(2, 0, 1).float() / 255
    return (values - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def batches(order, load):
    for start in range(0, len(order), BATCH):
        some = [load(at) for at in order[start : start + BATCH]]
        height, width = (max(32 * math.ceil(x.shape[axis] / 32) for x, *_ in some) for axis in (1, 2))
        stacked = torch.stack([F.pad(x, (0, width - x.shape[2], 0, height - x.shape[1])) for x, *_ in some])
        yield stacked, some


def one_cycle(step, steps):
    """The rate at a step as a share of its peak, as tk has it."""
    rise = 0.25 * steps
    first, last, progress = (1 / 25, 1, step / rise) if step < rise else (1, 1 / 250_000, (step - rise) / max(steps - 1 - rise, 1))
    return last + (first - last) * (1 + math.cos(math.pi * min(progress, 1))) / 2


def train(model, count, load, loss, epochs, seed):
    generator = torch.Generator().manual_seed(seed)
    groups = [[], []]
    for parameter in model.parameters():
        groups[parameter.ndim > 1].append(parameter)
    optimizer = torch.optim.AdamW([{"params": groups[0], "weight_decay": 0}, {"params": groups[1], "weight_decay": DECAY}], lr=RATE)
    steps, step = epochs * math.ceil(count / BATCH), 0
    model.train()
    for _ in range(epochs):
        for stacked, some in batches(torch.randperm(count, generator=generator).tolist(), load):
            for group in optimizer.param_groups:
                group["lr"] = RATE * one_cycle(step, steps)
            optimizer.zero_grad()
            loss(stacked, some).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10)
            optimizer.step()
            step += 1


def detect(data, truth, held, epochs, seed):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    from torchvision.models.detection.image_list import ImageList

    torch.manual_seed(seed)
    names = sorted({object_["label"] for line in truth.values() for object_ in line["truth"]})
    model = detector(len(names))
    learnt = sorted(name for name in truth if name not in held)
    photographs = {name: Image.open(data / "images" / name).convert("RGB") for name in truth}
    flips = np.random.default_rng(seed)

    def load(at):
        name = learnt[at]
        x = pixels(photographs[name])
        width, height = photographs[name].size
        boxes = torch.tensor([object_["box"] for object_ in truth[name]["truth"]]).float().reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        boxes *= torch.tensor([x.shape[2] / width, x.shape[1] / height] * 2)
        if flips.random() < 0.5:
            x = x.flip(2)
            boxes[:, [0, 2]] = x.shape[2] - boxes[:, [2, 0]]
        return x, {"boxes": boxes, "labels": torch.tensor([names.index(object_["label"]) for object_ in truth[name]["truth"]])}

    def loss(stacked, some):
        features = list(model.backbone(stacked).values())
        outputs = model.head(features)
        anchors = model.anchor_generator(ImageList(stacked, [stacked.shape[-2:]] * len(some)), features)
        counts = [level.shape[2] * level.shape[3] for level in features]
        return sum(model.compute_loss([target for _, target in some], outputs, anchors, counts).values())

    train(model, len(learnt), load, loss, epochs, seed)
    model.eval()
    images, annotations, found = [], [], []
    for number, name in enumerate(sorted(held)):
        width, height = photographs[name].size
        images.append({"id": number, "width": width, "height": height})
        for object_ in truth[name]["truth"]:
            box = object_["box"]
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": names.index(object_["label"]) + 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
        x = pixels(photographs[name])
        size = tuple(x.shape[1:])
        padded = F.pad(x, (0, -x.shape[2] % 32, 0, -x.shape[1] % 32))[None]
        with torch.no_grad():
            features = list(model.backbone(padded).values())
            outputs = model.head(features)
            anchors = model.anchor_generator(ImageList(padded, [size]), features)
            counts = [level.shape[2] * level.shape[3] for level in features]
            split = {key: list(value.split(counts, 1)) for key, value in outputs.items()}
            told = model.postprocess_detections(split, [list(anchor.split(counts)) for anchor in anchors], [size])[0]
        for label, score, (left, top, right, bottom) in zip(told["labels"].tolist(), told["scores"].tolist(), told["boxes"].tolist()):
            across, down = width / size[1], height / size[0]
            found.append({"image_id": number, "category_id": label + 1, "score": score, "bbox": [left * across, top * down, (right - left) * across, (bottom - top) * down]})
    truth_of = COCO()
    truth_of.dataset = {"images": images, "annotations": annotations, "categories": [{"id": at + 1, "name": name} for at, name in enumerate(names)]}
    truth_of.createIndex()
    scores = COCOeval(truth_of, truth_of.loadRes(found), "bbox")
    scores.evaluate(), scores.accumulate(), scores.summarize()
    return {"ap": scores.stats[0], "ap50": scores.stats[1]}


def segment(data, held, epochs, seed):
    torch.manual_seed(seed)
    model = Segmenter(2)
    flips = np.random.default_rng(seed)
    every = sorted(path.name for path in (data / "images").iterdir())
    learnt = [name for name in every if name not in held]
    photographs = {name: Image.open(data / "images" / name).convert("RGB") for name in every}

    def mask(name):
        stem = Path(name).stem
        path = next(path for path in (data / "masks").iterdir() if path.stem in (stem, f"{stem}_mask"))
        return (np.asarray(Image.open(path)) > 0).astype(np.uint8)

    def load(at):
        name = learnt[at]
        x = pixels(photographs[name])
        classes = Image.fromarray(mask(name)).resize((x.shape[2], x.shape[1]), Image.Resampling.NEAREST)
        classes = torch.from_numpy(np.asarray(classes).astype(np.int64))
        return (x.flip(2), classes.flip(1)) if flips.random() < 0.5 else (x, classes)

    def loss(stacked, some):
        height, width = stacked.shape[-2:]
        classes = torch.stack([F.pad(classes, (0, width - classes.shape[1], 0, height - classes.shape[0]), value=255) for _, classes in some])
        return F.cross_entropy(model(stacked), classes, ignore_index=255)

    train(model, len(learnt), load, loss, epochs, seed)
    model.eval()
    counts = np.zeros((2, 2))
    for name in held:
        x = pixels(photographs[name])
        padded = F.pad(x, (0, -x.shape[2] % 32, 0, -x.shape[1] % 32))[None]
        truth = mask(name)
        with torch.no_grad():
            logits = model(padded)[:, :, : x.shape[1], : x.shape[2]]
            told = F.interpolate(logits, truth.shape, mode="bilinear", align_corners=False)[0].argmax(0).numpy()
        np.add.at(counts, (truth.flatten(), told.flatten()), 1)
    hits = np.diag(counts)
    return {"miou": float((hits / (counts.sum(0) + counts.sum(1) - hits)).mean())}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tk")
    parser.add_argument("data", type=Path)
    parser.add_argument("--task", choices=["detect", "segment"], required=True)
    parser.add_argument("--seed", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--control", action="store_true", help="with the first seed")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    names = ["ap", "ap50"] if arguments.task == "detect" else ["miou"]
    for seed in arguments.seed:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            ours, held, seconds = run(arguments.tk, arguments.data, arguments.task, seed, arguments.epochs, folder / "run", "--threads", arguments.threads)
            shown = {"seed": seed, "tk": {name: round(ours[name], 4) for name in names}, "tk seconds": round(seconds)}
            if arguments.task == "detect":
                # What is there, of every photograph, as tk reads it.
                lines = subprocess.run([arguments.tk, "image-detect", str(arguments.data), "--mode", "features", "--epochs", "1", "--val", str(arguments.data), "--limit", "100000", "--batch", "8", "--size", "64", "--threads", str(arguments.threads), "--out", str(folder / "truth")], check=True, capture_output=True)
                truth = {Path(line["file"]).name: line for line in map(json.loads, (folder / "truth" / "found.jsonl").read_text().splitlines())}
                theirs = detect(arguments.data, truth, set(held), arguments.epochs, seed)
            else:
                theirs = segment(arguments.data, set(held), arguments.epochs, seed)
            shown["torchvision"] = {name: round(theirs[name], 4) for name in names}
            if arguments.control and seed == arguments.seed[0]:
                random, *_ = run(arguments.tk, arguments.data, arguments.task, seed, arguments.epochs, folder / "random", "--from-scratch", "--threads", arguments.threads)
                shown["tk from random values"] = {name: round(random[name], 4) for name in names}
            print(json.dumps(shown), flush=True)


if __name__ == "__main__":
    main()
