"""Tags proposed for a batch of videos, as flat arrays: the currency inside recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

_SAMPLED = 64  # how many times as many as are kept are looked at first


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """Pairs of a video and a tag, each with a score; no pair stands twice.

    ``video``  int64 [P]: place in the batch, ascending. ``tag`` int32 [P]. ``score`` float32 [P].
    """

    video: I64
    tag: I32
    score: F32

    @classmethod
    def none(cls) -> Proposals:
        """No proposals at all."""
        return cls(
            np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)
        )

    @classmethod
    def of_pairs(
        cls, video: I64, tag: npt.NDArray[np.integer], score: F32, width: int
    ) -> Proposals:
        """From pairs that may repeat: scores of equal pairs are added up."""
        keys, inverse = np.unique(video * width + tag, return_inverse=True)
        sums = np.bincount(inverse, weights=score, minlength=len(keys)).astype(np.float32)
        return cls(keys // width, (keys % width).astype(np.int32), sums)

    @classmethod
    def of_alternatives(
        cls, video: I64, tag: npt.NDArray[np.integer], score: F32, width: int
    ) -> Proposals:
        """From pairs that may repeat: equal pairs' scores s become log Σ exp s."""
        keys = video * width + tag
        order = np.argsort(keys, kind="stable")
        first = np.flatnonzero(np.diff(keys[order], prepend=-1))
        if not len(first):
            return cls.none()
        sums = np.logaddexp.reduceat(score[order], first)
        found = keys[order][first]
        return cls(found // width, (found % width).astype(np.int32), sums.astype(np.float32))

    @classmethod
    def of_dense(cls, scores: F32, keep: int, rows: I64) -> Proposals:
        """The ``keep`` best of each row of [B, V], -inf left out; ``rows`` [B] are the videos."""
        keep = min(keep, scores.shape[1])
        if not keep or not len(scores):
            return cls.none()
        top = np.stack([greatest(row, keep) for row in scores])
        best = np.take_along_axis(scores, top, axis=1).ravel()
        finite = np.isfinite(best)
        video = np.repeat(rows, keep)[finite]
        return cls(video, top.ravel()[finite].astype(np.int32), best[finite].astype(np.float32))

    @classmethod
    def of_found(cls, tags: I32, scores: F32, rows: I64) -> Proposals:
        """From a search: ``tags`` (-1: none) and ``scores`` [n, k] of the videos ``rows`` [n]."""
        found = tags.ravel() >= 0
        video, tag = np.repeat(rows, tags.shape[1])[found], tags.ravel()[found]
        order = np.lexsort((tag, video))
        return cls(video[order], tag[order], scores.ravel()[found][order])

    def __len__(self) -> int:
        return len(self.tag)

    def where(self, mask: npt.NDArray[np.bool_]) -> Proposals:
        """The pairs for which ``mask`` bool [P] holds."""
        return Proposals(self.video[mask], self.tag[mask], self.score[mask])

    def with_scores(self, score: F32) -> Proposals:
        """The same pairs with other scores."""
        return Proposals(self.video, self.tag, score)

    def redirected(self, redirects: I32) -> Proposals:
        """Merged tags' scores go to their stand-ins (the greatest counts); blocked tags go."""
        target = redirects[self.tag]
        if np.array_equal(target, self.tag):
            return self
        kept = target >= 0
        keys = self.video[kept] * len(redirects) + target[kept]
        order = np.lexsort((-self.score[kept], keys))
        first = np.ones(len(keys), dtype=bool)
        first[1:] = keys[order][1:] != keys[order][:-1]
        chosen, unique = order[first], keys[order][first]
        return Proposals(
            unique // len(redirects),
            (unique % len(redirects)).astype(np.int32),
            self.score[kept][chosen],
        )

    def strongest(self, keep: int) -> Proposals:
        """The ``keep`` best of each video; of equal scores, the tag with the smaller index."""
        return self.where(self.ranks() < keep)

    def ranks(self) -> I64:
        """int64 [P]: each pair's place among its video's pairs, 0 for the best."""
        order = np.lexsort((self.tag, -self.score, self.video))
        counts = np.bincount(self.video) if len(self) else np.zeros(0, dtype=np.int64)
        before = np.repeat(np.cumsum(counts) - counts, counts)
        ranks = np.empty(len(self), dtype=np.int64)
        ranks[order] = np.arange(len(self)) - before
        return ranks

    def keys(self, width: int) -> I64:
        """int64 [P]: one number a pair, ascending where the pairs are sorted by video and tag."""
        return self.video * width + self.tag


def greatest(scores: npt.NDArray[np.floating], keep: int) -> I64:
    """Where the ``keep`` greatest of float [V] stand, ascending; at most V are asked for.

    The least of the greatest in a sample can be no greater than the least of the greatest in all:
    of a long row most are put aside by one comparison.
    """
    if not keep:
        return np.zeros(0, dtype=np.int64)
    sample = scores[:: 1 + len(scores) // (_SAMPLED * keep)]
    least = np.sort(sample)[len(sample) - keep]  # selection is slow where most are equal
    hopeful = np.flatnonzero(scores >= least)
    if len(hopeful) > keep:
        hopeful = hopeful[np.argpartition(-scores[hopeful], keep - 1)[:keep]]
        hopeful.sort()
    return hopeful


def align(columns: Sequence[Proposals], width: int) -> tuple[Proposals, F32]:
    """Lay several proposals side by side.

    Gives every pair that any column proposed (their score is zero) and float32 [P, columns] with
    each column's score, NaN where it did not propose the pair.
    """
    keys = [column.keys(width) for column in columns]
    every = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *keys]))
    table = np.full((len(every), len(columns)), np.nan, dtype=np.float32)
    for number, (column, key) in enumerate(zip(columns, keys, strict=True)):
        table[np.searchsorted(every, key), number] = column.score
    zeros = np.zeros(len(every), dtype=np.float32)
    return Proposals(every // width, (every % width).astype(np.int32), zeros), table
