"""Tags that no labelled video has, or that were added since, are known by their names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from encoders.features import Features, Modality, State, Words
from recall.candidates import CHANNELS, Channel
from recall.network_training import Recipe
from recall.recaller import Recaller
from recall.training import out_of_fold_candidates, train_recall
from tests.recall.conftest import Trained
from tests.recall.synthetic import World, only, share_found


@pytest.fixture(scope="module")
def half_labelled(trained: Trained) -> Recaller:
    """Of the world's 60 tags, only the first 30 have labelled videos."""
    used, whole = World.of(30), trained.world
    return train_recall(
        used.dataset(300),
        whole.vocabulary,
        sentences=whole.embed,
        names=whole.embed,
        folds=2,
        recipe=Recipe(epochs=3, batch=64),
    ).recaller


def test_a_tag_without_a_label_is_not_learned_to_be_wrong(
    trained: Trained, half_labelled: Recaller
) -> None:
    recaller, whole = half_labelled, trained.world
    classifier = recaller.channels.classifier
    assert classifier is not None
    assert not classifier.tags.embeddings[30:].any()
    assert classifier.tags.embeddings[:30].any(axis=1).all()
    random = np.random.default_rng(3)
    shown = [whole.features([tag, tag - 30], random) for tag in range(30, 60)]
    found = recaller.candidates(shown, [None] * 30, limit=12)
    assert np.mean([tag in f.tags for tag, f in zip(range(30, 60), found, strict=True)]) > 0.5


def with_new_tag(trained: Trained, examples: int) -> tuple[Recaller, World, np.random.Generator]:
    """The recaller with one tag more, from a world that has it."""
    wider = World.of(61)
    tag = wider.vocabulary.tags[60]
    vector = wider.embed([tag.name])[0]
    random = np.random.default_rng(5)
    shown = [(f"example {i}", wider.features([60], random)) for i in range(examples)]
    return trained.recall.recaller.with_tag(tag, vector, vector, shown), wider, random


def test_a_tag_known_by_its_name_alone_is_found_by_words_pictures_and_sounds(
    trained: Trained,
) -> None:
    recaller, wider, random = with_new_tag(trained, 0)
    names = wider.vocabulary.tags[60].name
    said = Features(
        Words(f"my {names}"),
        {Modality.TEXT: State.USED, Modality.VISUAL: State.MISSING, Modality.AUDIO: State.MISSING},
        sentence=wider.embed([f"my {names}"])[0],
    )
    seen = only(wider.features([60], random), Modality.VISUAL)
    heard = only(wider.features([60], random), Modality.AUDIO)
    for features, channel in (
        (said, Channel.TEXT),
        (seen, Channel.VISUAL),
        (heard, Channel.AUDIO),
    ):
        (found,) = recaller.candidates([features], [None], limit=61)
        place = found.tags.tolist().index(60)
        assert not np.isnan(found.scores[place, CHANNELS.index(channel)])
        assert not np.isnan(found.scores[place, CHANNELS.index(Channel.CLASSIFIER)])
    with pytest.raises(ValueError, match="60"):
        trained.recall.recaller.candidates([said], [None])[0].tags.tolist().index(60)


def test_a_new_tag_is_expected_as_often_as_a_usual_one_not_as_tags_without_labels(
    half_labelled: Recaller,
) -> None:
    recaller = half_labelled
    tag = World.of(61).vocabulary.tags[60]
    vector = World.of(61).embed([tag.name])[0]
    prior = recaller.with_tag(tag, vector, vector).channels.prior
    labelled = recaller.channels.library.counts() > 0
    assert prior[60] == pytest.approx(np.median(prior[:60][labelled]))
    assert prior[60] > prior[:60][~labelled].max()


def test_examples_bring_a_new_tag_up(trained: Trained) -> None:
    few, wider, random = with_new_tag(trained, 3)
    none, _, _ = with_new_tag(trained, 0)
    alone = [only(wider.features([60], random), Modality.AUDIO) for _ in range(20)]
    heard = [replace(features, sound_bridge=None) for features in alone]  # no name to go by

    def places(recaller: Recaller) -> list[int]:
        found = recaller.candidates(heard, [None] * len(heard), limit=61)
        tags = [candidates.tags.tolist() for candidates in found]
        return [known.index(60) if 60 in known else 61 for known in tags]

    assert np.median(places(few)) < np.median(places(none))


def test_without_any_labelled_video_names_alone_still_work() -> None:
    world = World.of(40)
    bare = world.dataset(4).take([0])
    bare = replace(bare, split=np.full(1, 2, dtype=np.uint8))
    recall = train_recall(bare, world.vocabulary, sentences=world.embed, names=world.embed)
    test = world.dataset(40, seed=9)
    found = recall.recaller.candidates(list(test.each()), test.uploader_ids(), limit=8)
    assert share_found(test, found) > 0.5
    assert Channel.MULTIMODAL in found[0].silent
    assert out_of_fold_candidates(recall) == []
