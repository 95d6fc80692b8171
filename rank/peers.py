"""What a user would try instead, on the same features and splits. Needs the extra ``train``.

    commonest         the commonest tags for everyone
    neighbours        the tags of the nearest labelled videos, all embeddings in one
    embeddings        one-vs-rest logistic regression on all embeddings
    words             one-vs-rest logistic regression on TF-IDF words
    zero_shot         the similarity of a tag's name to words and picture
    label_trees       napkinXC's label trees on TF-IDF words and principal components together
    mean              the mean of both regressions' probabilities

Each one's free number (neighbours, ridge) is chosen on the validation split; what it says of the
test split it has learned from both splits, as the product has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import binary_cross_entropy_with_logits

from encoders.features import F32, I64
from rank.metrics import Figures, Scored, figures
from rank.progress import Progress
from rank.projection import principal
from rank.threshold import for_tags_per_video
from rank.tree_peer import COSTS, installed, tree_scores
from recall.dataset import Dataset
from recall.splits import Split

I32 = npt.NDArray[np.int32]

KEPT = 100
NARROW = 384  # principal components of the embeddings
REACH = 4.0  # what their rows are scaled to, so that the weights stay within reach of the steps
STEPS = 300
A_STEP = 512  # videos


@dataclass(frozen=True, slots=True, eq=False)
class Peer:
    """One baseline's scores: float32 [videos, V] on validation and on test."""

    name: str
    validation: F32
    test: F32


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """What a peer reaches on the test split, at its own validation threshold."""

    name: str
    threshold: float
    figures: Figures
    scored: Scored


def peers(dataset: Dataset, names: F32, *, seed: int, progress: Progress) -> Iterator[Peer]:
    """Train and run the peers in turn. ``names`` float32 [V, Db]: the tags' names as vectors."""
    train, val, test = (dataset.of(split) for split in (Split.TRAIN, Split.VAL, Split.TEST))
    wanted = _labels(val, len(names))
    choosing = _Task.of(train, val, names, seed)
    telling = _Task.of(dataset.of(Split.TRAIN, Split.VAL), test, names, seed)
    done: dict[str, Peer] = {}

    def told(peer: Peer) -> Peer:
        done[peer.name] = peer
        progress("peers", len(done), len(METHODS) + 1)
        return peer

    for name, (answer, settings) in METHODS.items():
        if name != "label_trees" or installed():
            found = {setting: answer(choosing, setting) for setting in settings}
            best = max(found, key=lambda setting: _right(found[setting], wanted))
            yield told(Peer(name, found[best], answer(telling, best)))
    first, second = done["embeddings"], done["words"]
    yield told(
        Peer(
            "mean",
            np.asarray((first.validation + second.validation) / 2, np.float32),
            np.asarray((first.test + second.test) / 2, np.float32),
        )
    )


def compare(peer: Peer, truth: tuple[I32, ...], outside: I64) -> Compared:
    """A peer's figures on the test split, whose true tags are ``truth``."""
    _, scores = _top(peer.validation)
    threshold = _threshold(scores)
    tags, scores = _top(peer.test)
    scored = Scored.of(tags, scores, truth, outside)
    return Compared(peer.name, threshold, figures(scored, threshold), scored)


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """Labelled videos to learn from, and others that are asked about, as each method takes them.

    ``near``: standardised embeddings; ``narrow``: their principal components, rows of mean length
    one; ``words``: TF-IDF. Each of those learned from, then of those asked about.
    """

    asked: Dataset
    names: F32
    labels: csr_matrix
    near: tuple[F32, F32]
    narrow: tuple[F32, F32]
    words: tuple[csr_matrix, csr_matrix]
    seed: int

    @classmethod
    def of(cls, known: Dataset, asked: Dataset, names: F32, seed: int) -> _Task:
        embedded = _Embedded.fit(known)
        near = embedded(known), embedded(asked)
        components = principal(near[0], min(NARROW, near[0].shape[1]))
        length = max(1e-6, float(np.sqrt((components(near[0]) ** 2).sum(1).mean())))
        narrow = components(near[0]) / length, components(near[1]) / length
        labels = _labels(known, len(names))
        return cls(asked, names, labels, near, narrow, _tfidf(known, asked), seed)


@dataclass(frozen=True, slots=True, eq=False)
class _Embedded:
    """Sentence, mean frame and mean audio embedding side by side, each standardised."""

    means: tuple[F32, ...]
    spreads: tuple[F32, ...]

    @classmethod
    def fit(cls, videos: Dataset) -> _Embedded:
        parts = _parts(videos)
        return cls(
            tuple(part.mean(0) for part in parts), tuple(part.std(0) + 1e-3 for part in parts)
        )

    def __call__(self, videos: Dataset) -> F32:
        placed = [
            (part - mean) / spread / np.sqrt(max(1, part.shape[1])) * part.any(1, keepdims=True)
            for part, mean, spread in zip(_parts(videos), self.means, self.spreads, strict=True)
        ]
        return np.concatenate(placed, axis=1).astype(np.float32)


def _parts(videos: Dataset) -> tuple[F32, ...]:
    return videos.sentence, videos.frames.means(), videos.audio.means()


def _tfidf(known: Dataset, asked: Dataset) -> tuple[csr_matrix, csr_matrix]:
    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), max_features=20_000)
    try:
        learned = vectorizer.fit_transform([words.text for words in known.words])
    except ValueError:  # no video has words
        return tuple(csr_matrix((len(part), 1), dtype=np.float32) for part in (known, asked))
    return learned, vectorizer.transform([words.text for words in asked.words])


