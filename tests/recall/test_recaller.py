"""What recall promises of its candidates: from any modality, attributed, editable."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from encoders.features import Features, Modality, State, Words
from recall.candidates import CHANNELS, HINTS, Channel, Hint
from recall.classifier import Fused, TagScorer
from recall.network_training import Recipe
from recall.recaller import most_candidates
from recall.splits import Split
from recall.storage import load_recaller, save_recaller
from recall.training import out_of_fold_candidates, train_recall
from recall.views import dims_of, views_of, views_of_dataset
from tests.recall.conftest import Trained
from tests.recall.synthetic import only, share_found

pytestmark = pytest.mark.train


def complete(trained: Trained) -> Features:
    """A test video that has every modality."""
    return next(
        f for f in trained.dataset.of(Split.TEST).each() if set(f.states.values()) == {State.USED}
    )


def test_every_channel_finds_more_than_the_commonest_tags(trained: Trained) -> None:
    test = trained.dataset.of(Split.TEST)
    recaller = trained.recall.recaller
    found = recaller.candidates(list(test.each()), test.uploader_ids(), limit=15)
    commonest = np.argsort(-recaller.channels.prior)[:15]
    by_chance = float(np.isin(test.labels.values, commonest).mean())
    assert share_found(test, found) > by_chance + 0.25
    for number in range(len(CHANNELS)):
        assert share_found(test, found, number) > 0.15
    assert all(len(candidates.tags) <= 15 for candidates in found)


def test_packed_videos_have_the_same_views_as_single_ones(trained: Trained) -> None:
    test = trained.dataset.of(Split.TEST)
    dims = dims_of(test)
    packed, single = views_of_dataset(test, dims), views_of(list(test.each()), dims)
    assert np.array_equal(packed.frames.values, single.frames.values)
    for name in ("sentence", "bridge", "picture", "sound"):
        assert np.allclose(getattr(packed, name), getattr(single, name), atol=1e-6)
    assert packed.states == single.states


def test_a_training_video_never_finds_itself_nor_its_source_mates(trained: Trained) -> None:
    recall = trained.recall
    videos, uploaders = recall.videos, recall.videos.uploader_ids()
    for number, recaller in enumerate(recall.out_of_fold):
        rows = recall.strangers.held(number)
        channels = recaller.channels
        batch = channels.batch(
            [videos.features(row) for row in rows.tolist()],
            [uploaders[row] for row in rows.tolist()],
            recall.strangers.mates(rows),
        )
        for channel in CHANNELS:
            for found, _ in channels.neighbours(batch, channel):
                own = videos.component[rows[found.rows]][:, None]
                theirs = videos.component[found.numbers]
                assert not ((theirs == own) & (found.numbers >= 0)).any()
        for row in rows.tolist():
            mates = recall.strangers.mates(np.asarray([row]))
            history = channels.history.videos_of(uploaders[row], mates[0])
            assert not (videos.component[history] == videos.component[row]).any()
        assert channels.fused is not None
        assert not np.isin(rows, channels.fused.index.rows).any()
        assert not set(videos.component[channels.fused.index.rows]) & set(videos.component[rows])


def test_how_common_a_tag_is_says_nothing_of_a_training_videos_own_labels(
    trained: Trained,
) -> None:
    videos = trained.recall.videos
    found = out_of_fold_candidates(trained.recall)
    for number in range(len(trained.recall.out_of_fold)):
        seen = trained.recall.strangers.taught(number)
        counts = np.bincount(videos.labels.take(seen).values, minlength=60)
        shares = np.log((counts + 0.5) / (len(seen) + 1)).astype(np.float32)
        for row in trained.recall.strangers.held(number).tolist():
            told = found[row].hints[:, HINTS.index(Hint.PRIOR)]
            assert np.array_equal(told, shares[found[row].tags])


def test_what_is_found_out_of_fold_is_like_what_is_found_of_strangers(trained: Trained) -> None:
    videos, test = trained.recall.videos, trained.dataset.of(Split.TEST)
    seen = out_of_fold_candidates(trained.recall, limit=8)
    unseen = trained.recall.recaller.candidates(list(test.each()), test.uploader_ids(), limit=8)
    assert len(seen) == len(videos)
    assert share_found(videos, seen) == pytest.approx(share_found(test, unseen), abs=0.1)


@pytest.mark.parametrize("modality", list(Modality))
def test_any_single_modality_is_enough(trained: Trained, modality: Modality) -> None:
    features = only(complete(trained), modality)
    (found,) = trained.recall.recaller.candidates([features], [None])
    silent = {Channel.TEXT, Channel.VISUAL, Channel.AUDIO} - {Channel(modality.value)}
    assert set(found.silent) == silent
    for number, channel in enumerate(CHANNELS):
        assert np.isnan(found.scores[:, number]).all() == (channel in silent)


def test_silence_gives_its_reason(trained: Trained) -> None:
    recaller = trained.recall.recaller
    text = only(complete(trained), Modality.TEXT, State.FAILED)
    (found,) = recaller.candidates([text], [None])
    assert found.silent[Channel.VISUAL] == "it could not be read"
    assert np.isnan(found.hints[:, HINTS.index(Hint.BRIDGE)]).all()
    assert np.isnan(found.hints[:, HINTS.index(Hint.SOUND_BRIDGE)]).all()
    nothing = Features(Words("title"), dict.fromkeys(Modality, State.UNSUPPORTED))
    (found,) = recaller.candidates([nothing], [None])
    assert set(found.silent) == set(Channel)
    assert len(found.tags) == 0


def test_channels_side_by_side_find_what_they_find_in_turn(trained: Trained) -> None:
    batch = list(trained.dataset.of(Split.TEST).each())[:12]
    in_turn = trained.recall.recaller.candidates(batch, [None] * len(batch))
    with ThreadPoolExecutor(2) as pool:
        recaller = replace(trained.recall.recaller, pool=pool)
        together = recaller.candidates(batch, [None] * len(batch))
    for one, other in zip(in_turn, together, strict=True):
        assert one.tags.tolist() == other.tags.tolist()
        assert np.array_equal(one.scores, other.scores, equal_nan=True)


def test_a_videos_candidates_do_not_depend_on_its_batch_mates(trained: Trained) -> None:
    recaller = trained.recall.recaller
    batch = list(trained.dataset.of(Split.TEST).each())[:12]
    together = recaller.candidates(batch, [None] * len(batch))
    for features, candidates in zip(batch, together, strict=True):
        (alone,) = recaller.candidates([features], [None])
        assert set(alone.tags[:10]) == set(candidates.tags[:10])
        at = {int(tag): row for row, tag in enumerate(alone.tags)}
        for row, tag in enumerate(candidates.tags[:10].tolist()):
            assert np.allclose(
                alone.scores[at[tag]], candidates.scores[row], atol=1e-3, equal_nan=True
            )


def test_a_profile_whose_audio_network_knows_no_classes_has_no_names_for_sounds(
    trained: Trained,
) -> None:
    heard = replace(only(complete(trained), Modality.AUDIO), sound_bridge=None)
    (found,) = trained.recall.recaller.candidates([heard], [None])
    assert len(found.tags)
    assert np.isnan(found.hints[:, HINTS.index(Hint.SOUND_BRIDGE)]).all()


def test_explanations_name_neighbours_that_have_the_tag(trained: Trained) -> None:
    recaller, features = trained.recall.recaller, complete(trained)
    (found,) = recaller.candidates([features], [None])
    library = recaller.channels.library
    for place in range(5):
        evidence = recaller.explain(features, None, found, place)
        proposed = {c for n, c in enumerate(CHANNELS) if not np.isnan(found.scores[place, n])}
        assert {item.channel for item in evidence} == proposed
        for item in evidence:
            for neighbour in item.neighbours:
                video = library.video_ids.index(neighbour.video_id)
                assert found.tags[place] in library.labels[video]


def test_hints_say_how_words_and_names_agree(trained: Trained) -> None:
    world, recaller = trained.world, trained.recall.recaller
    name = world.vocabulary.tags[3].name
    features = replace(
        only(complete(trained), Modality.TEXT),
        words=Words(f"my {name.upper()} today"),
        sentence=world.embed([f"my {name} today"])[0],
    )
    (found,) = recaller.candidates([features], [None])
    place = found.tags.tolist().index(3)
    assert found.hints[place, HINTS.index(Hint.NAME)] == 1.0
    assert found.hints[place, HINTS.index(Hint.MEANING)] > 0.8
    assert found.hints[place, HINTS.index(Hint.PRIOR)] == recaller.channels.prior[3]
    assert np.isnan(found.hints[:, HINTS.index(Hint.UPLOADER)]).all()


def test_an_uploaders_history_counts(trained: Trained) -> None:
    recaller, test = trained.recall.recaller, trained.dataset.of(Split.TEST)
    features, uploader = test.features(0), trained.recall.videos.uploader_ids()[0]
    (found,) = recaller.candidates([features], [uploader])
    hints = found.hints[:, HINTS.index(Hint.UPLOADER)]
    videos = recaller.channels.history.videos_of(uploader)
    for tag, hint in zip(found.tags.tolist(), hints.tolist(), strict=True):
        having = sum(tag in recaller.channels.library.labels[video] for video in videos.tolist())
        assert hint == pytest.approx(having / (len(videos) + 1))


def test_a_recaller_is_read_back_and_finds_the_same(trained: Trained, tmp_path: Path) -> None:
    recaller = trained.recall.recaller
    save_recaller(recaller, tmp_path / "one")
    save_recaller(recaller, tmp_path / "two")
    for path in sorted((tmp_path / "one").rglob("*")):
        if path.is_file():
            other = tmp_path / "two" / path.relative_to(tmp_path / "one")
            assert path.read_bytes() == other.read_bytes()
    test = trained.dataset.of(Split.TEST)
    batch, uploaders = list(test.each()), test.uploader_ids()
    again = load_recaller(tmp_path / "one").candidates(batch, uploaders, limit=15)
    before = recaller.candidates(batch, uploaders, limit=15)
    same = [len(np.intersect1d(a.tags, b.tags)) / 15 for a, b in zip(before, again, strict=True)]
    assert np.mean(same) > 0.97


def test_a_bundle_from_before_the_linear_model_still_serves(
    trained: Trained, tmp_path: Path
) -> None:
    save_recaller(trained.recall.recaller, tmp_path)
    shutil.rmtree(tmp_path / "linear")
    settings = json.loads((tmp_path / "recaller.json").read_text())
    mixer = settings["mixers"]["classifier"]
    del mixer["curves"][3], mixer["weights"][9:12]
    (tmp_path / "recaller.json").write_text(json.dumps(settings))
    test = trained.dataset.of(Split.TEST)
    found = load_recaller(tmp_path).candidates(list(test.each()), test.uploader_ids(), limit=15)
    assert share_found(test, found, CHANNELS.index(Channel.CLASSIFIER)) > 0.15


def test_blocked_tags_are_not_proposed_and_merged_ones_give_their_stand_in(
    trained: Trained,
) -> None:
    recaller, features = trained.recall.recaller, complete(trained)
    (found,) = recaller.candidates([features], [None])
    first, second = (trained.world.vocabulary.tags[tag].name for tag in found.tags[:2].tolist())
    edited = recaller.with_vocabulary(trained.world.vocabulary.block(first))
    assert found.tags[0] not in edited.candidates([features], [None])[0].tags
    merged = recaller.with_vocabulary(trained.world.vocabulary.merge(first, second))
    (after,) = merged.candidates([features], [None])
    assert found.tags[0] not in after.tags
    assert found.tags[1] in after.tags[:3]


def test_training_twice_gives_the_same(trained: Trained) -> None:
    part = trained.dataset.take(np.arange(120))
    once, twice = (
        train_recall(
            part,
            trained.world.vocabulary,
            sentences=trained.world.embed,
            names=trained.world.embed,
            folds=2,
            recipe=Recipe(epochs=2),
        )
        for _ in range(2)
    )
    test = list(trained.dataset.of(Split.TEST).each())[:20]
    for a, b in zip(
        once.recaller.candidates(test, [None] * 20),
        twice.recaller.candidates(test, [None] * 20),
        strict=True,
    ):
        assert np.array_equal(a.tags, b.tags)
        assert np.array_equal(a.scores, b.scores, equal_nan=True)


def test_the_network_does_not_say_where_it_was_made(trained: Trained) -> None:
    classifier = trained.recall.recaller.channels.classifier
    assert classifier is not None
    assert str(Path(__file__).parents[2]).encode() not in classifier.network.model


def test_the_cut_follows_the_size_of_the_vocabulary() -> None:
    assert [most_candidates(size) for size in (10, 400, 2000, 300_000)] == [1, 20, 100, 300]


def some_fused(random: np.random.Generator, videos: int, width: int, names: int) -> Fused:
    """Videos of one scene or two."""
    shown = np.ones((videos, 2), dtype=np.float32)
    shown[::2, 1] = 0
    return Fused(
        random.normal(size=(videos, 2, width)).astype(np.float32),
        random.normal(size=(videos, 2, names)).astype(np.float32),
        np.zeros((videos, 1), dtype=np.float32),
        np.zeros((videos, 3), dtype=np.float32),
        shown,
    )


def test_a_large_vocabulary_is_searched_and_gives_nearly_the_same_best_tags() -> None:
    random = np.random.default_rng(0)
    width, tags = 12, 21_000
    embeddings = random.normal(size=(tags, width)).astype(np.float32)
    names = random.normal(size=(tags, 4)).astype(np.float32)
    bias = random.normal(size=tags).astype(np.float32)
    fused = some_fused(random, 20, width, 4)
    scorer = TagScorer.build(embeddings, bias, names, fused)
    assert scorer.search is not None
    found = scorer.best(fused, 50, np.arange(20))
    scores = scorer.all(fused)
    exact = np.argsort(-scores, axis=1)[:, :50]
    hits = [len(np.intersect1d(found.tag[found.video == row], exact[row])) for row in range(20)]
    assert np.mean(hits) > 45
    gaps = scores[found.video, found.tag] - found.score
    assert np.median(np.abs(gaps)) < 0.1


def test_what_one_scene_shows_counts_as_much_among_scenes_that_show_other_things() -> None:
    tags = np.eye(3, dtype=np.float32) * 20
    scorer = TagScorer(tags, np.zeros(3, np.float32), np.zeros((3, 1), np.float32), None)
    hidden = np.eye(3, dtype=np.float32)[[[0, 1], [0, 0]]]
    none = np.zeros((2, 1), dtype=np.float32)
    shown = np.array([[1, 1], [1, 0]], dtype=np.float32)
    scores = scorer.all(Fused(hidden, np.zeros((2, 2, 1), np.float32), none, none, shown))
    assert scores[0, :2] == pytest.approx(20 - np.log(2), abs=1e-3)
    assert scores[1] == pytest.approx([20, 0, 0])
