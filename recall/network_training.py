"""Training the fusion network and the tags' embeddings together. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from recall.channels import inputs_of
from recall.classifier import Classifier, Inputs, TagScorer, bias_of_new
from recall.large import laid_down, large
from recall.losses import Loss, alike, asymmetric, plain, selective
from recall.network import Ensemble, Fusion, Shape, TorchNetwork
from recall.ragged import Ragged

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Report = Callable[[str, float], None]

ALL_TAGS_UP_TO = 20_000
_HELD_OUT_SCORES = 4_000_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the network is trained; ``members``: so many, which are averaged."""

    members: int = 2
    loss: Loss = Loss.PLAIN
    epochs: int = 15
    batch: int = 128
    rate: float = 1.5e-3
    tag_rate: float = 4e-3
    decay: float = 2.0
    dropout: float = 0.5
    modality_dropout: float = 0.15
    tag_dropout: float = 0.1
    likeness: float = 0.3
    temperature: float = 0.1
    negatives: int = 4096
    patience: int = 4


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """N labelled videos: what the network's inputs are made of, as in ``recall.channels``.

    ``sentence``, ``bridge`` and ``sound`` float32 [N, …]; ``scenes``: ragged rows [Dv]; ``used``
    float32 [N, 3].
    """

    sentence: F32
    scenes: Ragged[np.float32]
    bridge: F32
    sound: F32
    used: F32
    labels: Ragged[np.int32]

    def __len__(self) -> int:
        return len(self.used)

    def inputs(self, rows: I64, used: F32 | None = None) -> Inputs:
        """The videos at ``rows``; ``used`` float32 [n, 3]: what of them is not hidden."""
        return inputs_of(
            self.sentence[rows],
            self.scenes.take(rows),
            self.bridge[rows],
            self.sound[rows],
            self.used[rows] if used is None else used,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What training gives: the classifier, and after how many epochs it was best."""

    classifier: Classifier
    epochs: int


class Tags(nn.Module):
    """Embedding and bias of each tag; above ALL_TAGS_UP_TO only those of a batch are touched.

    A tag that is not ``known`` (int64: those that some video is labelled with) has no embedding.
    """

    def __init__(self, prior: F32, names: F32, width: int, known: I64) -> None:
        super().__init__()
        large = len(prior) > ALL_TAGS_UP_TO
        self.embedding = nn.Embedding(len(prior), width, sparse=large)
        self.bias = nn.Embedding(len(prior), 1, sparse=large)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.known = known
        with torch.no_grad():
            self.embedding.weight[np.setdiff1d(np.arange(len(prior)), known)] = 0
            self.bias.weight.copy_(torch.from_numpy(prior)[:, None])
        self.names = torch.from_numpy(np.ascontiguousarray(names))

    def forward(
        self, hidden: Tensor, query: Tensor, shown: Tensor, tags: Tensor, kept: Tensor
    ) -> Tensor:
        """Log odds [B, C] of ``tags`` [C]; where ``kept`` [C] is 0, by the tag's name alone."""
        seen = shown > 0
        own = hidden[seen] @ (self.embedding(tags) * kept[:, None]).T
        of_scenes = own + query[seen] @ self.names[tags].T
        by_scene = of_scenes.new_full((*shown.shape, len(tags)), -math.inf)
        by_scene[seen] = of_scenes
        mean = by_scene.logsumexp(1) - torch.log(shown.sum(1, keepdim=True))
        scores: Tensor = mean + self.bias(tags).T
        return scores


def train_network(
    examples: Examples,
    prior: F32,
    names: F32,
    *,
    seed: int,
    recipe: Recipe,
    rows: I64 | None = None,
    held_out: Examples | None = None,
    stop_after: int | None = None,
    report: Report = lambda _what, _share: None,
) -> Trained:
    """Train on ``examples``, or those at ``rows`` int64 [n].

    ``prior`` float32 [V]: log share by tag, ``names`` [V, Db].

    With ``held_out``, the epoch with the best mean average precision there is kept; otherwise the
    last, ``stop_after`` epochs into the same course. Reproducible for one seed and thread count.
    """
    rows = np.arange(len(examples)) if rows is None else rows
    shape = Shape(
        sentence=examples.sentence.shape[1],
        scene=examples.scenes.values.shape[1],
        bridge=examples.bridge.shape[1],
        sound=examples.sound.shape[1],
        query=names.shape[1],
    )
    members = [
        _train_member(
            examples,
            prior,
            names,
            shape,
            seed=seed + 1000 * number,
            recipe=recipe,
            rows=rows,
            held_out=held_out,
            stop_after=stop_after,
            report=partial(_report_member, report, number, recipe.members),
        )
        for number in range(recipe.members)
    ]
    epochs = round(sum(member.epochs for member in members) / len(members))
    return Trained(_classifier(members, names, shape), epochs)


@dataclass(frozen=True, slots=True, eq=False)
class _Member:
    """One network, the tags' ``embeddings`` [V, d] and ``bias`` [V], and how long it was trained.

    ``bias`` of a tag that no video is labelled with is a rare one's.
    """

    fusion: Fusion
    embeddings: F32
    bias: F32
    epochs: int

    @classmethod
    def of(cls, fusion: Fusion, tags: Tags, epochs: int) -> _Member:
        """As they are now; the embeddings are not copied."""
        learned = tags.bias.weight.detach().numpy()[tags.known, 0]
        bias = np.full(len(tags.bias.weight), bias_of_new(learned), dtype=np.float32)
        bias[tags.known] = learned
        return cls(fusion.eval(), tags.embedding.weight.detach().numpy(), bias, epochs)


def _report_member(report: Report, number: int, members: int, share: float) -> None:
    report("network", (number + share) / members)


def _train_member(
    examples: Examples,
    prior: F32,
    names: F32,
    shape: Shape,
    *,
    seed: int,
    recipe: Recipe,
    rows: I64,
    held_out: Examples | None,
    stop_after: int | None,
    report: Callable[[float], None],
) -> _Member:
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    fusion = Fusion(shape, recipe.dropout)
    known = np.unique(examples.labels.take(rows).values).astype(np.int64)
    tags = Tags(prior, names, shape.hidden, known)
    course = _Course(fusion, tags, recipe, len(rows))
    best, best_epoch, kept = -1.0, 0, None
    last = min(stop_after or recipe.epochs, recipe.epochs)
    for epoch in range(1, last + 1):
        fusion.train()
        for some in np.array_split(random.permutation(len(rows)), course.steps):
            course.step(examples, rows[some], prior, random)
        report(epoch / last)
        if held_out is not None and len(held_out):
            now = _classifier([_Member.of(fusion, tags, epoch)], names, shape)
            precision = mean_average_precision(now, held_out)
            if precision > best:
                best, best_epoch = precision, epoch
                kept = deepcopy((fusion.state_dict(), tags.state_dict()))
            elif epoch - best_epoch >= recipe.patience:
                break
    if kept is not None:
        fusion.load_state_dict(kept[0])
        tags.load_state_dict(kept[1])
    member = _Member.of(fusion, tags, best_epoch or last)
    return replace(member, embeddings=laid_down(member.embeddings))


class _Course:
    """One training's optimisers and their schedule: a short rise, then a cosine down to nothing."""

    def __init__(self, fusion: Fusion, tags: Tags, recipe: Recipe, count: int) -> None:
        self.fusion, self.tags, self.recipe = fusion, tags, recipe
        self.steps = max(1, math.ceil(count / recipe.batch))
        self._taken = 0
        large = len(tags.bias.weight) > ALL_TAGS_UP_TO
        net = torch.optim.AdamW(fusion.parameters(), lr=1.0, weight_decay=recipe.decay)
        tag_side: torch.optim.Optimizer = (
            torch.optim.SparseAdam(list(tags.parameters()), lr=1.0)
            if large
            else torch.optim.AdamW(tags.parameters(), lr=1.0, weight_decay=recipe.decay)
        )
        self._optimizers = ((net, recipe.rate), (tag_side, recipe.tag_rate))

    def step(self, examples: Examples, rows: I64, prior: F32, random: np.random.Generator) -> None:
        """One step on the batch at ``rows``."""
        recipe = self.recipe
        used = _drop_modalities(examples.used[rows], recipe.modality_dropout, random)
        held = examples.labels.take(rows)
        columns, weight = _columns(held, self.tags.known, recipe.negatives, random)
        labels = torch.from_numpy(_dense(held, columns))
        inputs = examples.inputs(rows, used)
        hidden, query, fused, _ = self.fusion(*map(torch.from_numpy, inputs))
        kept = torch.from_numpy(
            (random.random(len(columns)) >= recipe.tag_dropout).astype(np.float32)
        )
        shown = torch.from_numpy(inputs.shown)
        logits = self.tags(hidden, query, shown, torch.from_numpy(columns), kept)
        weights = torch.from_numpy(weight)
        if recipe.loss is Loss.PLAIN:
            loss = plain(logits, labels, weights)
        elif recipe.loss is Loss.ASYMMETRIC:
            loss = asymmetric(logits, labels, weights)
        else:
            loss = selective(logits, labels, weights, torch.from_numpy(np.exp(prior[columns])))
        if recipe.likeness:
            rarity = torch.from_numpy(-prior[columns].clip(max=-0.1))
            loss = loss + recipe.likeness * alike(fused, labels * rarity, recipe.temperature)
        progress = self._taken / (self.steps * recipe.epochs)
        pace = min(1.0, progress / 0.05 + 0.02) * (0.5 + 0.5 * math.cos(math.pi * progress))
        for optimizer, rate in self._optimizers:
            optimizer.param_groups[0]["lr"] = rate * pace
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.fusion.parameters(), 5.0)
        for optimizer, _ in self._optimizers:
            optimizer.step()
        self._taken += 1


