"""Rows of the report: a system's figures, and how far it is behind another on the same draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from rank.bootstrap import Bootstrap, Interval, middle
from rank.metrics import Figures, Scored, figures
from rank.threshold import TAGS_PER_VIDEO, for_tags_per_video

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """One system, its mean over seeds, beside another one.

    ``accuracy`` and ``f1``: intervals at exactly 3.12·N pairs. ``accuracy_behind`` and
    ``f1_behind``: what the other one has more, paired. ``seeds``: each run's accuracy.
    """

    name: str
    figures: Figures
    accuracy: Interval
    f1: Interval
    accuracy_behind: Interval
    f1_behind: Interval
    seeds: tuple[float, ...]

    @property
    def spread(self) -> float:
        """The standard deviation of accuracy over the seeds; 0 for a single one."""
        return float(np.std(self.seeds, ddof=1)) if len(self.seeds) > 1 else 0.0

    @property
    def beyond(self) -> bool:
        """Whether the difference in accuracy is beyond its interval."""
        return not self.accuracy_behind.holds(0.0)

    def to_json(self) -> dict[str, object]:
        """The figures, their intervals and the differences."""
        return {
            **asdict(self.figures),
            "accuracy_top_interval": _pair(self.accuracy),
            "f1_top_interval": _pair(self.f1),
            "behind_by": _pair(self.accuracy_behind),
            "f1_behind_by": _pair(self.f1_behind),
            "differs": self.beyond,
            "accuracy_top_spread": self.spread,
            "seeds": list(self.seeds),
        }


def compared(
    name: str,
    runs: Sequence[Scored],
    others: Sequence[Scored],
    bootstrap: Bootstrap,
    threshold: float | None = None,
) -> Row:
    """One row of runs (a seed each) beside the other system's runs on the same videos.

    Without a ``threshold``, accuracy and tags a video are at exactly 3.12 tags a video.
    """
    own, other = _draws(runs, bootstrap), _draws(others, bootstrap)
    found = [figures(s, cut(s) if threshold is None else threshold) for s in runs]
    return Row(
        name,
        mean_figures(found),
        middle(own[0]),
        middle(own[1]),
        middle(np.asarray(other[0] - own[0])),
        middle(np.asarray(other[1] - own[1])),
        tuple(f.accuracy_top for f in found),
    )


def cut(scored: Scored) -> float:
    """The threshold that gives these very videos 3.12 tags each."""
    return for_tags_per_video(scored.score, scored.videos)


def mean_figures(found: Sequence[Figures]) -> Figures:
    """The mean of each figure."""
    rows = [asdict(item) for item in found]
    return Figures(**{name: float(np.mean([row[name] for row in rows])) for name in rows[0]})


def _draws(runs: Sequence[Scored], bootstrap: Bootstrap) -> tuple[F64, F64]:
    """Accuracy and F1 of exactly the top 3.12·N pairs in each draw, the mean over runs."""
    each = [_top_draws(scored, bootstrap) for scored in runs]
    accuracy, f1 = (np.mean(column, axis=0) for column in zip(*each, strict=True))
    return accuracy, f1


def _top_draws(scored: Scored, bootstrap: Bootstrap) -> tuple[F64, F64]:
    best = scored.top(round(TAGS_PER_VIDEO * scored.videos))
    hits = scored.right[best].astype(np.float64)
    right = np.bincount(scored.video[best], hits, minlength=scored.videos).astype(np.float64)
    many = np.bincount(scored.video[best], minlength=scored.videos).astype(np.float64)
    return bootstrap.ratio(right, many), bootstrap.ratio(2 * right, many + scored.pairs)


def _pair(interval: Interval) -> list[float]:
    return [interval.low, interval.high]
