"""Writes what transformers computes for formula-filled encoders: ../expected/text_NAME.json, which the Rust parity test compares with.

    python reference.py [NAME…]          # bert, electra and so on; no name: all of them

Needs torch and transformers; the test itself needs neither. The fields are described in README.md.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoModelForTokenClassification

sys.path.append(str(Path(__file__).parent.parent))
import fill  # noqa: E402

CLASSES = 3
LENGTHS = [9, 5]
TOKENS = 40
DIGITS = 9
# Narrow, of two or three layers; positions for 12 tokens. Every dropout is there and off, as in evaluation.
_BERT = {
    "vocab_size": TOKENS,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 40,
    "max_position_embeddings": 12,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
_ROBERTA = {
    **_BERT,
    "num_hidden_layers": 2,
    "max_position_embeddings": 14,
    "type_vocab_size": 1,
    "hidden_act": "gelu_new",
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
}
CONFIGS = {
    "bert": _BERT,
    "distilbert": {
        "vocab_size": TOKENS,
        "dim": 16,
        "n_layers": 2,
        "n_heads": 4,
        "hidden_dim": 40,
        "max_position_embeddings": 12,
        "activation": "gelu",
        "pad_token_id": 0,
    },
    "roberta": _ROBERTA,
    "xlm-roberta": {**_ROBERTA, "hidden_act": "gelu", "num_attention_heads": 4},
    "camembert": {**_ROBERTA, "hidden_act": "gelu", "hidden_size": 12},
    "mpnet": {**_ROBERTA, "hidden_act": "gelu", "num_attention_heads": 4},
    # Heads of 12 channels: transformers rounds the root of three times as many to f32, and that of 36 is exact.
    "deberta-v2": {
        **_BERT,
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "type_vocab_size": 0,
        "layer_norm_eps": 1e-7,
        "relative_attention": True,
        "position_buckets": 4,
        "max_relative_positions": -1,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "pooler_dropout": 0,
        "pooler_hidden_act": "gelu",
    },
    # Two layers see all, two see two tokens to either side.
    "modernbert": {
        "vocab_size": TOKENS,
        "hidden_size": 16,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 12,
        "local_attention": 4,
        "classifier_pooling": "mean",
        **{f"{kind}_token_id": 0 for kind in ("pad", "bos", "eos", "cls", "sep")},
    },
    "electra": {**_BERT, "num_hidden_layers": 2, "embedding_size": 8},
}


def rounded(value: float) -> float:
    """The number with as many significant digits as the files keep."""
    return float(f"{value:.{DIGITS}g}")


def numbers(values: torch.Tensor) -> list[float]:
    """The entries in order, rounded."""
    return [rounded(value) for value in values.flatten().tolist()]


def bare(model: torch.nn.Module, name: str) -> str:
    """A parameter's name without the encoder's prefix, as the encoder alone has it and the generator is seeded with."""
    return name.removeprefix(model.base_model_prefix + ".")


def filled(config: dict, name: str, kind: type = AutoModelForSequenceClassification) -> torch.nn.Module:
    """A classifier whose parameters are those of the generator."""
    settings = AutoConfig.for_model(name, num_labels=CLASSES, **config)
    # ModernBERT's eager attention rounds shares to f32.
    attention = "sdpa" if name == "modernbert" else "eager"
    model = kind.from_config(settings, attn_implementation=attention)
    with torch.no_grad():
        for key, value in model.named_parameters():
            value.copy_(torch.from_numpy(fill.tensor(bare(model, key), tuple(value.shape))))
    return model.eval()


def exact_rotation() -> None:
    """Makes ModernBERT turn queries and keys in f64, where transformers rounds angles and results to f32."""
    from transformers.models.modernbert import modeling_modernbert as module

    def angles(self, x, positions, kind):
        half = self.config.hidden_size // self.config.num_attention_heads // 2
        speeds = self.config.rope_parameters[kind]["rope_theta"] ** -(torch.arange(half, dtype=x.dtype) / half)
        both = (positions[..., None].to(x.dtype) * speeds).repeat(1, 1, 2)
        return both.cos(), both.sin()

    def turn(query, key, cos, sin, unsqueeze_dim=1):
        cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
        return tuple(x * cos + module.rotate_half(x) * sin for x in (query, key))

    module.ModernBertRotaryEmbedding.forward = angles
    module.apply_rotary_pos_emb = turn


def batch(name: str) -> dict[str, torch.Tensor]:
    """Two texts of different lengths, padded on the right; the second text of each pair begins after the third token."""
    padding = CONFIGS[name]["pad_token_id"]
    longest = max(LENGTHS)
    tokens = torch.full((len(LENGTHS), longest), padding)
    types = torch.zeros_like(tokens)
    mask = torch.zeros_like(tokens)
    for text, length in enumerate(LENGTHS):
        for position in range(length):
            tokens[text, position] = 2 + (7 * position + 11 * text) % (TOKENS - 2)
            types[text, position] = int(position > 3)
            mask[text, position] = 1
    inputs = {"input_ids": tokens, "attention_mask": mask}
    return {**inputs, "token_type_ids": types} if name in ("bert", "electra") else inputs


def reference(name: str) -> dict:
    """Everything the parity test of an encoder compares with."""
    model = filled(CONFIGS[name], name).double()
    inputs = batch(name)
    output = model(**inputs, output_hidden_states=True)
    hidden, mask = output.hidden_states, inputs["attention_mask"].bool()
    for stage, values in enumerate(hidden):
        deviation = values[mask].std().item()
        assert 0.1 <= deviation <= 10.0, f"{name}, hidden state {stage}: deviation {deviation:.3g} is outside 0.1 to 10"
    labels = torch.arange(len(LENGTHS)) * 2 % CLASSES
    loss = F.cross_entropy(output.logits, labels)
    loss.backward()
    gradients = {}
    for key, parameter in model.named_parameters():
        gradient = parameter.grad.flatten()
        probe = torch.from_numpy(fill.signed(f"probe.{bare(model, key)}", len(gradient)))
        gradients[bare(model, key)] = [rounded(gradient.norm().item()), rounded(torch.dot(gradient, probe).item())]
    weights = mask / mask.sum(1, keepdim=True)
    with torch.no_grad():
        of_tokens = filled(CONFIGS[name], name, AutoModelForTokenClassification).double()(**inputs).logits
    return {
        "format": 1,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "config": json.loads(model.config.to_json_string(use_diff=False)),
        "lengths": LENGTHS,
        "tokens": inputs["input_ids"].tolist(),
        "token_types": inputs.get("token_type_ids", torch.zeros_like(inputs["input_ids"])).tolist(),
        "hidden": [[numbers(values[text, :length]) for text, length in enumerate(LENGTHS)] for values in hidden],
        "mean": numbers((weights.unsqueeze(1).double() @ hidden[-1]).squeeze(1)),
        "labels": labels.tolist(),
        "logits": numbers(output.logits),
        "token_logits": [numbers(of_tokens[text, :length]) for text, length in enumerate(LENGTHS)],
        "loss": rounded(loss.item()),
        "gradients": gradients,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("encoders", nargs="*", metavar="NAME", help=f"of {', '.join(CONFIGS)}; default: all")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.encoders) - set(CONFIGS))
    if unknown:
        parser.error(f"unknown encoder {unknown[0]}; there are {', '.join(CONFIGS)}")
    exact_rotation()
    folder = Path(__file__).parent.parent / "expected"
    for name in arguments.encoders or CONFIGS:
        found = reference(name)
        text = json.dumps(found, separators=(",", ":"))
        (folder / f"text_{name}.json").write_text(text + "\n")
        print(f"{name}: {len(text)} bytes; logits {found['logits'][:3]}; loss {found['loss']:.4f}")


if __name__ == "__main__":
    main()
