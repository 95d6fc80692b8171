"""Which tags are seen together, and what a candidate gains by its company."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.errors import BundleError
from rank.together import COMPANY, RARE, Together
from recall.ragged import Ragged

CAT, PET, CAR, NEW = 0, 1, 2, 9


def lists(*labels: list[int]) -> Ragged[np.int32]:
    return Ragged.of([np.array(each, np.int32) for each in labels], np.int32)


@pytest.fixture
def together() -> Together:
    return Together.of(lists([CAT, PET], [CAT, PET], [PET], [CAR], []))


def company(together: Together, tags: list[int], chances: list[float]) -> dict[str, list[float]]:
    found = together.columns(
        np.array(tags, np.int32), np.zeros(len(tags), np.int64), np.array(chances)
    )
    return dict(zip(COMPANY, found.T.tolist(), strict=True))


def test_a_likely_cat_speaks_for_a_pet_and_not_for_a_car(together: Together) -> None:
    found = company(together, [CAR, PET, CAT], [0.1, 0.2, 0.9])
    assert found["company"] == pytest.approx([0, 0.9 * 2 / (2 + RARE), 0.2 * 2 / (3 + RARE)])
    assert found["closest company"] == found["company"], "each has one companion at most"
    assert found["own company"] == pytest.approx([0, 0.9, 0.2])


def test_what_was_never_met_has_no_company(together: Together) -> None:
    found = company(together, [NEW, CAT], [0.5, 0.9])
    assert found == {name: [0, 0] for name in COMPANY}
    assert company(Together.none(), [CAT, PET], [0.9, 0.9])["company"] == [0, 0]


def test_a_video_does_not_look_at_the_candidates_of_another(together: Together) -> None:
    tags, chances = np.array([CAT, PET, CAT, PET], np.int32), np.array([0.9, 0.2, 0.1, 0.3])
    both = together.columns(tags, np.array([4, 4, 2, 2]), chances)
    first = together.columns(tags[:2], np.array([4, 4]), chances[:2])
    second = together.columns(tags[2:], np.array([2, 2]), chances[2:])
    np.testing.assert_array_equal(both, np.concatenate([first, second]))
    assert together.columns(tags[:0], np.zeros(0, np.int64), chances[:0]).shape == (0, 3)


def test_counts_come_back_from_disk(together: Together, tmp_path: Path) -> None:
    together.save(tmp_path / "together.npz")
    again = Together.load(tmp_path / "together.npz")
    assert company(again, [CAT, PET], [0.9, 0.2]) == company(together, [CAT, PET], [0.9, 0.2])
    (tmp_path / "together.npz").write_bytes(b"no zip")
    with pytest.raises(BundleError, match="train the bundle again"):
        Together.load(tmp_path / "together.npz")
