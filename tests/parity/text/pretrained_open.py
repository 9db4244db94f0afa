"""Small encoders of every family, saved by transformers as they are pretrained and published: `tk embed` must give what transformers computes.

    python pretrained_open.py TK MINILM TEXTS [--keep FOLDER]

Each is saved as safetensors and as `pytorch_model.bin`, under the names of its pretraining class, with the files of its tokenizer that are published (`vocab.txt`, `vocab.json` and
`merges.txt`, a SentencePiece model, `tokenizer.json`). MINILM's folder gives the words of WordPiece; the other tokenizers are trained on TEXTS, one on each line. Needs torch, transformers and sentencepiece.
Prints for each the largest difference of the mean over a text's last hidden states; `--keep` leaves the folders.
"""

import argparse
import contextlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import sentencepiece
import tokenizers
import torch
import transformers as published

SHOWN = 20
NARROW = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128}


def word_piece(minilm, _, folder):
    shutil.copy(minilm / "vocab.txt", folder)
    return {"do_lower_case": True, "model_max_length": 512}


def mpnet_words(minilm, _, folder):
    words = (minilm / "vocab.txt").read_text().split("\n")
    words = ["<s>", "<pad>", "</s>", "[UNK]", *(word for word in words if word not in ("", "[PAD]", "[UNK]")), "<mask>"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    return {"do_lower_case": True, "tokenizer_class": "MPNetTokenizer"}


def sentence_piece(file, **marks):
    def write(_, texts, folder):
        sentencepiece.SentencePieceTrainer.train(input=str(texts), model_prefix=str(folder / "pieces"), vocab_size=2000, model_type="unigram", minloglevel=2, **marks)
        (folder / "pieces.model").rename(folder / file)
        (folder / "pieces.vocab").unlink()
        return {"model_max_length": 512, "do_lower_case": False}

    return write


def learn_byte_pairs(texts, marks):
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.train([str(texts)], tokenizers.trainers.BpeTrainer(vocab_size=2000, special_tokens=marks, initial_alphabet=made.pre_tokenizer.alphabet()))
    return made


def roberta_byte_pairs(_, texts, folder):
    learn_byte_pairs(texts, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]).model.save(str(folder))
    return {"model_max_length": 512}


def byte_pairs(_, texts, folder):
    marks = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    made = learn_byte_pairs(texts, marks)
    made.post_processor = tokenizers.processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    named = {f"{mark[1:-1].lower()}_token": mark for mark in marks}
    published.PreTrainedTokenizerFast(tokenizer_object=made, **named).save_pretrained(folder)


XLM_PIECES = sentence_piece("sentencepiece.bpe.model", unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
DEBERTA_PIECES = sentence_piece("spm.model", pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]")
BY_DISTANCE = {"relative_attention": True, "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False}
ENCODERS = [
    ("BertForPreTraining", {"vocab_size": 30522, **NARROW}, word_piece),
    ("DistilBertForMaskedLM", {"vocab_size": 30522, "dim": 64, "n_layers": 3, "n_heads": 4, "hidden_dim": 128}, word_piece),
    ("ElectraForPreTraining", {"vocab_size": 30522, "embedding_size": 32, **NARROW}, word_piece),
    ("MPNetForMaskedLM", {"vocab_size": 30527, **NARROW}, mpnet_words),
    ("RobertaForMaskedLM", {"vocab_size": 2000, "max_position_embeddings": 514, "type_vocab_size": 1, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, **NARROW}, roberta_byte_pairs),
    ("XLMRobertaForMaskedLM", {"vocab_size": 2002, "max_position_embeddings": 514, "type_vocab_size": 1, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, **NARROW}, XLM_PIECES),
    ("DebertaV2ForMaskedLM", {"vocab_size": 2100, "type_vocab_size": 0, **BY_DISTANCE, **NARROW}, DEBERTA_PIECES),
    ("ModernBertForMaskedLM", {"vocab_size": 2000, "pad_token_id": 3, "cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1, "eos_token_id": 2, **NARROW}, byte_pairs),
]


def save(name, settings, tokenizer, minilm, texts, folder):
    """The network in both forms of its weights."""
    torch.manual_seed(0)
    network = getattr(published, name)
    network = network(network.config_class(**settings))
    with torch.no_grad():
        for parameter in network.parameters():
            # Biases and norms that are not what they begin with.
            parameter.add_(0.05 * torch.randn_like(parameter))
    network.save_pretrained(folder)
    if told := tokenizer(minilm, texts, folder):
        (folder / "tokenizer_config.json").write_text(json.dumps(told))
    other = folder.with_name(f"{name}.bin")
    shutil.copytree(folder, other)
    (other / "model.safetensors").unlink()
    torch.save(network.state_dict(), other / "pytorch_model.bin")
    return folder, other


def means(folder, texts):
    tokenizer, network = published.AutoTokenizer.from_pretrained(folder), published.AutoModel.from_pretrained(folder).eval()
    takes = {"input_ids", "attention_mask"} | ({"token_type_ids"} if getattr(network.config, "type_vocab_size", 0) > 1 else set())
    found = []
    for text in texts:
        encoded = tokenizer(text, truncation=True, return_tensors="pt")
        with torch.no_grad():
            found.append(network(**{key: value for key, value in encoded.items() if key in takes}).last_hidden_state[0].mean(0).numpy())
    return np.stack(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tk")
    parser.add_argument("minilm", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    published.logging.set_verbosity_error()
    texts = [line for line in arguments.texts.read_text().splitlines() if line.strip()][:SHOWN]
    with contextlib.ExitStack() as stack:
        root = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name, settings, tokenizer in ENCODERS:
            folders = save(name, settings, tokenizer, arguments.minilm, arguments.texts, root / name)
            expected = means(folders[0], texts)
            for folder in folders:
                out = root / "embeddings.npy"
                subprocess.run([arguments.tk, "embed", folder, "-", "--out", out], input="\n".join(texts), text=True, check=True, capture_output=True)
                apart = np.abs(np.load(out) - expected).max() / np.abs(expected).max()
                print(f"{folder.name}: {apart:.1e}", flush=True)
                assert apart < 1e-5


if __name__ == "__main__":
    main()
