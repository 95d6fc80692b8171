"""Table 2 and the missing-label rows: the ranker alone, under other negatives and losses.

The ranker orders the candidates of recall by its logit and nothing else, so that what a choice of
negatives or loss does isn't hidden by the last stage. Needs the extra ``train``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix

from encoders.features import I64
from rank.calibration import sigmoid
from rank.fitting import FitPlan, Prepared, fit, new_towers, prepare, tag_vectors, video_vectors
from rank.losses import LossName
from rank.metrics import Figures, Scored, figures
from rank.negatives import NegativePlan, Sampler, Teacher
from rank.progress import Progress
from rank.ranker_training import RankerParts, RankerPlan, label_matrix
from rank.threshold import for_tags_per_video
from rank.tower import Towers
from recall.candidates import CandidateSet
from recall.dataset import Dataset
from recall.splits import Split

I32 = npt.NDArray[np.int32]

NEGATIVES: Mapping[str, NegativePlan] = {
    "negatives_10": NegativePlan(10, 0.0),
    "negatives_400": NegativePlan(400, 0.0),
    "negatives_400_hard": NegativePlan(400, 0.25),
}
HIDDEN = (0.0, 0.3, 0.6)


@dataclass(frozen=True, slots=True, eq=False)
class Arena:
    """One corpus, ready to train many rankers on; ``candidates``: of validation and test."""

    dataset: Dataset
    prepared: Prepared
    parts: RankerParts
    plan: RankerPlan
    candidates: Mapping[Split, Sequence[CandidateSet]]
    truth: Sequence[I32]
    outside: I64

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        parts: RankerParts,
        plan: RankerPlan,
        candidates: Mapping[Split, Sequence[CandidateSet]],
        truth: Sequence[I32],
        outside: I64,
    ) -> Arena:
        """``truth`` and ``outside``: the true tags of the test videos."""
        prepared = prepare(
            list(dataset.each()), parts.shape, plan.size, parts.word_embeddings, seed=0
        )
        return cls(dataset, prepared, parts, plan, candidates, truth, outside)

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

    def measure(self, towers: Towers) -> tuple[Figures, Scored]:
        """Test figures of the ranker's order, at its own validation threshold."""
        vectors, tags = video_vectors(towers, self.prepared).numpy(), tag_vectors(towers).numpy()
        scale, bias = float(towers.scale.detach()), float(towers.bias.detach())

        def scores(split: Split) -> list[npt.NDArray[np.float64]]:
            rows = self.dataset.rows_of(split).tolist()
            sets = self.candidates[split]
            return [
                sigmoid((tags[item.tags] @ vectors[row] * scale + bias).astype(np.float64))
                for row, item in zip(rows, sets, strict=True)
            ]

        validation = scores(Split.VAL)
        threshold = for_tags_per_video(np.concatenate([np.zeros(0), *validation]), len(validation))
        scored = Scored.of(
            [item.tags for item in self.candidates[Split.TEST]],
            scores(Split.TEST),
            self.truth,
            self.outside,
        )
        return figures(scored, threshold), scored


@dataclass(frozen=True, slots=True)
class FalseNegatives:
    """Of the hard negatives drawn, the share that is in fact true: all, and those kept."""

    drawn: float
    kept: float
    dropped: float


def false_negatives(
    arena: Arena, towers: Towers, labels: csr_matrix, true: csr_matrix, *, seed: int
) -> FalseNegatives:
    """How well the frozen teacher guards: two-hop negatives of 1,000 training videos."""
    random = np.random.default_rng(seed)
    rows = arena.dataset.rows_of(Split.TRAIN)
    rows = rows[np.diff(labels.indptr)[rows] > 0]
    rows = np.sort(random.choice(rows, min(1000, len(rows)), replace=False))
    sampler = Sampler(labels, NEGATIVES["negatives_400_hard"])
    drawn, real = sampler.hard(rows, random)
    teacher = Teacher(video_vectors(towers, arena.prepared).numpy(), tag_vectors(towers).numpy())
    first = labels.indices[labels.indptr[rows]].astype(np.int64)[:, None]
    kept = teacher.keeps(rows, first, drawn)[:, 0, :] & real
    wrong = np.zeros(drawn.shape, bool)
    for place, row in enumerate(rows.tolist()):
        wrong[place] = np.isin(drawn[place], true[[row]].indices)
    return FalseNegatives(
        drawn=float(wrong[real].mean()) if real.any() else 0.0,
        kept=float(wrong[kept].mean()) if kept.any() else 0.0,
        dropped=1 - float(kept.sum()) / max(1, int(real.sum())),
    )


def hidden(labels: csr_matrix, share: float, *, seed: int) -> csr_matrix:
    """The same labels with a share of them hidden at random, never the last of a video."""
    random = np.random.default_rng(seed)
    kept = random.random(len(labels.indices)) >= share
    for row in range(labels.shape[0]):
        start, end = labels.indptr[row], labels.indptr[row + 1]
        if end > start and not kept[start:end].any():
            kept[start + random.integers(end - start)] = True
    owner = np.repeat(np.arange(labels.shape[0]), np.diff(labels.indptr))[kept]
    ones = np.ones(int(kept.sum()), np.float32)
    fewer = csr_matrix((ones, (owner, labels.indices[kept])), shape=labels.shape)
    fewer.sort_indices()
    return fewer


def by_negatives(
    arena: Arena, *, seeds: int, progress: Progress
) -> dict[str, list[tuple[Figures, Scored]]]:
    """Table 2: each choice of negatives, the same steps, once a seed."""
    labels = label_matrix(arena.dataset, len(arena.parts.names))
    found: dict[str, list[tuple[Figures, Scored]]] = {name: [] for name in NEGATIVES}
    for name, negatives in NEGATIVES.items():
        for seed in range(seeds):
            plan = replace(arena.plan.fit, negatives=negatives)
            towers = arena.train(
                plan, labels, seed=seed, progress=progress, stage=f"{name}, seed {seed}"
            )
            found[name].append(arena.measure(towers))
    return found


def by_loss(
    arena: Arena, whole: csr_matrix, *, progress: Progress
) -> dict[str, dict[str, Figures]]:
    """Each loss with 0, 30 and 60 % of the training labels hidden; ``whole`` [N, V]: complete."""
    found: dict[str, dict[str, Figures]] = {}
    for loss in LossName:
        for share in HIDDEN:
            labels = hidden(whole, share, seed=0)
            plan = replace(arena.plan.fit, loss=loss)
            stage = f"{loss.value}, {share:.0%} hidden"
            towers = arena.train(plan, labels, seed=0, progress=progress, stage=stage)
            found.setdefault(loss.value, {})[f"{share:g}"] = arena.measure(towers)[0]
    return found
