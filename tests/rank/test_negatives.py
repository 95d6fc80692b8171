"""Which tags stand against a video's own ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sparse = pytest.importorskip("scipy.sparse")

from encoders.features import F32  # noqa: E402
from rank.evidence import Evidence, VideoVectors  # noqa: E402
from rank.negatives import NegativePlan, Sampler, TagGraph, Teacher  # noqa: E402 - after the skip

pytestmark = pytest.mark.train


@st.composite
def labellings(draw: st.DrawFn) -> npt.NDArray[np.float64]:
    videos, tags = draw(st.integers(1, 8)), draw(st.integers(2, 10))
    cells = draw(st.lists(st.booleans(), min_size=videos * tags, max_size=videos * tags))
    return np.array(cells, float).reshape(videos, tags)


@given(labellings())
def test_two_hops_reach_the_tags_of_videos_that_share_a_tag(
    labels: npt.NDArray[np.float64],
) -> None:
    graph = TagGraph(sparse.csr_matrix(labels))
    for video, own in enumerate(labels):
        expected = {
            tag
            for other in labels
            if (other * own).any()
            for tag in np.flatnonzero(other)
            if not own[tag]
        }
        assert set(graph.two_hops(video).tolist()) == expected


@settings(deadline=None)
@given(labellings(), st.integers(1, 20), st.sampled_from([0.0, 0.25, 0.5]))
def test_the_hard_share_is_fixed(labels: npt.NDArray[np.float64], count: int, share: float) -> None:
    plan = NegativePlan(count, share)
    sampler = Sampler(sparse.csr_matrix(labels), plan)
    random = np.random.default_rng(0)
    drawn, real = sampler.hard(np.arange(len(labels)), random)
    assert drawn.shape == (len(labels), plan.hard)
    assert plan.hard + plan.random == count
    shared = sampler.random(random)
    labelled = np.flatnonzero(labels.any(axis=0))
    assert len(set(shared.tolist())) == min(plan.random, len(labelled))
    assert np.isin(shared, labelled).all()
    for video in range(len(labels)):
        assert not labels[video, drawn[video][real[video]]].any()


def teacher_of(whole: F32, moments: F32, tags: F32, *, moment_scale: float) -> Teacher:
    weights = np.ones(moments.shape[:-1], np.float32)
    evidence = Evidence(scale=1.0, moment_scale=moment_scale, least=moment_scale, bias=0.0)
    return Teacher(VideoVectors(whole, moments, weights), tags, evidence)


def test_the_teacher_drops_a_negative_above_95_percent_of_its_positive() -> None:
    angle = np.arccos([1.0, 0.96, 0.94, 0.5])
    tags = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    none = np.zeros((1, 0, 2), np.float32)
    teacher = teacher_of(np.array([[1.0, 0.0]], np.float32), none, tags, moment_scale=1.0)
    keeps = teacher.keeps(np.array([0]), np.array([[0, 3]]), np.array([[1, 2, 3]]))
    assert keeps.tolist() == [[[False, True, True], [False, False, False]]]


def test_the_teacher_knows_a_tag_that_was_there_for_a_moment() -> None:
    tags = np.eye(3, dtype=np.float32)
    whole, moments = tags[:1] * 0, np.stack([tags[[0, 1]]])
    teacher = teacher_of(whole, moments, tags, moment_scale=20.0)
    keeps = teacher.keeps(np.array([0]), np.array([[0]]), np.array([[1, 2]]))
    assert keeps.tolist() == [[[False, True]]]
