"""Scores as the share of true tags, where labels miss some."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rank import calibration


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 100), st.sampled_from([300, 6000]), st.sampled_from([0.6, 1.0]))
def test_calibration_keeps_the_order(seed: int, count: int, frequency: float) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(size=count) * 3
    labelled = random.random(count) < calibration.sigmoid(logits)
    fitted = calibration.fit(logits, labelled, frequency=frequency)
    line = fitted(np.linspace(-15, 15, 400))
    assert (np.diff(line) >= 0).all()
    assert line.min() >= 0
    assert line.max() <= 1
    ranked = np.sort(logits)
    assert (np.diff(fitted(ranked))[np.diff(ranked) > 1e-3] > 0).all()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.floats(0, 1), st.integers(1, 9)), min_size=1, max_size=20
    )
)
def test_what_does_not_rise_becomes_one_corner(points: list[tuple[int, float, int]]) -> None:
    at, values, weights = np.array(sorted(points), np.float64).T
    places, means = calibration.rising(at, values, weights)
    assert (np.diff(places) > 0).all()
    assert (np.diff(means) > 0).all()
    assert places.min() >= at.min() - 1e-9
    assert places.max() <= at.max() + 1e-9
    assert means.min() >= values.min() - 1e-9
    assert means.max() <= values.max() + 1e-9


def test_pooled_corners_are_weighted_means() -> None:
    found = calibration.rising(
        np.array([0.0, 1, 2, 3]), np.array([0.1, 0.5, 0.2, 0.9]), np.array([1.0, 1, 2, 1])
    )
    assert np.allclose(found, [[0, 5 / 3, 3], [0.1, 0.3, 0.9]])


@pytest.mark.parametrize("count", [900, 20_000])
def test_a_calibrated_score_is_the_share_of_right_answers(count: int) -> None:
    random = np.random.default_rng(3)
    logits = random.normal(size=2 * count) * 2
    labelled = random.random(2 * count) < calibration.sigmoid(0.5 * logits - 1)  # overconfident
    fitted = calibration.fit(logits[:count], labelled[:count])
    scores = fitted(logits[count:])
    order = np.array_split(np.argsort(scores), 10)
    gaps = [abs(scores[part].mean() - labelled[count:][part].mean()) for part in order]
    assert np.mean(gaps) < 0.05


def test_the_label_frequency_is_read_off_the_plateau() -> None:
    random = np.random.default_rng(4)
    chance = calibration.sigmoid(random.normal(size=20_000) * 4 - 4)
    true = random.random(len(chance)) < chance
    hidden = true & (random.random(len(chance)) < 0.7)
    assert calibration.label_frequency(chance * 0.7, hidden) == pytest.approx(0.7, abs=0.05)
    assert calibration.label_frequency(chance, true) > 0.95


@pytest.mark.parametrize("frequency", [0.4, 0.7, 1.0])
def test_a_plateau_that_still_rises_a_little_is_one(frequency: float) -> None:
    """Of the most certain a hundredth is wrong, of those behind them a twentieth."""
    place = np.arange(200_000) / 200_000
    chance = np.clip(0.99 - 2 * place, 0.01, 1)
    labelled = np.random.default_rng(6).random(len(place)) < chance * frequency
    found = calibration.label_frequency(chance * frequency, labelled)
    assert found == pytest.approx(frequency, rel=0.06)


def test_mistakes_among_the_most_certain_do_not_pass_for_missing_labels() -> None:
    """All true tags are labelled; of the most certain fifth a twentieth is wrong, of the first few
    none."""
    place = np.arange(40_000) / 40_000
    chance = np.exp(-4 * place)
    labelled = np.random.default_rng(8).random(len(place)) < chance
    fifth = labelled[: int(labelled.sum()) // 5].mean()
    assert fifth < 0.96
    assert calibration.label_frequency(chance, labelled) > 0.98


def test_a_slope_is_no_plateau() -> None:
    """Where the most certain are right 0.85 of the time and those behind them ever less often,
    nothing says that labels are missing."""
    place = np.arange(40_000) / 40_000
    chance = 0.85 * np.exp(-25 * place)
    labelled = np.random.default_rng(7).random(len(place)) < chance
    assert calibration.label_frequency(chance, labelled) == 1.0
