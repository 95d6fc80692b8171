"""Training the last stage. Needs scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from encoders.features import F32
from rank.calibration import sigmoid
from rank.columns import COLUMNS, RISING
from rank.combine import Combiner, Linear, mean
from rank.opinion import OPINION_RISING, opinions
from rank.progress import Progress, quiet
from rank.together import COMPANY, Together
from recall.ragged import Ragged
from recall.tree_training import grow
from recall.trees import Trees

Bools = npt.NDArray[np.bool_]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

FEW = 150  # positives below which trees have nothing to split on
FEWEST = 5  # positives below which nothing is fitted
GUESSED: dict[str, float] = {"name": 5.0, "meaning": 4.0, "bridge": 2.0, "text": 2.0, "visual": 1.0}
"""What the columns count for before any label has been seen. Sound counts for nothing: on
validation clips without labels its names made nothing better, at any weight from 0.5 to 2."""
FOLDS = 3
COUNTED_FOLDS = 20  # counting is cheap, and counts of nearly all videos are as those at serving


@dataclass(frozen=True, slots=True)
class CombinePlan:
    """Sizes of the boosted trees, and how strongly the regression is held back.

    ``rounds``: how often trees look at the opinion so far. ``many``: positives from which they look
    at opinions and company at all, in a single round below. Counts of few labels mislead: with the
    labels of 936 videos, company made one corpus no better and another worse; with 6,000 labelled
    candidates of 2,400 videos it is better already.
    """

    trees: int = 150
    depth: int = 5
    rate: float = 0.07
    leaf: int = 30
    ridge: float = 0.1
    share: float = 0.75
    rounds: int = 2
    many: int = 5_000


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Candidates of many videos, each video's side by side.

    ``rows`` float32 [n, F]: their columns; ``labelled`` bool [n]; ``tags`` int32 [n]; ``video``
    int64 [n]: whose they are.
    """

    rows: F32
    labelled: Bools
    tags: I32
    video: I64

    def take(self, kept: Bools) -> Examples:
        """Some of them."""
        return Examples(self.rows[kept], self.labelled[kept], self.tags[kept], self.video[kept])


def fit(
    examples: Examples, labels: Ragged[np.int32], groups: I64, plan: CombinePlan, *, seed: int
) -> Combiner:
    """Train both models on the same candidates.

    ``labels`` and ``groups`` (int64): of each video number, its tags and the component of sources
    that it belongs to.
    """
    positives = int(examples.labelled.sum())
    if positives < FEWEST:
        return untrained()
    linear = fit_linear(examples, plan)
    if positives < FEW:
        return Combiner(linear, (), Together.none(), 0.0)
    if positives < plan.many:
        trees = fit_trees(examples, plan, seed=seed)
        return Combiner(linear, (trees,), Together.none(), plan.share)
    rounds = fit_rounds(examples, labels, groups, plan, seed=seed)
    return Combiner(linear, rounds, Together.of(labels), plan.share)


def fit_rounds(
    examples: Examples, labels: Ragged[np.int32], groups: I64, plan: CombinePlan, *, seed: int
) -> tuple[Trees, ...]:
    """The trees of each round. What they learn from has the opinion so far as a new video would
    have it: by models that never saw the component.
    """
    rounds: list[Trees] = []
    first = opinion = by_strangers(examples, groups, seed, lambda seen: fit_linear(seen, plan))
    while True:
        beside = company(examples, labels, groups, sigmoid(opinion), seed)
        table = np.concatenate([examples.rows, beside, opinions(opinion, examples.video)], axis=1)
        wider = replace(examples, rows=table)
        rounds.append(fit_trees(wider, plan, seed=seed))
        if len(rounds) == plan.rounds:
            return tuple(rounds)
        unseen = by_strangers(wider, groups, seed, lambda seen: fit_trees(seen, plan, seed=seed))
        opinion = mean(first, unseen, plan.share)


