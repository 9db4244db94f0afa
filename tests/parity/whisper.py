"""Writes what transformers computes for a formula-filled encoder of Whisper with a classifier: expected/audio_whisper.json, which the Rust parity test
compares with.

    python whisper.py

Needs torch and transformers; the test needs neither. The fields are those of audio.py: outputs of stages, logits, and the loss and gradients of one
training step, in f64, to 9 digits. Embeddings of places are not trained, so they have no gradient.
"""

import json
from pathlib import Path

import fill
import torch
import torch.nn.functional as F
import transformers
from transformers import WhisperConfig, WhisperForAudioClassification

CONFIG = {
    "model_type": "whisper",
    "d_model": 24,
    "encoder_layers": 3,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 40,
    "num_mel_bins": 10,
    "max_source_positions": 11,
    "activation_function": "gelu",
    "classifier_proj_size": 9,
    "use_weighted_layer_sum": False,
    "id2label": {"0": "a", "1": "b", "2": "c"},
}
BATCH = 2
DIGITS = 9


def rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def numbers(values: torch.Tensor) -> list[float]:
    return [rounded(value) for value in values.flatten().tolist()]


def bare(name: str) -> str:
    return name.removeprefix("encoder.")


def filled() -> WhisperForAudioClassification:
    """The network with every parameter filled by its name, embeddings of places like biases."""
    options = {name: value for name, value in CONFIG.items() if name not in ("model_type", "id2label")}
    small = {"vocab_size": 8, "decoder_layers": 1, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    model = WhisperForAudioClassification(WhisperConfig(**options, **small, num_labels=3, attn_implementation="sdpa"))
    with torch.no_grad():
        for name, value in model.named_parameters():
            shape = tuple(value.shape)
            if name.endswith("embed_positions.weight"):
                values = (0.1 * fill.signed(bare(name), value.numel())).astype("float32").reshape(shape)
            else:
                values = fill.tensor(bare(name), shape)
            value.copy_(torch.from_numpy(values))
    return model.double().eval()


def main() -> None:
    model = filled()
    bins, frames = CONFIG["num_mel_bins"], 2 * CONFIG["max_source_positions"]
    # Ours is [batch, frames, bins], theirs [batch, bins, frames].
    ours = fill.signed("spectrogram", BATCH * bins * frames).astype("float32").reshape(BATCH, frames, bins)
    inputs = torch.from_numpy(ours).double().transpose(1, 2)
    output = model(inputs, output_hidden_states=True)
    labels = torch.arange(BATCH) % 3
    loss = F.cross_entropy(output.logits, labels)
    loss.backward()
    gradients = {}
    for name, parameter in model.named_parameters():
        if name.endswith("embed_positions.weight"):
            assert parameter.grad is None
            continue
        gradient = parameter.grad.flatten()
        probe = torch.from_numpy(fill.signed(f"probe.{bare(name)}", len(gradient)))
        gradients[bare(name)] = [rounded(gradient.norm().item()), rounded(torch.dot(gradient, probe).item())]
    # As ours, transformers' last state is behind the norm.
    hidden = list(output.hidden_states)
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
    path = Path(__file__).parent / "expected" / "audio_whisper.json"
    path.write_text(json.dumps(found, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes; deviations", [round(deviation, 2) for deviation in deviations])


main()
