"""Whether timm opens a run's folder with the same outputs.

    python timm_opens.py RUN PHOTOGRAPHS TK

RUN is a folder that `tk image-classify` left (head logreg or linear), TK the program. Each photograph goes through `tk predict RUN --logits`, and
through timm with its own decoding and preprocessing of the same folder. Prints the largest difference of logits and of probabilities; fails above 1e-2.
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
    logits_off = probabilities_off = size = 0.0
    with torch.inference_mode():
        for line in ours:
            theirs = model(transform(Image.open(line["file"]).convert("RGB"))[None])[0]
            mine = torch.tensor([line["logits"][label] for label in labels])
            shares = torch.tensor([line["probabilities"][label] for label in labels])
            size = max(size, theirs.abs().max().item())
            logits_off = max(logits_off, (mine - theirs).abs().max().item())
            probabilities_off = max(probabilities_off, (shares - theirs.softmax(0)).abs().max().item())
    print(f"{len(ours)} photographs: logits differ by {logits_off:.2e} at most, the largest is {size:.2f}; probabilities by {probabilities_off:.2e}")
    sys.exit(probabilities_off > 1e-2 or logits_off > 1e-2 * max(size, 1.0))


if __name__ == "__main__":
    main()
