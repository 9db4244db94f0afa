"""Opens a folder that we wrote with the tool that it is written for, and prints what that tool computes, as JSON.

    python open_with_peers.py FOLDER TEXT [TEXT…] [--base FOLDER]

A folder with adapter_config.json is opened with peft on the base that it names or that is given, one with modules.json with
sentence-transformers, any other with transformers' AutoModelForSequenceClassification. For each text: its `tokens` and `types`, and
its `outputs`, the logits or the embedding; and `hidden`, the last hidden state, flattened.
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer


def open_adapter(folder: Path, base: str | None) -> tuple[torch.nn.Module, str]:
    """The adapted classifier, and the folder of its tokenizer."""
    from peft import PeftModel
    from safetensors import safe_open

    base = base or json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    with safe_open(folder / "adapter_model.safetensors", "pt") as tensors:
        heads = [name for name in tensors.keys() if name.endswith(("classifier.weight", "out_proj.weight"))]
        last = min(heads, key=lambda name: "pre_classifier" in name)
        classes = tensors.get_slice(last).get_shape()[0]
    settings = AutoConfig.from_pretrained(base, num_labels=classes)
    model = AutoModelForSequenceClassification.from_pretrained(base, config=settings, ignore_mismatched_sizes=True)
    return PeftModel.from_pretrained(model, folder), base


def outputs(folder: Path, texts: list[str], base: str | None) -> list[dict]:
    """What the folder's tool says of each text."""
    encode = None
    if (folder / "adapter_config.json").exists():
        model, tokenizer = open_adapter(folder, base)
    elif (folder / "modules.json").exists():
        from sentence_transformers import SentenceTransformer

        model, tokenizer, encode = AutoModel.from_pretrained(folder), folder, SentenceTransformer(str(folder), device="cpu").encode
    else:
        model, loading = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
        tokenizer = folder
        assert not any(loading.values()), loading
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(tokenizer)
    found = []
    for text in texts:
        inputs = tokenizer(text, truncation=True, return_tensors="pt")
        with torch.no_grad():
            output = model(**inputs, output_hidden_states=True)
        found.append(
            {
                "tokens": inputs["input_ids"][0].tolist(),
                "types": inputs.get("token_type_ids", torch.zeros_like(inputs["input_ids"]))[0].tolist(),
                "hidden": output.hidden_states[-1].flatten().tolist(),
                "outputs": encode(text).tolist() if encode else output.logits[0].tolist(),
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("texts", nargs="+", metavar="TEXT")
    parser.add_argument("--base", help="the folder of an adapter's base")
    arguments = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        found = outputs(arguments.folder, arguments.texts, arguments.base)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