def _commonest(task: _Task, _: float) -> F32:
    shares = np.asarray(task.labels.mean(axis=0), np.float32).reshape(1, -1)
    return np.asarray(np.tile(shares, (len(task.asked), 1)))


def _labels(videos: Dataset, tags: int) -> csr_matrix:
    labels = videos.labels
    ones = np.ones(len(labels.values), np.float32)
    return csr_matrix((ones, labels.values, labels.starts), shape=(len(videos), tags))


def _neighbours(task: _Task, count: float) -> F32:
    def unit(x: F32) -> F32:
        return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9))

    known, asked = task.near
    similar = unit(asked) @ unit(known).T
    k = min(int(count), known.shape[0])
    near = np.argpartition(-similar, k - 1, axis=1)[:, :k]
    weight = np.maximum(np.take_along_axis(similar, near, axis=1), 0)
    weight = weight / np.maximum(weight.sum(1, keepdims=True), 1e-9)
    rows = np.repeat(np.arange(len(asked)), k)
    spread = csr_matrix((weight.ravel(), (rows, near.ravel())), shape=similar.shape)
    return np.asarray((spread @ task.labels).toarray(), np.float32)


def _by_embeddings(task: _Task, ridge: float) -> F32:
    """One logistic regression a tag on the principal components, all tags at once."""
    known, asked = task.narrow
    weights, bias = _fit(known * REACH, task.labels, ridge, task.seed)
    return _chance(asked * REACH @ weights + bias)


def _by_words(task: _Task, strength: float) -> F32:
    """One logistic regression a tag on sparse TF-IDF rows."""
    columns, (known, asked) = task.labels.tocsc(), task.words
    scores = np.zeros((asked.shape[0], columns.shape[1]), np.float32)
    for tag in np.flatnonzero(np.diff(columns.indptr)).tolist():
        target = columns[:, [tag]].toarray().ravel() > 0
        if target.all():
            scores[:, tag] = 1
            continue
        model = LogisticRegression(C=strength, solver="liblinear")
        model.fit(known, target)
        scores[:, tag] = model.predict_proba(asked)[:, 1]
    return scores


def _zero_shot(task: _Task, _: float) -> F32:
    return by_name(task.asked, task.names)


def _label_trees(task: _Task, cost: float) -> F32:
    known, asked = (
        hstack([words, csr_matrix(rows)], format="csr")
        for words, rows in zip(task.words, task.narrow, strict=True)
    )
    return tree_scores(known, task.labels, asked, cost=cost, seed=task.seed)


def _fit(x: F32, labels: csr_matrix, ridge: float, seed: int) -> tuple[F32, F32]:
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    weights = torch.zeros(x.shape[1], labels.shape[1], requires_grad=True)
    bias = torch.full((labels.shape[1],), -5.0, requires_grad=True)
    optimiser = torch.optim.Adam([weights, bias], lr=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.05, total_steps=STEPS + 1)
    for _ in range(STEPS):
        rows = random.choice(x.shape[0], min(A_STEP, x.shape[0]), replace=False)
        logits = torch.from_numpy(x[rows].astype(np.float32)) @ weights + bias
        target = torch.from_numpy(labels[rows].toarray())
        wrong = binary_cross_entropy_with_logits(logits, target, reduction="sum") / len(rows)
        loss = wrong + ridge * (weights * weights).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        schedule.step()
    return weights.detach().numpy(), bias.detach().numpy()


def _chance(logits: npt.NDArray[np.floating[Any]]) -> F32:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), np.float32)


def by_name(videos: Dataset, names: F32) -> F32:
    """The greater of the words' and the picture's cosine with each name, of one space.

    The sound's is left out: what is heard has less of a name, and the greatest of all three was
    right less often.
    """
    width = names.shape[1]
    parts = [part @ names.T for part in (videos.sentence, videos.bridge) if part.shape[1] == width]
    if not parts:
        return np.zeros((len(videos), len(names)), np.float32)
    return np.asarray(np.maximum.reduce(parts), np.float32)


def _right(scores: F32, wanted: csr_matrix) -> int:
    """How many of the best 3.12 tags a video are labels."""
    tags, kept = _top(scores)
    threshold = _threshold(kept)
    return sum(
        int(np.isin(t[s >= threshold], wanted[row].indices).sum())
        for row, (t, s) in enumerate(zip(tags, kept, strict=True))
    )


def _threshold(scores: list[npt.NDArray[np.float64]]) -> float:
    """From which score on these videos get 3.12 tags each."""
    return for_tags_per_video(np.concatenate([np.zeros(0), *scores]), len(scores))


def _top(scores: F32) -> tuple[list[I32], list[npt.NDArray[np.float64]]]:
    kept = min(KEPT, scores.shape[1])
    best = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
    values = np.take_along_axis(scores, best, axis=1).astype(np.float64)
    return list(best.astype(np.int32)), list(values)


METHODS: Mapping[str, tuple[Callable[[_Task, float], F32], tuple[float, ...]]] = {
    "commonest": (_commonest, (0.0,)),
    "neighbours": (_neighbours, (5, 15, 40)),
    "embeddings": (_by_embeddings, (1e-6, 1e-5, 1e-4)),
    "words": (_by_words, (5.0, 50.0)),
    "zero_shot": (_zero_shot, (0.0,)),
    "label_trees": (_label_trees, COSTS),
}
"""By name, and the settings to choose from: how many neighbours, ridge, C of the regressions."""
