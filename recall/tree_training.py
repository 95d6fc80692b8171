"""Growing boosted trees. Needs scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier

from encoders.features import F32
from recall.trees import Trees

Bools = npt.NDArray[np.bool_]


def grow(
    rows: F32,
    true: Bools,
    rising: Sequence[int],
    *,
    trees: int,
    depth: int,
    rate: float,
    leaf: int,
    seed: int,
) -> Trees:
    """Gradient boosting towards the log odds of ``true`` [n], from ``rows`` float32 [n, F].

    ``rising`` [F]: 1 where a greater value may only raise the outcome, else 0. ``leaf``: the fewest
    rows of one. Some of ``true`` must be true, and some false.
    """
    model = HistGradientBoostingClassifier(
        max_iter=trees,
        max_depth=depth,
        max_leaf_nodes=2**depth,
        learning_rate=rate,
        min_samples_leaf=leaf,
        l2_regularization=1.0,
        monotonic_cst=list(rising),
        early_stopping=False,
        random_state=seed,
    )
    # A column that is unknown everywhere can't be binned, and tells nothing.
    silent = np.isnan(rows).all(axis=0)
    model.fit(np.where(silent, np.float32(0), rows), true)
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
