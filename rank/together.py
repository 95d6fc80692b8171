"""Which tags are seen together, and what that says about the candidates of a video.

A candidate gains by the company it keeps: if ``cat`` is likely and videos with ``cat`` mostly have
``pet``, so is ``pet``. How likely the others are is a first opinion (``rank.combine``); the counts
come from the labels of the training videos.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.errors import BundleError
from encoders.features import F32
from recall.ragged import Ragged

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

COMPANY: tuple[str, ...] = ("company", "closest company", "own company")
"""Of a candidate t among the others u, whose first chances are p(u): Σ p(u) · P(t | u), the
greatest p(u) · P(t | u), and how much of what goes with t is there, Σ p(u) · P(u | t) / Σ P(u | t).
"""

RARE = 2.0  # added to how often a tag was seen, so that one video doesn't make a rule


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """How many training videos have a tag, int64 [V], and which tags they have beside it.

    ``others``: to each tag those it was met with, rising; ``times`` int32: how often, side by side
    with ``others.values``. A tag that was added later, beyond V, was never met.
    """

    seen: I64
    others: Ragged[np.int32]
    times: I32

    @classmethod
    def none(cls) -> Together:
        """Nothing was ever met."""
        return cls.of(Ragged.of([], np.int32))

    @classmethod
    def of(cls, labels: Ragged[np.int32]) -> Together:
        """Count in the labels of the training videos."""
        tags = int(labels.values.max(initial=-1)) + 1
        seen = np.bincount(labels.values, minlength=tags).astype(np.int64)
        pairs = [
            (own[:, None].astype(np.int64) * tags + own)[~np.eye(len(own), dtype=bool)]
            for own in (np.unique(labels[row]) for row in range(len(labels)))
        ]
        found, times = np.unique(
            np.concatenate([np.zeros(0, np.int64), *pairs]), return_counts=True
        )
        first, other = np.divmod(found, max(1, tags))
        starts = np.searchsorted(first, np.arange(tags + 1)).astype(np.int64)
        return cls(seen, Ragged(other.astype(np.int32), starts), times.astype(np.int32))

    def columns(self, tags: I32, video: I64, chances: F64) -> F32:
        """COMPANY of many videos' candidates, float32 [n, 3].

        ``tags``, ``video`` and ``chances`` [n]: one a candidate, each video's side by side.
        The videos must not be among those that were counted.
        """
        found = np.zeros((len(tags), len(COMPANY)), np.float32)
        edges = np.flatnonzero(np.diff(video)) + 1
        for start, end in zip([0, *edges], [*edges, len(tags)], strict=True):
            own = slice(start, end)
            found[own] = self._company(tags[own], chances[own])
        return found

    def _company(self, tags: I32, chances: F64) -> F64:
        seen, times = self._among(tags)
        weight = chances / (seen + RARE)  # of each u: p(u) / n(u)
        met = times.sum(0)
        return np.stack(
            [
                weight @ times,
                (weight[:, None] * times).max(0, initial=0),
                chances @ times / np.maximum(met, 1),  # n(t) is in both sums, and falls out
            ],
            axis=1,
        )

    def _among(self, tags: I32) -> tuple[F64, F64]:
        """How often candidates were seen, [C], and with each other, [C, C]."""
        count = len(tags)
        seen, times = np.zeros(count), np.zeros((count, count))
        known = np.flatnonzero(tags < len(self.seen))
        seen[known] = self.seen[tags[known]]
        at, owner = self.others.positions(tags[known])
        order = np.argsort(tags, kind="stable")
        met = self.others.values[at]
        place = order[np.minimum(np.searchsorted(tags, met, sorter=order), count - 1)]
        here = tags[place] == met
        times[known[owner[here]], place[here]] = self.times[at[here]]
        return seen, times

    def save(self, path: Path) -> None:
        """Write one ``.npz``."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "seen": self.seen.astype(np.int32),
            "others": self.others.values,
            "starts": self.others.starts,
            "times": self.times,
        }
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> Together:
        """Read what :meth:`save` wrote; raises BundleError where it can't."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                others = Ragged(stored["others"], stored["starts"])
                return cls(stored["seen"].astype(np.int64), others, stored["times"])
        except (OSError, ValueError, KeyError) as error:
            raise BundleError(
                f"{path} doesn't say which tags go together: {error}; train the bundle again"
            ) from error
