"""Few sentences: probes and contrastive fine-tuning beside words alone (TF-IDF and logistic regression), several draws.

    cargo build --release --bin tk
    python benches/peers/few.py TK SST2 --model NAME_OR_FOLDER ... [--mode features contrastive] [--size 50 200 1000] [--seeds 5] [--each] [--threads 2]

Needs scikit-learn. SST2 is a folder with train.tsv and test.tsv (`sentence TAB label`). Each seed draws so many sentences (with `--each` so many of every class) from train.tsv,
the same for all; each answer is scored on test.tsv. `words` counts words and pairs of words, weighed by TF-IDF with sublinear counts, before a logistic regression whose strength
five folds choose, as `tk` chooses that of its probe. Prints a line for each draw, then means and deviations.
"""

import argparse
import json
import random
import statistics
import subprocess
import tempfile
from pathlib import Path


def read(file):
    return [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]


def words(drawn, test):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline

    chosen = LogisticRegressionCV(Cs=[0.01, 0.1, 1, 10, 100, 1000], cv=5, scoring="accuracy", max_iter=2000, l1_ratios=(0,), use_legacy_attributes=False)
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), chosen)
    model.fit([text for text, _ in drawn], [label for _, label in drawn])
    return model.score([text for text, _ in test], [label for _, label in test])


def ours(arguments, model, mode, table, seed, folder):
    command = [arguments.tk, "text-classify", table, "--mode", mode, "--val", "none", "--test", arguments.sst2 / "test.tsv", "--seed", seed]
    command += ["--out", folder, "--threads", arguments.threads, *(["-m", model] if model else [])]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    return json.loads((folder / "summary.json").read_text())["test"]["accuracy"]


def draw(rows, size, each, seed):
    order = random.Random(seed).sample(rows, len(rows))
    classes = sorted({label for _, label in rows})
    return [row for label in classes for row in [row for row in order if row[1] == label][:size]] if each else order[:size]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tk")
    parser.add_argument("sst2", type=Path)
    parser.add_argument("--model", nargs="+", required=True, help="`` is the embedded default")
    parser.add_argument("--mode", nargs="+", default=["features"])
    parser.add_argument("--size", nargs="+", type=int, default=[50, 200, 1000])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--each", action="store_true", help="sizes are of each class")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    train, test = (read(arguments.sst2 / f"{part}.tsv") for part in ("train", "test"))
    for size in arguments.size:
        scores = {}
        for seed in range(arguments.seeds):
            drawn = draw(train, size, arguments.each, seed)
            line = {"words": words(drawn, test)}
            with tempfile.TemporaryDirectory() as temporary:
                table = Path(temporary) / "drawn.tsv"
                table.write_text("".join(f"{text}\t{label}\n" for text, label in drawn), encoding="utf-8")
                for model in arguments.model:
                    for mode in arguments.mode:
                        name = f"{Path(model).name or 'embedded'} {mode}"
                        line[name] = ours(arguments, model, mode, table, seed, Path(temporary) / f"run-{len(line)}")
            print(json.dumps({"size": size, "seed": seed, **{name: round(score, 4) for name, score in line.items()}}), flush=True)
            for name, score in line.items():
                scores.setdefault(name, []).append(score)
        for name, all_ in scores.items():
            print(f"{size:5} {name:40} {statistics.mean(all_):.3f} ± {statistics.stdev(all_) if len(all_) > 1 else 0:.3f}", flush=True)


if __name__ == "__main__":
    main()
