"""Table 2, losses and the ranker's parts: the ranker alone, trained many times on one corpus.

The ranker orders tags by its logit and nothing else, so that what a choice does isn't hidden by the
last stage. Needs the extra ``train``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from encoders.features import I64, Modality
from rank.calibration import sigmoid
from rank.evidence import VideoVectors
from rank.fitting import (
    FitPlan,
    Prepared,
    as_arrays,
    fit,
    frozen,
    new_towers,
    prepare,
    tag_vectors,
    video_vectors,
)
from rank.inputs import PARTS
from rank.losses import LossName
from rank.metrics import Scored
from rank.negatives import NegativePlan, Sampler, TagGraph
from rank.progress import Progress
from rank.ranker_training import RankerParts, RankerPlan, label_matrix
from rank.tower import Towers
from recall.candidates import CandidateSet
from recall.dataset import Dataset
from recall.splits import Split

I32 = npt.NDArray[np.int32]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

NEGATIVES: Mapping[str, NegativePlan] = {
    "negatives_10": NegativePlan(10, 0.0),
    "negatives_400": NegativePlan(400, 0.0),
    "negatives_400_hard": NegativePlan(400, 0.25),
}
LOOKED_AT = 1000  # training videos that settle the share of false negatives well enough
KEPT = 100  # of a whole vocabulary's scores, the best are kept for the figures
PARTS_OF: Mapping[Modality, tuple[str, ...]] = {
    Modality.TEXT: ("words", "sentence"),
    Modality.VISUAL: ("frames", "bridge"),
    Modality.AUDIO: ("audio",),
}


@dataclass(frozen=True, slots=True, eq=False)
class Arena:
    """One corpus, ready to train many rankers on; ``candidates``: recall's, of the test videos."""

    dataset: Dataset
    prepared: Prepared
    parts: RankerParts
    plan: RankerPlan
    candidates: Sequence[CandidateSet]
    truth: Sequence[I32]
    outside: I64

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        parts: RankerParts,
        plan: RankerPlan,
        candidates: Sequence[CandidateSet],
        truth: Sequence[I32],
        outside: I64,
    ) -> Arena:
        """``truth`` and ``outside``: the true tags of the test videos."""
        prepared = prepare(
            list(dataset.each()), parts.shape, plan.size, parts.word_embeddings, seed=0
        )
        return cls(dataset, prepared, parts, plan, candidates, truth, outside)

    def labels(self) -> csr_matrix:
        """CSR [N, V]: the labels as the corpus has them."""
        return label_matrix(self.dataset, len(self.parts.names))

    def train(
        self, plan: FitPlan, labels: csr_matrix, *, seed: int, progress: Progress, stage: str
    ) -> Towers:
        """A ranker trained on the training split with ``labels`` [N, V]."""
        torch.manual_seed(seed)
        parts = self.parts
        towers = new_towers(self.prepared, parts.shape, self.plan.size, parts.bert, parts.names)
        return fit(
            towers,
            self.prepared,
            labels,
            self.dataset.rows_of(Split.TRAIN),
            plan,
            seed=seed,
            progress=lambda what, done, total: progress(f"{stage}: {what}", done, total),
        )

    def ranked(self, towers: Towers, prepared: Prepared | None = None) -> Scored:
        """The test videos' candidates by the ranker alone; ``prepared``: as it sees the videos."""
        sets = [item.tags for item in self.candidates]
        videos, tags = self._vectors(towers, prepared or self.prepared)
        scores = self._scores(towers, videos, (tags[own] for own in sets))
        return Scored.of(sets, scores, self.truth, self.outside)

    def ranked_all(self, towers: Towers) -> Scored:
        """The test videos' best tags of the whole vocabulary: recall has no part in it."""
        videos, tags = self._vectors(towers, self.prepared)
        kept = min(KEPT, len(tags))
        sets, best = [], []
        for scores in self._scores(towers, videos, repeat(tags)):
            own = np.argpartition(-scores, kept - 1)[:kept].astype(np.int32)
            sets.append(own)
            best.append(scores[own])
        return Scored.of(sets, best, self.truth, self.outside)

    def _vectors(self, towers: Towers, prepared: Prepared) -> tuple[VideoVectors, F32]:
        """Of the test videos, and of all tags."""
        rows = self.dataset.rows_of(Split.TEST)
        videos = as_arrays(video_vectors(towers, prepared))
        return VideoVectors(*(part[rows] for part in videos)), tag_vectors(towers).numpy()

    def _scores(self, towers: Towers, videos: VideoVectors, tags: Iterable[F32]) -> list[F64]:
        """Of each video and the tags that stand beside it, float64 [n]."""
        evidence = towers.evidence()
        return [
            sigmoid(evidence.logits(VideoVectors(*parts), own).astype(np.float64))
            for *parts, own in zip(*videos, tags, strict=False)
        ]


