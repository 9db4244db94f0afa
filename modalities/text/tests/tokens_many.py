"""Expected token numbers of 10,000 texts for every kind of tokenizer, as digests, and the small SentencePiece models for them.

    python tokens_many.py models       writes tokens/: a vocabulary as MPNet's, two SentencePiece models
    python tokens_many.py expected     writes tokens/many.json: what transformers makes of the texts

`tokens_many.rs` compares. The texts come from generators that it has as well: odd ones as in `tokens.py`, and rows of words from a list.
What is expected of XLM-RoBERTa's, CamemBERT's and MPNet's files is what transformers' classes of these names make of them; of DeBERTa's, what
its converter makes (the class of version 5 leaves out the model's map of characters). Made with transformers 5.23.0, tokenizers 0.23.3,
sentencepiece 0.2.3.
"""

import json
import pathlib
import random
import sys
import tempfile

from tokens import MASK64, PARTICULAR, encode, mix, odd

FOLDER = pathlib.Path(__file__).parent / "tokens"
COUNT = 10_000
# Texts of one digest.
BLOCK = 100
# Texts whose numbers are kept too.
SHOWN = 12
SYLLABLES = {
    "latin": ["ta", "ri", "no", "vel", "sta", "ing", "er", "é", "ko", "ün", "pra", "mo", "lis", "qu"],
    "greek": ["κα", "λο", "ση", "με", "τρο", "ία"],
    "cyrillic": ["ра", "но", "сти", "пре", "во", "ый"],
    "han": ["東", "京", "学", "習", "転", "移", "大"],
    "arabic": ["كتا", "ب", "مد", "ين", "ة"],
}


def words():
    """A list of made-up words of several scripts, common ones first."""
    draw = random.Random(5)
    found = ["the", "of", "and", "is", "a", "don't", "1,234.5", "2024", "(see", "x_1)", "e-mail", "Größe", "NAÏVE", "Tokyo,"]
    while len(found) < 240:
        syllables = SYLLABLES[draw.choice(["latin"] * 6 + list(SYLLABLES)[1:])]
        word = "".join(draw.choice(syllables) for _ in range(draw.randint(1, 4)))
        word = draw.choice([word, word, word, word.title(), word + draw.choice([".", ",", "!", "?", "'s"])])
        if word not in found:
            found.append(word)
    return found


def row(index, list_of_words):
    """The row of words of a number: up to sixteen, common ones more often."""
    counter = index * 1000 + 500

    def below(bound):
        nonlocal counter
        counter += 1
        return mix(mix(counter) + 2) % bound

    return " ".join(list_of_words[below(1 + below(len(list_of_words)))] for _ in range(1 + below(16)))


def texts(list_of_words):
    """Particular texts, then odd ones and rows of words in turn; every seventh has the next one as its second."""
    found = PARTICULAR + [odd(at) if at % 2 else row(at, list_of_words) for at in range(COUNT - len(PARTICULAR))]
    return [(text, found[(at + 1) % len(found)] if at % 7 == 0 else None) for at, text in enumerate(found)]


def rules():
    """A small map of characters: wide letters, ligatures, odd spaces, what is not seen, composed accents."""
    found = [(0xFF01 + at, [0x21 + at]) for at in range(94)]
    found += [(space, [0x20]) for space in (0x9, 0xA, 0xD, 0xA0, 0x2003, 0x3000)] + [(unseen, []) for unseen in (0x200B, 0xFEFF, 0x202E)]
    found += [(0xFB01, [0x66, 0x69]), (0x2026, [0x2E] * 3), (0xBD, [0x31, 0x2044, 0x32]), (0x2460, [0x31])]
    lines = [f"{source:X}\t{' '.join(f'{target:X}' for target in targets)}" for source, targets in found]
    return "\n".join(lines + ["65 301\tE9", "45 301\tC9"]) + "\n"


