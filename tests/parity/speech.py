"""Writes what transformers computes for formula-filled networks for speech: expected/speech_NAME.json, which the Rust parity test compares with.

    python speech.py [NAME…]

Needs torch and transformers; the test itself needs neither.
"""

import json
import re
import sys
from pathlib import Path

import fill
import numpy as np
import torch
import torch.nn.functional as F
import transformers
from transformers import HubertConfig, HubertForCTC, HubertForSequenceClassification
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC, Wav2Vec2ForSequenceClassification

DIGITS = 9
CLASSES = 3
SAMPLES = [420, 300]
TARGETS = [[3, 5, 5, 2], [4, 1]]
# Every dropout is there and off, as in evaluation; frames are neither masked nor layers dropped.
_BASE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8, 10, 12],
    "conv_kernel": [10, 3, 2],
    "conv_stride": [5, 2, 2],
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 7,
    "classifier_proj_size": 9,
    "ctc_loss_reduction": "mean",
    "apply_spec_augment": False,
    "layerdrop": 0.0,
    "pad_token_id": 0,
}
_STABLE = {**_BASE, "do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True, "num_conv_pos_embeddings": 7}
# Name, configuration, classes with a layer of CTC and with a classifier, whether padding is masked.
NETWORKS = {
    "wav2vec2_base": (Wav2Vec2Config(**_BASE), Wav2Vec2ForCTC, Wav2Vec2ForSequenceClassification, False),
    "wav2vec2_large": (Wav2Vec2Config(**_STABLE), Wav2Vec2ForCTC, Wav2Vec2ForSequenceClassification, True),
    "hubert_base": (HubertConfig(**_BASE, feat_proj_layer_norm=False), HubertForCTC, HubertForSequenceClassification, False),
    # As published: frames are normed before they are projected.
    "hubert_normed": (HubertConfig(**_BASE, feat_proj_layer_norm=True), HubertForCTC, HubertForSequenceClassification, False),
    "hubert_large": (HubertConfig(**_STABLE, feat_proj_layer_norm=True), HubertForCTC, HubertForSequenceClassification, True),
}


def rounded(value):
    return float(f"{value:.{DIGITS}g}")


def numbers(values):
    return [rounded(value) for value in values.detach().flatten().tolist()]


def bare(model, name):
    """A parameter's name without the encoder's prefix."""
    return name.removeprefix(model.base_model_prefix + ".")


def weight(name, shape):
    """As fill.tensor; the two parts of a normed weight are filled as weights are."""
    if re.search(r"original[01]$", name):
        bound = np.sqrt(3.0 * 2.0 / np.prod(shape[1:]))
        return (fill.signed(name, int(np.prod(shape))) * bound).astype(np.float32).reshape(shape)
    return fill.tensor(name, shape)


def filled(config, kind):
    config._attn_implementation = "eager"
    config.num_labels = CLASSES
    model = kind(config)
    with torch.no_grad():
        for key, value in model.named_parameters():
            if not key.endswith("masked_spec_embed"):
                value.copy_(torch.from_numpy(weight(bare(model, key), tuple(value.shape))))
    return model.eval().double()


def batch():
    """Two recordings; what is beyond the second's end is zero."""
    waves = np.zeros((len(SAMPLES), max(SAMPLES)))
    mask = np.zeros((len(SAMPLES), max(SAMPLES)), dtype=np.int64)
    for row, count in enumerate(SAMPLES):
        waves[row, :count] = fill.signed(f"waves.{row}", count).astype(np.float32)
        mask[row, :count] = 1
    return torch.from_numpy(waves), torch.from_numpy(mask)


def gradients(model):
    found = {}
    for key, parameter in model.named_parameters():
        if key.endswith("masked_spec_embed"):
            assert parameter.grad is None
            continue
        gradient = parameter.grad.flatten()
        probe = torch.from_numpy(fill.signed(f"probe.{bare(model, key)}", len(gradient)))
        found[bare(model, key)] = [rounded(gradient.norm().item()), rounded(torch.dot(gradient, probe).item())]
    return found


def reference(name):
    config, ctc, classifier, is_masked = NETWORKS[name]
    waves, mask = batch()
    inputs = {"attention_mask": mask} if is_masked else {}
    model = filled(config, ctc)
    model.config.ctc_zero_infinity = False
    encoder = getattr(model, model.base_model_prefix)
    stages = {}

    def keep(stage, module):
        module.register_forward_hook(lambda _, __, output: stages.__setitem__(stage, output))

    keep("features", encoder.feature_extractor)
    keep("projection", encoder.feature_projection)
    output = model(waves, **inputs, output_hidden_states=True)
    features = stages["features"].transpose(1, 2)
    projected = stages["projection"]
    projected = projected[0] if isinstance(projected, tuple) else projected
    frames = model._get_feat_extract_output_lengths(torch.tensor(SAMPLES)).tolist()
    labels = torch.full((len(TARGETS), max(map(len, TARGETS))), -100)
    for row, target in enumerate(TARGETS):
        labels[row, : len(target)] = torch.tensor(target)
    # transformers computes this loss in f32; here it is the same in f64.
    log_probabilities = F.log_softmax(output.logits, -1).transpose(0, 1)
    lengths = frames if is_masked else [output.logits.shape[1]] * len(SAMPLES)
    targets = torch.tensor([symbol for target in TARGETS for symbol in target])
    loss = F.ctc_loss(log_probabilities, targets, torch.tensor(lengths), torch.tensor([len(t) for t in TARGETS]), blank=0)
    theirs = model(waves, **inputs, labels=labels).loss.item()
    assert abs(theirs - loss.item()) < 1e-5, (theirs, loss.item())
    loss.backward()
    of_ctc = gradients(model)

    other = filled(config, classifier)
    logits = other(waves, **inputs).logits
    classes = torch.arange(len(SAMPLES)) * 2 % CLASSES
    cross_entropy = F.cross_entropy(logits, classes)
    cross_entropy.backward()
    return {
        "format": 1,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "config": json.loads(config.to_json_string(use_diff=False)),
        "is_masked": is_masked,
        "samples": SAMPLES,
        "frames": frames,
        "lengths": lengths,
        "features": [numbers(row) for row in features],
        "projection": [numbers(row) for row in projected] if not is_masked else [],
        "hidden": [[numbers(row) for row in values] for values in output.hidden_states],
        "targets": TARGETS,
        "logits": numbers(output.logits),
        "loss": rounded(loss.item()),
        "gradients": of_ctc,
        "classes": classes.tolist(),
        "class_logits": numbers(logits),
        "class_loss": rounded(cross_entropy.item()),
        "class_gradients": gradients(other),
    }


def main():
    for name in sys.argv[1:] or NETWORKS:
        found = reference(name)
        text = json.dumps(found, separators=(",", ":"))
        (Path(__file__).parent / "expected" / f"speech_{name}.json").write_text(text + "\n")
        deviations = [np.std(stage) for stage in found["hidden"]]
        print(name, len(text), "bytes; frames", found["frames"], "deviations", np.round(deviations, 2), np.std(found["features"][0]), "loss", found["loss"])


if __name__ == "__main__":
    main()
