"""Whether PEFT opens a run's adapter over timm's model with the same outputs.

    python peft_opens.py RUN BASE PHOTOGRAPHS TK

RUN is a folder that `tk image-classify --mode lora` left, BASE the folder of the weights that it adapted (config.json and weights, as timm opens them;
`weights/small` for the embedded default), or ARCHITECTURE=FILE, TK the program. Each photograph goes through `tk predict RUN --logits`, and through
`PeftModel.from_pretrained` on timm's model with timm's decoding and the run's preprocessing. Prints the differences of logits, relative to the largest logit. Fails as
`timm_opens.py` does, or when PEFT finds tensors that are missing or left over.
"""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import timm
import torch
from peft import PeftModel
from PIL import Image
from safetensors import safe_open


def opened(base: str, classes: int) -> torch.nn.Module:
    if "=" in base and not Path(base).exists():
        architecture, file = base.split("=", 1)
        return timm.create_model(architecture, pretrained=True, pretrained_cfg_overlay={"file": file}, num_classes=classes)
    return timm.create_model(f"local-dir:{Path(base).resolve()}", pretrained=True, num_classes=classes)


def main() -> None:
    run, base, photographs, tk = sys.argv[1:5]
    output = subprocess.run([tk, "predict", run, photographs, "--logits"], check=True, capture_output=True, text=True).stdout
    ours = [json.loads(line) for line in output.splitlines()]
    merged = timm.create_model(f"local-dir:{Path(run).resolve()}", pretrained=True)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(merged), is_training=False)
    labels = merged.pretrained_cfg.get("label_names") or list(ours[0]["logits"])
    warnings.simplefilter("error")  # What PEFT does not find, it only warns of.
    model = PeftModel.from_pretrained(opened(base, len(labels)), f"{run}/adapter").eval()
    with safe_open(f"{run}/adapter/adapter_model.safetensors", "pt") as tensors:
        stored = sum("lora_" in name for name in tensors.keys())
    built = sum("lora_" in name for name, _ in model.named_parameters())
    assert stored == built, f"{stored} tensors of pairs, {built} in PEFT's model"
    off, size = [], 0.0
    with torch.inference_mode():
        for line in ours:
            theirs = model(transform(Image.open(line["file"]).convert("RGB"))[None])[0]
            mine = torch.tensor([line["logits"][label] for label in labels])
            size = max(size, theirs.abs().max().item())
            off.append((mine - theirs).abs().max().item())
    off = sorted(value / size for value in off)
    large = sum(value > 1e-2 for value in off)
    print(f"{built} tensors of pairs, {len(off)} photographs, largest logit {size:.2f}: relative difference {off[len(off) // 2]:.1e} in the median, {off[-1]:.1e} at most, {large} above 1e-2")
    sys.exit(off[len(off) // 2] > 1e-3 or 20 * large > len(off))


if __name__ == "__main__":
    main()
