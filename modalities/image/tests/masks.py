"""Writes masks.json: what pycocotools makes of some masks and outlines.

    python modalities/image/tests/masks.py

Needs pycocotools and numpy.
"""

import json
from pathlib import Path

import numpy as np
from pycocotools import mask as api


def blobs(height, width, random):
    """Some rectangles, some of them holes."""
    pixels = np.zeros((height, width), np.uint8)
    for index in range(random.integers(0, 5)):
        top, left = random.integers(height), random.integers(width)
        pixels[top : top + random.integers(1, height + 1), left : left + random.integers(1, width + 1)] = index % 3 != 2
    return pixels


def packed(runs):
    return runs["counts"].decode()


def main():
    random = np.random.default_rng(0)
    sizes = [(1, 1), (1, 9), (7, 1), (5, 8), (33, 20), (60, 61)]
    masks = [np.zeros((4, 5), np.uint8), np.ones((4, 5), np.uint8)]
    masks += [blobs(*size, random) for size in sizes for _ in range(4)]
    masks.append((random.random((40, 30)) < 0.5).astype(np.uint8))
    entries = []
    for pixels in masks:
        runs = api.encode(np.asfortranarray(pixels))
        entries.append({
            "size": list(pixels.shape), "pixels": "".join(map(str, pixels.reshape(-1).tolist())), "packed": packed(runs),
            "area": int(api.area(runs)), "bounds": [int(value) for value in api.toBbox(runs)],
        })
    outlines = [[[0, 0, 10, 0, 10, 10, 0, 10]], [[0.5, 0.5, 9.5, 0.5, 5, 9.5]], [[-4, -4, 30, 8, -4, 20]], [[2, 2, 2, 2, 8, 2, 8, 8]], [[3, 3, 6, 3, 9, 3]]]
    for _ in range(24):
        parts = []
        for _ in range(random.integers(1, 4)):
            middle, radius = random.uniform(-3, 33, 2), random.uniform(1, 15)
            angles = np.sort(random.uniform(0, 2 * np.pi, random.integers(3, 12)))
            corners = middle + radius * np.stack([np.cos(angles), np.sin(angles)], 1)
            parts.append([round(value, 2) for value in corners.reshape(-1).tolist()])
        outlines.append(parts)
    drawn = []
    for parts in outlines:
        height, width = 30, 24
        drawn.append({"size": [height, width], "outlines": parts, "packed": packed(api.merge(api.frPyObjects(parts, height, width)))})
    text = json.dumps({"masks": entries, "drawn": drawn}, separators=(",", ":"))
    Path(__file__).with_suffix(".json").write_text(text + "\n")


if __name__ == "__main__":
    main()
