"""Entities of random tags as seqeval counts them, for entities.rs.

    python transfer/tests/entities.py > transfer/tests/entities.json

Needs seqeval. Tags follow no rule: entities begin with any letter and change their class where they like.
"""

import json
import random

from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

draw = random.Random(7)
TAGS = ["O", "O", "O"] + [f"{letter}-{name}" for letter in "BIES" for name in ("place", "creative-work")]


def sentence():
    truth = [draw.choice(TAGS) for _ in range(draw.randint(1, 12))]
    told = [tag if draw.random() < 0.7 else draw.choice(TAGS) for tag in truth]
    return truth, told


sentences = [sentence() for _ in range(60)]
truth, told = [list(side) for side in zip(*sentences)]
print(
    json.dumps(
        {
            "truth": [" ".join(tags) for tags in truth],
            "told": [" ".join(tags) for tags in told],
            "entities": [[[start, end + 1, name] for name, start, end in get_entities(tags)] for tags in truth],
            "scores": [precision_score(truth, told), recall_score(truth, told), f1_score(truth, told), f1_score(truth, told, average="macro")],
        }
    )
)