def by_strangers(
    examples: Examples, groups: I64, seed: int, learn: Callable[[Examples], Callable[[F32], F64]]
) -> F64:
    """The logit of each candidate, as of a new video's: what ``learn`` gives never saw the
    component.
    """
    logits = np.zeros(len(examples.rows))
    for held in folds_of(groups, FOLDS, seed):
        own = held[examples.video]
        if own.any() and examples.labelled[~own].any():
            logits[own] = learn(examples.take(~own))(examples.rows[own])
    return logits


def company(
    examples: Examples, labels: Ragged[np.int32], groups: I64, chances: F64, seed: int
) -> F32:
    """COMPANY as a new video would have it: the counts never saw the component."""
    found = np.zeros((len(chances), len(COMPANY)), np.float32)
    for held in folds_of(groups, COUNTED_FOLDS, seed):
        own = held[examples.video]
        found[own] = Together.of(without(labels, held)).columns(
            examples.tags[own], examples.video[own], chances[own]
        )
    return found


def fit_linear(examples: Examples, plan: CombinePlan) -> Linear:
    """Ridge logistic regression."""
    rows, y = examples.rows, examples.labelled
    known = np.where(np.isnan(rows), np.nan, rows).astype(np.float64)
    counts = np.maximum((~np.isnan(known)).sum(0), 1)
    mean = np.nansum(known, 0) / counts
    spread = np.sqrt(np.nansum((known - mean) ** 2, 0) / counts)
    linear = Linear(mean, np.maximum(spread, 1e-3), np.zeros(2 * rows.shape[1]), 0.0)
    model = LogisticRegression(C=plan.ridge, max_iter=300)
    model.fit(linear.inputs(rows), y)
    return Linear(linear.mean, linear.spread, model.coef_[0], float(model.intercept_[0]))


def fit_trees(examples: Examples, plan: CombinePlan, *, seed: int) -> Trees:
    """Gradient boosting in which better evidence never lowers a probability."""
    rows = examples.rows
    return grow(
        rows,
        examples.labelled,
        [*RISING, *(0 for _ in COMPANY), *OPINION_RISING][: rows.shape[1]],
        trees=plan.trees,
        depth=plan.depth,
        rate=plan.rate,
        leaf=plan.leaf,
        seed=seed,
    )


def untrained() -> Combiner:
    """What can be said without a labelled video: names in the words, near in meaning, or seen."""
    count = len(COLUMNS)
    weights = np.zeros(2 * count)
    for name, weight in GUESSED.items():
        weights[COLUMNS.index(name)] = weight
    return Combiner(
        Linear(np.zeros(count), np.ones(count), weights, -5.0), (), Together.none(), 0.0
    )


def cross_fit(
    examples: Examples,
    labels: Ragged[np.int32],
    groups: I64,
    plan: CombinePlan,
    *,
    folds: int,
    seed: int,
    progress: Progress = quiet,
) -> F64:
    """Logits float64 [n] of each candidate by a model that never saw its component."""
    logits = np.zeros(len(examples.rows))
    for number, held in enumerate(folds_of(groups, folds, seed)):
        progress("last stage, cross-fitted", number, folds)
        own = held[examples.video]
        if own.any() and not own.all():
            model = fit(examples.take(~own), without(labels, held), groups, plan, seed=seed)
            logits[own] = model(examples.rows[own], examples.tags[own], examples.video[own])
    return logits


def folds_of(groups: I64, folds: int, seed: int) -> Iterator[Bools]:
    """Which videos each fold holds out, bool [N]; a group is never split."""
    names, place = np.unique(groups, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(names)) % folds)[place]
    return (fold == number for number in range(folds))


def without(labels: Ragged[np.int32], held: Bools) -> Ragged[np.int32]:
    """The same lists, those of held-out videos emptied."""
    lengths = np.where(held, 0, labels.lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Ragged(labels.values[np.repeat(~held, labels.lengths)], starts)
