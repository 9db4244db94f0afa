"""Makes the expected values in `pillow_resize.rs` with Pillow.

Run: python pillow_resize.py   (Pillow 13.0.0 made the values that are stored)
"""

import numpy
from PIL import Image

CASES = [
    # width, height, new width, new height
    (97, 61, 48, 32),
    (97, 61, 33, 61),
    (97, 61, 150, 97),
    (64, 200, 7, 5),
    (90, 100, 80, 30),
    (5, 3, 64, 41),
    (1, 1, 4, 3),
]


def picture(width, height):
    """Stripes, gradients and hard edges, by integer arithmetic alone."""
    y, x = numpy.mgrid[0:height, 0:width].astype(numpy.int64)
    red = (x * 37 + y * 11) % 256
    green = ((x // 3 + y // 5) % 2) * 255
    blue = (x * x + 3 * y * y + x * y) % 251
    return Image.fromarray(numpy.stack([red, green, blue], axis=-1).astype(numpy.uint8))


def fnv1a(data):
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    return digest


if __name__ == "__main__":
    for name, method in [("Bilinear", Image.Resampling.BILINEAR), ("Bicubic", Image.Resampling.BICUBIC)]:
        for width, height, new_width, new_height in CASES:
            data = picture(width, height).resize((new_width, new_height), method).tobytes()
            first = ", ".join(str(byte) for byte in data[:6])
            print(
                f"    (Interpolation::{name}, ({width}, {height}), ({new_width}, {new_height}), "
                f"[{first}], 0x{fnv1a(data):016x}),"
            )
