"""What each loss does with a tag that isn't labelled."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from rank.losses import asymmetric, contrastive, plain, selective  # noqa: E402 - after the skip

pytestmark = pytest.mark.train

POSITIVE = torch.tensor([[1.0, 0.0]])
NEGATIVE = torch.tensor([[0.5, 3.0, -2.0]])
REAL = torch.tensor([[1.0, 0.0]])
ALL = torch.ones(1, 2, 3, dtype=torch.bool)


def test_contrastive_is_the_share_of_the_positive() -> None:
    expected = -math.log(math.exp(1) / sum(map(math.exp, (1, 0.5, 3, -2))))
    assert contrastive(POSITIVE, NEGATIVE, REAL, ALL).item() == pytest.approx(expected, rel=1e-5)


def test_a_negative_that_was_not_kept_does_not_count() -> None:
    kept = ALL.clone()
    kept[..., 1] = False
    expected = -math.log(math.exp(1) / sum(map(math.exp, (1, 0.5, -2))))
    assert contrastive(POSITIVE, NEGATIVE, REAL, kept).item() == pytest.approx(expected, rel=1e-5)


def test_without_any_negative_there_is_nothing_to_learn() -> None:
    assert contrastive(POSITIVE, NEGATIVE, REAL, ~ALL).item() == pytest.approx(0, abs=1e-6)


def test_plain_takes_every_unlabelled_tag_as_wrong() -> None:
    expected = math.log1p(math.exp(-1)) + sum(math.log1p(math.exp(x)) for x in (0.5, 3, -2))
    assert plain(POSITIVE, NEGATIVE, REAL, ALL).item() == pytest.approx(expected, rel=1e-5)


def test_asymmetric_forgets_easy_negatives() -> None:
    easy = torch.full((1, 3), -4.0)
    silent = asymmetric(POSITIVE, easy, REAL, ALL) - asymmetric(POSITIVE, easy, REAL, ~ALL)
    assert silent.item() == pytest.approx(0, abs=1e-7)


def test_selective_leaves_out_what_it_finds_likely() -> None:
    without = ALL.clone()
    without[..., :2] = False  # 0.5 and 3.0: above one half
    assert selective(POSITIVE, NEGATIVE, REAL, ALL) == asymmetric(POSITIVE, NEGATIVE, REAL, without)
