"""English sentences from Debian's dictionaries and books, a line each, for the embedded encoder of texts.

    apt-get download wordnet-base dict-gcide dict-foldoc dict-jargon dict-devil fortunes anarchism bible-kjv-text
    for package in *.deb; do dpkg-deb -x "$package" FILES; done
    python corpus.py FILES > CORPUS

WordNet gives definitions and examples, GCIDE (Webster's of 1913) definitions and quotations, fortunes sayings and jokes, the others prose. Lines
are whole sentences or definitions of 3 to 40 words, each once, in a fixed order that mixes sources.
"""

import gzip
import hashlib
import html
import re
import sys
from pathlib import Path

FILES = Path(sys.argv[1]) / "usr" / "share"
SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z])")


def sentences(text):
    for part in re.split(r"\n\s*\n", text):
        yield from SENTENCE.split(re.sub(r"\s+", " ", part).strip())


def wordnet():
    for file in sorted((FILES / "wordnet").glob("data.*")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if not line.startswith("  ") and "|" in line:
                gloss = line.split("|", 1)[1].strip()
                words = [word.replace("_", " ") for word in line.split()[4:4 + 2 * int(line.split()[3], 16):2]]
                definition = [part for part in re.split(r";\s*(?=\")|\"\s*;\s*", gloss)]
                plain = definition[0].strip().strip('"')
                yield plain
                yield f"{words[0]}: {plain}"
                yield from (example.strip().strip('"') for example in definition[1:])


def dictionary(name):
    text = gzip.decompress((FILES / "dictd" / f"{name}.dict.dz").read_bytes()).decode("utf-8", "replace")
    text = re.sub(r"\[[^\]]*\]|\{|\}", "", text)
    for sentence in sentences(text):
        yield re.sub(r"^(\d+\.|\([a-z]\)|--)\s*", "", sentence)


def fortunes():
    for file in sorted((FILES / "games" / "fortunes").rglob("*")):
        if file.is_file() and not file.suffix:
            for saying in file.read_text(encoding="utf-8", errors="replace").split("\n%\n"):
                yield from sentences(saying)


def books():
    for file in sorted((FILES / "doc").rglob("*")):
        if file.is_file() and (".html" in file.name or file.suffix == ".txt") and "changelog" not in file.name:
            data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
            yield from sentences(html.unescape(re.sub(r"<[^>]+>", " ", data.decode("utf-8", "replace"))))


def main():
    seen = {}
    for source in (wordnet(), dictionary("gcide"), dictionary("foldoc"), dictionary("jargon"), dictionary("devil"), fortunes(), books()):
        for sentence in source:
            sentence = re.sub(r"\s+", " ", sentence).strip()
            words = sentence.split(" ")
            letters = sum(character.isascii() and (character.isalpha() or character == " ") for character in sentence)
            if 3 <= len(words) <= 40 and letters > 0.85 * len(sentence) and len(sentence) < 300:
                seen.setdefault(sentence, hashlib.sha256(sentence.encode()).digest())
    for sentence in sorted(seen, key=seen.get):
        print(sentence)


main()
