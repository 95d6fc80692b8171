"""Boosted trees as plain arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.ensemble import HistGradientBoostingClassifier

from recall.tree_training import as_arrays
from recall.trees import Trees

pytestmark = pytest.mark.train


def test_trees_as_arrays_give_what_scikit_learn_gives(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(800, 30)).astype(np.float32)
    rows[random.random(rows.shape) < 0.3] = np.nan
    chance = 1 / (1 + np.exp(2 - 2 * np.nan_to_num(rows[:, 0]) - np.nan_to_num(rows[:, 11])))
    model = HistGradientBoostingClassifier(max_iter=20, max_depth=4, early_stopping=False)
    model.fit(rows, random.random(800) < chance)
    as_arrays(model).save(tmp_path / "trees.npz")
    ours = Trees.load(tmp_path / "trees.npz")(rows)
    np.testing.assert_allclose(ours, model.decision_function(rows), atol=1e-9)


def test_a_tree_may_ask_only_whether_a_value_is_known() -> None:
    random = np.random.default_rng(6)
    rows = random.normal(size=(800, 1)).astype(np.float32)
    rows[:400] = np.nan
    model = HistGradientBoostingClassifier(max_iter=3, max_depth=1, early_stopping=False)
    model.fit(rows, np.isnan(rows[:, 0]))
    trees = as_arrays(model)
    assert np.isinf(trees.limit).any()
    np.testing.assert_allclose(trees(rows), model.decision_function(rows), atol=1e-9)
