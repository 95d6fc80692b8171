"""Candidate sets of many videos in one file, between the stages of a training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from recall.candidates import CHANNELS, HINTS, CandidateSet


def save(path: Path, sets: Sequence[CandidateSet]) -> None:
    """Write candidate sets, without the reasons for silent channels."""
    with path.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            counts=np.array([len(item.tags) for item in sets], np.int64),
            tags=np.concatenate([np.zeros(0, np.int32), *(item.tags for item in sets)]),
            scores=np.concatenate(
                [np.zeros((0, len(CHANNELS)), np.float32), *(item.scores for item in sets)]
            ),
            hints=np.concatenate(
                [np.zeros((0, len(HINTS)), np.float32), *(item.hints for item in sets)]
            ),
        )


def load(path: Path) -> list[CandidateSet]:
    """Read what :func:`save` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        tags, scores, hints = stored["tags"], stored["scores"], stored["hints"]
        bounds = np.cumsum([0, *stored["counts"].tolist()]).tolist()
    return [
        CandidateSet(tags[start:end], scores[start:end], hints[start:end], {})
        for start, end in pairwise(bounds)
    ]
