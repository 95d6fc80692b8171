"""The linear model over all modalities: solved in full, cut in rank, searched, kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from encoders.features import Modality, State
from recall.linear import SCORED_IN_FULL_UP_TO, SOUND, LinearClassifier, dimensions, joined
from recall.ragged import Ragged
from recall.splits import Split
from recall.views import views_of, views_of_dataset
from tests.recall.conftest import Trained

F32 = npt.NDArray[np.float32]

training = pytest.importorskip("recall.linear_training", reason="needs the extra train")


def world(videos: int = 300, width: int = 20, tags: int = 12) -> tuple[F32, Ragged[np.int32], F32]:
    """Videos, the tags of each, and what each tag points at."""
    random = np.random.default_rng(0)
    points = random.normal(size=(tags, width))
    vectors = (random.normal(size=(videos, width)) / np.sqrt(width)).astype(np.float32)
    chosen = np.argsort(-(vectors @ points.T), axis=1)[:, :2]
    labels = Ragged.of([np.sort(row).astype(np.int32) for row in chosen], np.int32)
    return vectors, labels, points.astype(np.float32)


def table(model: LinearClassifier, videos: F32, tags: int = 12) -> F32:
    """float32 [N, V]: every tag's score, zero where nothing speaks for it."""
    found = model.best(videos, tags, np.arange(len(videos)))
    scores = np.zeros((len(videos), tags), dtype=np.float32)
    scores[found.video, found.tag] = found.score
    return scores


def test_it_is_the_least_squares_solution_with_the_penalty() -> None:
    videos, labels, _ = world()
    model = training.train_linear(videos, labels, 12)
    truth = np.zeros((300, 12))
    truth[np.repeat(np.arange(300), 2), labels.values] = 1.0
    spread = videos.T @ videos + training.PENALTY * np.eye(20)
    weights = np.linalg.solve(spread, videos.T @ (truth - truth.mean(axis=0)))
    weights *= (1 + truth.sum(axis=0)) ** -training.RARITY
    assert np.abs(table(model, videos) - np.maximum(videos @ weights, 0)).max() < 1e-4


def test_cut_to_the_rank_of_the_tags_it_is_the_same() -> None:
    videos, labels, _ = world()
    full = table(training.train_linear(videos, labels, 12), videos)
    for rank, least in ((12, 0.9999), (6, 0.8)):
        cut = training.train_linear(videos, labels, 12, rank=rank)
        assert cut.projection is not None
        assert cut.projection.shape == (20, rank)
        assert np.corrcoef(table(cut, videos).ravel(), full.ravel())[0, 1] > least


def test_it_finds_the_tags_of_videos_never_seen() -> None:
    videos, labels, points = world(1000)
    model = training.train_linear(videos[:900], labels.take(np.arange(900)), 12)
    strangers = videos[900:]
    found = model.best(strangers, 2, np.arange(100))
    true = np.sort(np.argsort(-(strangers @ points.T), axis=1)[:, :2], axis=1)
    assert (found.tag.reshape(100, 2) == true).mean() > 0.75


@pytest.mark.parametrize("videos", [0, 1, 3])
def test_hardly_any_videos_will_do(videos: int) -> None:
    vectors, labels, _ = world()
    few = np.arange(videos)
    model = training.train_linear(vectors[:videos], labels.take(few), 12)
    assert np.isfinite(table(model, vectors)).all()


def test_a_large_vocabulary_is_projected_and_searched() -> None:
    assert dimensions(2_000, 2_000) == 2_000
    assert dimensions(300_000, 2_000) == 256
    random = np.random.default_rng(1)
    count = SCORED_IN_FULL_UP_TO + 1
    vectors = random.normal(size=(count, 8)).astype(np.float32)
    videos = random.normal(size=(5, 8)).astype(np.float32)
    model = LinearClassifier.build(None, vectors, videos)
    found = model.best(videos, 50, np.arange(5))
    exact = np.argsort(-(videos @ vectors.T), axis=1)[:, :50]
    hits = [np.isin(found.tag[found.video == row], exact[row]).mean() for row in range(5)]
    assert np.mean(hits) > 0.85


@pytest.mark.parametrize("count", [30, SCORED_IN_FULL_UP_TO + 1])
def test_a_new_tag_has_no_voice_and_the_others_keep_theirs(count: int, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    vectors = random.normal(size=(count, 8)).astype(np.float32)
    videos = random.normal(size=(4, 8)).astype(np.float32)
    model = LinearClassifier.build(None, vectors, videos)
    wider = model.widened(count + 1)
    before, after = (m.best(videos, 5, np.arange(4)) for m in (model, wider))
    assert np.array_equal(before.tag, after.tag)
    wider.save(tmp_path)
    again = LinearClassifier.load(tmp_path)
    kept = again.best(videos, 5, np.arange(4))
    assert np.isin(kept.keys(count + 1), after.keys(count + 1)).mean() > 0.8


def test_what_a_video_lacks_is_zero(trained: Trained) -> None:
    test, channels = trained.dataset.of(Split.TEST), trained.recall.recaller.channels
    views = views_of(list(test.each()), channels.dims)
    rows = joined(views, channels.spaces)
    ends = np.cumsum([0, channels.dims.sentence, channels.dims.frame, channels.dims.audio])
    for number, (modality, length) in enumerate(zip(Modality, (1.0, 1.0, SOUND), strict=True)):
        used = np.asarray([states[number] is State.USED for states in views.states])
        lengths = np.linalg.norm(rows[:, ends[number] : ends[number + 1]], axis=1)
        assert 0 < used.sum() < len(used), modality
        assert np.allclose(lengths, np.where(used, length, 0.0), atol=1e-5)


def test_a_fold_s_model_has_not_seen_the_fold(trained: Trained) -> None:
    recall = trained.recall
    for number, recaller in enumerate(recall.out_of_fold):
        rows = recall.strangers.taught(number)
        views = views_of_dataset(recall.videos.take(rows), recaller.channels.dims)
        again = training.train_linear(
            joined(views, recaller.channels.spaces),
            recall.videos.labels.take(rows),
            len(trained.world.vocabulary),
        ).rounded()
        assert recaller.channels.linear is not None
        held, anew = recaller.channels.linear.vectors, again.vectors
        assert isinstance(held, np.ndarray)
        assert isinstance(anew, np.ndarray)
        assert np.allclose(held, anew, atol=1e-5)
