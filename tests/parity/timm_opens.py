"""Whether timm opens a run's folder with the same outputs.

    python timm_opens.py RUN PHOTOGRAPHS TK

RUN is a folder that `tk image-classify` left (head logreg, svm or linear), TK the program. Each photograph goes through `tk predict RUN --logits`, and
through timm with its own decoding and preprocessing of the same folder. Prints the differences of logits, relative to the largest logit. Fails when their
median is above 1e-3, or more than one photograph in twenty is above 1e-2: JPEG decoders round differently where colour is subsampled.
"""

import json
import subprocess
import sys
from pathlib import Path

import timm
import torch
from PIL import Image


def main() -> None:
    run, photographs, tk = sys.argv[1:4]
    output = subprocess.run([tk, "predict", run, photographs, "--logits"], check=True, capture_output=True, text=True).stdout
    ours = [json.loads(line) for line in output.splitlines()]
    model = timm.create_model(f"local-dir:{Path(run).resolve()}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    labels = model.pretrained_cfg.get("label_names") or list(ours[0]["logits"])
    off, size = [], 0.0
    with torch.inference_mode():
        for line in ours:
            theirs = model(transform(Image.open(line["file"]).convert("RGB"))[None])[0]
            mine = torch.tensor([line["logits"][label] for label in labels])
            size = max(size, theirs.abs().max().item())
            off.append((mine - theirs).abs().max().item())
    off = sorted(value / size for value in off)
    large = sum(value > 1e-2 for value in off)
    print(f"{len(off)} photographs, largest logit {size:.2f}: relative difference {off[len(off) // 2]:.1e} in the median, {off[-1]:.1e} at most, {large} above 1e-2")
    sys.exit(off[len(off) // 2] > 1e-3 or 20 * large > len(off))


if __name__ == "__main__":
    main()
