"""A trained bundle changed without training: tags added, blocked and merged, the threshold set."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from encoders.encoder import Encoders
from encoders.errors import CorpusError
from encoders.features import Features
from rank import edit
from rank.bundle import open_bundle
from rank.operating import Kind
from rank.tagger import Tagger
from rank.training import Trained
from recall.vocabulary import Tag

pytestmark = pytest.mark.train


@pytest.fixture
def edited(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the bundle, to change."""
    return Path(shutil.copytree(trained.bundle.folder, tmp_path / "bundle"))


def test_a_tag_added_by_its_name_alone_is_found(
    edited: Path, encoders: Encoders, seen: Features
) -> None:
    before = open_bundle(edited).manifest
    edit.add(edited, Tag("wall", "wall", ("brick wall",)), encoders)
    tagger = Tagger.load(edited, encoders)
    assert tagger.generation > before.generation
    assert tagger.digest != before.digest
    (tagging,) = tagger.tag([seen], [None])
    assert tagger.vocabulary.index_of("wall") in tagging.candidates.tags
    with pytest.raises(CorpusError, match="already"):
        edit.add(edited, Tag("wall", "wall"), encoders)


def test_an_added_tag_is_found_by_its_example(
    edited: Path, encoders: Encoders, trained: Trained, seen: Features
) -> None:
    dataset = trained.gathered.dataset
    example = dataset.features(dataset.video_ids.index("red-6"))
    edit.add(edited, Tag("zyx", "zyx"), encoders, [("red-6", example)])
    (tagging,) = Tagger.load(edited, encoders).tag([seen], [None])
    tagger = Tagger.load(edited, encoders)
    assert tagger.vocabulary.index_of("zyx") in tagging.candidates.tags


def test_an_added_tag_implies_its_parent(
    edited: Path, encoders: Encoders, trained: Trained, seen: Features
) -> None:
    dataset = trained.gathered.dataset
    example = dataset.features(dataset.video_ids.index("red-6"))
    before = Tagger.load(edited, encoders)
    (tagging,) = before.tag([seen], [None])
    least = int(tagging.candidates.tags[np.argmin(tagging.scores)])
    parent = before.vocabulary.tags[least].tag_id
    edit.add(edited, Tag("zyx", "zyx", parents=(parent,)), encoders, [("red-6", example)])
    edit.set_operating_point(edited, Kind.FIXED, 0.0)
    (tagging,) = Tagger.load(edited, encoders).tag([seen], [None], explain=True)
    scores = dict(zip(tagging.candidates.tags.tolist(), tagging.scores.tolist(), strict=True))
    child = scores[len(before.vocabulary)]
    assert scores[least] == child > tagging.scores.min()
    (implied,) = (tag for tag in tagging.tags if tag.tag_id == parent)
    assert implied.parts[-1] == ("implied by zyx", child)


def test_many_tags_are_added_as_one_by_one(
    edited: Path, encoders: Encoders, trained: Trained, tmp_path: Path
) -> None:
    dataset = trained.gathered.dataset
    example = ("red-6", dataset.features(dataset.video_ids.index("red-6")))
    additions = [
        edit.Addition(Tag("wall", "wall", ("brick wall",), "made of bricks")),
        edit.Addition(Tag("zyx", "zyx", parents=("wall",)), [example]),
    ]
    alone = tmp_path / "alone"
    shutil.copytree(edited, alone)
    for item in additions:
        edit.add(alone, item.tag, encoders, item.examples)
    edit.add_all(edited, additions, encoders)
    first, second = Tagger.load(alone, encoders), Tagger.load(edited, encoders)
    assert first.vocabulary == second.vocabulary
    np.testing.assert_allclose(first.ranker.tags, second.ranker.tags, atol=2e-3)
    seen = [dataset.features(dataset.video_ids.index("red-7"))]
    for one, other in zip(first.tag(seen, [None]), second.tag(seen, [None]), strict=True):
        assert one.candidates.tags.tolist() == other.candidates.tags.tolist()
        np.testing.assert_allclose(one.scores, other.scores, atol=2e-3)


def test_a_blocked_tag_is_never_published_until_released(
    edited: Path, encoders: Encoders, seen: Features
) -> None:
    def candidates() -> set[str]:
        tagger = Tagger.load(edited, encoders)
        (tagging,) = tagger.tag([seen], [None])
        return {tagger.vocabulary.tags[tag].name for tag in tagging.candidates.tags.tolist()}

    assert "calm" in candidates()
    edit.block(edited, "calm")
    assert "calm" not in candidates()
    edit.block(edited, "calm", blocked=False)
    assert "calm" in candidates()


def test_a_merged_tag_stands_for_another(edited: Path, encoders: Encoders, seen: Features) -> None:
    edit.merge(edited, "calm", "wild")
    tagger = Tagger.load(edited, encoders)
    (tagging,) = tagger.tag([seen], [None])
    names = {tagger.vocabulary.tags[tag].name for tag in tagging.candidates.tags.tolist()}
    assert "calm" not in names
    assert "wild" in names


def test_the_operating_point_is_a_setting(edited: Path, encoders: Encoders, seen: Features) -> None:
    edit.set_operating_point(edited, Kind.FIXED, 0.0)
    (everything,) = Tagger.load(edited, encoders).tag([seen], [None])
    assert len(everything.tags) == len(everything.candidates.tags)
    edit.set_operating_point(edited, Kind.FIXED, 1.0)
    (nothing,) = Tagger.load(edited, encoders).tag([seen], [None])
    assert not nothing.tags
