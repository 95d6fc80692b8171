"""Negatives for the contrastive loss: random ones, and hard ones two hops away.

A hard negative of a video is a tag of another video that shares a tag with it: video → its tags →
their videos → *their* tags. Hard negatives are often true tags that nobody wrote down, so a frozen
teacher guards them: one that scores above 95 % of the positive beside it is dropped. Two hops over
a small graph reach few tags; the hard share is therefore fixed, whatever the graph offers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from encoders.features import F32, I64
from rank.evidence import Evidence, VideoVectors

Bools = npt.NDArray[np.bool_]

GUARD = 0.95


@dataclass(frozen=True, slots=True)
class NegativePlan:
    """How many negatives a step draws; ``hard_share`` of them are two hops away."""

    count: int = 400
    hard_share: float = 0.25
    guarded: bool = True

    @property
    def hard(self) -> int:
        """Hard negatives of each video."""
        return round(self.count * self.hard_share)

    @property
    def random(self) -> int:
        """Random negatives, shared by the batch."""
        return self.count - self.hard


class TagGraph:
    """The bipartite graph of videos and tags, for two-hop walks.

    ``labels``: CSR matrix [N videos, V tags] of ones.
    """

    def __init__(self, labels: csr_matrix) -> None:
        self.labels = labels.astype(np.float32).tocsr()
        self.shared = (self.labels.T @ self.labels).tocsr()  # tag → tags met on the same videos

    def two_hops(self, video: int) -> I64:
        """The tags two hops from a video, without its own, in the order of the vocabulary."""
        own = self.labels[[video]]
        reached = (own @ self.shared).indices
        return np.setdiff1d(reached, own.indices).astype(np.int64)


class Sampler:
    """Draws the negatives of a batch; the generator passed in fixes what comes.

    Only tags that some video is labelled with: one that never is would learn that it never holds.
    """

    def __init__(self, labels: csr_matrix, plan: NegativePlan) -> None:
        self.plan = plan
        self.known = np.unique(labels.indices).astype(np.int64)
        self.graph = TagGraph(labels) if plan.hard else None

    def random(self, generator: np.random.Generator) -> I64:
        """Tags shared by the batch as negatives, all of them where the vocabulary is small."""
        count = min(self.plan.random, len(self.known))
        return np.sort(generator.choice(self.known, size=count, replace=False))

    def hard(self, videos: I64, generator: np.random.Generator) -> tuple[I64, Bools]:
        """Hard negatives int64 [B, h] and which of them are real (a short walk leaves gaps)."""
        drawn = np.zeros((len(videos), self.plan.hard), np.int64)
        real = np.zeros(drawn.shape, bool)
        if self.graph is None:
            return drawn, real
        for row, video in enumerate(videos):
            reached = self.graph.two_hops(int(video))
            count = min(len(reached), self.plan.hard)
            drawn[row, :count] = generator.choice(reached, size=count, replace=False)
            real[row, :count] = True
        return drawn, real


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A frozen earlier model: ``videos``, those that are trained on, and all ``tags`` [V, D]."""

    videos: VideoVectors
    tags: F32
    evidence: Evidence

    def keeps(self, videos: I64, positives: I64, negatives: I64) -> Bools:
        """Which negatives may stand against which positives, bool [B, P, n].

        ``positives`` int64 [B, P]; ``negatives`` int64 [B, n]. A negative stays while there is at
        most 95 % of the positive's evidence (sentence-transformers' ``relative_margin=0.05``).
        """
        seen = VideoVectors(*(part[videos] for part in self.videos))
        good = self.evidence(seen, self.tags[positives])
        bad = self.evidence(seen, self.tags[negatives])
        limit = good - (1 - GUARD) * np.abs(good)
        return np.asarray(bad[:, None, :] <= limit[:, :, None])
