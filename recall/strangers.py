"""Training videos as strangers: what may not be seen of which, and the folds that hold them out.

A new upload shares no material with any labelled video. What is fitted on training videos has to
see them in the same way: neighbours that share a source with a video are left out, and a model that
judges it has learned from no such video.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from recall.ragged import Ragged

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

BETWEEN = -1  # the part of a video whose sources lie in several parts
_SMALL = 50  # videos that may always be held out together
_DENSE = 10  # a part has to have a tenth of what it would have if nothing joined it to others


@dataclass(frozen=True, slots=True, eq=False)
class Strangers:
    """N labelled videos.

    ``sources`` ragged int32: numbers of what each is made of, without what can't be held out;
    ``holders``: the videos with each. ``fold`` int32 [N]: where a video is held out; BETWEEN, if
    that can't be.
    """

    sources: Ragged[np.int32]
    holders: Ragged[np.int32]
    fold: I32

    @classmethod
    def of(cls, component: I32, sources: Ragged[np.int32], folds: int, seed: int) -> Strangers:
        """``component`` int32 [N]: of videos that hang together by their sources."""
        part, kept = parted(component, sources, folds)
        fold = np.full(len(part), BETWEEN, dtype=np.int32)
        fold[part != BETWEEN] = folds_by_group(part[part != BETWEEN], folds, seed)
        return cls(kept, kept.transposed(int(kept.values.max(initial=-1)) + 1), fold)

    def in_one_fold(self) -> Strangers:
        """The same videos, where nothing has learned from any."""
        return replace(self, fold=np.zeros(len(self.fold), dtype=np.int32))

    def held(self, number: int) -> I64:
        """The videos that a fold holds out."""
        return np.flatnonzero(self.fold == number)

    @property
    def held_out(self) -> I64:
        """The videos that some fold holds out."""
        return np.flatnonzero(self.fold != BETWEEN)

    @property
    def folds(self) -> int:
        """How many folds there are."""
        return int(self.fold.max(initial=BETWEEN)) + 1

    def taught(self, number: int) -> I64:
        """The videos that share nothing with those that a fold holds out."""
        shut = np.zeros(len(self.fold), dtype=bool)
        shut[self.mates(self.held(number)).values] = True
        return np.flatnonzero(~shut)

    def mates(self, rows: I64) -> Ragged[np.int32]:
        """For each of ``rows``, the videos that share a source with it; itself, too."""
        at, owner = self.sources.positions(rows)
        found, place = self.holders.positions(self.sources.values[at])
        count = len(self.fold)
        pairs = np.concatenate(
            [owner[place] * count + self.holders.values[found], np.arange(len(rows)) * count + rows]
        )
        pairs = np.unique(pairs)
        starts = np.searchsorted(pairs, np.arange(len(rows) + 1) * count)
        return Ragged((pairs % count).astype(np.int32), starts.astype(np.int64))


def parted(component: I32, sources: Ragged[np.int32], folds: int) -> tuple[I32, Ragged[np.int32]]:
    """Parts whose videos share no source, int32 [N]; BETWEEN for those that join parts.

    A part is a component, unless that is too large for one of ``folds`` folds of equal size: then
    its sources are dealt out to as many parts as there are folds, and the videos whose sources
    went to several are in none. Also the sources that count: not one that more videos have than a
    fold holds, which can't be held out; and none of videos that hang together so densely that a
    part would have next to none of them. Of these each is a part of its own.
    """
    names, place = np.unique(component, return_inverse=True)
    part: I32 = place.astype(np.int32)
    most = max(len(part) // max(folds, 1), _SMALL)
    kept = _without_common(sources, most)
    fresh = len(names)
    for number in np.flatnonzero(np.bincount(part, minlength=1) > most).tolist():
        rows = np.flatnonzero(part == number)
        own = _dealt(kept.take(rows), folds)
        whole = np.bincount(own[own != BETWEEN], minlength=folds)
        if whole.min() < len(rows) / (_DENSE * folds):
            own = np.arange(len(rows), dtype=np.int32)
            kept = _without(kept, part == number)
        part[rows] = np.where(own == BETWEEN, BETWEEN, fresh + own)
        fresh += int(own.max()) + 1
    return part, kept


def groups_of(component: I32, sources: Ragged[np.int32], folds: int) -> I64:
    """int64 [N]: as :func:`parted`, each video between parts a group of its own."""
    group = parted(component, sources, folds)[0].astype(np.int64)
    between = np.flatnonzero(group == BETWEEN)
    group[between] = group.max(initial=0) + 1 + np.arange(len(between))
    return group


def folds_by_group(group: npt.NDArray[np.integer], folds: int, seed: int) -> I32:
    """int32 [N]: a fold for each video, whole groups in one fold, folds about equally large."""
    sizes = np.bincount(group) if len(group) else np.zeros(0, dtype=np.int64)
    random = np.random.default_rng(seed)
    order = random.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros(max(1, min(folds, int((sizes > 0).sum()))), dtype=np.int64)
    fold_of = np.zeros(len(sizes), dtype=np.int32)
    for number in order.tolist():
        fold_of[number] = int(np.argmin(filled))
        filled[fold_of[number]] += sizes[number]
    fold: I32 = fold_of[group]
    return fold


def _without_common(sources: Ragged[np.int32], most: int) -> Ragged[np.int32]:
    """The same lists without the sources that more than ``most`` of the videos have."""
    counts = np.bincount(sources.values, minlength=1)
    return _only(sources, counts[sources.values] <= most)


def _without(sources: Ragged[np.int32], videos: Mask) -> Ragged[np.int32]:
    """The same lists, those of ``videos`` bool [N] empty."""
    return _only(sources, np.repeat(~videos, sources.lengths))


def _only(sources: Ragged[np.int32], kept: Mask) -> Ragged[np.int32]:
    starts = np.concatenate([[0], np.cumsum(kept)])[sources.starts].astype(np.int64)
    return Ragged(sources.values[kept], starts)


def _dealt(sources: Ragged[np.int32], parts: int) -> I32:
    """int32 [n]: the part that all of a video's sources went to, else BETWEEN.

    One source after another goes where most of what shares a video with it already is, less the
    fuller a part is (linear deterministic greedy: Stanton & Kliot 2012), neighbours first.
    """
    names, values = np.unique(sources.values, return_inverse=True)
    lists = Ragged(values.astype(np.int32), sources.starts)
    holders = lists.transposed(len(names))
    part_of = np.full(len(names), BETWEEN, dtype=np.int32)
    room = max(1.0, 1.05 * len(values) / parts)
    filled = np.zeros(parts)
    for source in _nearest_first(lists, holders):
        beside = lists.values[lists.positions(holders[source])[0]]
        placed = part_of[beside]
        score = np.bincount(placed[placed >= 0], minlength=parts) * (1 - filled / room)
        best = int(np.lexsort((filled, -score))[0])
        part_of[source] = best
        filled[best] += len(holders[source])
    found = np.full(len(lists), BETWEEN, dtype=np.int32)
    some = np.flatnonzero(lists.lengths)
    starts = lists.starts[:-1][some]
    if len(some):
        low = np.minimum.reduceat(part_of[lists.values], starts)
        high = np.maximum.reduceat(part_of[lists.values], starts)
        found[some] = np.where(low == high, low, BETWEEN)
    bare = np.flatnonzero(lists.lengths == 0)  # all that they share doesn't count
    found[bare] = bare % parts
    return found


def _nearest_first(lists: Ragged[np.int32], holders: Ragged[np.int32]) -> list[int]:
    """All sources, breadth first, from the commonest on."""
    order: list[int] = []
    seen = np.zeros(len(holders), dtype=bool)
    for first in np.argsort(-holders.lengths, kind="stable").tolist():
        queue = deque([] if seen[first] else [first])
        seen[first] = True
        while queue:
            source = queue.popleft()
            order.append(source)
            beside = np.unique(lists.values[lists.positions(holders[source])[0]])
            fresh = beside[~seen[beside]]
            seen[fresh] = True
            queue.extend(fresh.tolist())
    return order