def models():
    import sentencepiece

    list_of_words = words()
    with tempfile.TemporaryDirectory() as place:
        corpus, map_of_characters = pathlib.Path(place, "corpus.txt"), pathlib.Path(place, "rules.tsv")
        corpus.write_text("\n".join(row(at, list_of_words) for at in range(20_000, 24_000)) + "\n")
        map_of_characters.write_text(rules())
        for name, settings in [
            ("fairseq.model", {}),
            ("deberta.model", {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "pad_piece": "[PAD]", "bos_piece": "[CLS]",
                               "eos_piece": "[SEP]", "unk_piece": "[UNK]", "user_defined_symbols": ["x_1"]}),
        ]:
            sentencepiece.SentencePieceTrainer.train(
                input=str(corpus), model_prefix=str(pathlib.Path(place, "made")), vocab_size=420, hard_vocab_limit=False,
                normalization_rule_tsv=str(map_of_characters), character_coverage=1.0, num_threads=1, minloglevel=2, **settings)
            (FOLDER / name).write_bytes(pathlib.Path(place, "made.model").read_bytes())
    bert = (FOLDER / "vocab.txt").read_text().split()
    (FOLDER / "vocab_mpnet.txt").write_text("\n".join(["<s>", "<pad>", "</s>", "<unk>", *bert, "<mask>"]) + "\n")


def deberta(place, config):
    """What the converter makes of DeBERTa's model."""
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import DebertaV2Converter

    class Slow:
        vocab_file = str(pathlib.Path(place, "spm.model"))
        do_lower_case = config.get("do_lower_case", False)
        split_by_punct = config.get("split_by_punct", False)

        @staticmethod
        def convert_tokens_to_ids(token):
            return {"[CLS]": 1, "[SEP]": 2}[token]

    names = {key: AddedToken(f"[{key[:-6].upper()}]", normalized=False, special=True)
             for key in ("pad_token", "cls_token", "sep_token", "unk_token", "mask_token")}
    return PreTrainedTokenizerFast(tokenizer_object=DebertaV2Converter(Slow).converted(),
                                   model_input_names=["input_ids", "token_type_ids"], **names)


def digest(encoded):
    """A number of 64 bits for the numbers of some texts."""
    bits = 0
    for ids, types in encoded:
        bits = mix(bits ^ len(ids))
        for token, kind in zip(ids, types):
            bits = mix(bits ^ (2 * token + kind))
    return f"{bits:016x}"


def expected():
    from transformers import BertTokenizer, CamembertTokenizer, MPNetTokenizer, RobertaTokenizer, XLMRobertaTokenizer

    list_of_words = words()
    pairs = texts(list_of_words)
    bpe = {"vocab.json": "vocab.json", "merges.txt": "merges.txt"}
    cases = []
    for name, maker, files, config, model in [
        ("WordPiece", BertTokenizer, {"vocab.txt": "vocab.txt"}, {}, "electra"),
        ("MPNet's WordPiece", MPNetTokenizer, {"vocab.txt": "vocab_mpnet.txt"}, {}, "mpnet"),
        ("byte-level BPE", RobertaTokenizer, bpe, {}, "roberta"),
        ("XLM-RoBERTa's SentencePiece", XLMRobertaTokenizer, {"sentencepiece.bpe.model": "fairseq.model"}, {}, "xlm-roberta"),
        ("CamemBERT's SentencePiece", CamembertTokenizer, {"sentencepiece.bpe.model": "fairseq.model"}, {}, "camembert"),
        ("DeBERTa's SentencePiece", None, {"spm.model": "deberta.model"}, {}, "deberta-v2"),
        ("DeBERTa's SentencePiece, lower case", None, {"spm.model": "deberta.model"},
         {"do_lower_case": True, "split_by_punct": True}, "deberta-v2"),
    ]:
        with tempfile.TemporaryDirectory() as place:
            for file, stored in files.items():
                pathlib.Path(place, file).write_bytes((FOLDER / stored).read_bytes())
            pathlib.Path(place, "tokenizer_config.json").write_text(json.dumps(config))
            tokenizer = maker.from_pretrained(place) if maker else deberta(place, config)
            encoded = encode(tokenizer, pairs, 512)
        shown = [encoded[at] for at in range(len(PARTICULAR), len(PARTICULAR) + SHOWN)]
        unknown = sum(ids.count(tokenizer.unk_token_id) for ids, _ in encoded) / sum(len(ids) for ids, _ in encoded)
        print(f"{name}: {unknown:.0%} of the tokens are unknown; {shown[1][0][:12]}")
        cases.append({"name": name, "files": files, "config": config, "model_type": model, "shown": shown,
                      "digests": [digest(encoded[at:at + BLOCK]) for at in range(0, COUNT, BLOCK)]})
    found = {"words": list_of_words, "particular": PARTICULAR, "cases": cases}
    (FOLDER / "many.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    {"models": models, "expected": expected}[sys.argv[1]]()
