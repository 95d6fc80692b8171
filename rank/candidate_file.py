"""Candidate sets of many videos in one file, and their logits, between the stages of a training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np

from encoders.features import F32
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
        bounds = _bounds(stored["counts"].tolist())
    return [
        CandidateSet(tags[start:end], scores[start:end], hints[start:end], {})
        for start, end in bounds
    ]


def save_logits(path: Path, logits: Sequence[F32]) -> None:
    """Write one number for each candidate, a list for each video."""
    np.save(path, np.concatenate([np.zeros(0, np.float32), *logits]))


def load_logits(path: Path, sets: Sequence[CandidateSet]) -> list[F32]:
    """Read what :func:`save_logits` wrote of these candidates."""
    logits = np.load(path, allow_pickle=False)
    return [logits[start:end] for start, end in _bounds([len(item.tags) for item in sets])]


def _bounds(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Where each video's candidates begin and end."""
    return list(pairwise(accumulate(counts, initial=0)))
