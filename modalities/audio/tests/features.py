"""Writes features.json: what transformers' ASTFeatureExtractor computes of real recordings, for the test beside this program.

    python features.py FSDD       the recordings of the Free Spoken Digit Dataset

Recordings are taken as if they were at 16 kHz, so that resampling plays no part. Kept are a grid of values and the sum of all.
"""

import json
import sys
import wave
from pathlib import Path

import numpy as np
import transformers
from transformers import ASTFeatureExtractor

FILES = ["0_jackson_0.wav", "5_theo_12.wav", "9_lucas_30.wav"]
SETTINGS = [
    {"max_length": 128, "num_mel_bins": 128},
    {"max_length": 20, "num_mel_bins": 40, "mean": -5.0, "std": 3.0},
    {"max_length": 64, "num_mel_bins": 64, "do_normalize": False},
]


def samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert file.getsampwidth() == 2 and file.getnchannels() == 1
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768


def main() -> None:
    folder = Path(sys.argv[1])
    cases = []
    for settings in SETTINGS:
        extractor = ASTFeatureExtractor(**settings)
        for name in FILES:
            found = extractor(samples(folder / name), sampling_rate=16000, return_tensors="np")["input_values"][0]
            rows, columns = range(0, found.shape[0], 7), range(0, found.shape[1], 9)
            cases.append({
                "settings": settings,
                "file": name,
                "shape": list(found.shape),
                "sum": round(float(found.astype(np.float64).sum()), 4),
                "values": [[round(float(found[row, column]), 5) for column in columns] for row in rows],
            })
    text = json.dumps({"transformers": transformers.__version__, "cases": cases}, separators=(",", ":"))
    (Path(__file__).parent / "features.json").write_text(text + "\n")


main()
