"""The design's figures on cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rank.bootstrap import Bootstrap, differs
from rank.metrics import Scored, calibration_error, ceiling, figures

TAGS = [np.array([0, 1, 2], np.int32), np.array([3, 0], np.int32)]
SCORES = [np.array([0.9, 0.8, 0.2]), np.array([0.7, 0.1])]
TRUTH = [np.array([0, 2], np.int32), np.array([3], np.int32)]
OUTSIDE = np.array([1, 0])


def test_pairs_outside_the_vocabulary_count() -> None:
    scored = Scored.of(TAGS, SCORES, TRUTH, OUTSIDE)
    assert scored.pairs.tolist() == [3, 1]
    found = figures(scored, 0.5)
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.tags_per_video == pytest.approx(1.5)
    assert found.recall == pytest.approx(2 / 4)
    assert found.f1 == pytest.approx(2 * (2 / 3) * 0.5 / (2 / 3 + 0.5))


def test_precision_at_5_and_average_precision() -> None:
    found = figures(Scored.of(TAGS, SCORES, TRUTH, OUTSIDE), 0.5)
    assert found.precision_at_5 == pytest.approx((2 / 5 + 1 / 5) / 2)
    assert found.map == pytest.approx(((1 / 1 + 2 / 3) / 3 + 1) / 2)


def test_top_takes_the_best_of_all_videos_together() -> None:
    scored = Scored.of(TAGS, SCORES, TRUTH, OUTSIDE)
    assert figures(scored, 2.0).accuracy_top == pytest.approx(3 / 5)  # 6.24 are wanted, 5 are there
    assert scored.top(2).tolist() == [True, True, False, False, False]


def test_the_ceiling_is_what_the_number_of_true_tags_allows() -> None:
    assert ceiling(np.array([1, 2])) == pytest.approx(1.5 / 3.12)
    assert ceiling(np.array([5, 6])) == 1


def test_a_perfectly_calibrated_system_has_no_error() -> None:
    score = np.repeat(np.linspace(0.1, 1, 10), 100)
    right = np.concatenate([np.arange(100) < 10 * k for k in range(1, 11)])
    scored = Scored(np.zeros(1000, np.int64), np.zeros(1000, np.int32), score, right, np.array([1]))
    assert calibration_error(scored, 0.9) == pytest.approx(0, abs=1e-9)
    assert calibration_error(
        Scored(scored.video, scored.tag, score, np.zeros(1000, bool), scored.pairs), 0.9
    ) == pytest.approx(0.55)


def test_nothing_published_and_nobody_there() -> None:
    empty = Scored.of([], [], [], np.zeros(0, np.int64))
    assert figures(empty, 0.5).accuracy == 0
    assert calibration_error(empty, 0.5) == 0


def test_intervals_widen_when_videos_share_material() -> None:
    random = np.random.default_rng(0)
    right = np.repeat(random.random(40) < 0.6, 10).astype(float)
    alone = Bootstrap(np.arange(400)).interval(right, np.ones(400))
    shared = Bootstrap(np.repeat(np.arange(40), 10)).interval(right, np.ones(400))
    assert shared.high - shared.low > 2 * (alone.high - alone.low)
    assert shared.holds(right.mean())


def test_a_difference_counts_only_beyond_its_interval() -> None:
    random = np.random.default_rng(1)
    first = (random.random(500) < 0.8).astype(float)
    bootstrap = Bootstrap(np.arange(500))
    one = np.ones(500)
    assert not differs(bootstrap.ratio(first, one), bootstrap.ratio(first, one))
    worse = np.where(np.arange(500) % 5 == 0, 0.0, first)
    assert differs(bootstrap.ratio(first, one), bootstrap.ratio(worse, one))
