"""Makes `torch_expected.rs`: what PyTorch computes, in f64, for the operators of `torch.rs`.

    python torch_expected.py > torch_expected.rs

Numbers are those of the engine's `testing::signed`, rounded to f32, by the name CASE.TENSOR. Maps are channels-last here and there; only
inside a case they are turned for PyTorch.
"""

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "parity"))

import fill  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

CORNERS = [-9.0, -3.0, -1.0, -0.25, 0.0, 0.5, 3.0, 6.0, 9.0]


def number(name, shape):
    flat = fill.signed(name, math.prod(shape)).astype("float32").astype("float64")
    return torch.from_numpy(flat).reshape(shape)


def first(x):
    """Channels-last to channels-first."""
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def pool(kind, **settings):
    return lambda x: last(kind(first(x), **settings))


def resize(size, **settings):
    return lambda x: last(F.interpolate(first(x), size=size, **settings))


def convolution(padding, **settings):
    return lambda x, weight, bias: last(F.conv2d(F.pad(first(x), padding), weight, bias, **settings))


def batch_norm(training):
    def run(x, weight, bias, mean, variance):
        return last(F.batch_norm(first(x), mean, variance, weight, bias, training, 0.1, 1e-3))

    return run


WINDOW = dict(kernel_size=3, stride=2, padding=1, ceil_mode=True)
CASES = {
    "conv_odd": (dict(x=(1, 5, 4, 2), weight=(3, 2, 3, 2), bias=(3,)), convolution((2, 1, 1, 0), stride=(2, 1), dilation=(1, 2))),
    "conv_groups": (dict(x=(1, 4, 3, 4), weight=(4, 2, 3, 3), bias=(4,)), convolution((1, 1, 1, 1), stride=(2, 1), groups=2)),
    "conv_depthwise": (dict(x=(1, 3, 4, 2), weight=(4, 1, 3, 3), bias=(4,)), convolution((1, 1, 1, 1), stride=(1, 2), groups=2)),
    "max_pool": (dict(halves=(1, 6, 5, 2)), pool(F.max_pool2d, **WINDOW)),
    "average_pool_inside": (dict(x=(1, 6, 5, 2)), pool(F.avg_pool2d, count_include_pad=False, **WINDOW)),
    "average_pool_with_padding": (dict(x=(1, 6, 5, 2)), pool(F.avg_pool2d, count_include_pad=True, **WINDOW)),
    "adaptive_3_2": (dict(x=(1, 5, 7, 2)), pool(F.adaptive_avg_pool2d, output_size=(3, 2))),
    "adaptive_7_4": (dict(x=(1, 5, 7, 1)), pool(F.adaptive_avg_pool2d, output_size=(7, 4))),
    "batch_norm": (dict(x=(2, 2, 3, 3), weight=(3,), bias=(3,), mean=(3,), variance=(3,)), batch_norm(True)),
    "batch_norm_running": (dict(x=(2, 2, 3, 3), weight=(3,), bias=(3,), mean=(3,), variance=(3,)), batch_norm(False)),
    "layer_norm": (dict(x=(2, 2, 4), weight=(4,), bias=(4,)), lambda x, w, b: F.layer_norm(x, (4,), w, b, 1e-3)),
    "instance_norm": (dict(x=(2, 5, 3), weight=(3,), bias=(3,)), lambda x, w, b: last(F.group_norm(first(x), 3, w, b, 1e-3))),
    "group_norm": (dict(x=(2, 5, 6), weight=(6,), bias=(6,)), lambda x, w, b: last(F.group_norm(first(x), 2, w, b, 1e-3))),
    "softmax": (dict(x=(3, 4)), lambda x: F.softmax(x, -1)),
    "relu": (dict(corners=(9,)), F.relu),
    "relu6": (dict(corners=(9,)), F.relu6),
    "gelu": (dict(corners=(9,)), F.gelu),
    "gelu_tanh": (dict(corners=(9,)), lambda x: F.gelu(x, approximate="tanh")),
    "silu": (dict(corners=(9,)), F.silu),
    "hard_swish": (dict(corners=(9,)), F.hardswish),
    "hard_sigmoid": (dict(corners=(9,)), F.hardsigmoid),
    "bilinear_5_7": (dict(x=(1, 3, 4, 1)), resize((5, 7), mode="bilinear", align_corners=False)),
    "bilinear_2_3": (dict(x=(1, 3, 5, 2)), resize((2, 3), mode="bilinear", align_corners=False)),
    "nearest_5_7": (dict(x=(1, 3, 4, 1)), resize((5, 7), mode="nearest")),
    "nearest_2_3": (dict(x=(1, 3, 5, 2)), resize((2, 3), mode="nearest")),
}


def tensor(case, name, shape):
    value = torch.tensor(CORNERS, dtype=torch.float64) if name == "corners" else number(f"{case}.{name}", shape)
    if name == "halves":  # many equal numbers
        value = torch.round(value * 2) / 2
    if name == "variance":
        value = 1 + value / 2
        value = value.float().double()
    return value


def rust(values):
    return ", ".join(repr(float(f"{value:.14g}") + 0.0) for value in values.flatten().tolist())


print("//! Made by `torch_expected.py` with PyTorch; do not edit.\n")
print("/// A case's outputs, and what is left in each tensor: its gradient, or for running statistics the value after the step.")
print("pub struct Expected {\n    pub name: &'static str,\n    pub output: &'static [f64],\n    pub left: &'static [(&'static str, &'static [f64])],\n}\n")
print("#[rustfmt::skip]\npub const EXPECTED: &[Expected] = &[")
for case, (shapes, function) in CASES.items():
    tensors = {name: tensor(case, name, shape) for name, shape in shapes.items()}
    for name, value in tensors.items():
        value.requires_grad_(name not in ("mean", "variance"))
    output = function(*tensors.values())
    output.backward(number("cotangent.0", output.shape))
    left = [(name, value.grad if value.requires_grad else value) for name, value in tensors.items()]
    print(f'    Expected {{\n        name: "{case}",\n        output: &[{rust(output.detach())}],\n        left: &[')
    for name, value in left:
        print(f'            ("{name}", &[{rust(value)}]),')
    print("        ],\n    },")
print("];")
