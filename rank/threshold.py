"""The operating point: from which score on a tag is published."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

TAGS_PER_VIDEO = 3.12


def for_tags_per_video(scores: F64, videos: int, target: float = TAGS_PER_VIDEO) -> float:
    """The threshold at which ``videos`` videos get ``target`` tags each on average.

    ``scores``: of all their candidates. Halfway between the last score in and the first one out.
    """
    wanted = round(target * videos)
    if wanted >= len(scores):
        return float(scores.min(initial=1.0))
    ranked = np.sort(scores)[::-1]
    if wanted == 0:
        return float(ranked[0]) + 1e-9
    return float((ranked[wanted - 1] + ranked[wanted]) / 2)


def for_precision(
    scores: F64, right: Bools, video: npt.NDArray[np.int64], target: float, *, risk: float = 0.1
) -> float | None:
    """The lowest threshold whose precision is at least ``target``, with confidence 1 - ``risk``.

    Learn then Test (Angelopoulos et al. 2021, arXiv 2110.01052): thresholds are tested from the
    strictest on, in fixed sequence, and the last one that passes before the first failure is taken.
    The unit is the video: its surplus is Σ (right - target) over its published tags, and the test
    is whether the mean surplus is above 0, by a betting martingale (Waudby-Smith and Ramdas 2023,
    arXiv 2010.09686), valid for any distribution. None where not even the strictest passes.
    """
    order = np.argsort(-scores, kind="stable")
    steps = np.unique(np.linspace(0, len(order) - 1, 60).astype(int)[1:])
    best: float | None = None
    _, owner = np.unique(video, return_inverse=True)
    most = float(np.bincount(owner).max(initial=1))
    videos = int(owner.max(initial=-1)) + 1
    shuffled = np.random.default_rng(0).permutation(videos)
    for step in steps:
        taken = order[: step + 1]
        gain = right[taken].astype(np.float64) - target
        surplus = np.bincount(owner[taken], gain, minlength=videos).astype(np.float64)
        counted = np.bincount(owner[taken], minlength=videos).max()
        if _chance(surplus[shuffled], min(most, float(counted)) * target) > risk:
            break
        best = float(scores[taken[-1]])
    return best


def _chance(surplus: F64, bound: float) -> float:
    """A p-value against "the mean of ``surplus`` is at most 0"; no value lies below -``bound``."""
    scaled = surplus / bound  # ≥ -1, so a bet up to 1 can't lose more than everything
    seen = np.concatenate([[0.0], np.cumsum(scaled)[:-1]]) / np.arange(1, len(scaled) + 1)
    squares = np.concatenate([[0.25], 0.25 + np.cumsum(scaled**2)[:-1]])
    spread = squares / np.arange(1, len(scaled) + 1)
    bets = np.clip(seen / np.maximum(spread, 1e-9), 0, 0.75)
    wealth = np.cumsum(np.log1p(bets * scaled))
    return float(np.exp(-max(0.0, float(wealth.max(initial=0.0)))))
