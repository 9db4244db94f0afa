"""Writes catalog.toml: what timm publishes for the networks that this toolkit builds.

    python catalog.py

Needs timm and torch; nothing is downloaded. A name alone stands for timm's default weights, a name with a tag for those; the first of a
network are its default here. Parameters are counted on a network of timm's with the published classes.
"""

from pathlib import Path

import timm
from timm.models import get_pretrained_cfg

FILE = Path(__file__).parent / "catalog.toml"

NAMES = """
resnet10t resnet14t resnet18 resnet18d resnet26 resnet26d resnet34 resnet34d resnet50 resnet50d resnet101 resnet152
vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn
mobilenetv1_100 mobilenetv1_100h mobilenetv1_125
mobilenetv2_050 mobilenetv2_100 mobilenetv2_110d mobilenetv2_120d mobilenetv2_140
mobilenetv3_small_050 mobilenetv3_small_075 mobilenetv3_small_100 mobilenetv3_large_100
mobilenetv3_large_100.miil_in21k_ft_in1k mobilenetv3_large_100.ra4_e3600_r224_in1k
efficientnet_b0 efficientnet_b0.ra4_e3600_r224_in1k efficientnet_b1 efficientnet_b1.ft_in1k efficientnet_b2 efficientnet_b3
inception_v3.tv_in1k
legacy_xception
convnext_atto convnext_femto convnext_pico convnext_nano convnext_nano.in12k_ft_in1k convnext_nano.in12k
convnext_tiny convnext_tiny.fb_in1k convnext_tiny.fb_in22k_ft_in1k convnext_tiny.fb_in22k convnext_tiny.in12k
convnext_small convnext_small.fb_in1k convnext_small.fb_in22k_ft_in1k convnext_small.fb_in22k convnext_small.in12k
""".split()

# Licences as SPDX has them; timm leaves out its own.
LICENCES = {None: "Apache-2.0", "apache-2.0": "Apache-2.0", "bsd-3-clause": "BSD-3-Clause", "mit": "MIT"}


def entry(name: str) -> dict:
    """What is published for a name, by the file's keys."""
    cfg = get_pretrained_cfg(name)
    if cfg is None or not cfg.has_weights:
        raise SystemExit(f"{name}: timm publishes no such weights")
    if cfg.crop_mode != "center":
        raise SystemExit(f"{name}: its crop is {cfg.crop_mode}; entries are for centre crops")
    architecture = name.split(".")[0]
    model = timm.create_model(architecture, num_classes=cfg.num_classes)
    where = {"repository": cfg.hf_hub_id, "file": "model.safetensors"} if cfg.hf_hub_id else {"url": cfg.url}
    found = {
        "name": f"{architecture}.{cfg.tag}",
        **where,
        "licence": LICENCES[cfg.license],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "classes": cfg.num_classes,
        "size": cfg.input_size[-1],
        "interpolation": cfg.interpolation,
        "crop": cfg.crop_pct,
        "mean": list(cfg.mean),
        "std": list(cfg.std),
    }
    if cfg.test_input_size:
        found |= {"test-size": cfg.test_input_size[-1]}
    if cfg.test_crop_pct:
        found |= {"test-crop": cfg.test_crop_pct}
    return found


def value(value) -> str:
    """A value as TOML has it."""
    return f'"{value}"' if isinstance(value, str) else repr(value)


def main() -> None:
    """Rewrites the file."""
    entries = ["".join(f"{key} = {value(field)}\n" for key, field in entry(name).items()) for name in NAMES]
    FILE.write_text("format = 1\n" + "".join(f"\n[[image]]\n{text}" for text in entries))


if __name__ == "__main__":
    main()
