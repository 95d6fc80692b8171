"""What channels are put together from: each part proposes tags in one simple way.

A part gives columns: proposals with one kind of score, and for which videos it could speak at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.features import Modality
from recall.classifier import Classifier, Fused
from recall.index import VectorIndex
from recall.library import Library, carry_over
from recall.linear import LinearClassifier
from recall.proposals import Proposals, align
from recall.ragged import Ragged
from recall.views import Placed, Views
from recall.words import SparseRows, WordIndex

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

KEEP = 200


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One kind of score. ``spoke`` bool [B]: the videos it had something to go by for."""

    proposals: Proposals
    spoke: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B videos on their way through the channels.

    ``placed``: their vectors in each modality's space. ``joined`` float32 [B, D]: all their
    embeddings side by side. ``texts``: each one's words, empty unless the text modality is used.
    ``word_rows``: the same as sparse vectors, and ``word_scores`` float32 [B, V] what the linear
    model on words makes of them. ``fused``: what the network makes of them. Both None where there
    is no such model. ``named``: tags whose names stand in the words. ``remembered``: the tags of
    the uploaders' other videos.
    ``without``: for each, the library's videos that it must not see (when it is one of them, itself
    and those that share its material); None when serving.
    """

    views: Views
    placed: Placed
    joined: F32
    texts: tuple[str, ...]
    word_rows: SparseRows
    word_scores: F32 | None
    named: Proposals
    remembered: Column
    fused: Fused | None
    without: Ragged[np.int32] | None

    def __len__(self) -> int:
        return len(self.views)

    def spoke(self, rows: I64) -> Mask:
        """bool [B] that holds for these rows."""
        mask = np.zeros(len(self), dtype=bool)
        mask[rows] = True
        return mask


@dataclass(frozen=True, slots=True)
class Carry:
    """How tags are carried over: from how many neighbours, and how much more the nearer count."""

    neighbours: int = 100
    temperature: float = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """For some videos of a batch (``rows`` int64 [n]), their nearest labelled videos.

    A video that is searched for scene by scene has several rows, and may find one video by several.
    ``numbers`` int32 and ``similarity`` float32 [n, k]: places in the library, best first; -1 none.
    """

    rows: I64
    numbers: I32
    similarity: F32


@dataclass(frozen=True, slots=True, eq=False)
class VectorNeighbours:
    """Nearest labelled videos in one space."""

    index: VectorIndex
    carry: Carry

    def find(self, vectors: F32, rows: I64, without: Ragged[np.int32] | None) -> Neighbours:
        """``vectors`` float32 [n, d]: the placed vectors of the videos ``rows``."""
        k = self.carry.neighbours
        if without is None:
            return Neighbours(rows, *self.index.search(vectors, k))
        return Neighbours(rows, *self.index.search_without(vectors, k, without.take(rows)))


@dataclass(frozen=True, slots=True, eq=False)
class WordNeighbours:
    """Nearest labelled videos by their words."""

    index: WordIndex
    carry: Carry

    def find(self, batch: Batch) -> Neighbours:
        """For the videos whose words hold a known term."""
        rows = np.flatnonzero(batch.word_rows.terms.lengths).astype(np.int64)
        sparse = batch.word_rows.take(rows)
        banned = None if batch.without is None else batch.without.take(rows)
        return Neighbours(rows, *self.index.search(sparse, self.carry.neighbours, banned))


def carried(batch: Batch, found: Neighbours, carry: Carry, library: Library) -> list[Column]:
    """Two columns: the neighbours' weighted share with a tag, and the nearest's similarity."""
    shares, nearest = carry_over(
        library, found.numbers, found.similarity, carry.temperature, found.rows
    )
    spoke = batch.spoke(found.rows[(found.numbers >= 0).any(axis=1)])
    return [Column(shares, spoke), Column(nearest, spoke)]


@dataclass(frozen=True, slots=True, eq=False)
class NameSearch:
    """Tags whose names lie close in meaning. ``vectors`` float32 [V, D], unit length."""

    vectors: F32
    index: VectorIndex

    @classmethod
    def build(cls, vectors: F32, *, queries: F32 | None = None, seed: int = 0) -> NameSearch:
        """Index the names' vectors; for many, ``queries`` [n, D] are vectors like a video's."""
        numbers = np.arange(len(vectors))
        return cls(vectors, VectorIndex.build(vectors, numbers, seed=seed, queries=queries))

    def column(self, batch: Batch, vectors: F32, rows: I64) -> Column:
        """The nearest names of ``vectors`` [n, D], with their cosines."""
        keep = min(KEEP, len(self.vectors))
        found = self.index.search(vectors, keep)
        return Column(Proposals.of_found(*found, rows), batch.spoke(rows))

    def cosines(self, vectors: F32, pairs: Proposals) -> F32:
        """float32 [P]: of ``vectors`` [B, D] and the names of the pairs' tags."""
        return paired_products(vectors, self.vectors, pairs)

    def added(self, vector: F32) -> NameSearch:
        """With one more name."""
        index = self.index.added(vector[None], np.asarray([len(self.vectors)]))
        return NameSearch(np.concatenate([self.vectors, vector[None]]), index)


def name_column(batch: Batch) -> Column:
    """Tags whose names stand in the words."""
    return Column(batch.named, batch.spoke(batch.views.used(Modality.TEXT)))


def word_column(batch: Batch) -> Column:
    """The best tags by the linear model on words."""
    rows = np.flatnonzero(batch.word_rows.terms.lengths).astype(np.int64)
    if batch.word_scores is None:
        return Column(Proposals.none(), batch.spoke(rows[:0]))
    return Column(Proposals.of_dense(batch.word_scores[rows], KEEP, rows), batch.spoke(rows))


def linear_column(batch: Batch, linear: LinearClassifier | None) -> Column:
    """The best tags by the linear model on everything."""
    rows = batch.views.any_used()
    if linear is None:
        return Column(Proposals.none(), batch.spoke(rows[:0]))
    return Column(linear.best(batch.joined[rows], KEEP, rows), batch.spoke(rows))


def network_column(batch: Batch, classifier: Classifier | None) -> Column:
    """The best tags by the multimodal network."""
    rows = batch.views.any_used()
    if classifier is None or batch.fused is None:
        return Column(Proposals.none(), batch.spoke(rows[:0]))
    return Column(classifier.tags.best(batch.fused.take(rows), KEEP, rows), batch.spoke(rows))


def paired_products(left: F32, right: F32, pairs: Proposals, chunk: int = 65_536) -> F32:
    """float32 [P]: inner products of the pairs' videos (``left`` [B, D]) and tags (``right``)."""
    out = np.empty(len(pairs), dtype=np.float32)
    for start in range(0, len(pairs), chunk):
        part = slice(start, start + chunk)
        out[part] = np.einsum("pd,pd->p", left[pairs.video[part]], right[pairs.tag[part]])
    return out


def lay_out(columns: Sequence[Column], prior: F32) -> tuple[Proposals, F32, Mask]:
    """Columns side by side, and the tags' ``prior`` [V] as the last one.

    Gives the pairs, their scores float32 [P, columns + 1] (NaN where not proposed) and bool, alike,
    where a column was silent for the pair's video.
    """
    pairs, scores = align([column.proposals for column in columns], len(prior))
    silent = np.stack([~column.spoke[pairs.video] for column in columns], axis=1)
    table = np.concatenate([scores, prior[pairs.tag][:, None]], axis=1)
    return pairs, table, np.concatenate([silent, np.zeros((len(pairs), 1), dtype=bool)], axis=1)
