"""What the last stage looks at: one row of numbers a (video, candidate)."""

from __future__ import annotations

import numpy as np

from encoders.features import F32, Features, Modality, State
from recall.candidates import CHANNELS, HINTS, CandidateSet, Hint

_COMPARED: tuple[str, ...] = (
    *CHANNELS,
    Hint.WORDS,
    Hint.UPLOADER,
    Hint.BRIDGE,
    Hint.SOUND_BRIDGE,
    Hint.MEANING,
)

COLUMNS: tuple[str, ...] = (
    *(f"{channel}" for channel in CHANNELS),
    *(f"{hint}" for hint in HINTS),
    "ranker",
    *(f"{name} below best" for name in (*_COMPARED, "ranker")),
    *(f"{name} place" for name in (*_COMPARED, "ranker")),
    "channels",
    "candidates",
    *(f"has {modality}" for modality in Modality),
)
"""The columns by name. ``below best`` is the difference to the video's best candidate, ``place`` is
1 / (1 + rank) among the video's candidates; both compare a candidate with its rivals, and so hold
from corpus to corpus better than the raw score."""

RISING: tuple[int, ...] = tuple(
    int(
        name in (*CHANNELS, "ranker", Hint.WORDS, Hint.NAME, Hint.UPLOADER)
        or name.endswith(("below best", "place"))
    )
    for name in COLUMNS
)
"""1 where a greater value may only raise the probability, else 0."""


def columns(features: Features, candidates: CandidateSet, logits: F32) -> F32:
    """float32 [C, F]: a row a candidate; NaN where something isn't known."""
    count = len(candidates.tags)
    compared = np.concatenate(
        [
            candidates.scores,
            candidates.hints[:, [HINTS.index(Hint(name)) for name in _COMPARED[len(CHANNELS) :]]],
            logits[:, None],
        ],
        axis=1,
    )
    rest = np.empty((count, 2 + len(Modality)), np.float32)
    rest[:, 0] = (~np.isnan(candidates.scores)).sum(1)
    rest[:, 1] = count
    rest[:, 2:] = [features.states.get(m) is State.USED for m in Modality]
    return np.concatenate(
        [
            candidates.scores,
            candidates.hints,
            logits[:, None],
            below_best(compared),
            places(compared),
            rest,
        ],
        axis=1,
    ).astype(np.float32)


def below_best(values: F32) -> F32:
    """Each column's difference to its greatest value, ≤ 0; NaN stays NaN."""
    if not len(values):
        return values
    best = np.where(np.isnan(values), -np.inf, values).max(0)
    return np.asarray(values - np.where(np.isfinite(best), best, 0), np.float32)


def places(values: F32) -> F32:
    """1 / (1 + rank) of each value in its column, equal ones sharing the better rank; NaN: 0."""
    filled = np.where(np.isnan(values), -np.inf, values)
    order = np.sort(filled, axis=0)
    found = np.zeros(values.shape, np.float32)
    for column in range(values.shape[1]):
        better = len(values) - np.searchsorted(order[:, column], filled[:, column], side="right")
        found[:, column] = 1 / (1 + better)
    return np.where(np.isnan(values), 0, found).astype(np.float32)
