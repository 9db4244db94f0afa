"""Writes what transformers computes for a formula-filled AST: expected/audio_ast.json, which the Rust parity test compares with.

    python audio.py

Needs torch and transformers; the test needs neither. The fields are those of text/README.md: outputs of stages, logits, and the loss and
gradients of one training step, in f64, to 9 digits.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from transformers import ASTConfig, ASTForAudioClassification

import fill

CONFIG = {
    "model_type": "audio-spectrogram-transformer",
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "patch_size": 8,
    "frequency_stride": 5,
    "time_stride": 6,
    "max_length": 33,
    "num_mel_bins": 21,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
    "qkv_bias": True,
    "id2label": {"0": "a", "1": "b", "2": "c"},
}
BATCH = 2
DIGITS = 9


def rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def numbers(values: torch.Tensor) -> list[float]:
    return [rounded(value) for value in values.flatten().tolist()]


# What transformers 5 calls parameters in memory, and what files have called them since the model was published.
NAMES = {
    ".layers.": ".encoder.layer.",
    ".attention.q_proj.": ".attention.attention.query.",
    ".attention.k_proj.": ".attention.attention.key.",
    ".attention.v_proj.": ".attention.attention.value.",
    ".attention.o_proj.": ".attention.output.dense.",
    ".mlp.fc1.": ".intermediate.dense.",
    ".mlp.fc2.": ".output.dense.",
}


def published(name: str) -> str:
    for ours, theirs in NAMES.items():
        name = name.replace(ours, theirs)
    return name


def filled() -> ASTForAudioClassification:
    """The network with every parameter filled by its name: embeddings of tokens and places like biases. `sdpa`, for eager attention has
    its softmax in f32 whatever the rest is."""
    options = {name: value for name, value in CONFIG.items() if name not in ("model_type", "id2label")}
    model = ASTForAudioClassification(ASTConfig(**options, num_labels=3, attn_implementation="sdpa"))
    with torch.no_grad():
        for live, value in model.named_parameters():
            name = published(live)
            shape = tuple(value.shape)
            if name.endswith(("_token", "position_embeddings")):
                values = (0.1 * fill.signed(name, value.numel())).astype("float32").reshape(shape)
            else:
                values = fill.tensor(name, shape)
            value.copy_(torch.from_numpy(values))
    return model.double().eval()


def main() -> None:
    model = filled()
    bins, frames = CONFIG["num_mel_bins"], CONFIG["max_length"]
    # Ours is [batch, bins, frames, 1], theirs [batch, frames, bins].
    ours = fill.signed("spectrogram", BATCH * bins * frames).astype("float32").reshape(BATCH, bins, frames)
    inputs = torch.from_numpy(ours).double().transpose(1, 2)
    output = model(inputs, output_hidden_states=True)
    labels = torch.arange(BATCH) % 3
    loss = F.cross_entropy(output.logits, labels)
    loss.backward()
    gradients = {}
    for live, parameter in model.named_parameters():
        name = published(live)
        gradient = parameter.grad.flatten()
        probe = torch.from_numpy(fill.signed(f"probe.{name}", len(gradient)))
        gradients[name] = [rounded(gradient.norm().item()), rounded(torch.dot(gradient, probe).item())]
    hidden = list(output.hidden_states)
    # Ours ends the last layer in the features.
    tokens = model.audio_spectrogram_transformer.layernorm(hidden[-1])
    hidden[-1] = model.classifier.layernorm((tokens[:, 0] + tokens[:, 1]) / 2)
    deviations = [state.std().item() for state in hidden]
    assert all(0.1 <= deviation <= 10 for deviation in deviations), deviations
    found = {
        "config": CONFIG,
        "batch": BATCH,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "hidden": [numbers(state) for state in hidden],
        "logits": numbers(output.logits),
        "loss": rounded(loss.item()),
        "gradients": gradients,
    }
    path = Path(__file__).parent / "expected" / "audio_ast.json"
    path.write_text(json.dumps(found, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes; deviations", [round(deviation, 2) for deviation in deviations])


main()
