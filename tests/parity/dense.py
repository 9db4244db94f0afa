"""Writes what torchvision computes for formula-filled detectors and segmenters: expected/dense/NAME.json.

    python dense.py [NAME…]

Needs torch and torchvision; the tests need neither. Everything is computed in f64 with the f32 filling and kept to 9 digits. Outputs are described
channels-last: shape, mean, population deviation, and values at flat positions. The pictures are those of README.md; boxes and classes of pixels are
made as the Rust test makes them. Batch-norm uses running statistics throughout.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torchvision.models import detection, segmentation
from torchvision.models.detection.image_list import ImageList

import fill
from reference import describe_stage, numbers, rounded

CLASSES = 4
BATCH = 2
IGNORED = 255

# Factor of norms' weights of networks whose numbers would vanish. Of SSD300 it is the factor of normalised channels, which begin with 20.
NORM_GAIN = {"ssd300_vgg16": 20.0, "lraspp_mobilenet_v3_large": 1.2, "deeplabv3_mobilenet_v3_large": 1.2, "ssdlite320_mobilenet_v3_large": 1.2}

# Boxes of SSD are told from these scores on: enough of them, and not too many.
SCORES = {"ssd300_vgg16": 0.5, "ssdlite320_mobilenet_v3_large": 0.5}

# Objects of the two pictures: class, left, top, right, bottom, in pixels of 96.
OBJECTS = [
    [[0, 10.0, 12.0, 50.0, 60.0], [2, 5.0, 6.5, 92.0, 90.0], [1, 30.0, 30.0, 44.0, 52.0]],
    [[1, 40.25, 2.0, 90.0, 70.0]],
]


def filled(name: str, model: torch.nn.Module) -> torch.nn.Module:
    """The network with the generator's numbers."""
    for key, value in model.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        if key == "backbone.scale_weight":
            filling = (0.75 + 0.25 * fill.signed(key, len(value))).astype(np.float32)
            value.copy_(torch.from_numpy(filling * np.float32(NORM_GAIN[name])))
            continue
        filling = fill.tensor(key, tuple(value.shape))
        is_norm = key.endswith(".weight") and value.ndim == 1
        value.copy_(torch.from_numpy(filling * np.float32(NORM_GAIN.get(name, 1.0)) if is_norm else filling))
    return model.eval()


def gradients(model: torch.nn.Module) -> dict:
    """By parameter: the gradient's norm, and its product with numbers of the parameter's name."""
    found = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            continue
        gradient = parameter.grad.flatten()
        probe = torch.from_numpy(fill.signed(f"probe.{name}", len(gradient)))
        found[name] = [rounded(gradient.norm().item()), rounded(torch.dot(gradient, probe).item())]
    # Those of the head, and every seventh of the backbone: enough to notice anything.
    backbone = [name for name in found if name.startswith(("backbone.body.", "backbone.features.")) or name.startswith("backbone.") and ".fpn." not in name]
    dropped = {name for index, name in enumerate(backbone) if index % 7}
    return {name: value for name, value in found.items() if name not in dropped}


def fcos(name: str) -> dict:
    model = filled(name, detection.fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=CLASSES)).double()
    size = 96
    pixels = torch.from_numpy(fill.image(BATCH, size)).double()
    features = list(model.backbone(pixels).values())
    outputs = model.head(features)
    anchors = model.anchor_generator(ImageList(pixels, [(size, size)] * BATCH), features)
    counts = [level.shape[2] * level.shape[3] for level in features]
    described = {}
    split = {key: outputs[key].split(counts, 1) for key in ("cls_logits", "bbox_regression", "bbox_ctrness")}
    for ours, theirs in (("scores", "cls_logits"), ("distances", "bbox_regression"), ("centreness", "bbox_ctrness")):
        for level, values in enumerate(split[theirs]):
            described[f"{ours}.{level}"] = describe_stage(values)
    targets = [
        {"boxes": torch.tensor([o[1:] for o in objects]).double(), "labels": torch.tensor([o[0] for o in objects])}
        for objects in OBJECTS
    ]
    losses = model.compute_loss(targets, outputs, anchors, counts)
    sum(losses.values()).backward()
    model.score_thresh = 0.3
    with torch.no_grad():
        by_level = [list(level) for level in zip(*(anchor.split(counts) for anchor in anchors))]
        per_image = [list(anchor.split(counts)) for anchor in anchors]
        found = model.postprocess_detections({key: list(value) for key, value in split.items()}, per_image, [(size, size), (size - 16, size)])
    return {
        "outputs": described,
        "losses": {"classification": rounded(losses["classification"].item()), "boxes": rounded(losses["bbox_regression"].item()), "centreness": rounded(losses["bbox_ctrness"].item())},
        "gradients": gradients(model),
        "least_score": 0.3,
        "found": [
            [[int(label), rounded(score), *map(rounded, box)] for label, score, box in zip(one["labels"].tolist(), one["scores"].tolist(), one["boxes"].tolist())]
            for one in found
        ],
        "size": size,
    }


