"""Writes recordings/: a piece of a spoken digit in every format that is read, and recordings.json: what other programs make of them.

    python recordings.py FSDD       the recordings of the Free Spoken Digit Dataset; numpy, soundfile 0.14, av 18

For each file recordings.json has the rate, the number of samples and every 13th of them as libsndfile decodes it, M4A as FFmpeg does.
Broken files are made of these by the test.
"""

import io
import json
import sys
from pathlib import Path

import av
import numpy as np
import soundfile

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "recordings"
EVERY = 13

# What is written of how many samples, with libsndfile's names. The name of the MP3 lies, as names do.
WRITTEN = {
    "speech.flac": (1000, "FLAC", "PCM_16"),
    "speech.ogg": (1000, "OGG", "VORBIS"),
    "speech_mp3.wav": (1000, "MP3", "MPEG_LAYER_III"),
    "u8.wav": (40, "WAV", "PCM_U8"),
    "i16.wav": (40, "WAV", "PCM_16"),
    "i24.wav": (40, "WAV", "PCM_24"),
    "i32.wav": (40, "WAV", "PCM_32"),
    "f32.wav": (40, "WAV", "FLOAT"),
    "f64.wav": (40, "WAV", "DOUBLE"),
    "ulaw.wav": (40, "WAV", "ULAW"),
    "extensible.wav": (40, "WAVEX", "PCM_24"),
}


def write_m4a(path: Path, samples: np.ndarray, rate: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=rate)
        stream.layout = "mono"
        stream.bit_rate = 16000
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = rate
        for packet in stream.encode(frame) + stream.encode(None):
            container.mux(packet)


def decode(path: Path) -> tuple[np.ndarray, int]:
    if path.suffix == ".m4a":
        with av.open(str(path)) as container:
            blocks = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
            return np.concatenate(blocks), container.streams.audio[0].rate
    # From memory, so that the name says nothing.
    return soundfile.read(io.BytesIO(path.read_bytes()), dtype="float32")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    samples, rate = soundfile.read(Path(sys.argv[1]) / "3_jackson_0.wav", dtype="int16")
    samples = samples[600:1600]
    # Floats are not scaled by libsndfile when they are written from integers.
    floats = samples / np.float64(32768)
    for name, (count, kind, subtype) in WRITTEN.items():
        with open(FOLDER / name, "wb") as file:
            written = floats if subtype in ("FLOAT", "DOUBLE") else samples
            soundfile.write(file, written[:count], rate, format=kind, subtype=subtype)
    write_m4a(FOLDER / "speech.m4a", samples, rate)
    # The first channel has no sound.
    dead = np.stack([np.zeros(40, np.int16), samples[:40]], axis=1)
    soundfile.write(FOLDER / "dead_channel.wav", dead, rate, subtype="PCM_16")
    soundfile.write(FOLDER / "one_sample.wav", samples[:1], rate, subtype="PCM_16")
    decoded = {}
    for path in sorted(FOLDER.glob("*.*")):
        found, found_rate = decode(path)
        found = found if found.ndim == 1 else found[:, 1]
        values = [round(float(value), 6) for value in found[::EVERY]]
        decoded[path.name] = {"rate": found_rate, "length": len(found), "values": values}
        print(path.name, path.stat().st_size, found_rate, len(found))
    (HERE / "recordings.json").write_text(json.dumps(decoded, separators=(",", ":")) + "\n")


main()
