"""Writes the names and shapes of timm's parameters as digests: expected/parameters.json.

    python parameters.py                 # all networks
    python parameters.py --list vgg16    # the lines behind one network's digest, to compare with a failing test

Needs timm and torchvision; the tests that read the file need neither. The networks are those of the file as it stands, plus any named as
arguments. A line is `NAME AXIS,AXIS…`; the digest is the 64-bit FNV-1a hash of the sorted lines, each with its line end.
`num_batches_tracked` is left out: it counts batches and nothing computes with it.
"""

import argparse
import json
import math
from pathlib import Path

import timm
import torchvision

import fill

FILE = Path(__file__).parent / "expected" / "parameters.json"
CLASSES = 10

# Networks whose published weights have names of torchvision's own.
TORCHVISION = [
    "vgg11",
    "vgg16",
    "vgg16_bn",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "efficientnet_b1",
    "convnext_tiny",
    "vit_b_16",
]


def tensors(network: dict) -> dict:
    """The shapes of a network, `{"name": …, "model_args": …}`, by parameter name."""
    model = timm.create_model(network["name"], num_classes=CLASSES, **network.get("model_args", {}))
    state = model.state_dict()
    return {name: value.shape for name, value in state.items() if not name.endswith("num_batches_tracked")}


def lines(shapes: dict) -> list[str]:
    """The sorted lines that the digest is made of."""
    return sorted(f"{name} {','.join(map(str, shape))}" for name, shape in shapes.items())


def described(network: dict) -> dict:
    """The network with its count of tensors, its count of numbers and its digest."""
    shapes = tensors(network)
    digest = fill.fnv1a("".join(line + "\n" for line in lines(shapes)))
    return {
        "name": network["name"],
        **({"model_args": network["model_args"]} if "model_args" in network else {}),
        "tensors": len(shapes),
        "numbers": sum(math.prod(shape) for shape in shapes.values()),
        "digest": f"{digest:016x}",
    }


def torchvision_names(name: str) -> list[str]:
    """torchvision's names of a network's parameters, in its order."""
    state = getattr(torchvision.models, name)(weights=None).state_dict()
    return [name for name in state if not name.endswith("num_batches_tracked")]


def main() -> None:
    """Rewrites the file, or prints one network's lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", metavar="NAME")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(lines(tensors({"name": arguments.list}))))
        return
    known = json.loads(FILE.read_text())["networks"] if FILE.exists() else []
    known += [{"name": name} for name in arguments.names if name not in {network["name"] for network in known}]
    file = {
        "format": 1,
        "classes": CLASSES,
        "versions": {"timm": timm.__version__, "torchvision": torchvision.__version__},
        "torchvision": {name: " ".join(torchvision_names(name)) for name in TORCHVISION},
        "networks": [described(network) for network in known],
    }
    # One network a line: a change then shows as the line of that network.
    rows = ",\n    ".join(json.dumps(network) for network in file.pop("networks"))
    head = json.dumps(file, indent=1)[:-2]
    FILE.write_text(f'{head},\n "networks": [\n    {rows}\n]}}\n')


if __name__ == "__main__":
    main()
