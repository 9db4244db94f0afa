"""Writes the PyTorch files of this folder (torch 2.15; any later version serves): python make.py

The values are written down again in ../open_tests.rs.
"""

import os
from collections import OrderedDict

import torch

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool]


def weights():
    base = torch.arange(24.0).reshape(2, 3, 4)
    return OrderedDict(
        [
            ("transposed", base[0].t()),
            ("window", base[1, 1:, 1:3]),
            ("shared", base),
            ("parameter", torch.nn.Parameter(torch.tensor([0.5, -1.5]))),
            ("channels_last", torch.arange(16.0).reshape(1, 2, 2, 4).to(memory_format=torch.channels_last)),
            ("scalar", torch.tensor(7)),
            ("empty", torch.zeros(0, 3)),
        ]
    )


class Call:
    def __reduce__(self):
        return os.system, ("echo this must never be printed",)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(2, 2)


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    torch.save(weights(), "zip.pth")
    torch.save(weights(), "twenty_one_characters.pth")
    torch.save(weights(), "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({str(d).removeprefix("torch."): torch.tensor([1, 0, 1]).to(d) for d in DTYPES}, "dtypes.pth")
    net = torch.nn.Linear(2, 1)
    torch.nn.init.constant_(net.weight, 0.25)
    torch.nn.init.constant_(net.bias, 2.0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    state = {"module." + name: value for name, value in net.state_dict().items()}
    nested = {"epoch": 3, "best": 0.5, "state_dict": state, "optimizer": optimizer.state_dict(), 7: None}
    torch.save(nested, "nested.pth")
    torch.save({"weights": torch.ones(1), "hook": Call()}, "code.pth")
    torch.save(Net(), "whole.pth")