def _drop_modalities(used: F32, chance: float, random: np.random.Generator) -> F32:
    """Hide modalities at random, never a video's last one."""
    kept = used * (random.random(used.shape) >= chance)
    bare = kept.sum(axis=1) == 0
    kept[bare] = used[bare]
    return kept.astype(np.float32)


def _columns(
    labels: Ragged[np.int32], known: I64, negatives: int, random: np.random.Generator
) -> tuple[I64, F32]:
    """The tags that a batch is scored against, ascending, and what each one's terms weigh.

    All of the ``known`` ones (those that some video is labelled with), or where they are many those
    of the batch and a random sample of the others, which then stands for all the others.
    """
    if len(known) <= ALL_TAGS_UP_TO:
        return known, np.ones((1, len(known)), dtype=np.float32)
    own = np.unique(labels.values).astype(np.int64)
    drawn = np.setdiff1d(known[random.integers(0, len(known), negatives)], own)
    columns = np.concatenate([own, drawn])
    order = np.argsort(columns)
    weight = np.ones(len(columns), dtype=np.float32)
    weight[len(own) :] = (len(known) - len(own)) / max(len(drawn), 1)
    return columns[order], weight[order][None]


def _dense(labels: Ragged[np.int32], columns: I64) -> F32:
    out = np.zeros((len(labels), len(columns)), dtype=np.float32)
    row = np.repeat(np.arange(len(labels)), labels.lengths)
    out[row, np.searchsorted(columns, labels.values)] = 1.0
    return out


