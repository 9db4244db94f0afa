"""The name-seeded generator of parity tests: the same numbers as the engine's `testing::fill`, without a file of weights.

See README.md in this folder for the definition.
"""

import math

import numpy as np

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_CHUNK = 1 << 22  # elements at a time, so that a filling of 100 million weights needs little memory


def fnv1a(text: str) -> int:
    """The 64-bit FNV-1a hash of a text's UTF-8 bytes."""
    digest = 0xCBF29CE484222325
    for byte in text.encode():
        digest = ((digest ^ byte) * 0x100000001B3) & _MASK
    return digest


def mix(bits: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser on an array of uint64."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def signed(name: str, count: int) -> np.ndarray:
    """`count` numbers in [-1, 1) that depend on the name and the position alone, f64."""
    key = np.uint64(fnv1a(name))
    values = np.empty(count)
    for start in range(0, count, _CHUNK):
        position = np.arange(start, min(start + _CHUNK, count), dtype=np.uint64)
        bits = mix(key ^ mix(position * np.uint64(_GOLDEN) + key))
        values[start : start + len(bits)] = (bits >> np.uint64(11)) * 2.0**-53 * 2.0 - 1.0
    return values


def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A parameter's or a buffer's values by its name and shape, computed in f64, stored as f32."""
    values = signed(name, math.prod(shape))
    kind = name.rsplit(".", 1)[-1]
    if kind == "weight" and len(shape) >= 2:
        gain = 1.0 if len(shape) == 2 else 2.0
        values *= math.sqrt(3.0 * gain / math.prod(shape[1:]))
    elif kind in ("weight", "gamma") and len(shape) == 1:
        values = 0.75 + 0.25 * values
    elif kind == "gamma":
        values = 0.75 + 0.25 * values
    elif kind in ("bias", "running_mean", "cls_token", "pos_embed"):
        values *= 0.1
    elif kind == "running_var":
        values = 1.0 + 0.5 * values
    else:
        raise ValueError(f"no filling rule for {name} of shape {shape}")
    return values.astype(np.float32).reshape(shape)


def image(batch: int, size: int) -> np.ndarray:
    """The input picture batch, [batch, 3, size, size], f32 in [-1, 1)."""
    return signed("input", batch * 3 * size * size).astype(np.float32).reshape(batch, 3, size, size)


def sample_positions(count: int, wanted: int = 8) -> list[int]:
    """Up to `wanted` flat positions spread over `count` entries: the middle of each of as many equal parts."""
    wanted = min(wanted, count)
    return [(2 * part + 1) * count // (2 * wanted) for part in range(wanted)]