def ssd(name: str) -> dict:
    """The first score of each box is the background's: labels begin with 1."""
    model = filled(name, getattr(detection, name)(weights=None, weights_backbone=None, num_classes=CLASSES + 1)).double()
    size, batch = (300, 1) if name == "ssd300_vgg16" else (320, BATCH)
    pixels = torch.from_numpy(fill.image(batch, size)).double()
    features = list(model.backbone(pixels).values())
    described = {}
    for ours, head in (("scores", model.head.classification_head), ("offsets", model.head.regression_head)):
        for level, (part, values) in enumerate(zip(head.module_list, features)):
            described[f"{ours}.{level}"] = describe_stage(part(values).permute(0, 2, 3, 1))
    outputs = model.head(features)
    anchors = model.anchor_generator(ImageList(pixels, [(size, size)] * batch), features)
    targets = [
        {"boxes": torch.tensor([o[1:] for o in objects]).double(), "labels": torch.tensor([o[0] + 1 for o in objects])}
        for objects in OBJECTS[:batch]
    ]
    matched = [model.proposal_matcher(torchvision.ops.box_iou(target["boxes"], anchor)) for target, anchor in zip(targets, anchors)]
    losses = model.compute_loss(targets, outputs, anchors, matched)
    sum(losses.values()).backward()
    model.score_thresh = SCORES[name]
    with torch.no_grad():
        found = model.postprocess_detections(outputs, anchors, [(size, size), (size - 16, size)][:batch])
    return {
        "batch": batch,
        "objects": OBJECTS[:batch],
        "outputs": described,
        "losses": {"classification": rounded(losses["classification"].item()), "boxes": rounded(losses["bbox_regression"].item())},
        "gradients": gradients(model),
        "least_score": SCORES[name],
        "found": [
            [[int(label) - 1, rounded(score), *map(rounded, box)] for label, score, box in zip(one["labels"].tolist(), one["scores"].tolist(), one["boxes"].tolist())]
            for one in found
        ],
        "size": size,
    }


def segmenter(name: str) -> dict:
    arguments = {"weights": None, "weights_backbone": None, "num_classes": CLASSES}
    if name != "lraspp_mobilenet_v3_large":
        arguments["aux_loss"] = True
    model = filled(name, getattr(segmentation, name)(**arguments)).double()
    size = 96
    pixels = torch.from_numpy(fill.image(BATCH, size)).double()
    outputs = model(pixels)
    values = fill.signed("classes", BATCH * size * size)
    classes = torch.from_numpy(np.floor((values + 1.0) / 2.0 * (CLASSES + 1)).astype(np.int64)).reshape(BATCH, size, size)
    classes[classes == CLASSES] = IGNORED
    loss = F.cross_entropy(outputs["out"], classes, ignore_index=IGNORED)
    if "aux" in outputs:
        loss = loss + 0.5 * F.cross_entropy(outputs["aux"], classes, ignore_index=IGNORED)
    loss.backward()
    return {
        "outputs": {key: describe_stage(value.permute(0, 2, 3, 1)) for key, value in outputs.items()},
        "losses": {"sum": rounded(loss.item())},
        "gradients": gradients(model),
        "size": size,
    }


NETWORKS = {
    "fcos_resnet50_fpn": fcos,
    "ssd300_vgg16": ssd,
    "ssdlite320_mobilenet_v3_large": ssd,
    "deeplabv3_resnet50": segmenter,
    "fcn_resnet50": segmenter,
    "lraspp_mobilenet_v3_large": segmenter,
    "deeplabv3_mobilenet_v3_large": segmenter,
}


def main() -> None:
    folder = Path(__file__).parent / "expected" / "dense"
    folder.mkdir(exist_ok=True)
    for name in sys.argv[1:] or NETWORKS:
        found = {
            "network": name,
            "batch": BATCH,
            "classes": CLASSES,
            "norm_gain": NORM_GAIN.get(name, 1.0),
            "objects": OBJECTS,
            "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
            **NETWORKS[name](name),
        }
        for key, output in found["outputs"].items():
            # Of a map of one place there is not enough to judge by.
            assert len(output["at"]) < 8 or 0.05 <= output["std"] <= 20.0, f"{name}: {key} has a deviation of {output['std']}"
        text = json.dumps(found, separators=(",", ":"))
        (folder / f"{name}.json").write_text(text + "\n")
        print(name, len(text), {key: round(value["std"], 3) for key, value in found["outputs"].items()}, found["losses"], [len(f) for f in found.get("found", [])], flush=True)


if __name__ == "__main__":
    main()
