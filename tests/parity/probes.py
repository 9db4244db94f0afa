"""Writes what scikit-learn makes of real features: expected/probes.json.

    python probes.py                     # fits again on the features that the file has
    python probes.py --features F.csv    # with new ones, of `tk image-classify --demo --size 64 --out R` and `tk embed small R/demo -o F.csv`

Needs scikit-learn. The features are those of the drawn photographs, 64 of the embedded default's, in 32nds as bytes, so that every machine reads the
same; the classes have 40, 30, 20, 12 and 8 samples. Every fourth sample is held out. What is learned from is standardised by `StandardScaler`. Objectives are
computed from the fitted coefficients by their definition, in f64. Balanced weights are given for each sample: `class_weight="balanced"` of `LinearSVC` is
something else with more than two classes, because liblinear then weighs the one class and leaves the rest at 1.
"""

import argparse
import csv
import json
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.class_weight import compute_sample_weight

FILE = Path(__file__).parent / "expected" / "probes.json"
SAMPLES = [40, 30, 20, 12, 8]
WIDTH = 64
STRENGTHS = [0.0003, 0.01, 0.3]


def read(path: str) -> dict:
    """Features and labels of a table of `tk embed`."""
    rows = list(csv.reader(Path(path).read_text().splitlines()))[1:]
    names = sorted({row[0].split("/")[-2] for row in rows})
    values, labels = [], []
    for label, (name, count) in enumerate(zip(names, SAMPLES, strict=True)):
        members = sorted(row for row in rows if row[0].split("/")[-2] == name)[:count]
        values += [[float(value) for value in row[1 : 4 * WIDTH + 1 : 4]] for row in members]
        labels += [label] * len(members)
    return {"features": np.clip(np.round(32 * np.array(values)), 0, 255).astype(np.uint8).tobytes().hex(), "labels": labels}


def objective(scores: np.ndarray, rows: np.ndarray, y: np.ndarray, weights: np.ndarray, loss: str) -> tuple[float, float]:
    """The weighted sum of losses, and half the squared norm of what is penalised."""
    if loss == "softmax":
        shifted = scores - scores.max(1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(y)), y]
    else:
        signs = np.where(np.arange(scores.shape[1])[None] == y[:, None], 1.0, -1.0)
        losses = (np.maximum(0.0, 1.0 - signs * scores) ** 2).sum(1)
    return (weights * losses).sum(), 0.5 * (rows**2).sum()


def fitted(x: np.ndarray, y: np.ndarray, loss: str, strength: float, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and intercepts with a row for each class."""
    binary = y.max() == 1
    if loss == "softmax":
        # scikit-learn penalises one row of two classes where we penalise both, each half as long.
        c = 2 * strength if binary else strength
        model = LogisticRegression(C=c, tol=1e-12, max_iter=100_000).fit(x, y, weights)
        rows = [np.vstack([-v, v]) / 2 if binary else v for v in (model.coef_, model.intercept_[:, None])]
    else:
        model = LinearSVC(C=strength, tol=1e-12, max_iter=1_000_000, dual=False).fit(x, y, weights)
        rows = [np.vstack([-v, v]) if binary else v for v in (model.coef_, model.intercept_[:, None])]
    return rows[0], rows[1][:, 0]


def case(x: np.ndarray, y: np.ndarray, loss: str, strength: float, balanced: bool) -> dict:
    """One fit: the objective where it ended, and how many samples it gets right."""
    held = np.arange(len(y)) % 4 == 3
    scaler = StandardScaler().fit(x[~held])
    seen, unseen = scaler.transform(x[~held]), scaler.transform(x[held])
    weights = compute_sample_weight("balanced" if balanced else None, y[~held])
    coefficients, intercepts = fitted(seen, y[~held], loss, strength, weights)
    penalised = coefficients if loss == "softmax" else np.hstack([coefficients, intercepts[:, None]])
    scores = seen @ coefficients.T + intercepts
    total, norm = objective(scores, penalised, y[~held], weights, loss)
    return {
        "classes": int(y.max() + 1),
        "loss": loss,
        "strength": strength,
        "balanced": balanced,
        "objective": float(f"{strength * total + norm:.10g}"),
        "right": int((scores.argmax(1) == y[~held]).sum()),
        "held_right": int(((unseen @ coefficients.T + intercepts).argmax(1) == y[held]).sum()),
    }


def main() -> None:
    """Rewrites the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", metavar="F.csv")
    arguments = parser.parse_args()
    warnings.simplefilter("error", ConvergenceWarning)
    data = read(arguments.features) if arguments.features else json.loads(FILE.read_text())
    x = np.frombuffer(bytes.fromhex(data["features"]), np.uint8).reshape(-1, WIDTH) / 32.0
    y = np.array(data["labels"])
    file = {
        "format": 1,
        "versions": {"scikit-learn": sklearn.__version__},
        "width": WIDTH,
        "labels": y.tolist(),
        "features": data["features"],
    }
    cases = [
        case(x[y < classes], y[y < classes], loss, strength, balanced)
        for classes in (5, 2)
        for loss in ("softmax", "squared-hinge")
        for balanced in (False, True)
        for strength in STRENGTHS
    ]
    rows = ",\n    ".join(json.dumps(row) for row in cases)
    FILE.write_text(f'{json.dumps(file)[:-1]},\n "cases": [\n    {rows}\n]}}\n')


if __name__ == "__main__":
    main()
