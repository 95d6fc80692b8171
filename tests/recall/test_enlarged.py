"""A recaller blown up for measuring: as large as was asked for, and still good for something."""

from __future__ import annotations

import numpy as np

from consumer.bench.enlarged import Size, enlarge
from consumer.bench.videos import indexes_of, queries_of, videos_like
from encoders.features import State
from recall.candidates import CHANNELS
from tests.recall.conftest import Trained

SIZE = Size(videos=2_000, tags=500)


def test_it_is_as_large_as_was_asked_for_and_all_channels_propose(trained: Trained) -> None:
    small = trained.recall.recaller
    videos = videos_like(small, 10, np.random.default_rng(0))
    large = enlarge(small, SIZE, videos, seed=0).recaller
    assert (len(large.channels.library), len(large.vocabulary)) == (2_000, 500)
    for candidates in large.candidates(videos, [None] * len(videos)):
        assert len(candidates.tags)
        assert not candidates.silent
        assert (~np.isnan(candidates.scores)).any(axis=0).sum() == len(CHANNELS)


def test_a_bundles_own_tags_are_never_cut(trained: Trained) -> None:
    small = trained.recall.recaller
    large = enlarge(small, Size(1_000, 5), [], seed=0).recaller
    assert len(large.vocabulary) == len(small.vocabulary)


def test_the_nearest_that_are_noted_are_those_of_an_exhaustive_search(trained: Trained) -> None:
    small = trained.recall.recaller
    videos = videos_like(small, 10, np.random.default_rng(0))
    enlarged = enlarge(small, SIZE, videos, seed=0)
    indexes = indexes_of(enlarged.recaller.channels)
    assert enlarged.built.keys() == indexes.keys()
    for name, built in enlarged.built.items():
        _, found = indexes[name].main.search(built.queries, 100)
        hits = [len(np.intersect1d(a, b)) for a, b in zip(found, built.nearest, strict=True)]
        assert np.mean(hits) > 80, name  # at four bits a dimension


def test_a_video_is_like_a_labelled_one(trained: Trained) -> None:
    small = trained.recall.recaller
    channels = small.channels
    videos = videos_like(small, 20, np.random.default_rng(0))
    assert all(set(video.states.values()) == {State.USED} for video in videos)
    queries = queries_of(channels, videos)
    for name in ("sentence", "sound"):
        _, cosines = indexes_of(channels)[name].search(queries[name], 1)
        assert np.median(cosines) > 0.8, name
