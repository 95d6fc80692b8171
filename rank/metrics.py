"""The design's figures, from scored tags and what is true of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.features import I64
from rank.threshold import TAGS_PER_VIDEO

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

CALIBRATED_FROM = 0.1  # candidates scored from here on count for calibration
BINS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One system's scored tags of N videos, flat: n pairs.

    ``video`` int64 [n], ``tag`` int32 [n], ``score`` float64 [n], ``right`` bool [n]: whether the
    tag is true of the video. ``pairs`` int64 [N]: true tags of each video, those outside the
    vocabulary included.
    """

    video: I64
    tag: I32
    score: F64
    right: Bools
    pairs: I64

    @classmethod
    def of(
        cls,
        tags: Sequence[I32],
        scores: Sequence[F64],
        truth: Sequence[I32],
        outside: I64,
    ) -> Scored:
        """From each video's scored tags, its true tags and how many more the vocabulary lacks."""
        right = [np.isin(t, true) for t, true in zip(tags, truth, strict=True)]
        counts = [len(t) for t in tags]
        return cls(
            np.repeat(np.arange(len(tags)), counts),
            np.concatenate([np.zeros(0, np.int32), *tags]),
            np.concatenate([np.zeros(0), *scores]),
            np.concatenate([np.zeros(0, bool), *right]),
            np.array([len(true) for true in truth], np.int64) + outside,
        )

    @property
    def videos(self) -> int:
        """N."""
        return len(self.pairs)

    def where(self, kept: Bools, pairs: I64) -> Scored:
        """Some of the scored tags, beside the true pairs that belong to them."""
        return Scored(self.video[kept], self.tag[kept], self.score[kept], self.right[kept], pairs)

    def top(self, count: int) -> Bools:
        """bool [n]: the ``count`` highest scores of all videos together."""
        best = np.argsort(-self.score, kind="stable")[:count]
        kept = np.zeros(len(self.score), bool)
        kept[best] = True
        return kept


@dataclass(frozen=True, slots=True)
class Figures:
    """What one system reaches; see the design's definitions."""

    accuracy: float
    tags_per_video: float
    recall: float
    f1: float
    accuracy_top: float
    f1_top: float
    precision_at_5: float
    map: float


def figures(scored: Scored, threshold: float) -> Figures:
    """Measure a system at a threshold, and at exactly 3.12 tags a video of this very split."""
    published = scored.score >= threshold
    best = scored.top(round(TAGS_PER_VIDEO * scored.videos))
    accuracy, recall = _share(scored.right[published]), _recall(scored, published)
    accuracy_top, recall_top = _share(scored.right[best]), _recall(scored, best)
    precision, average = _by_video(scored)
    return Figures(
        accuracy=accuracy,
        tags_per_video=float(published.sum()) / max(1, scored.videos),
        recall=recall,
        f1=f1(accuracy, recall),
        accuracy_top=accuracy_top,
        f1_top=f1(accuracy_top, recall_top),
        precision_at_5=precision,
        map=average,
    )


def f1(precision: float, recall: float) -> float:
    """The harmonic mean."""
    return 2 * precision * recall / max(1e-12, precision + recall)


def ceiling(pairs: I64) -> float:
    """The accuracy that the number of true tags allows at 3.12 tags a video, at most 1."""
    return min(1.0, float(pairs.mean()) / TAGS_PER_VIDEO) if len(pairs) else 0.0


def calibration_error(scored: Scored, threshold: float) -> float:
    """Mean gap between score and share of true tags, over ten bins of equal mass.

    Over what was published and every candidate scored 0.1 or more.
    """
    bins = reliability(scored, threshold)
    return (
        float(np.average(np.abs(bins[:, 0] - bins[:, 1]), weights=bins[:, 2])) if len(bins) else 0.0
    )


def reliability(scored: Scored, threshold: float) -> F64:
    """float64 [≤ 10, 3]: each bin's mean score, share of true tags, and number of them."""
    kept = scored.score >= min(threshold, CALIBRATED_FROM)
    order = np.argsort(scored.score[kept], kind="stable")
    score, right = scored.score[kept][order], scored.right[kept][order]
    parts = [part for part in np.array_split(np.arange(len(order)), BINS) if len(part)]
    rows = [(score[part].mean(), right[part].mean(), len(part)) for part in parts]
    return np.array(rows, np.float64).reshape(-1, 3)


def _share(right: Bools) -> float:
    return float(right.mean()) if len(right) else 0.0


def _recall(scored: Scored, kept: Bools) -> float:
    return float(scored.right[kept].sum()) / max(1, int(scored.pairs.sum()))


def _by_video(scored: Scored) -> tuple[float, float]:
    """Precision at 5 and mean average precision over the videos that have a true tag."""
    order = np.lexsort((-scored.score, scored.video))
    video, right = scored.video[order], scored.right[order]
    starts = np.searchsorted(video, np.arange(scored.videos))
    place = np.arange(len(video)) - starts[video]
    hits = np.cumsum(right)
    before = np.where(starts > 0, hits[starts - 1], 0) if len(hits) else np.zeros(scored.videos)
    found = hits - before[video] if len(video) else hits
    gain = np.bincount(video, np.where(right, found / (place + 1), 0.0), minlength=scored.videos)
    five = np.bincount(video, right & (place < 5), minlength=scored.videos)
    counted = scored.pairs > 0
    if not counted.any():
        return 0.0, 0.0
    average = gain[counted] / scored.pairs[counted]
    return float(five[counted].mean() / 5), float(average.mean())
