"""Packed labelled videos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from weakref import finalize

import numpy as np
import pytest

from encoders.errors import CorpusError
from encoders.features import Features
from recall.corpus import LabelledVideo
from recall.dataset import pack
from recall.splits import Split
from tests.recall.synthetic import World


def test_a_split_knows_the_uploaders_of_its_own_videos_alone() -> None:
    whole = World.of(12).dataset(60, uploaders=30)
    part = whole.of(Split.TEST)
    rows = whole.rows_of(Split.TEST).tolist()
    assert part.uploader_ids() == tuple(whole.uploader_ids()[row] for row in rows)
    assert set(part.uploaders) == set(part.uploader_ids()) < set(whole.uploaders)


def test_packing_holds_one_video_at_a_time_and_gives_each_back() -> None:
    videos = World.of(12).videos(30)
    alive: set[int] = set()

    def one_by_one() -> Iterator[tuple[LabelledVideo, Features]]:
        for number, (video, features) in enumerate(videos):
            assert features.frames is not None
            copied = replace(features, frames=features.frames.copy())
            alive.add(number)
            finalize(copied.frames, alive.discard, number)
            assert len(alive) <= 2
            yield video, copied

    packed = pack(one_by_one())
    for row, (_, features) in enumerate(videos):
        again = packed.features(row)
        for name in ("sentence", "bridge", "audio", "sound_bridge", "tokens"):
            np.testing.assert_array_equal(getattr(again, name), getattr(features, name))
        assert again.frames is not None
        assert features.frames is not None
        np.testing.assert_allclose(again.frames, features.frames, rtol=1e-3)


def test_features_of_two_profiles_are_not_packed_together() -> None:
    (first, features), (second, others), *_ = World.of(12).videos(4)
    assert others.frames is not None
    narrow = replace(others, frames=others.frames[:, :3])
    with pytest.raises(CorpusError, match="different profiles"):
        pack([(first, features), (second, narrow)])


def test_taking_every_video_changes_nothing_they_hold() -> None:
    whole = World.of(12).dataset(20)
    again = whole.take(np.arange(20))
    assert again.video_ids == whole.video_ids
    assert again.uploader_ids() == whole.uploader_ids()
    np.testing.assert_array_equal(again.sentence, whole.sentence)


def test_features_of_a_run_of_videos_are_not_copied() -> None:
    whole = World.of(12).dataset(20)
    part = whole.take(np.arange(3, 9))
    assert part.video_ids == whole.video_ids[3:9]
    assert np.shares_memory(part.frames.values, whole.frames.values)
    assert np.shares_memory(part.sentence, whole.sentence)
