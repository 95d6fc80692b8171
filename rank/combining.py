"""Training the last stage. Needs scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from encoders.features import F32
from rank.columns import COLUMNS, RISING
from rank.combine import Combiner, Linear
from rank.trees import Trees

Bools = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]

FEW = 150  # positives below which trees have nothing to split on
FEWEST = 5  # positives below which nothing is fitted
GUESSED: dict[str, float] = {"name": 5.0, "meaning": 4.0, "bridge": 2.0, "text": 2.0, "visual": 1.0}
"""What the columns count for before any label has been seen."""


@dataclass(frozen=True, slots=True)
class CombinePlan:
    """Sizes of the boosted trees, and how strongly the regression is held back."""

    trees: int = 150
    depth: int = 5
    rate: float = 0.07
    leaf: int = 30
    ridge: float = 0.1
    share: float = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Candidates of many videos: columns float32 [n, F], whether labelled, and whose they are."""

    rows: F32
    labelled: Bools
    video: I64

    def of(self, videos: I64) -> Examples:
        """The candidates of some videos."""
        kept = np.isin(self.video, videos)
        return Examples(self.rows[kept], self.labelled[kept], self.video[kept])


def fit(examples: Examples, plan: CombinePlan, *, seed: int) -> Combiner:
    """Train both models on the same candidates."""
    if examples.labelled.sum() < FEWEST:
        return untrained()
    linear = fit_linear(examples, plan)
    if examples.labelled.sum() < FEW:
        return Combiner(linear, no_trees(), 0.0)
    return Combiner(linear, fit_trees(examples, plan, seed=seed), plan.share)


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
    model = HistGradientBoostingClassifier(
        max_iter=plan.trees,
        max_depth=plan.depth,
        max_leaf_nodes=2**plan.depth,
        learning_rate=plan.rate,
        min_samples_leaf=plan.leaf,
        l2_regularization=1.0,
        monotonic_cst=list(RISING),
        early_stopping=False,
        random_state=seed,
    )
    # A column that is unknown for every candidate can't be binned, and tells nothing.
    silent = np.isnan(examples.rows).all(axis=0)
    model.fit(np.where(silent, np.float32(0), examples.rows), examples.labelled)
    return as_arrays(model)


def as_arrays(model: HistGradientBoostingClassifier) -> Trees:
    """A fitted model's trees as plain arrays."""
    found = [stage[0].nodes for stage in model._predictors]
    most = max(len(nodes) for nodes in found)
    shape = (len(found), most)
    own = np.broadcast_to(np.arange(most), shape)
    column, left, right = (np.zeros(shape, np.int16) for _ in range(3))
    limit, value, unknown = np.zeros(shape), np.zeros(shape), np.zeros(shape, bool)
    left[:], right[:] = own, own
    depth = 0
    for tree, nodes in enumerate(found):
        count, split = len(nodes), ~nodes["is_leaf"].astype(bool)
        column[tree, :count] = np.where(split, nodes["feature_idx"], 0)
        limit[tree, :count] = np.where(split, nodes["num_threshold"], 0)
        unknown[tree, :count] = nodes["missing_go_to_left"]
        value[tree, :count] = nodes["value"]
        left[tree, :count] = np.where(split, nodes["left"], own[tree, :count])
        right[tree, :count] = np.where(split, nodes["right"], own[tree, :count])
        depth = max(depth, int(nodes["depth"].max()))
    base = float(np.ravel(model._baseline_prediction)[0])
    return Trees(column, limit, unknown, left, right, value, base, depth)


def untrained() -> Combiner:
    """What can be said without a labelled video: names in the words, near in meaning, or seen."""
    count = len(COLUMNS)
    weights = np.zeros(2 * count)
    for name, weight in GUESSED.items():
        weights[COLUMNS.index(name)] = weight
    return Combiner(Linear(np.zeros(count), np.ones(count), weights, -5.0), no_trees(), 0.0)


def no_trees() -> Trees:
    """A single leaf that says nothing."""
    none = np.zeros((1, 1), np.int16)
    zero = np.zeros((1, 1))
    return Trees(none, zero, np.zeros((1, 1), bool), none, none, zero, 0.0, 0)


def cross_fit(
    examples: Examples, plan: CombinePlan, groups: I64, *, folds: int, seed: int
) -> npt.NDArray[np.float64]:
    """Logits float64 [n] of each candidate by a model that never saw its component.

    ``groups`` int64, one a video number: the component of sources of ``examples.video``.
    """
    component = groups[examples.video]
    names = np.unique(component)
    fold_of = np.random.default_rng(seed).permutation(len(names)) % folds
    fold = fold_of[np.searchsorted(names, component)]
    logits = np.zeros(len(fold))
    for number in range(folds):
        held = fold == number
        if held.any() and not held.all():
            rest = Examples(examples.rows[~held], examples.labelled[~held], examples.video[~held])
            logits[held] = fit(rest, plan, seed=seed)(examples.rows[held])
    return logits
