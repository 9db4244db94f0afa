"""Whether torchvision and tk see the same in photographs.

    python torchvision_sees.py TK PHOTO…             random weights as torchvision saves them: tk's boxes and classes of pixels are its own

Needs torch and torchvision.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torchvision.transforms.functional as TF
from PIL import Image
from torchvision.models import detection, segmentation
from torchvision.transforms import InterpolationMode

import dense


def told(command):
    output = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def boxes(tk, photographs, folder):
    """Detectors: every sure box of torchvision's is one of tk's."""
    torch.manual_seed(0)
    model = detection.fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91).eval()
    dense.filled("fcos_resnet50_fpn", model)
    file = folder / "fcos.pth"
    torch.save(model.state_dict(), file)
    ours = told([tk, "predict", f"fcos_resnet50_fpn={file}", *photographs])
    for photograph, line in zip(photographs, ours, strict=True):
        picture = TF.to_tensor(Image.open(photograph).convert("RGB"))
        with torch.no_grad():
            theirs = model([picture])[0]
        keep = theirs["scores"] > 0.3
        theirs = list(zip(theirs["scores"][keep].tolist(), theirs["boxes"][keep].tolist()))
        found = [(one["score"], one["box"]) for one in line["objects"]]
        apart = 0.0
        for score, (left, top, right, bottom) in theirs:
            nearest = min(found, key=lambda other: abs(other[0] - score) + 0.01 * sum(abs(a - b) for a, b in zip(other[1], (left, top, right - left, bottom - top))))
            apart = max(apart, max(abs(a - b) for a, b in zip(nearest[1], (left, top, right - left, bottom - top))))
        print(f"{photograph}: {len(theirs)} boxes of torchvision's, {len(found)} of tk's, at most {apart:.3f} pixels apart")


def pixels(tk, photographs, folder):
    """Segmenters: the classes of pixels at the network's own size agree."""
    for name in ("deeplabv3_resnet50", "lraspp_mobilenet_v3_large"):
        arguments = {"aux_loss": True} if name.startswith("deeplab") else {}
        model = dense.filled(name, getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=21, **arguments)).eval()
        file = folder / f"{name}.pth"
        torch.save(model.state_dict(), file)
        for photograph, line in zip(photographs, told([tk, "predict", f"{name}={file}", *photographs]), strict=True):
            image = Image.open(photograph).convert("RGB")
            scale = 520 / min(image.size)
            size = [int(image.height * scale), int(image.width * scale)]
            resized = TF.to_tensor(TF.resize(image, size, InterpolationMode.BILINEAR))
            pixels = TF.normalize(resized, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
            with torch.no_grad():
                logits = model(pixels[None])["out"]
            classes = TF.resize(logits, [image.height, image.width], InterpolationMode.BILINEAR, antialias=False)[0].argmax(0)
            shares = np.bincount(classes.flatten().numpy(), minlength=21) / classes.numel()
            worst = max(abs(a - b) for a, b in zip(shares, line["fractions"].values(), strict=True))
            print(f"{name} {photograph}: shares of classes differ by at most {worst:.5f}")


def main():
    tk, *photographs = sys.argv[1:]
    with tempfile.TemporaryDirectory() as temporary:
        boxes(tk, photographs, Path(temporary))
        pixels(tk, photographs, Path(temporary))


if __name__ == "__main__":
    main()
