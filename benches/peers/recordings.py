"""Networks for speech and the Audio Spectrogram Transformer beside transformers, in one run.

    cargo build --release --workspace --example bench_recordings
    python benches/peers/recordings.py target/release/examples/bench_recordings [--rounds 3] [--only inference,inference4,…] [--work FOLDER]

Needs torch and transformers. Both sides open the same folders, with base networks of random weights (kept in FOLDER, if it is given), run the same numbers in
f32 on the same threads, attention by `scaled_dot_product_attention`; their first logits must agree. In each round every measurement is made on both
sides in turn, each in a process of its own. Rates are seconds of sound a second, or clips; prints medians, and the medians of the rounds' ratios. On a busy
machine the ratio by processor time, with --threads 1, is the one to trust: nobody waits for a thread that another program keeps from running.

| measurement | what |
|---|---|
| inference, inference4 | wav2vec2-base, 10 seconds, batch 1 and 4 |
| lengths | wav2vec2-base, 16 lengths up to 15 seconds, one at a time |
| ctc | CTC step (AdamW), 4 × 5 seconds, convolutions frozen but computed in each step, as `freeze_feature_encoder` does |
| ctc-cached | the same where `tk` has remembered what they make, beside the same step of transformers |
| ast, ast8 | AST-base, training step (AdamW) of 4 and of 8 clips of 10 seconds |
| ast-inference | AST-base, 4 clips |

Dropout acts in training on both sides, at the rates of wav2vec2-base; layers are not dropped and frames not masked, which `tk` does not do.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Network, work, batch, seconds.
MEASUREMENTS = {
    "inference": ("speech", "inference", 1, 10),
    "inference4": ("speech", "inference", 4, 10),
    "lengths": ("speech", "lengths", 16, 15),
    "ctc": ("speech", "ctc", 4, 5),
    "ctc-cached": ("speech", "ctc-cached", 4, 5),
    "ast": ("ast", "training", 4, 10),
    "ast8": ("ast", "training", 8, 10),
    "ast-inference": ("ast", "inference", 4, 10),
}


def networks(place):
    """Saves the two networks, unless they are there."""
    import torch
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification, Wav2Vec2Config, Wav2Vec2ForCTC

    torch.manual_seed(0)
    if not (place / "speech").exists():
        rates = {"attention_dropout": 0.1, "hidden_dropout": 0.1, "activation_dropout": 0.0, "feat_proj_dropout": 0.1, "final_dropout": 0.0}
        Wav2Vec2ForCTC(Wav2Vec2Config(layerdrop=0.0, apply_spec_augment=False, **rates)).save_pretrained(place / "speech")
    if not (place / "ast").exists():
        ASTForAudioClassification(ASTConfig(num_labels=50)).save_pretrained(place / "ast")
        ASTFeatureExtractor().save_pretrained(place / "ast")


def tones(count):
    import torch

    place = torch.arange(count, dtype=torch.float64)
    return ((0.05 * place).sin() + 0.5 * (0.31 * place).sin() + 0.25 * (1.7 * place).sin()).float()


def pace(step):
    """Seconds of a step in the median, and what it has of processors in the mean, after one that is not counted."""
    step()
    times, processor = [], time.process_time()
    while sum(times) < 4.0 or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2], (time.process_time() - processor) / len(times)


def peer(folder, work, batch, seconds, threads):
    """transformers' side of a measurement."""
    import torch
    from transformers import ASTForAudioClassification, Wav2Vec2ForCTC

    torch.set_num_threads(threads)
    is_speech = json.load(open(f"{folder}/config.json"))["model_type"] == "wav2vec2"
    kind = Wav2Vec2ForCTC if is_speech else ASTForAudioClassification
    model = kind.from_pretrained(folder, attn_implementation="sdpa").eval()
    samples = int(seconds * 16000)
    shape = (samples,) if is_speech else (model.config.max_length, model.config.num_mel_bins)

    def inputs(count):
        if is_speech:
            return tones(samples).repeat(count, 1)
        # Ours are [bins, frames].
        return tones(count * math.prod(shape)).reshape(count, shape[1], shape[0]).transpose(1, 2).contiguous()

    with torch.inference_mode():
        logits = model(inputs(1)).logits.flatten()[:32].tolist()
    if work == "inference":
        x = inputs(batch)
        with torch.inference_mode():
            amount, taken = batch, pace(lambda: model(x))
    elif work == "lengths":
        waves = [tones(samples * part // batch - 7 * part)[None] for part in range(1, batch + 1)]
        with torch.inference_mode():
            amount, taken = sum(wave.numel() for wave in waves) / samples, pace(lambda: [model(wave) for wave in waves])
    else:
        x = inputs(batch)
        model.train()
        if is_speech:
            model.freeze_feature_encoder()
            frames = model._get_feat_extract_output_lengths(torch.tensor(samples)).item()
            target = (1 + torch.arange(frames // 4) % (model.config.vocab_size - 1)).repeat(batch, 1)
            loss = lambda: model(x, labels=target).loss
        else:
            loss = lambda: model(x).logits.sum() * 1e-3
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5, weight_decay=0.01)

        def step():
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

        amount, taken = batch, pace(step)
    amount *= seconds if is_speech else 1
    return {"per_second": amount / taken[0], "per_processor_second": amount / taken[1], "logits": logits}


def told(command):
    """The JSON object that a command prints last."""
    output = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
    return json.loads(output.strip().splitlines()[-1])


def check(name, ours, theirs):
    size = max(abs(value) for value in theirs)
    worst = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    if worst > 1e-3 * size:
        sys.exit(f"{name}: logits differ by {worst:.2g}, of at most {size:.2g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(MEASUREMENTS))
    parser.add_argument("--work")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(arguments.work or temporary)
        networks(place)
        rows = {name: [] for name in arguments.only.split(",")}
        for _ in range(arguments.rounds):
            for name, row in rows.items():
                network, work, batch, seconds = MEASUREMENTS[name]
                words = [place / network, work, batch, seconds, arguments.threads]
                ours = told([arguments.program, *words])
                theirs = told([sys.executable, __file__, "peer", *words])
                check(name, ours["logits"], theirs["logits"])
                row.append([(ours[unit], theirs[unit]) for unit in ("per_second", "per_processor_second")])
    print("| work | tk | transformers | ratio | its least and greatest | ratio by processor time |\n|---|---|---|---|---|---|")
    for name, row in rows.items():
        by_clock, by_processor = ([a / b for a, b in pairs] for pairs in zip(*row))
        mine, theirs = (statistics.median(pairs[0][side] for pairs in row) for side in (0, 1))
        span = f"{min(by_clock):.2f}–{max(by_clock):.2f}"
        ratios = [statistics.median(ratios) for ratios in (by_clock, by_processor)]
        print(f"| {name} | {mine:.3g} | {theirs:.3g} | {ratios[0]:.2f}× | {span} | {ratios[1]:.2f}× |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        folder, work, *numbers = sys.argv[2:]
        print(json.dumps(peer(folder, work, *map(int, numbers))))
    else:
        main()
