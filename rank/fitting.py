"""Training the two towers: first everything but the small BERT, then, for fewer epochs, all of it.

The first phase reads each text once with the small BERT as it came. At its end the model is
frozen as the teacher that guards hard negatives in the second. Needs torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags
from torch import Tensor, nn

from encoders.features import F32, I64, Features
from rank.evidence import VideoVectors
from rank.inputs import Shape, pack
from rank.losses import LOSSES, LossName
from rank.negatives import NegativePlan, Sampler, Teacher
from rank.progress import Progress
from rank.projection import Projection, principal
from rank.small_bert import SmallBert
from rank.tower import TagTower, Towers, TowerSize, VideoTensors, VideoTower

MOST_FOR_PRINCIPAL = 40_000  # rows that settle the principal components well enough
TEXTS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class FitPlan:
    """How long and how fast to train; a small corpus gets ``fewest_steps`` all the same."""

    epochs: int = 12
    bert_epochs: int = 3
    batch: int = 128
    rate: float = 1e-3
    tag_rate: float = 5e-3
    bert_rate: float = 1e-4
    decay: float = 0.02
    fewest_steps: int = 200
    loss: LossName = LossName.CONTRASTIVE
    negatives: NegativePlan = field(default_factory=NegativePlan)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """N videos as tensors: narrowed sequences, word embeddings by token, the rest as packed."""

    frames: Tensor
    frames_mask: Tensor
    audio: Tensor
    audio_mask: Tensor
    texts: tuple[I64, ...]
    sentence: Tensor
    bridge: Tensor
    present: Tensor
    word_embeddings: F32
    narrow_frames: Projection
    narrow_audio: Projection

    def words(self, rows: I64) -> tuple[Tensor, Tensor]:
        """Frozen word embeddings [B, L, Dw] and mask [B, L] of some videos."""
        texts = [self.texts[row] for row in rows.tolist()]
        length = max([1, *(len(text) for text in texts)])
        words = np.zeros((len(texts), length, self.word_embeddings.shape[1]), np.float32)
        mask = np.zeros((len(texts), length), np.float32)
        for row, text in enumerate(texts):
            words[row, : len(text)] = self.word_embeddings[text]
            mask[row, : len(text)] = 1
        return torch.from_numpy(words), torch.from_numpy(mask)


def prepare(
    features: Sequence[Features], shape: Shape, size: TowerSize, word_embeddings: F32, *, seed: int
) -> Prepared:
    """Pack features for training and fit the projections that make sequences narrow."""
    random = np.random.default_rng(seed)
    narrow_frames = _fit_projection(
        [f.frames for f in features], shape.frame, size.narrow_frame, random
    )
    narrow_audio = _fit_projection(
        [f.audio for f in features], shape.audio, size.narrow_audio, random
    )
    frames, audio, masks, rest, texts = [], [], [], [], []
    for start in range(0, len(features), 256):
        packed = pack(features[start : start + 256], shape, word_embeddings)
        frames.append(narrow_frames(packed.frames) * packed.frames_mask[..., None])
        audio.append(narrow_audio(packed.audio) * packed.audio_mask[..., None])
        masks.append((packed.frames_mask, packed.audio_mask))
        rest.append((packed.sentence, packed.bridge, packed.present))
        lengths = packed.words_mask.sum(1).astype(int)
        for item, length in zip(features[start : start + 256], lengths, strict=True):
            texts.append(np.zeros(0, np.int64) if item.tokens is None else item.tokens[:length])
    frame_masks, audio_masks = (_join(column) for column in zip(*masks, strict=True))
    sentence, bridge, present = (_join(column) for column in zip(*rest, strict=True))
    return Prepared(
        _join(frames),
        frame_masks,
        _join(audio),
        audio_masks,
        tuple(texts),
        sentence,
        bridge,
        present,
        word_embeddings,
        narrow_frames,
        narrow_audio,
    )


def new_towers(
    prepared: Prepared, shape: Shape, size: TowerSize, bert_state: dict[str, F32], names: F32
) -> Towers:
    """Untrained towers on a seeded generator (set it before). ``names`` float32 [V, Db].

    Where a sentence, a picture's bridge and a tag's name are of one space and width, their
    projections start equal, so that the untrained towers already compare meanings.
    """
    bert = SmallBert.from_published(bert_state, layers=size.bert_layers, tokens=shape.tokens)
    video = VideoTower(shape, size, bert)
    tag = TagTower(torch.from_numpy(names), size.vector, size.tag_dropout)
    _set_projection(video.narrow_frames, prepared.narrow_frames)
    _set_projection(video.narrow_audio, prepared.narrow_audio)
    nn.init.orthogonal_(tag.project.weight)
    with torch.no_grad():
        for layer in (video.sentence, video.bridge):
            if layer.weight.shape == tag.project.weight.shape:
                layer.weight.copy_(tag.project.weight)
                layer.bias.zero_()
    return Towers(video, tag)


def fit(
    towers: Towers,
    prepared: Prepared,
    labels: csr_matrix,
    rows: I64,
    plan: FitPlan,
    *,
    seed: int,
    progress: Progress,
) -> Towers:
    """Train towers on the videos at ``rows``, ``labels`` CSR [N, V]; returns them in eval mode."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    rows = rows[np.diff(labels.indptr)[rows] > 0]
    if not len(rows):
        return towers.eval()
    labels = _only(labels, rows)
    batch = min(plan.batch, max(8, len(rows) // 4))
    a_epoch = math.ceil(len(rows) / batch)
    heads = max(plan.epochs * a_epoch, plan.fewest_steps)
    whole = max(plan.bert_epochs * a_epoch, plan.fewest_steps // 4) if plan.bert_epochs else 0
    frozen_reading = read_words(towers, prepared)
    trainer = _Trainer(towers, prepared, labels, plan, random)
    easy = replace(plan.negatives, hard_share=0.0) if whole else plan.negatives
    trainer.run(rows, batch, heads, easy, frozen_reading, None, "ranker", progress)
    if whole:
        teacher = frozen(towers, video_vectors(towers, prepared, frozen_reading))
        trainer.run(rows, batch, whole, plan.negatives, None, teacher, "ranker, words", progress)
    return towers.eval()


@torch.no_grad()
def read_words(towers: Towers, prepared: Prepared) -> Tensor:
    """What the small BERT reads in each video's words, float32 [N, D]."""
    towers.eval()
    return _read(towers, prepared, np.arange(len(prepared.texts)))


@torch.no_grad()
def video_vectors(towers: Towers, prepared: Prepared, read: Tensor | None = None) -> VideoTensors:
    """The vectors of all prepared videos."""
    read = read_words(towers, prepared) if read is None else read
    towers.eval()
    found = [
        _fuse(towers, prepared, rows, read[torch.from_numpy(rows)])
        for rows in _chunks(len(prepared.texts), 256)
    ]
    return VideoTensors(*(torch.cat(each) for each in zip(*found, strict=True)))


@torch.no_grad()
def tag_vectors(towers: Towers) -> Tensor:
    """Unit vectors of all tags, float32 [V, D]."""
    towers.eval()
    return towers.tag.all()


@torch.no_grad()
def frozen(towers: Towers, videos: VideoTensors) -> Teacher:
    """The towers as they are now, as a teacher of those videos."""
    return Teacher(as_arrays(videos), tag_vectors(towers).numpy(), towers.evidence())


def as_arrays(videos: VideoTensors) -> VideoVectors:
    """The same vectors in numpy."""
    return VideoVectors(*(part.numpy() for part in videos))


class _Trainer:
    """One run of optimiser steps after another over the same towers."""

    def __init__(
        self,
        towers: Towers,
        prepared: Prepared,
        labels: csr_matrix,
        plan: FitPlan,
        random: np.random.Generator,
    ) -> None:
        self.towers = towers
        self.prepared = prepared
        self.labels = labels
        self.plan = plan
        self.random = random
        for frozen in (towers.video.narrow_frames, towers.video.narrow_audio):
            frozen.requires_grad_(False)

    def run(
        self,
        rows: I64,
        batch: int,
        steps: int,
        negatives: NegativePlan,
        frozen_reading: Tensor | None,
        teacher: Teacher | None,
        stage: str,
        progress: Progress,
    ) -> None:
        """``steps`` steps; with a ``frozen_reading`` the small BERT is left as it is."""
        sampler = Sampler(self.labels, negatives)
        dense, sparse = self._optimisers(frozen_reading is not None)
        rates = [group["lr"] for group in dense.param_groups], sparse.param_groups[0]["lr"]
        loss_of = LOSSES[self.plan.loss]
        self.towers.train()
        for step, picked in enumerate(_batches(rows, batch, steps, self.random)):
            factor = _schedule(step, steps)
            for group, rate in zip(dense.param_groups, rates[0], strict=True):
                group["lr"] = rate * factor
            sparse.param_groups[0]["lr"] = rates[1] * factor
            if frozen_reading is None:
                read = _read(self.towers, self.prepared, picked)
            else:
                read = frozen_reading[torch.from_numpy(picked)]
            videos = _fuse(self.towers, self.prepared, picked, read)
            loss = loss_of(*self._scores(videos, picked, sampler, teacher))
            dense.zero_grad()
            sparse.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            dense.step()
            sparse.step()
            progress(stage, step + 1, steps)

    def _scores(
        self, videos: VideoTensors, picked: I64, sampler: Sampler, teacher: Teacher | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        positives, real = _padded(self.labels, picked)
        shared = sampler.random(self.random)
        hard, reached = sampler.hard(picked, self.random)
        against = np.concatenate([np.broadcast_to(shared, (len(picked), len(shared))), hard], 1)
        allowed = ~_labelled(self.labels, picked, against)
        allowed[:, len(shared) :] &= reached
        kept = np.broadcast_to(allowed[:, None, :], (*positives.shape, against.shape[1]))
        if teacher is not None and sampler.plan.guarded:
            kept = kept & teacher.keeps(picked, positives, against)
        memory, places = np.unique(
            np.concatenate([positives.ravel(), against.ravel()]), return_inverse=True
        )
        vectors = self.towers.tag(torch.from_numpy(memory))
        logits = self.towers.logits(videos, vectors)
        at = torch.from_numpy(places)
        positive = logits.gather(1, at[: positives.size].reshape(positives.shape))
        negative = logits.gather(1, at[positives.size :].reshape(against.shape))
        return positive, negative, torch.from_numpy(real), torch.from_numpy(kept.copy())

    def _optimisers(self, bert_frozen: bool) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        bert = list(self.towers.video.bert.parameters())
        learned = self.towers.tag.learned.weight
        apart = {id(parameter) for parameter in (*bert, learned)}
        rest = [
            parameter
            for parameter in self.towers.parameters()
            if parameter.requires_grad and id(parameter) not in apart
        ]
        slower = 1.0 if bert_frozen else 0.3
        groups = [{"params": rest, "lr": self.plan.rate * slower}]
        if not bert_frozen:
            groups.append({"params": bert, "lr": self.plan.bert_rate})
        dense = torch.optim.AdamW(groups, weight_decay=self.plan.decay)
        return dense, torch.optim.SparseAdam([learned], lr=self.plan.tag_rate * slower)


def _read(towers: Towers, prepared: Prepared, rows: I64) -> Tensor:
    """As ``read_words`` of some videos, [B, D]: texts of about one length together, little padding.

    The middle text is about a third as long as the longest, and reading is what training costs.
    """
    order = np.argsort([len(prepared.texts[row]) for row in rows.tolist()], kind="stable")
    read = [
        towers.video.bert(*prepared.words(rows[order[start : start + TEXTS_AT_ONCE]]))
        for start in range(0, len(rows), TEXTS_AT_ONCE)
    ]
    return torch.cat(read)[torch.from_numpy(np.argsort(order))]


def _fuse(towers: Towers, prepared: Prepared, rows: I64, read: Tensor) -> VideoTensors:
    at = torch.from_numpy(rows)
    return towers.video.fuse(
        prepared.frames[at],
        prepared.frames_mask[at],
        prepared.audio[at],
        prepared.audio_mask[at],
        read,
        prepared.sentence[at],
        prepared.bridge[at],
        prepared.present[at],
    )


def _batches(rows: I64, batch: int, steps: int, random: np.random.Generator) -> Iterator[I64]:
    queue = np.zeros(0, np.int64)
    for _ in range(steps):
        while len(queue) < batch:
            queue = np.concatenate([queue, random.permutation(rows)])
        yield queue[:batch]
        queue = queue[batch:]


def _schedule(step: int, steps: int) -> float:
    """Linear warm-up over a tenth of the steps, then a cosine down to nothing."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _only(labels: csr_matrix, rows: I64) -> csr_matrix:
    """The labels of these videos; the other rows empty."""
    kept = np.zeros(labels.shape[0], np.float32)
    kept[rows] = 1
    found = (diags(kept) @ labels).tocsr()
    found.eliminate_zeros()
    found.sort_indices()
    return found


def _padded(labels: csr_matrix, rows: I64) -> tuple[I64, F32]:
    lists = [labels.indices[labels.indptr[row] : labels.indptr[row + 1]] for row in rows]
    most = max([1, *(len(found) for found in lists)])
    tags = np.zeros((len(rows), most), np.int64)
    real = np.zeros((len(rows), most), np.float32)
    for row, found in enumerate(lists):
        tags[row, : len(found)] = found
        real[row, : len(found)] = 1
    return tags, real


def _labelled(
    labels: csr_matrix, rows: I64, tags: I64
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which of ``tags`` [B, n] are labels of the videos at ``rows``."""
    width = labels.shape[1]
    own, _ = zip(
        *[(labels.indices[labels.indptr[r] : labels.indptr[r + 1]], r) for r in rows], strict=True
    )
    keys = np.concatenate(
        [place * width + found.astype(np.int64) for place, found in enumerate(own)]
    )
    return np.isin(tags + np.arange(len(rows))[:, None] * width, keys)


def _fit_projection(
    sequences: Sequence[F32 | None], wide: int, narrow: int, random: np.random.Generator
) -> Projection:
    found = [sequence for sequence in sequences if sequence is not None and len(sequence)]
    rows = np.concatenate(found) if found else np.zeros((0, wide), np.float32)
    if len(rows) > MOST_FOR_PRINCIPAL:
        rows = rows[np.sort(random.choice(len(rows), MOST_FOR_PRINCIPAL, replace=False))]
    return principal(rows, narrow)


def _set_projection(layer: nn.Linear, projection: Projection) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(projection.matrix.T))
        layer.bias.copy_(torch.from_numpy(-projection.mean @ projection.matrix))


def _join(arrays: Sequence[F32]) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays))


def _chunks(count: int, size: int) -> Iterator[I64]:
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))
