"""Features of a labelled corpus."""

from __future__ import annotations

import json
from pathlib import Path

from encoders.profile import load_profile
from rank.gathering import Gathering
from rank.progress import quiet
from recall.corpus import read_corpus
from recall.splits import SPLITS, Split
from tests.synthetic import clip


def test_videos_are_gathered_split_after_split_whatever_the_order_of_the_file(
    tmp_path: Path,
) -> None:
    splits = ("val", "train", "test", "train")
    for number in range(len(splits)):
        clip(tmp_path / f"{number}.mp4", seconds=0.3, tone_hz=200.0 + 90 * number, size=(64, 64))
    lines = [
        json.dumps({"video_id": f"v{n}", "uri": f"{n}.mp4", "tags": ["x"], "split": split})
        for n, split in enumerate(splits)
    ]
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(lines))
    corpus = read_corpus(path)
    gathering = Gathering(load_profile("packaged"), tmp_path / "cache", workers=1)
    dataset = gathering.gather(corpus, corpus.videos, quiet).dataset
    assert dataset.video_ids == ("v1", "v3", "v0", "v2")
    assert [SPLITS[place] for place in dataset.split] == [
        Split.TRAIN,
        Split.TRAIN,
        Split.VAL,
        Split.TEST,
    ]
