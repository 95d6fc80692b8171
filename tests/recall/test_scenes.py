"""Pictures are compared scene by scene: what a clip shows in turn is not blurred into one mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from encoders.features import Features, Modality, State, Words
from recall.candidates import Channel
from recall.channels import inputs_of, network_inputs
from recall.library import Library, carry_over
from recall.ragged import Ragged
from recall.splits import Split
from recall.views import MOST_SCENES, Placed, Space, scenes, unit, views_of_dataset
from tests.recall.conftest import Trained

F32 = npt.NDArray[np.float32]

AXES = np.eye(8, dtype=np.float32)
PLAIN = Space(np.zeros(8, dtype=np.float32), AXES)


def shot(*shown: int) -> F32:
    """Frames, each of which shows one thing with a trace of another."""
    return np.stack([AXES[number] + 0.125 * AXES[7] for number in shown])


def cut(*videos: F32) -> list[F32]:
    """Each video's scenes."""
    none = np.zeros((0, 8), dtype=np.float32)
    found = scenes(Ragged.of(list(videos), np.float32, none).rounded(), PLAIN)
    return [found[number] for number in range(len(found))]


def test_a_scene_ends_where_a_frame_is_unlike_the_one_before() -> None:
    first, nothing, second = cut(shot(0, 0, 0, 1, 1), np.zeros((0, 8), np.float32), shot(2, 0, 2))
    assert np.allclose(first, unit(shot(0, 1)), atol=1e-6)
    assert nothing.shape == (0, 8)
    assert np.allclose(second, unit(shot(2, 0, 2)), atol=1e-6)


def test_a_scene_is_the_mean_of_its_frames() -> None:
    near = np.stack([AXES[0], unit(AXES[0] + AXES[1]), AXES[1]])
    (found,) = cut(near)
    assert np.allclose(found, unit(near.mean(axis=0, keepdims=True)), atol=1e-6)


def test_of_many_scenes_the_longest_are_kept_in_the_order_of_time() -> None:
    other, found = cut(shot(5), shot(0, 1, 1, 2, 3, 3, 4, 4, 5, 5, 5))
    assert len(other) == 1
    assert len(found) == MOST_SCENES
    assert np.allclose(found, unit(shot(1, 3, 4, 5)), atol=1e-6)


def test_without_any_frame_there_is_no_scene() -> None:
    none = np.zeros((0, 8), dtype=np.float32)
    assert [len(part) for part in cut(none, none)] == [0, 0]
    assert cut() == []


def test_the_searches_of_one_video_count_alike() -> None:
    labels = Ragged.of([np.asarray([tag], dtype=np.int32) for tag in (0, 1)], np.int32)
    nobody = np.full(2, -1, dtype=np.int32)
    library = Library(("a", "b"), labels, 2, nobody, ())
    numbers = np.asarray([[0, 0], [1, -1], [1, -1]], dtype=np.int32)
    cosines = np.asarray([[0.9, 0.9], [0.2, -np.inf], [0.5, -np.inf]], dtype=np.float32)
    shares, nearest = carry_over(library, numbers, cosines, 0.1, np.asarray([3, 3, 4]))
    assert shares.video.tolist() == [3, 3, 4]
    assert shares.tag.tolist() == [0, 1, 1]
    assert shares.score == pytest.approx([0.5, 0.5, 1.0])
    assert nearest.score == pytest.approx([0.9, 0.2, 0.5])


def test_a_clip_of_two_others_finds_both(trained: Trained) -> None:
    recaller, videos = trained.recall.recaller, trained.recall.videos
    shown = [row for row in range(len(videos)) if len(videos.frames[row])]
    channels = recaller.channels
    pairs = zip(shown[:20:2], shown[30:50:2], strict=True)
    for one, other in pairs:
        both = Features(
            Words(),
            {m: State.USED if m is Modality.VISUAL else State.MISSING for m in Modality},
            frames=np.concatenate([videos.frames[one], videos.frames[other]]),
            bridge=videos.bridge[one],
        )
        batch = channels.batch([both], [None])
        ((found, _),) = channels.neighbours(batch, Channel.VISUAL)
        assert {one, other} <= set(found.numbers[:, :2].ravel().tolist())


def test_an_example_of_a_new_tag_is_found_by_each_of_its_scenes(trained: Trained) -> None:
    channels = trained.recall.recaller.channels
    shown = [f for f in trained.dataset.of(Split.TEST).each() if f.frames is not None][:2]
    frames = np.concatenate([f.frames for f in shown if f.frames is not None])
    wider = channels.with_example("both", replace(shown[0], frames=frames), 0)
    for seen in shown:
        batch = wider.batch([seen], [None])
        ((found, _),) = wider.neighbours(batch, Channel.VISUAL)
        assert len(channels.library) in found.numbers[:, 0]


def test_the_network_is_given_each_scene_and_nothing_of_a_picture_that_is_not_used() -> None:
    none = np.zeros((0, 8), dtype=np.float32)
    found = Ragged.of([shot(0, 1), shot(2), none], np.float32, none)
    other = np.ones((3, 2), dtype=np.float32)
    used = np.array([[1, 1, 0], [0, 0, 1], [1, 0, 1]], dtype=np.float32)
    inputs = inputs_of(other, found, other, other, used)
    assert inputs.shown.tolist() == [[1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    assert np.array_equal(inputs.scenes[0, :2], shot(0, 1))
    assert not inputs.scenes[0, 2:].any()
    assert not inputs.scenes[1:].any()
    assert inputs.bridge[:, 0].tolist() == [1, 0, 0]
    assert inputs.sentence[:, 0].tolist() == [1, 0, 1]
    assert inputs.sound[:, 0].tolist() == [0, 1, 1]


def test_the_network_does_not_care_in_which_order_scenes_come(trained: Trained) -> None:
    channels = trained.recall.recaller.channels
    assert channels.classifier is not None
    views = views_of_dataset(trained.dataset.of(Split.TEST), channels.dims)
    inputs = network_inputs(views, Placed.of(views, channels.spaces))
    turned = inputs.scenes.copy()
    for row, count in enumerate(inputs.shown.sum(axis=1).astype(int).tolist()):
        turned[row, :count] = turned[row, :count][::-1]
    assert not np.array_equal(turned, inputs.scenes)
    there, back = (
        channels.classifier.network(given) for given in (inputs, inputs._replace(scenes=turned))
    )
    np.testing.assert_allclose(there.fused, back.fused, atol=1e-4)
    scores = channels.classifier.tags.all(there)
    np.testing.assert_allclose(channels.classifier.tags.all(back), scores, atol=1e-3)
