"""Writes what timm computes for formula-filled networks: expected/NAME.json, which the Rust parity tests compare with.

    python reference.py                        # those that are kept beside the tests: the smallest of each family, and variants
    python reference.py --all FOLDER           # every network of expected/parameters.json, into FOLDER
    python reference.py resnet18 mobilenetv2_050

Needs torch and timm; the tests themselves need neither. The fields are described in README.md.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F

import fill

CLASSES = 10
BATCH = 4
DIGITS = 9

# Those whose numbers are kept beside the tests.
KEPT = [
    "resnet18",
    "resnet18d",
    "resnet50",
    "vgg16",
    "vgg16_bn",
    "mobilenetv2_100",
    "mobilenetv2_050",
    "mobilenetv1_100h",
    "mobilenetv3_small_050",
    "efficientnet_b0",
    "inception_v3",
    "legacy_xception",
    "deit_tiny_patch16_224",
    "vit_small_patch14_dinov2",
    "convnext_atto",
    "convnext_tiny",
]


def stages(name: str, model: torch.nn.Module) -> list[str]:
    """The modules whose outputs are recorded: those that end our stages, in their order, up to the pool."""
    if name.startswith("resnet"):
        return ["maxpool", "layer1", "layer2", "layer3", "layer4"]
    if name.startswith("vgg"):
        pools = [index for index, layer in enumerate(model.features) if isinstance(layer, torch.nn.MaxPool2d)]
        return [*[f"features.{index}" for index in pools], "pre_logits"]
    if name.startswith("inception_v3"):
        return ["Pool2", *[f"Mixed_{part}" for part in "5b 5c 5d 6a 6b 6c 6d 6e 7a 7b 7c".split()]]
    if name.startswith("legacy_xception"):
        return ["act2", *[f"block{number}" for number in range(1, 13)], "act4"]
    if name.startswith(("vit", "deit")):
        return ["norm_pre", *[f"blocks.{index}" for index in range(len(model.blocks) - 1)], "norm"]
    if name.startswith("convnext"):
        return ["stem", *[f"stages.{index}" for index in range(4)]]
    # MobileNets and their kin; MobileNetV3's `conv_head` reads the pooled map.
    has_head = not isinstance(getattr(model, "conv_head", None), torch.nn.Identity)
    last = ["bn2"] if has_head and isinstance(getattr(model, "bn2", None), torch.nn.Module) else []
    return ["bn1", *[f"blocks.{index}" for index in range(len(model.blocks))], *last]


def of(name: str, by_prefix: dict, otherwise):
    """What a table says of a network: the entry of the longest of its keys that the name begins with."""
    fitting = [prefix for prefix in by_prefix if name.startswith(prefix)]
    return by_prefix[max(fitting, key=len)] if fitting else otherwise


# timm's arguments besides the count of classes. VGG's first hidden layer alone has 103 million weights: too many to fill,
# differentiate and probe in f64 in a test that is run often. A 32nd of its width has the same operators and names.
MODEL_ARGS = {
    "resnet18d": {"channels": [32, 64, 160, 288], "stem_width": 16},
    "vgg": {"mlp_ratio": 1 / 32},
    "vit": {"img_size": 64},
    "deit": {"img_size": 64},
    "vit_small_patch14_dinov2": {"img_size": 56},
    "vit_base_patch14_dinov2": {"img_size": 56},
    "convnext_tiny": {"depths": [1, 1, 2, 1], "dims": [24, 48, 96, 192]},
}

# Norms' weights times this. Without shortcuts the filled norms make numbers smaller with each layer; after depthwise and 1 × 1
# convolutions in a row, both filled as if a ReLU stood before them, numbers grow. Squeezing halves them.
NORM_GAIN = {
    "inception_v3": 1.375,
    "mobilenetv1": 1.375,
    "mobilenetv3_small": 1.375,
    "mobilenetv3_large": 1.25,
    "efficientnet": 1.4375,
    "efficientnet_b0": 1.5,
    "efficientnet_b3": 1.375,
    "legacy_xception": 0.75,
    "resnet101": 0.875,
    "resnet152": 0.875,
    "vgg19_bn": 1.125,
}

# Sides of the input pictures in pixels.
SIZE = 64
SIZES = {"inception_v3": 91, "vit_small_patch14_dinov2": 56, "vit_base_patch14_dinov2": 56}


def rounded(value: float) -> float:
    """The number with as many significant digits as the files keep."""
    return float(f"{value:.{DIGITS}g}")


def numbers(values: torch.Tensor) -> list[float]:
    """The entries in order, rounded."""
    return [rounded(value) for value in values.flatten().tolist()]


def filled(name: str) -> torch.nn.Module:
    """A timm network whose parameters and buffers are those of the generator."""
    model = timm.create_model(name, num_classes=CLASSES, **of(name, MODEL_ARGS, {}))
    state = model.state_dict()
    for key, value in state.items():
        if not key.endswith("num_batches_tracked"):
            filling = fill.tensor(key, tuple(value.shape))
            is_norm = key.endswith((".weight", ".gamma")) and value.ndim == 1
            value.copy_(torch.from_numpy(filling * np.float32(of(name, NORM_GAIN, 1.0)) if is_norm else filling))
    return model.eval()


def stage_outputs(model: torch.nn.Module, modules: list[str], inputs: torch.Tensor) -> tuple[torch.Tensor, dict]:
    """The logits, and each stage's output by its name."""
    outputs = {}
    hooks = [
        model.get_submodule(stage).register_forward_hook(lambda _, __, out, stage=stage: outputs.update({stage: out}))
        for stage in modules
    ]
    with torch.no_grad():
        logits = model(inputs)
    for hook in hooks:
        hook.remove()
    return logits, outputs