def _classifier(members: Sequence[_Member], names: F32, shape: Shape) -> Classifier:
    """The networks as they serve."""
    embeddings = members[0].embeddings
    if len(members) > 1:
        width = embeddings.shape[1]
        embeddings = large((len(embeddings), len(members) * width), np.float32)
        for number, member in enumerate(members):
            own = slice(number * width, (number + 1) * width)
            np.divide(member.embeddings, len(members), out=embeddings[:, own])
    bias = np.stack([member.bias for member in members]).mean(axis=0)
    network = TorchNetwork(Ensemble([member.fusion for member in members]), shape)
    return Classifier(network, TagScorer(embeddings, bias, names, None))


def mean_average_precision(classifier: Classifier, examples: Examples) -> float:
    """Mean over videos of the average precision of the whole ranking of tags."""
    most = max(50, _HELD_OUT_SCORES // max(len(classifier.tags.bias), 1))
    rows = np.arange(len(examples))[:: max(1, len(examples) // most)]
    scores = classifier.tags.all(classifier.network(examples.inputs(rows)))
    precisions = []
    for row, number in enumerate(rows.tolist()):
        wanted = examples.labels[number]
        if len(wanted):
            mine = scores[row, wanted]
            above = np.sort((scores[row][None] >= mine[:, None]).sum(axis=1))
            precisions.append(float(np.mean(np.arange(1, len(wanted) + 1) / above)))
    return float(np.mean(precisions)) if precisions else 0.0
