"""Whether transformers opens runs on recordings with the same logits.

    python recordings_open.py make FOLDER                # small networks with random weights, one for each family
    python recordings_open.py check RUN RECORDINGS TK    # a run's folder, a folder of recordings, the program

`check` gives each recording to `tk predict RUN --logits` and to transformers' classifier with the run's feature extractor, without padding, and fails when a
tensor is missing or left over, or logits differ by more than 1e-4 of the largest.
"""

import json
import subprocess
import sys
from pathlib import Path

import soundfile
import torch
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    HubertConfig,
    HubertForSequenceClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

_LAYERS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
_SPEECH = {
    **_LAYERS,
    "conv_dim": [32, 32, 32],
    "conv_kernel": [10, 8, 4],
    "conv_stride": [5, 4, 4],
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 16,
    "initializer_range": 0.1,
}
_STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
_WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 48,
    "num_mel_bins": 32,
    "max_source_positions": 100,
    "classifier_proj_size": 16,
    "init_std": 0.1,
    "vocab_size": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}


def make(folder: Path) -> None:
    torch.manual_seed(3)
    ast = ASTConfig(**_LAYERS, max_length=64, num_mel_bins=32)
    for name, model, extractor in [
        ("ast", ASTForAudioClassification(ast), ASTFeatureExtractor(num_mel_bins=32, max_length=64)),
        ("wav2vec2", Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**_SPEECH)), Wav2Vec2FeatureExtractor()),
        ("hubert", HubertForSequenceClassification(HubertConfig(**_SPEECH, **_STABLE)), Wav2Vec2FeatureExtractor(return_attention_mask=True)),
        # The whole network: the decoder is passed over.
        ("whisper", WhisperForConditionalGeneration(WhisperConfig(**_WHISPER)), WhisperFeatureExtractor(feature_size=32, chunk_length=2)),
    ]:
        model.save_pretrained(folder / name)
        extractor.save_pretrained(folder / name)


def check(run: str, recordings: str, tk: str) -> bool:
    output = subprocess.run([tk, "predict", run, recordings, "--logits"], check=True, capture_output=True, text=True).stdout
    extractor = AutoFeatureExtractor.from_pretrained(run)
    model, loading = AutoModelForAudioClassification.from_pretrained(run, output_loading_info=True)
    assert not any(loading.values()), loading
    model.eval()
    off = size = count = 0
    for line in map(json.loads, output.splitlines()):
        wave, rate = soundfile.read(line["file"], dtype="float32")
        assert rate == extractor.sampling_rate, rate
        with torch.inference_mode():
            theirs = model(**extractor(wave, sampling_rate=rate, return_tensors="pt")).logits[0]
        ours = torch.tensor([line["logits"][model.config.id2label[label]] for label in range(len(theirs))])
        off = max(off, (ours - theirs).abs().max().item())
        size = max(size, theirs.abs().max().item())
        count += 1
    print(f"{run}: {type(model).__name__}, {count} recordings, largest logit {size:.3f}, largest difference {off:.1e}")
    return off <= 1e-4 * size


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", folder]:
            make(Path(folder))
        case ["check", run, recordings, tk]:
            sys.exit(not check(run, recordings, tk))
        case _:
            sys.exit(__doc__)
