"""Writes what timm's evaluation transform makes of photographs, for every preset of the catalog: expected/preprocess.json.

    python preprocess.py [FOLDER]          # default ../shared/data/ants-bees beside the workspace

The decoded photographs are described too, so that a difference of the decoder is not taken for one of the resize.
"""

import json
import sys
import tomllib
from pathlib import Path

import numpy as np
import PIL
import timm
from PIL import Image
from timm.data import create_transform

import fill

PHOTOGRAPHS = 3
SAMPLES = 48
ROOT = Path(__file__).resolve().parents[2]

# What of a catalog entry says how pixels are prepared.
FIELDS = ("size", "interpolation", "crop", "mean", "std")


def presets() -> list[dict]:
    """The catalog's presets, each once, with one that reduces strongly and one without a crop."""
    entries = tomllib.loads((ROOT / "weights" / "catalog.toml").read_text())["image"]
    found = [{field: entry[field] for field in FIELDS} for entry in entries]
    usual = found[0]
    found += [{**usual, "size": 96, "interpolation": "bilinear"}, {**usual, "size": 160, "crop": 1.0}]
    return [preset for position, preset in enumerate(found) if preset not in found[:position]]


def chosen(folder: Path) -> list[Path]:
    """Photographs of both classes, spread over the sorted training files."""
    paths = sorted((folder / "train").glob("*/*.jpg"))
    return [paths[position] for position in fill.sample_positions(len(paths), PHOTOGRAPHS)]


def describe(pixels: np.ndarray, digits: int) -> dict:
    """Shape, moments of each channel and a few entries of a [channels, height, width] array in flat order."""
    flat = pixels.reshape(-1)
    positions = fill.sample_positions(len(flat), SAMPLES)
    kept = lambda values: [float(f"{value:.{digits}g}") for value in values]
    return {
        "shape": list(pixels.shape),
        "mean": kept(pixels.mean((1, 2))),
        "std": kept(pixels.std((1, 2))),
        "values": kept(flat[positions]),
    }


def prepared(picture: Image.Image, preset: dict) -> dict:
    """The preset, and what timm makes of a picture by it."""
    transform = create_transform(
        input_size=(3, preset["size"], preset["size"]),
        is_training=False,
        interpolation=preset["interpolation"],
        crop_pct=preset["crop"],
        mean=preset["mean"],
        std=preset["std"],
    )
    return {**preset, "pixels": describe(transform(picture).numpy().astype(np.float64), 5)}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/data/ants-bees"
    described = []
    for path in chosen(folder):
        picture = Image.open(path).convert("RGB")
        decoded = describe(np.asarray(picture).transpose(2, 0, 1).astype(np.float64), 8)
        presets_of = [prepared(picture, preset) for preset in presets()]
        described.append({"file": str(path.relative_to(folder)), "decoded": decoded, "presets": presets_of})
    found = {"format": 2, "versions": {"timm": timm.__version__, "pillow": PIL.__version__}, "photographs": described}
    target = Path(__file__).parent / "expected" / "preprocess.json"
    target.write_text(json.dumps(found, separators=(",", ":")) + "\n")
    print(f"{target.name}: {target.stat().st_size} bytes, {len(described)} photographs, {len(presets())} presets")


if __name__ == "__main__":
    main()
