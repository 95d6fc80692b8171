"""A folder of clips to train on, and a training of seconds."""

from __future__ import annotations

import json
from pathlib import Path

from rank.fitting import FitPlan
from rank.negatives import NegativePlan
from rank.ranker_training import RankerPlan
from rank.tower import TowerSize
from rank.training import Plan
from tests.synthetic import clip

KINDS = {
    "red": ("a red wall", "red", ["red thing", "calm"]),
    "blue": ("the blue sea", "blue", ["blue thing", "calm"]),
    "noise": ("static on the screen", "noise", ["noise", "wild"]),
    "checks": ("chess boards everywhere", "checks", ["pattern", "wild"]),
}
SMALL = Plan(
    RankerPlan(
        TowerSize(vector=32, narrow_frame=16, narrow_audio=16, clusters=4, audio_clusters=4),
        FitPlan(epochs=2, bert_epochs=1, fewest_steps=20, negatives=NegativePlan(5, 0.2)),
    ),
    threads=1,
)


def write_corpus(folder: Path) -> Path:
    """32 clips of four kinds, three of them for the test; one file is broken, one row as well."""
    rows = []
    for number in range(8):
        for kind, (title, scene, tags) in KINDS.items():
            name = f"{kind}-{number}"
            clip(
                folder / f"{name}.mp4",
                seconds=0.5,
                scenes=(scene,),
                tone_hz=200.0 + 300 * list(KINDS).index(kind) + number,
                size=(64, 64),
            )
            rows.append(
                {
                    "video_id": name,
                    "uri": f"{name}.mp4",
                    "title": title,
                    "uploader_id": kind,
                    "tags": tags,
                    "split": "test" if number == 7 else "val" if number == 6 else "train",
                }
            )
    (folder / "broken.mp4").write_bytes(b"no video")
    rows.append({"video_id": "broken", "uri": "broken.mp4", "tags": ["calm"], "split": "train"})
    lines = [json.dumps(row) for row in rows] + ["{not json"]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    return folder / "corpus.jsonl"
