"""Operating points as validation promises them, measured elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rank.metrics import Scored
from rank.operating import Kind, Validation
from rank.points import ASKED, Reached, Unsupported, reached

VIDEOS, TAGS = 400, 12


def drawn(seed: int, videos: int = VIDEOS) -> tuple[Scored, Validation]:
    """Candidates whose scores are what they promise, as test and as validation."""
    random = np.random.default_rng(seed)
    video = np.repeat(np.arange(videos), TAGS)
    tag = np.tile(np.arange(TAGS, dtype=np.int32), videos)
    score = random.beta(0.5, 0.8, len(video))
    right = random.random(len(video)) < score
    pairs = np.bincount(video, right, minlength=videos).astype(np.int64)
    return Scored(video, tag, score, right, pairs), Validation(score, right, tag, video, videos)


def test_an_accuracy_that_was_promised_is_reached_on_other_videos() -> None:
    (test, _), (_, validation) = drawn(0), drawn(1)
    points = reached(test, validation, 1.0)
    assert len(points) == 2 * len(ASKED)
    promised = [p for p in points if isinstance(p, Reached) and p.kind is Kind.PRECISION]
    assert {point.target for point in promised} >= {0.7, 0.8}
    for point in promised:
        assert point.accuracy >= point.target - 0.02


def test_tags_a_video_come_out_as_asked() -> None:
    (test, _), (_, validation) = drawn(2), drawn(3)
    for point in reached(test, validation, 1.0):
        if isinstance(point, Reached) and point.kind is Kind.TAGS_PER_VIDEO:
            assert point.tags_per_video == pytest.approx(point.target, rel=0.1)


def test_an_accuracy_is_promised_of_true_tags_where_labels_miss_some() -> None:
    (test, _), (_, whole) = drawn(6), drawn(7, videos=4 * VIDEOS)
    kept = np.random.default_rng(8).random(len(whole.right)) < 0.7
    validation = replace(whole, right=whole.right & kept)
    promised = [
        [p for p in reached(test, validation, frequency) if p.kind is Kind.PRECISION]
        for frequency in (0.7, 1.0)
    ]
    of_true, of_labels = ([p for p in each if isinstance(p, Reached)] for each in promised)
    assert {point.target for point in of_true} >= {0.7, 0.8}
    assert all(point.accuracy >= point.target for point in of_true)
    assert not of_labels


def test_too_few_videos_promise_nothing() -> None:
    (test, _), (_, validation) = drawn(4), drawn(5, videos=6)
    strict = [p for p in reached(test, validation, 1.0) if p.target == 0.95]
    assert strict
    assert all(isinstance(point, Unsupported) for point in strict)
