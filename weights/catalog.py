"""Writes catalog.toml from what timm publishes of its weights: where they are, what they expect of pixels.

    python catalog.py

Needs timm. The accuracies are those of timm's table `results/results-imagenet.csv`, at the size of the input that the table says; weights that
are missing there have none here.
"""

import tomllib
from pathlib import Path

import timm

FILE = Path(__file__).parent / "catalog.toml"

# Weights by family, an architecture's default first, with accuracy on ImageNet-1k in per cent and the side that it was measured at.
WEIGHTS = [
    ("resnet10t.c3_in1k", 68.358, 224),
    ("resnet14t.c3_in1k", 72.254, 224),
    ("resnet18.a1_in1k", 73.158, 288),
    ("resnet18.tv_in1k", 69.760, 224),
    ("resnet18d.ra2_in1k", 73.794, 288),
    ("resnet26.bt_in1k", 76.366, 288),
    ("resnet26d.bt_in1k", 77.408, 288),
    ("resnet34.a1_in1k", 77.918, 288),
    ("resnet34.tv_in1k", None, None),
    ("resnet34d.ra2_in1k", 78.436, 288),
    ("resnet50.a1_in1k", 81.214, 288),
    ("resnet50.tv_in1k", 76.130, 224),
    ("resnet50.tv2_in1k", 80.850, 224),
    ("resnet50d.ra2_in1k", 81.356, 288),
    ("resnet101.a1h_in1k", 82.778, 288),
    ("resnet101.tv_in1k", 77.376, 224),
    ("resnet101.tv2_in1k", 81.890, 224),
    ("resnet152.a1h_in1k", 83.450, 288),
    ("resnet152.tv_in1k", 78.322, 224),
    ("resnet152.tv2_in1k", 82.288, 224),
    ("vgg11.tv_in1k", 69.022, 224),
    ("vgg11_bn.tv_in1k", 70.382, 224),
    ("vgg13.tv_in1k", 69.932, 224),
    ("vgg13_bn.tv_in1k", 71.588, 224),
    ("vgg16.tv_in1k", 71.592, 224),
    ("vgg16_bn.tv_in1k", 73.370, 224),
    ("vgg19.tv_in1k", 72.378, 224),
    ("vgg19_bn.tv_in1k", 74.216, 224),
    ("mobilenetv1_100.ra4_e3600_r224_in1k", None, None),
    ("mobilenetv1_100h.ra4_e3600_r224_in1k", None, None),
    ("mobilenetv1_125.ra4_e3600_r224_in1k", None, None),
    ("mobilenetv2_050.lamb_in1k", 65.950, 224),
    ("mobilenetv2_100.ra_in1k", 72.976, 224),
    ("mobilenetv2_110d.ra_in1k", 75.056, 224),
    ("mobilenetv2_120d.ra_in1k", 77.302, 224),
    ("mobilenetv2_140.ra_in1k", 76.520, 224),
    ("mobilenetv3_small_050.lamb_in1k", 57.910, 224),
    ("mobilenetv3_small_075.lamb_in1k", 65.234, 224),
    ("mobilenetv3_small_100.lamb_in1k", 67.656, 224),
    ("mobilenetv3_large_100.ra_in1k", 75.766, 224),
    ("mobilenetv3_large_100.miil_in21k_ft_in1k", 77.918, 224),
    ("mobilenetv3_large_100.ra4_e3600_r224_in1k", None, None),
    ("efficientnet_b0.ra_in1k", 77.694, 224),
    ("efficientnet_b0.ra4_e3600_r224_in1k", None, None),
    ("efficientnet_b1.ra4_e3600_r240_in1k", None, None),
    ("efficientnet_b1.ft_in1k", 78.800, 256),
    ("efficientnet_b2.ra_in1k", 80.610, 288),
    ("efficientnet_b3.ra2_in1k", 82.242, 320),
    ("inception_v3.tv_in1k", 77.434, 299),
    ("inception_v3.tf_adv_in1k", 77.592, 299),
    ("inception_v3.tf_in1k", 77.862, 299),
    ("inception_v3.gluon_in1k", 78.806, 299),
    ("legacy_xception.tf_in1k", 79.040, 299),
    ("convnext_atto.d2_in1k", 77.008, 288),
    ("convnext_femto.d1_in1k", 78.716, 288),
    ("convnext_pico.d1_in1k", 80.414, 288),
    ("convnext_nano.in12k_ft_in1k", 82.862, 288),
    ("convnext_nano.d1h_in1k", 81.482, 288),
    ("convnext_tiny.in12k_ft_in1k", 84.450, 288),
    ("convnext_tiny.fb_in22k_ft_in1k", 78.898, 288),
    ("convnext_tiny.fb_in1k", 82.698, 288),
    ("convnext_small.in12k_ft_in1k", None, None),
    ("convnext_small.fb_in22k_ft_in1k", None, None),
    ("convnext_small.fb_in1k", 83.700, 288),
    ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", 75.454, 224),
    ("vit_small_patch16_224.augreg_in21k_ft_in1k", 81.384, 224),
    ("vit_small_patch16_224.augreg_in1k", 78.846, 224),
    ("vit_base_patch16_224.augreg2_in21k_ft_in1k", 85.096, 224),
    ("vit_base_patch16_224.augreg_in21k_ft_in1k", 84.532, 224),
    ("vit_base_patch16_224.augreg_in1k", 79.154, 224),
    ("vit_base_patch16_224.orig_in21k_ft_in1k", 81.786, 224),
    ("deit_tiny_patch16_224.fb_in1k", 72.172, 224),
    ("deit_small_patch16_224.fb_in1k", 79.844, 224),
    ("deit_base_patch16_224.fb_in1k", 81.992, 224),
    ("vit_small_patch14_dinov2.lvd142m", None, None),
    ("vit_base_patch14_dinov2.lvd142m", None, None),
]

LICENCES = {"apache-2.0": "Apache-2.0", "bsd-3-clause": "BSD-3-Clause", "mit": "MIT", "cc-by-nc-4.0": "CC-BY-NC-4.0"}


def entry(name: str, top1: float | None, top1_size: int | None) -> dict:
    """The entry of weights with a tag."""
    cfg = timm.get_pretrained_cfg(name)
    source = (
        {"repository": cfg.hf_hub_id, "file": cfg.hf_hub_filename or "model.safetensors"}
        if cfg.hf_hub_id
        else {"url": cfg.url}
    )
    model = timm.create_model(name, pretrained=False)
    size = cfg.input_size[-1]
    test_size, test_crop = cfg.test_input_size, cfg.test_crop_pct
    return {
        "name": name,
        **source,
        "licence": LICENCES[cfg.license or "apache-2.0"],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "classes": cfg.num_classes,
        "size": size,
        "interpolation": cfg.interpolation,
        "crop": cfg.crop_pct,
        "mean": list(cfg.mean),
        "std": list(cfg.std),
        **({"test-size": test_size[-1]} if test_size else {}),
        **({"test-crop": test_crop} if test_crop else {}),
        **({"top1": top1, "top1-size": top1_size} if top1 else {}),
    }


def written(value) -> str:
    """A value as TOML has it."""
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def main() -> None:
    """Rewrites the file; tables of other modalities stay."""
    tables = []
    for weights in WEIGHTS:
        lines = [f"{key} = {written(value)}" for key, value in entry(*weights).items()]
        tables.append("[[image]]\n" + "\n".join(lines))
    text = "format = 1\n\n" + "\n\n".join(tables) + "\n"
    assert len(tomllib.loads(text)["image"]) == len(WEIGHTS)
    FILE.write_text(text)


if __name__ == "__main__":
    main()
