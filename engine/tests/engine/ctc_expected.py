"""Makes `ctc_expected.rs`: what torch.nn.functional.ctc_loss computes, in f64, for the cases of `ctc.rs`.

    python ctc_expected.py > ctc_expected.rs

Logits are those of the engine's `testing::signed` by the name ctc.CASE, rounded to f32, times 4.
"""

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "parity"))

import fill  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

# Name, frames, vocabulary, blank, and for each sample its frames and its target.
CASES = [
    ("random", 12, 6, 0, [(12, [1, 4, 2, 5]), (12, [3, 2, 1])]),
    ("repeats", 9, 4, 3, [(9, [1, 1, 1, 0, 0]), (9, [2, 2])]),
    ("one_frame", 1, 5, 0, [(1, [2]), (1, [])]),
    ("empty_target", 6, 4, 1, [(6, []), (4, [])]),
    ("impossible", 4, 5, 0, [(4, [1, 1, 2, 2]), (4, [1, 2]), (2, [1, 2, 3])]),
    ("unequal", 10, 7, 6, [(10, [1, 2, 3, 3]), (3, [5, 0]), (7, [4])]),
]


def text(values):
    return "&[" + ", ".join("f64::INFINITY" if math.isinf(v) else repr(float(f"{v:.9g}")) for v in values) + "]"


def main():
    print("//! Made by `ctc_expected.py`.\n")
    print("use super::ctc::Expected;\n")
    print("#[rustfmt::skip]\n#[expect(clippy::unreadable_literal, reason = \"made by a program\")]")
    print("pub const CASES: &[Expected] = &[")
    for name, frames, vocabulary, blank, samples in CASES:
        flat = fill.signed(f"ctc.{name}", len(samples) * frames * vocabulary).astype("float32").astype("float64") * 4
        logits = torch.from_numpy(flat).reshape(len(samples), frames, vocabulary).requires_grad_()
        log_probabilities = F.log_softmax(logits, -1).transpose(0, 1)
        targets = torch.tensor([s for _, target in samples for s in target], dtype=torch.long)
        lengths = [torch.tensor([count for count, _ in samples]), torch.tensor([len(t) for _, t in samples])]

        def loss(reduction, zero):
            return F.ctc_loss(
                log_probabilities, targets, *lengths, blank=blank, reduction=reduction, zero_infinity=zero
            )

        mean = loss("mean", True)
        mean.backward()
        print(f'    Expected {{ name: "{name}", frames: {frames}, vocabulary: {vocabulary}, blank: {blank},')
        print("        samples: &[" + ", ".join(f"({count}, &{target})" for count, target in samples) + "],")
        print(f"        losses: {text(loss('none', False).tolist())}, mean: {float(f'{mean.item():.9g}')!r},")
        print(f"        gradient: {text(logits.grad.flatten().tolist())} }},")
    print("];")


if __name__ == "__main__":
    main()
