"""Training the ranker of a bundle, and rankers that never saw a fold of the training videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix

from encoders.encoder import Encoders
from encoders.features import F32, I64
from encoders.profile import Profile
from encoders.small_bert import initial_layers
from rank.evidence import VideoVectors
from rank.fitting import (
    FitPlan,
    Prepared,
    as_arrays,
    fit,
    new_towers,
    prepare,
    tag_vectors,
    video_vectors,
)
from rank.inputs import Shape
from rank.progress import Progress, named
from rank.tower import Towers, TowerSize
from recall.candidates import CandidateSet
from recall.dataset import Dataset

I32 = npt.NDArray[np.int32]

LONGEST_TEXT = 48  # tokens the small BERT reads


@dataclass(frozen=True, slots=True)
class RankerPlan:
    """Sizes and lengths of the ranker's training."""

    size: TowerSize = field(default_factory=TowerSize)
    fit: FitPlan = field(default_factory=FitPlan)


@dataclass(frozen=True, slots=True, eq=False)
class RankerParts:
    """What a ranker's training takes beside the videos."""

    shape: Shape
    bert: dict[str, F32]
    names: F32
    word_embeddings: F32

    @classmethod
    def of(cls, encoders: Encoders, names: F32) -> RankerParts:
        """With what a profile's encoders bring; ``names`` float32 [V, Db] of the tags."""
        words, profile = encoders.word_embeddings, encoders.profile
        return cls(shape_of(profile, words.shape[1]), initial_layers(profile), names, words)


def shape_of(profile: Profile, word: int) -> Shape:
    """The widths and lengths of a profile's features."""
    dims = profile.dims
    return Shape(
        frame=dims.frame,
        audio=dims.audio,
        word=word,
        sentence=dims.sentence,
        bridge=dims.bridge,
        frames=profile.frame_spec.count,
        blocks=profile.front_end.blocks,
        tokens=min(LONGEST_TEXT, profile.max_tokens),
    )


@dataclass(frozen=True, slots=True, eq=False)
class TrainedRanker:
    """The towers, and each training video's logits by towers that never saw its fold."""

    towers: Towers
    logits: list[F32]


def train_ranker(
    videos: Dataset,
    candidates: Sequence[CandidateSet],
    fold: I32,
    parts: RankerParts,
    plan: RankerPlan,
    *,
    seed: int,
    progress: Progress,
) -> TrainedRanker:
    """Train on all of ``videos``, and once without each fold for the candidates' logits.

    ``candidates`` and ``fold`` belong to ``videos``, row by row.
    """
    material = _Material.of(videos, parts, plan, seed, progress)
    logits: list[F32] = [np.zeros(0, np.float32) for _ in candidates]
    folds = np.unique(fold).tolist()
    for number in folds:
        held = np.flatnonzero(fold == number).astype(np.int64)
        rest = material.everything[fold != number] if len(folds) > 1 else material.everything[:0]
        towers = material.towers(rest, f"ranker without fold {number + 1} of {len(folds)}")
        vectors = as_arrays(video_vectors(towers, material.prepared))
        tags, evidence = tag_vectors(towers).numpy(), towers.evidence()
        for row in held.tolist():
            own = VideoVectors(*(part[row] for part in vectors))
            logits[row] = evidence.logits(own, tags[candidates[row].tags])
    return TrainedRanker(material.towers(material.everything, "ranker"), logits)


def train_towers(
    videos: Dataset,
    parts: RankerParts,
    plan: RankerPlan,
    stage: str,
    *,
    seed: int,
    progress: Progress,
) -> Towers:
    """Train on all of ``videos``; ``stage``: what progress calls it."""
    material = _Material.of(videos, parts, plan, seed, progress)
    return material.towers(material.everything, stage)


@dataclass(frozen=True, slots=True, eq=False)
class _Material:
    """Towers trained on some of the same videos, from the same beginning."""

    prepared: Prepared
    labels: csr_matrix
    parts: RankerParts
    plan: RankerPlan
    seed: int
    progress: Progress

    @classmethod
    def of(
        cls, videos: Dataset, parts: RankerParts, plan: RankerPlan, seed: int, progress: Progress
    ) -> _Material:
        prepared = prepare(
            list(videos.each()), parts.shape, plan.size, parts.word_embeddings, seed=seed
        )
        return cls(prepared, label_matrix(videos, len(parts.names)), parts, plan, seed, progress)

    @property
    def everything(self) -> I64:
        return np.arange(self.labels.shape[0], dtype=np.int64)

    def towers(self, rows: I64, stage: str) -> Towers:
        torch.manual_seed(self.seed)
        parts, plan = self.parts, self.plan
        towers = new_towers(self.prepared, parts.shape, plan.size, parts.bert, parts.names)
        return fit(
            towers,
            self.prepared,
            self.labels,
            rows,
            plan.fit,
            seed=self.seed,
            progress=named(stage, self.progress),
        )


def label_matrix(videos: Dataset, tags: int) -> csr_matrix:
    """CSR [N, V] of ones."""
    labels = videos.labels
    values = np.ones(len(labels.values), np.float32)
    matrix = csr_matrix((values, labels.values, labels.starts), shape=(len(videos), tags))
    matrix.sort_indices()
    return matrix