@dataclass(frozen=True, slots=True)
class FalseNegatives:
    """Of the hard negatives drawn, the share that is in fact true: all, and those kept.

    ``dropped``: the share that the teacher drops. ``reached``: tags two hops from a video.
    """

    drawn: float
    kept: float
    dropped: float
    reached: float


def false_negatives(
    arena: Arena, towers: Towers, labels: csr_matrix, true: csr_matrix, *, seed: int
) -> FalseNegatives:
    """How well the frozen teacher guards: two-hop negatives of at most 1,000 training videos."""
    random = np.random.default_rng(seed)
    rows = arena.dataset.rows_of(Split.TRAIN)
    rows = rows[np.diff(labels.indptr)[rows] > 0]
    rows = np.sort(random.choice(rows, min(LOOKED_AT, len(rows)), replace=False))
    graph = TagGraph(labels)
    reached = [len(graph.two_hops(row)) for row in rows.tolist()]
    sampler = Sampler(labels, NEGATIVES["negatives_400_hard"])
    drawn, real = sampler.hard(rows, random)
    teacher = frozen(towers, video_vectors(towers, arena.prepared))
    first = labels.indices[labels.indptr[rows]].astype(np.int64)[:, None]
    kept = teacher.keeps(rows, first, drawn)[:, 0, :] & real
    wrong = np.zeros(drawn.shape, bool)
    for place, row in enumerate(rows.tolist()):
        wrong[place] = np.isin(drawn[place], true[[row]].indices)
    return FalseNegatives(
        drawn=float(wrong[real].mean()) if real.any() else 0.0,
        kept=float(wrong[kept].mean()) if kept.any() else 0.0,
        dropped=1 - float(kept.sum()) / max(1, int(real.sum())),
        reached=float(np.mean(reached)) if reached else 0.0,
    )


def by_negatives(arena: Arena, name: str, *, seeds: int, progress: Progress) -> list[Scored]:
    """One row of Table 2: the same steps with one choice of negatives, once a seed."""
    plan, labels = replace(arena.plan.fit, negatives=NEGATIVES[name]), arena.labels()
    found = []
    for seed in range(seeds):
        stage = f"{name}, seed {seed}"
        towers = arena.train(plan, labels, seed=seed, progress=progress, stage=stage)
        found.append(arena.ranked(towers))
    return found


def with_loss(
    arena: Arena, loss: LossName, labels: csr_matrix, *, stage: str, progress: Progress
) -> Scored:
    """The ranker over the whole vocabulary, trained with a loss and labels of its own."""
    plan = replace(arena.plan.fit, loss=loss)
    towers = arena.train(plan, labels, seed=0, progress=progress, stage=stage)
    return arena.ranked_all(towers)


def deprived(prepared: Prepared, parts: Sequence[str]) -> Prepared:
    """The same videos as if they lacked some of the tower's PARTS."""
    present = prepared.present.clone()
    present[:, [PARTS.index(part) for part in parts]] = 0

    def less(part: str, values: Tensor) -> Tensor:
        return torch.zeros_like(values) if part in parts else values

    return replace(
        prepared,
        frames=less("frames", prepared.frames),
        frames_mask=less("frames", prepared.frames_mask),
        audio=less("audio", prepared.audio),
        audio_mask=less("audio", prepared.audio_mask),
        texts=tuple(text[:0] if "words" in parts else text for text in prepared.texts),
        sentence=less("sentence", prepared.sentence),
        bridge=less("bridge", prepared.bridge),
        present=present,
    )


def averaged(prepared: Prepared) -> Prepared:
    """The same videos with one mean frame and one mean block of sound in place of sequences."""
    frames, frames_mask = _mean(prepared.frames, prepared.frames_mask)
    audio, audio_mask = _mean(prepared.audio, prepared.audio_mask)
    return replace(
        prepared, frames=frames, frames_mask=frames_mask, audio=audio, audio_mask=audio_mask
    )


def _mean(rows: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    total = (rows * mask[..., None]).sum(1, keepdim=True)
    there = mask.any(1, keepdim=True).to(mask.dtype)
    return total / mask.sum(1).clamp(min=1)[:, None, None], there
