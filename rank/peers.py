"""What a user would try instead, on the same features and splits. Needs the extra ``train``.

    commonest         the commonest tags for everyone
    neighbours        the tags of the nearest labelled videos, all embeddings in one
    embeddings        one-vs-rest logistic regression on all embeddings
    words             one-vs-rest logistic regression on TF-IDF words
    mean              the mean of the last two's probabilities
    zero_shot         the similarity of a tag's name to words and picture
    label_trees       napkinXC's label trees on TF-IDF words and principal components together

Each one's free number (neighbours, ridge) is chosen on the validation split.
"""

from __future__ import annotations

from collections.abc import Iterator
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
from rank.tree_peer import installed, tree_scores
from recall.dataset import Dataset
from recall.splits import Split

I32 = npt.NDArray[np.int32]

KEPT = 100
NEIGHBOURS = (5, 15, 40)
NARROW = 384  # principal components of the embeddings
REACH = 4.0  # what their rows are scaled to, so that the weights stay within reach of the steps
RIDGES = (1e-6, 1e-5, 1e-4)
STRENGTHS = (5.0, 50.0)  # C of the regressions on words
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
    tags = len(names)
    labels = _labels(train, tags)
    wanted = _labels(val, tags)
    commonest = np.asarray(labels.mean(axis=0)).reshape(1, -1).astype(np.float32)
    yield Peer("commonest", _repeated(commonest, len(val)), _repeated(commonest, len(test)))
    progress("peers", 1, 7)
    embedded = _Embedded.fit(train)
    x_train, x_val, x_test = embedded(train), embedded(val), embedded(test)
    yield _best(
        "neighbours",
        [
            (_carried(x_train, labels, x_val, k), _carried(x_train, labels, x_test, k))
            for k in NEIGHBOURS
        ],
        wanted,
    )
    progress("peers", 2, 7)
    narrow = principal(x_train, min(NARROW, x_train.shape[1]))
    length = max(1e-6, float(np.sqrt((narrow(x_train) ** 2).sum(1).mean())))
    p_train, p_val, p_test = (narrow(part) / length for part in (x_train, x_val, x_test))
    by_embedding = _by_embeddings(p_train, labels, p_val, p_test, wanted, seed)
    yield by_embedding
    progress("peers", 3, 7)
    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), max_features=20_000)
    texts = [[words.text for words in part.words] for part in (train, val, test)]
    try:
        w_train = vectorizer.fit_transform(texts[0])
    except ValueError:  # no video has words
        w_train = csr_matrix((len(train), 1), dtype=np.float32)
        w_val, w_test = csr_matrix((len(val), 1)), csr_matrix((len(test), 1))
    else:
        w_val, w_test = (vectorizer.transform(text) for text in texts[1:])
    by_words = _by_words(w_train, labels, w_val, w_test, wanted)
    yield by_words
    progress("peers", 4, 7)
    yield Peer(
        "mean",
        np.asarray((by_embedding.validation + by_words.validation) / 2, np.float32),
        np.asarray((by_embedding.test + by_words.test) / 2, np.float32),
    )
    progress("peers", 5, 7)
    yield Peer("zero_shot", by_name(val, names), by_name(test, names))
    progress("peers", 6, 7)
    if installed():
        parts = ((w_train, p_train), (w_val, p_val), (w_test, p_test))
        joined = [hstack([words, csr_matrix(rows)], format="csr") for words, rows in parts]
        scores = tree_scores(joined[0], labels, joined[1], joined[2], seed=seed)
        yield _best("label_trees", scores, wanted)
    progress("peers", 7, 7)


def compare(peer: Peer, dataset: Dataset, truth: tuple[I32, ...], outside: I64) -> Compared:
    """A peer's figures on the test split, whose true tags are ``truth``."""
    tags, scores = _top(peer.validation)
    threshold = for_tags_per_video(
        np.concatenate([np.zeros(0), *scores]), len(dataset.of(Split.VAL))
    )
    tags, scores = _top(peer.test)
    scored = Scored.of(tags, scores, truth, outside)
    return Compared(peer.name, threshold, figures(scored, threshold), scored)


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


def _repeated(row: F32, count: int) -> F32:
    return np.asarray(np.tile(row, (count, 1)), np.float32)


def _labels(videos: Dataset, tags: int) -> csr_matrix:
    labels = videos.labels
    ones = np.ones(len(labels.values), np.float32)
    return csr_matrix((ones, labels.values, labels.starts), shape=(len(videos), tags))


def _carried(known: F32, labels: csr_matrix, asked: F32, k: int) -> F32:
    def unit(x: F32) -> F32:
        return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9))

    similar = unit(asked) @ unit(known).T
    k = min(k, known.shape[0])
    near = np.argpartition(-similar, k - 1, axis=1)[:, :k]
    weight = np.maximum(np.take_along_axis(similar, near, axis=1), 0)
    weight = weight / np.maximum(weight.sum(1, keepdims=True), 1e-9)
    rows = np.repeat(np.arange(len(asked)), k)
    spread = csr_matrix((weight.ravel(), (rows, near.ravel())), shape=similar.shape)
    return np.asarray((spread @ labels).toarray(), np.float32)


def _by_embeddings(
    train: F32, labels: csr_matrix, val: F32, test: F32, wanted: csr_matrix, seed: int
) -> Peer:
    """One logistic regression a tag on the principal components, all tags at once.

    ``train``, ``val``, ``test``: rows whose mean length is one.
    """
    found = []
    for ridge in RIDGES:
        weights, bias = _fit(train * REACH, labels, ridge, seed)
        validated, tested = (part * REACH @ weights + bias for part in (val, test))
        found.append((_chance(validated), _chance(tested)))
    return _best("embeddings", found, wanted)


def _by_words(
    train: csr_matrix, labels: csr_matrix, val: csr_matrix, test: csr_matrix, wanted: csr_matrix
) -> Peer:
    """One logistic regression a tag on sparse TF-IDF rows."""
    columns = labels.tocsc()
    found = []
    for strength in STRENGTHS:
        validated = np.zeros((val.shape[0], labels.shape[1]), np.float32)
        tested = np.zeros((test.shape[0], labels.shape[1]), np.float32)
        for tag in np.flatnonzero(np.diff(columns.indptr)).tolist():
            target = columns[:, [tag]].toarray().ravel() > 0
            if target.all():
                validated[:, tag] = tested[:, tag] = 1
                continue
            model = LogisticRegression(C=strength, solver="liblinear")
            model.fit(train, target)
            validated[:, tag] = model.predict_proba(val)[:, 1]
            tested[:, tag] = model.predict_proba(test)[:, 1]
        found.append((validated, tested))
    return _best("words", found, wanted)


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


def _best(name: str, found: list[tuple[F32, F32]], wanted: csr_matrix) -> Peer:
    """The setting whose 3.12 tags a video are most often right on validation."""

    def right(scores: F32) -> float:
        tags, kept = _top(scores)
        threshold = for_tags_per_video(np.concatenate([np.zeros(0), *kept]), len(scores))
        hits = [
            np.isin(t[s >= threshold], wanted[row].indices).sum()
            for row, (t, s) in enumerate(zip(tags, kept, strict=True))
        ]
        return float(np.sum(hits))

    validation, test = max(found, key=lambda pair: right(pair[0]))
    return Peer(name, validation, test)


def _top(scores: F32) -> tuple[list[I32], list[npt.NDArray[np.float64]]]:
    kept = min(KEPT, scores.shape[1])
    best = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
    values = np.take_along_axis(scores, best, axis=1).astype(np.float64)
    return list(best.astype(np.int32)), list(values)
