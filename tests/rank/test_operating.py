"""The operating point: chosen on validation, kept in the bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.errors import BundleError, SettingError
from rank.calibration import Calibration
from rank.operating import KEPT_FROM, Kind, Operating, OperatingPoint, Validation, choose


@pytest.fixture
def validation() -> Validation:
    random = np.random.default_rng(0)
    score = random.random(6000)
    tag = np.tile(np.arange(20, dtype=np.int32), 300)
    return Validation(score, random.random(6000) < score, tag, np.repeat(np.arange(300), 20), 300)


def test_so_many_tags_a_video(validation: Validation) -> None:
    point = choose(Kind.TAGS_PER_VIDEO, 2.5, validation)
    assert (validation.score >= point.threshold).sum() == 750


def test_a_precision_is_kept_on_validation(validation: Validation) -> None:
    point = choose(Kind.PRECISION, 0.8, validation)
    published = validation.score >= point.threshold
    assert validation.right[published].mean() > 0.8
    assert published.sum() > 500


def test_a_fixed_threshold_is_taken_as_it_is(validation: Validation) -> None:
    assert choose(Kind.FIXED, 0.6, validation) == OperatingPoint(Kind.FIXED, 0.6, 0.6)


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (Kind.FIXED, 1.5),
        (Kind.TAGS_PER_VIDEO, 0.0),
        (Kind.PRECISION, 1.0),
        (Kind.PRECISION, 0.999),  # more than any threshold reaches
    ],
)
def test_what_can_not_be_had_is_refused(validation: Validation, kind: Kind, target: float) -> None:
    with pytest.raises(SettingError):
        choose(kind, target, validation)


def test_it_comes_back_from_disk(validation: Validation, tmp_path: Path) -> None:
    calibration = Calibration((-2.0, 0.0, 3.0), (-3.0, -1.0, 2.0), 0.7)
    point = choose(Kind.TAGS_PER_VIDEO, 3.12, validation)
    operating = Operating(calibration, point, {"full_ranking": 0.4})
    operating.save(tmp_path)
    assert Operating.load(tmp_path) == operating
    validation.save(tmp_path / "validation.npz")
    again = Validation.load(tmp_path / "validation.npz")
    np.testing.assert_array_equal(again.tag, validation.tag[validation.score >= KEPT_FROM])
    assert choose(Kind.TAGS_PER_VIDEO, 3.12, again) == point
    (tmp_path / "operating.json").write_text("{}")
    with pytest.raises(BundleError):
        Operating.load(tmp_path)
