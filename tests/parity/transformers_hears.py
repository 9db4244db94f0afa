"""Whether transformers opens a recogniser's folder and hears the same.

    python transformers_hears.py RUN RECORDINGS TK

RUN is a folder that `tk speech-finetune` left, or one that transformers wrote; RECORDINGS a folder of WAV files at the model's rate; TK the
program. Each recording goes through `tk predict RUN`, with and without --logits, and through transformers. Prints the largest difference of logits, relative
to the largest logit, and how many texts differ. Fails when a text differs, or logits by more than 1e-4.
"""

import json
import re
import subprocess
import sys

import soundfile
import torch
from transformers import AutoModelForCTC, AutoProcessor


def lines(*command: str) -> list[dict]:
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def main() -> None:
    run, recordings, tk = sys.argv[1:4]
    processor, model = AutoProcessor.from_pretrained(run), AutoModelForCTC.from_pretrained(run, dtype=torch.float32).eval()
    off, size, different = 0.0, 0.0, 0
    for said, frames in zip(lines(tk, "predict", run, recordings), lines(tk, "predict", run, recordings, "--logits"), strict=True):
        samples, rate = soundfile.read(said["file"], dtype="float32")
        inputs = processor(samples, sampling_rate=rate, return_tensors="pt")
        with torch.inference_mode():
            theirs = model(**inputs).logits
        ours = torch.tensor(frames["logits"])[None]
        size = max(size, theirs.abs().max().item())
        off = max(off, (ours - theirs).abs().max().item())
        # Left out only here: `skip_special_tokens` takes blanks away before repeats are joined, so that `three` becomes `thre`.
        text = processor.batch_decode(theirs.argmax(-1))[0]
        text = re.sub(r"<s>|</s>|<unk>|<pad>", "", text)
        different += " ".join(text.split()) != said["text"]
    print(f"largest logit {size:.2f}: differ by {off / size:.1e} of it at most; {different} texts differ")
    sys.exit(different > 0 or off > 1e-4 * size)


if __name__ == "__main__":
    main()
