"""The merge: many scores of a pair become one order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("sklearn")

from encoders.errors import BundleError
from recall.candidates import CHANNELS, HINTS, Hint
from recall.fitting import fit_merge
from recall.merging import RISING, TREES, Merge, tree_columns, untrained_mixer

pytestmark = pytest.mark.train

F32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def agreeing(count: int, *, seed: int = 0) -> tuple[F32, F32, Mask]:
    """Pairs that are true where the first two channels are sure, or the next two."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(size=(count, len(CHANNELS))).astype(np.float32)
    log_odds[random.random(log_odds.shape) < 0.3] = np.nan
    hints = random.random((count, len(HINTS))).astype(np.float32)
    hints[random.random(count) < 0.2, HINTS.index(Hint.UPLOADER)] = np.nan
    sure = log_odds[:, :4] > 0
    true = sure[:, :2].all(axis=1) | sure[:, 2:].all(axis=1)
    return log_odds, hints, np.asarray(true)


def test_evidence_is_read_together_where_labels_are_many() -> None:
    log_odds, hints, true = agreeing(6000)
    merge = fit_merge(log_odds, hints, true, seed=0)
    new_log_odds, new_hints, new_true = agreeing(2000, seed=1)
    best = np.argsort(-merge(new_log_odds, new_hints))[: new_true.sum()]
    alone = replace(merge, trees=None)
    by_mixer = np.argsort(-alone(new_log_odds, new_hints))[: new_true.sum()]
    assert new_true[best].mean() > 0.9 > new_true[by_mixer].mean() + 0.1


def test_with_few_labels_a_mixer_decides_and_without_any_the_untrained_one() -> None:
    log_odds, hints, true = agreeing(6000)
    few = np.flatnonzero(true)[:200]
    some = np.concatenate([few, np.flatnonzero(~true)])
    assert fit_merge(log_odds[some], hints[some], true[some], seed=0).trees is None
    merge = fit_merge(log_odds, hints, np.zeros_like(true), seed=0)
    untrained = untrained_mixer()
    np.testing.assert_array_equal(merge.mixer.weights, untrained.weights)
    assert merge.trees is None


def test_for_the_trees_better_evidence_never_makes_a_pair_less_likely() -> None:
    trees = fit_merge(*agreeing(4000), seed=0).trees
    assert trees is not None
    log_odds, hints, _ = agreeing(200, seed=2)
    rows = tree_columns(log_odds, hints)
    risen = np.where(np.array(RISING) == 1, rows + 1, rows).astype(np.float32)
    assert (trees(risen) >= trees(rows) - 1e-9).all()


def test_a_merge_is_kept_and_one_from_before_the_trees_can_be_read(tmp_path: Path) -> None:
    log_odds, hints, true = agreeing(4000)
    merge = fit_merge(log_odds, hints, true, seed=0)
    stored = merge.save(tmp_path)
    again = Merge.load(tmp_path, stored)
    np.testing.assert_array_equal(again(log_odds, hints), merge(log_odds, hints))
    (tmp_path / TREES).unlink()
    before = Merge.load(tmp_path, stored)
    np.testing.assert_array_equal(
        before(log_odds, hints), replace(merge, trees=None)(log_odds, hints)
    )


def test_damaged_trees_say_what_to_do(tmp_path: Path) -> None:
    stored = fit_merge(*agreeing(4000), seed=0).save(tmp_path)
    (tmp_path / TREES).write_bytes(b"not trees")
    with pytest.raises(BundleError, match="train the bundle again"):
        Merge.load(tmp_path, stored)
