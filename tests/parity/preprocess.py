"""Writes what timm's evaluation transform makes of six photographs: expected/preprocess.json.

    python preprocess.py [FOLDER]          # default ../shared/data/ants-bees beside the workspace

The decoded photographs are described too, so that a difference of the decoder is not taken for one of the resize.
"""

import json
import sys
from pathlib import Path

import numpy as np
import PIL
import timm
from PIL import Image
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, create_transform

import fill

# (side in pixels, interpolation, part of the resized picture that the crop keeps)
SETTINGS = [(224, "bilinear", 0.875), (224, "bicubic", 0.95), (96, "bilinear", 0.875), (160, "bicubic", 1.0)]
PHOTOGRAPHS = 6


def chosen(folder: Path) -> list[Path]:
    """Photographs of both classes, spread over the sorted training files."""
    paths = sorted((folder / "train").glob("*/*.jpg"))
    return [paths[position] for position in fill.sample_positions(len(paths), PHOTOGRAPHS)]


def describe(pixels: np.ndarray, digits: int) -> dict:
    """Shape, moments of each channel and a few entries of a [channels, height, width] array in flat order."""
    flat = pixels.reshape(-1)
    positions = fill.sample_positions(len(flat), 12)
    kept = lambda values: [float(f"{value:.{digits}g}") for value in values]
    return {
        "shape": list(pixels.shape),
        "mean": kept(pixels.mean((1, 2))),
        "std": kept(pixels.std((1, 2))),
        "at": positions,
        "values": kept(flat[positions]),
    }


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else root.parent / "shared/data/ants-bees"
    described = []
    for path in chosen(folder):
        picture = Image.open(path).convert("RGB")
        entry = {"file": str(path.relative_to(folder))}
        entry["decoded"] = describe(np.asarray(picture).transpose(2, 0, 1).astype(np.float64), 8)
        for size, interpolation, crop in SETTINGS:
            transform = create_transform(
                input_size=(3, size, size),
                is_training=False,
                interpolation=interpolation,
                crop_pct=crop,
                mean=IMAGENET_DEFAULT_MEAN,
                std=IMAGENET_DEFAULT_STD,
            )
            entry[f"{size}-{interpolation}-{crop}"] = describe(transform(picture).numpy().astype(np.float64), 7)
        described.append(entry)
    found = {"format": 1, "versions": {"timm": timm.__version__, "pillow": PIL.__version__}, "photographs": described}
    target = Path(__file__).parent / "expected" / "preprocess.json"
    target.write_text(json.dumps(found, separators=(",", ":")) + "\n")
    print(f"{target.name}: {target.stat().st_size} bytes, {len(described)} photographs")


if __name__ == "__main__":
    main()
