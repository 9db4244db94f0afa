"""Writes average_precision.json: recorded detections and what pycocotools says of them.

    python transfer/tests/average_precision.py

Needs pycocotools. Pictures with crowds, with equal scores, without objects, without detections, with more detections than count, and a class that
no picture has.
"""

import contextlib
import io
import json
import random
from pathlib import Path

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

CLASSES = 4
SIDE = 400


def near(bounds, chance):
    """A box near another, or the same one."""
    by = chance.choice([0, 2, 6, 15])
    return [max(0.5, round(value + chance.uniform(-by, by), 1)) for value in bounds]


def box(chance):
    side = chance.choice([12, 30, 60, 90, 150])
    size = [round(side * chance.uniform(0.6, 1.4), 1) for _ in range(2)]
    return [round(chance.uniform(0, SIDE - length), 1) for length in size] + size


def picture(number, chance, is_crowded):
    # The last class is in no picture.
    objects = [
        {"class": chance.randrange(CLASSES - 1), "bounds": box(chance), "is_crowd": chance.random() < 0.15}
        for _ in range(0 if number % 5 == 3 else chance.randrange(1, 7))
    ]
    for own in objects:
        own["area"] = round(own["bounds"][2] * own["bounds"][3] * chance.uniform(0.5, 1), 1)
    found = []
    for own in objects if number % 5 != 4 else []:
        for _ in range(chance.randrange(4)):
            kind = own["class"] if chance.random() < 0.85 else chance.randrange(CLASSES)
            found.append({"class": kind, "bounds": near(own["bounds"], chance)})
    for _ in range(chance.randrange(3) if number % 5 != 4 else 0):
        found.append({"class": chance.randrange(CLASSES), "bounds": box(chance)})
    if number == 7 and is_crowded:
        found += [{"class": 0, "bounds": near(box(chance), chance)} for _ in range(104)]
    for own in found:
        # Few different scores, so that many are equal.
        own["score"] = round(chance.random(), 1 if number % 2 else 3)
    return {"objects": objects, "found": found}


def scored(pictures):
    """The twelve numbers, and each class's average precision."""
    annotations, results = [], []
    for number, own in enumerate(pictures):
        for one in own["objects"]:
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": one["class"], "bbox": one["bounds"],
                "area": one["area"], "iscrowd": int(one["is_crowd"]),
            })
        for one in own["found"]:
            results.append({"image_id": number, "category_id": one["class"], "bbox": one["bounds"], "score": one["score"]})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": number} for number in range(len(pictures))],
            "categories": [{"id": number} for number in range(CLASSES)],
            "annotations": annotations,
        }
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(results), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    each = [run.eval["precision"][:, :, number, 0, 2] for number in range(CLASSES)]
    return {
        "summary": run.stats.tolist(),
        "classes": [float(own.mean()) for own in each],
        "curve": run.eval["precision"][0, :, 0, 0, 2].tolist(),
    }


def main():
    cases = []
    for seed in range(3):
        chance = random.Random(seed)
        pictures = [picture(number, chance, seed == 0) for number in range(10)]
        cases.append({"pictures": pictures, **scored(pictures)})
    text = json.dumps({"classes": CLASSES, "cases": cases}, separators=(",", ":"))
    Path(__file__).with_suffix(".json").write_text(text + "\n")


if __name__ == "__main__":
    main()