def check_filling(model: torch.nn.Module, modules: list[str], inputs: torch.Tensor) -> None:
    """Fails unless the filling preserves variance and every stage matters for the logits: else the test proves little."""
    logits, outputs = stage_outputs(model, modules, inputs)
    spread = (logits - logits.mean(0)).std().item()
    assert 1e-3 < spread, f"the logits hardly depend on the picture: their deviation over the batch is {spread:.1e}"
    for stage, output in outputs.items():
        deviation = output.std().item()
        assert 0.1 <= deviation <= 10.0, f"{stage}: deviation {deviation:.3g} is outside 0.1 to 10"
        push = torch.from_numpy(fill.signed(f"push.{stage}", output[0].numel())).reshape(output[0].shape)
        hook = model.get_submodule(stage).register_forward_hook(
            lambda _, __, out, push=push, scale=0.01 * deviation: out + scale * push
        )
        with torch.no_grad():
            change = (model(inputs) - logits).abs().max().item()
        hook.remove()
        assert change > 1e-4 * logits.abs().max().item(), f"{stage}: a push of 1 % moves the logits by {change:.1e} only"


def describe_stage(output: torch.Tensor) -> dict:
    """What is kept of a stage's output: shape, moments (population deviation) and a few entries of the flat NCHW order."""
    flat = output.flatten()
    positions = fill.sample_positions(len(flat))
    return {
        "shape": list(output.shape),
        "mean": rounded(flat.mean().item()),
        "std": rounded(flat.std(correction=0).item()),
        "at": positions,
        "values": numbers(flat[positions]),
    }


def step(model: torch.nn.Module, inputs: torch.Tensor, training: bool) -> dict:
    """Loss and gradients of one training step, batch-norm by running (`training` false) or by batch statistics."""
    model.train(training)
    model.zero_grad()
    labels = torch.arange(BATCH) * 3 % CLASSES
    logits = model(inputs)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    gradients = {}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad.flatten()
        probe = torch.from_numpy(fill.signed(f"probe.{name}", len(gradient)))
        gradients[name] = [rounded(gradient.norm().item()), rounded(torch.dot(gradient, probe).item())]
    described = {"loss": rounded(loss.item()), "logits": numbers(logits), "gradients": gradients}
    if training:
        buffers = {name: value for name, value in model.named_buffers() if value.is_floating_point()}
        described["running"] = {name: rounded(value.norm().item()) for name, value in buffers.items()}
    model.eval()
    return described


def reference(name: str) -> dict:
    """Everything the parity test of a network compares with."""
    model = filled(name)
    modules, size, norm_gain = stages(name, model), of(name, SIZES, SIZE), of(name, NORM_GAIN, None)
    single = torch.from_numpy(fill.image(BATCH, size))
    with torch.no_grad():
        single_logits = model(single)
    model = model.double()
    inputs = single.double()
    check_filling(model, modules, inputs)
    logits, outputs = stage_outputs(model, modules, inputs)
    with torch.no_grad():
        pooled = model.forward_head(model.forward_features(inputs), pre_logits=True)
    assert math.isfinite(logits.sum().item())
    return {
        "format": 1,
        "network": name,
        "model_args": of(name, MODEL_ARGS, {}),
        **({"norm_gain": norm_gain} if norm_gain else {}),
        "size": size,
        "batch": BATCH,
        "classes": CLASSES,
        "versions": {"torch": torch.__version__, "timm": timm.__version__},
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "logits": numbers(logits),
        "logits_f32_deviation": rounded((single_logits.double() - logits).abs().max().item()),
        "pooled": describe_stage(pooled),
        "stages": [{"module": module, **describe_stage(outputs[module])} for module in modules],
        "step_frozen_norm": step(model, inputs, training=False),
        "step_batch_norm": step(model, inputs, training=True),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NAME", help=f"default: {', '.join(KEPT)}")
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="write every network's numbers into this folder")
    arguments = parser.parse_args()
    beside = Path(__file__).parent / "expected"
    folder, names = arguments.all or beside, arguments.networks or KEPT
    if arguments.all:
        folder.mkdir(parents=True, exist_ok=True)
        names = [network["name"] for network in json.loads((beside / "parameters.json").read_text())["networks"]]
    for name in names:
        found = reference(name)
        text = json.dumps(found, separators=(",", ":"))
        assert arguments.all or len(text) < 60_000, f"{name}: {len(text)} bytes are too many to keep beside the test"
        (folder / f"{name}.json").write_text(text + "\n")
        deviations = " ".join(f"{stage['std']:.2f}" for stage in found["stages"])
        print(f"{name}: {len(text)} bytes; stage deviations {deviations}; loss {found['step_frozen_norm']['loss']:.4f}", flush=True)


if __name__ == "__main__":
    main()
