"""Expected token numbers, by the published tokenizers in Python.

    python tokens.py small SST2        writes tokens/: two small vocabularies, and what transformers makes of odd texts with them
    python tokens.py big SST2 MODEL OUT    writes OUT: 10,000 texts and their numbers by the tokenizer in the folder MODEL

`tokens.rs` compares. The odd texts come from a generator that `tokens.rs` has as well. Made with transformers 5.23.0, tokenizers 0.23.3.
"""

import json
import pathlib
import sys

MASK64 = (1 << 64) - 1

# The first and last character of each kind of text.
KINDS = [
    (0x00, 0x1F), (0x20, 0x7E), (0x61, 0x7A), (0x7F, 0xA0), (0xA1, 0x17F), (0x300, 0x36F), (0x590, 0x5FF), (0x600, 0x6FF),
    (0x900, 0x97F), (0xE00, 0xE7F), (0x2000, 0x206F), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFE00, 0xFE0F),
    (0xFFF0, 0xFFFD), (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF), (0xE0020, 0xE007F), (0x1E900, 0x1E943),
]

# What no generator would think of.
PARTICULAR = [
    "", " ", "\t\r\n", "a" * 5000, "x" * 100, "x" * 101, "[CLS] a [SEP] [MASK] b [UNK]", "<s> a</s> <mask> b <unk>",
    "e\u0301 \u00e9 E\u0301", "\U0001F469\u200D\U0001F469\u200D\U0001F467 \u2764\uFE0F", "\u202Eabc \u05E9\u05DC\u05D5\u05DD", "a\0b",
    "\uFB01 \u1E9E \u0130 \u01C5", "don't CAN'T I'LL we've", "##ing ing##", "\u6771\u4EAC Tokyo\u3000x", "  two  spaces  ",
    "a\u00A0b\u2003c\u200Bd\uFEFFe", "\uFFFD\uFFFF", "1,234.5 (a-b)/c_d @e #f",
]


def mix(bits):
    """tk_engine::random::mix."""
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK64
    return bits ^ (bits >> 31)


def odd(index):
    """The odd text of a number: up to twelve runs of up to eight characters of one kind, some with a space before."""
    counter = index * 1000

    def below(bound):
        nonlocal counter
        counter += 1
        return mix(mix(counter) + 1) % bound

    text = ""
    for _ in range(below(13)):
        first, last = KINDS[below(len(KINDS))]
        if below(3) > 0:
            text += " "
        for _ in range(1 + below(8)):
            text += chr(first + below(last - first + 1))
    return text


def pairs(texts, every):
    """Each text, and every so-and-so-many-th with the next one as second text."""
    return [(text, texts[(at + 1) % len(texts)] if at % every == 0 else None) for at, text in enumerate(texts)]


def encode(tokenizer, texts, max_length):
    encoded = []
    for text, second in texts:
        # As batches of one, because an empty second text alone counts as none.
        second = None if second is None else [second]
        found = tokenizer([text], second, truncation=True, max_length=max_length)
        ids = found["input_ids"][0]
        encoded.append([ids, found["token_type_ids"][0] if "token_type_ids" in found else [0] * len(ids)])
    return encoded


def sentences(sst2, count):
    lines = pathlib.Path(sst2, "train.tsv").read_text(encoding="utf-8").split("\n")
    return [line.rsplit("\t", 1)[0] for line in lines if line][:count]


def small(sst2):
    import tempfile

    import tokenizers
    from transformers import BertTokenizer, RobertaTokenizer

    folder = pathlib.Path(__file__).parent / "tokens"
    corpus = sentences(sst2, 600)
    words = tokenizers.BertWordPieceTokenizer(lowercase=False)
    words.train_from_iterator([text.title() if at % 3 == 0 else text for at, text in enumerate(corpus)], vocab_size=400,
                              show_progress=False)
    words.save_model(str(folder))
    pieces = tokenizers.ByteLevelBPETokenizer()
    pieces.train_from_iterator(corpus, vocab_size=420, show_progress=False,
                               special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    pieces.save_model(str(folder))

    texts = pairs(PARTICULAR + corpus[:20] + [odd(index) for index in range(80)], 5)
    cases = []
    for name, maker, files, config in [
        ("WordPiece", BertTokenizer, ["vocab.txt"], {}),
        ("cased WordPiece", BertTokenizer, ["vocab.txt"],
         {"do_lower_case": False, "tokenize_chinese_chars": False, "strip_accents": True, "model_max_length": 20}),
        ("byte-level BPE", RobertaTokenizer, ["vocab.json", "merges.txt"], {"model_max_length": 40}),
        ("byte-level BPE with a space before", RobertaTokenizer, ["vocab.json", "merges.txt"],
         {"add_prefix_space": True, "model_max_length": 24,
          "mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "rstrip": False, "normalized": False,
                         "single_word": False}}),
    ]:
        with tempfile.TemporaryDirectory() as place:
            for file in files:
                pathlib.Path(place, file).write_bytes((folder / file).read_bytes())
            pathlib.Path(place, "tokenizer_config.json").write_text(json.dumps(config))
            tokenizer = maker.from_pretrained(place)
            encoded = encode(tokenizer, texts, config.get("model_max_length", 512))
        cases.append({"name": name, "files": files, "config": config, "encoded": encoded})
    (folder / "expected.json").write_text(json.dumps({"texts": texts, "cases": cases}, separators=(",", ":")) + "\n")


def big(sst2, model, out):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    texts = PARTICULAR + sentences(sst2, 5000)
    texts += [odd(index) for index in range(10_000 - len(texts))]
    texts = pairs(texts, 7)
    with open(out, "w", encoding="utf-8") as file:
        for (text, second), (ids, types) in zip(texts, encode(tokenizer, texts, 512)):
            file.write(json.dumps({"text": text, "second": second, "ids": ids, "types": types}) + "\n")


if __name__ == "__main__":
    {"small": small, "big": big}[sys.argv[1]](*sys.argv[2:])
