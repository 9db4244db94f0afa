"""What torchvision's TrivialAugmentWide makes of Pillow's pictures, operation by operation.

    python trivial_augment.py                       # the numbers of the test in modalities/image/src/data/trivial_augment.rs
    python trivial_augment.py FILE WIDTH HEIGHT     # the digests for the raw RGB pixels in FILE, as the test on a photograph asks for
"""

import sys
from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, TrivialAugmentWide
from torchvision.transforms.autoaugment import _apply_op

# Some of the 31 strengths of each operation; the test has the same.
BINS = [0, 3, 13, 20, 30]
SIZES = [(64, 64), (97, 61)]


def fnv1a(data: bytes) -> int:
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = ((digest ^ byte) * 0x100000001B3) % 2**64
    return digest


def picture(width: int, height: int) -> Image.Image:
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            pixels += bytes([40 + (x * 37 + y * 11) % 190, 30 + (x // 3 + y // 5) % 2 * 200, (x * x + 3 * y * y + x * y) % 251])
    return Image.frombytes("RGB", (width, height), bytes(pixels))


def changed(image: Image.Image, operation: int, bin: int, negative: bool) -> bytes:
    name, (magnitudes, signed) = list(TrivialAugmentWide()._augmentation_space(31).items())[operation]
    magnitude = float(magnitudes[bin].item()) if magnitudes.ndim > 0 else 0.0
    if signed and negative:
        magnitude *= -1.0
    return _apply_op(image, name, magnitude, interpolation=InterpolationMode.NEAREST, fill=None).tobytes()


def digests(image: Image.Image) -> list[int]:
    """For each operation that of what all strengths make of a picture, every second one in the other direction."""
    return [fnv1a(b"".join(changed(image, operation, bin, number % 2 == 1) for number, bin in enumerate(BINS))) for operation in range(14)]


def main() -> None:
    if len(sys.argv) > 1:
        file, width, height = sys.argv[1:4]
        print(*digests(Image.frombytes("RGB", (int(width), int(height)), Path(file).read_bytes())))
        return
    for width, height in SIZES:
        print(f"({width}, {height}): [{', '.join(f'{digest:#018x}' for digest in digests(picture(width, height)))}]")
    for first, last in [(0.0, 0.99), (0.0, 32.0), (0.0, 135.0), (255.0, 0.0)]:
        strengths = torch.linspace(first, last, 31)
        print(", ".join(f"({bin}, {first}, {last}, {strengths[bin].item()!r})" for bin in BINS[1:4]))


if __name__ == "__main__":
    main()
