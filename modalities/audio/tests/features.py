"""Writes features.json: what transformers' feature extractors compute of real recordings, for the test beside this program.

    python features.py FSDD       the recordings of the Free Spoken Digit Dataset

Recordings are taken as if they were at 16 kHz, so that resampling plays no part; some are repeated until they are longer than what is looked
at. Kept are a grid of values and the sum of all.
"""

import json
import sys
import wave
from pathlib import Path

import numpy as np
import transformers
from transformers import ASTFeatureExtractor, Wav2Vec2FeatureExtractor, WhisperFeatureExtractor

FILES = ["0_jackson_0.wav", "5_theo_12.wav", "9_lucas_30.wav"]
# Which extractor, its settings, how often the recording is repeated, and which rows and columns are kept.
SETTINGS = [
    (ASTFeatureExtractor, {"max_length": 128, "num_mel_bins": 128}, 1, [7, 9]),
    (ASTFeatureExtractor, {"max_length": 20, "num_mel_bins": 40, "mean": -5.0, "std": 3.0}, 1, [7, 9]),
    (ASTFeatureExtractor, {"max_length": 64, "num_mel_bins": 64, "do_normalize": False}, 1, [7, 9]),
    (WhisperFeatureExtractor, {"feature_size": 80, "chunk_length": 1}, 1, [9, 9]),
    (WhisperFeatureExtractor, {"feature_size": 128, "chunk_length": 1}, 5, [13, 9]),
    (WhisperFeatureExtractor, {"feature_size": 40, "chunk_length": 1, "n_fft": 512, "hop_length": 200}, 1, [9, 9]),
    (Wav2Vec2FeatureExtractor, {"do_normalize": True}, 1, [1, 97]),
    (Wav2Vec2FeatureExtractor, {"do_normalize": False}, 1, [1, 97]),
]


def samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert file.getsampwidth() == 2 and file.getnchannels() == 1
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768


def main() -> None:
    folder = Path(sys.argv[1])
    cases = []
    for kind, settings, repeat, steps in SETTINGS:
        extractor = kind(**settings)
        for name in FILES:
            sound = np.tile(samples(folder / name), repeat)
            out = extractor(sound, sampling_rate=16000, return_tensors="np")
            found = out["input_features" if kind is WhisperFeatureExtractor else "input_values"][0]
            found = np.atleast_2d(found)
            rows, columns = (range(0, size, step) for size, step in zip(found.shape, steps))
            cases.append({
                "settings": {"feature_extractor_type": kind.__name__, **settings},
                "file": name,
                "repeat": repeat,
                "shape": list(found.shape),
                "steps": steps,
                "sum": round(float(found.astype(np.float64).sum()), 4),
                "values": [[round(float(found[row, column]), 5) for column in columns] for row in rows],
            })
    text = json.dumps({"transformers": transformers.__version__, "cases": cases}, separators=(",", ":"))
    (Path(__file__).parent / "features.json").write_text(text + "\n")


main()
