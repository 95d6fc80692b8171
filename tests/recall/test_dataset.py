"""Packed labelled videos."""

from __future__ import annotations

import numpy as np

from recall.splits import Split
from tests.recall.synthetic import World


def test_a_split_knows_the_uploaders_of_its_own_videos_alone() -> None:
    whole = World.of(12).dataset(60, uploaders=30)
    part = whole.of(Split.TEST)
    rows = whole.rows_of(Split.TEST).tolist()
    assert part.uploader_ids() == tuple(whole.uploader_ids()[row] for row in rows)
    assert set(part.uploaders) == set(part.uploader_ids()) < set(whole.uploaders)


def test_taking_every_video_changes_nothing_they_hold() -> None:
    whole = World.of(12).dataset(20)
    again = whole.take(np.arange(20))
    assert again.video_ids == whole.video_ids
    assert again.uploader_ids() == whole.uploader_ids()
    np.testing.assert_array_equal(again.sentence, whole.sentence)
