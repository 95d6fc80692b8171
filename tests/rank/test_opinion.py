"""A candidate's first opinion stands beside those of its rivals."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rank.calibration import sigmoid
from rank.columns import below_best, places
from rank.opinion import OPINION, opinions


@given(st.lists(st.lists(st.integers(-4, 4), min_size=1, max_size=7), max_size=5))
def test_each_video_is_judged_by_itself(videos: list[list[int]]) -> None:
    logits = np.array([value for video in videos for value in video], np.float64)
    owner = np.repeat(np.arange(len(videos)) * 3, [len(video) for video in videos]).astype(np.int64)
    found = opinions(logits, owner)
    assert found.shape == (len(logits), len(OPINION))
    for number in np.unique(owner).tolist():
        own = owner == number
        mine = logits[own, None].astype(np.float32)
        told = dict(zip(OPINION, found[own].T, strict=True))
        np.testing.assert_array_equal(told["opinion"], mine[:, 0])
        np.testing.assert_array_equal(told["opinion below best"], below_best(mine)[:, 0])
        np.testing.assert_allclose(told["opinion place"], places(mine)[:, 0])
        assert (told["best opinion"] == mine.max()).all()
        np.testing.assert_allclose(told["expected tags"], sigmoid(logits[own]).sum(), rtol=1e-6)
