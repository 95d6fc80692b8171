"""The operating point: from which score on a tag is published."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

TAGS_PER_VIDEO = 3.12
STARTS = (0.0, 1.0, 2.0)
"""Tags a video: where precision is greatest, and where there are enough tags to show it."""


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

    Learn then Test (Angelopoulos et al. 2021, arXiv 2110.01052, algorithm 1): from each of STARTS
    on thresholds are tested in fixed sequence, to the first failure, with an equal share of the
    risk; the last one that passes is taken. The unit is the video: its surplus is Σ (right -
    target) over its published tags, and the test is whether the mean surplus is above 0, by
    betting, valid for any distribution. None where no threshold passes.
    """
    if not len(scores):
        return None
    order = np.argsort(-scores, kind="stable")
    steps = np.unique(np.linspace(0, len(order) - 1, 60).astype(int)[1:])
    _, owner = np.unique(video, return_inverse=True)
    videos = int(owner.max(initial=-1)) + 1
    shuffled = np.random.default_rng(0).permutation(videos)
    passed = -1
    for start in np.searchsorted(steps, np.asarray(STARTS) * videos).tolist():
        for place in range(max(start, passed + 1), len(steps)):
            taken = order[: steps[place] + 1]
            gain = right[taken].astype(np.float64) - target
            surplus = np.bincount(owner[taken], gain, minlength=videos).astype(np.float64)
            most = float(np.bincount(owner[taken]).max())
            if _chance(surplus[shuffled], most * target) > risk / len(STARTS):
                break
            passed = place
    return None if passed < 0 else float(scores[order[steps[passed]]])


def _chance(surplus: F64, bound: float) -> float:
    """A p-value against "the mean of ``surplus`` is at most 0"; no value lies below -``bound``.

    One over the most that gamblers who stake each the same share on every video, the mean over
    them, ever have (grid Kelly: Waudby-Smith and Ramdas 2023, arXiv 2010.09686).
    """
    stakes = np.linspace(0.05, 0.95, 19)
    wealth = np.cumsum(np.log1p(stakes[:, None] * surplus / bound), axis=1)
    mean = np.logaddexp.reduce(wealth, axis=0) - np.log(len(stakes))
    return float(np.exp(-mean.max(initial=0.0)))
