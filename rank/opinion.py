"""What the last stage's opinion so far says of a candidate, and of its rivals.

A logit judges a candidate by itself. How the candidate compares with the others of its video, and
how many tags the video seems to have, tells the next round of trees what it is worth there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from encoders.features import F32
from rank.calibration import sigmoid

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

OPINION: tuple[str, ...] = (
    "opinion",
    "opinion below best",
    "opinion place",
    "best opinion",
    "expected tags",
)
"""``place`` is 1 / (1 + rank) in the video, ``expected tags`` the sum of all chances there."""
OPINION_RISING: tuple[int, ...] = (1, 1, 1, 0, 0)
"""1 where a greater value may only raise the probability, else 0."""


def opinions(logits: F64, video: I64) -> F32:
    """OPINION of many videos' candidates, float32 [n, 5]; each video's stand side by side."""
    if not len(logits):
        return np.zeros((0, len(OPINION)), np.float32)
    first = np.concatenate([[True], np.diff(video) != 0])
    starts, owner = np.flatnonzero(first), np.cumsum(first) - 1
    best = np.maximum.reduceat(logits, starts)[owner]
    expected = np.add.reduceat(sigmoid(logits), starts)[owner]
    order = np.lexsort((-logits, owner))
    # Equal ones share the better rank: that of the first of them.
    fresh = np.concatenate([[True], np.diff(logits[order]) != 0]) | first
    rank = np.empty(len(logits))
    rank[order] = np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))
    place = 1 / (1 + rank - starts[owner])
    return np.stack([logits, logits - best, place, best, expected], axis=1).astype(np.float32)
