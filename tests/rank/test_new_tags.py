"""Never-trained tags and label-less bundles are measured as they would be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from encoders.encoder import Encoders
from encoders.features import Modality, State, Words
from encoders.profile import load_profile
from rank.bootstrap import Bootstrap
from rank.cold_start import cold_start
from rank.evaluation import Truth
from rank.fitting import FitPlan
from rank.gathering import Gathering
from rank.negatives import NegativePlan
from rank.new_tags import drawn, examples, new_tags, removable
from rank.progress import quiet
from rank.ranker_training import RankerPlan
from rank.systems import System
from rank.tagger import Tagger
from rank.tower import TowerSize
from rank.training import Plan, train
from rank.variants import Ground
from recall.corpus import LabelledVideo, TagSet, read_corpus, read_truth
from recall.dataset import Dataset, pack
from recall.splits import Split
from recall.vocabulary import Status, Tag, Vocabulary
from tests.rank.worlds import world
from tests.synthetic import clip

pytestmark = pytest.mark.train

QUICK = Plan(
    RankerPlan(
        TowerSize(vector=32, narrow_frame=16, narrow_audio=16, clusters=4, audio_clusters=4),
        FitPlan(epochs=1, bert_epochs=1, fewest_steps=8, negatives=NegativePlan(5, 0.2)),
    ),
    threads=1,
)


def test_only_tags_that_can_be_taken_out_and_added_again_are_held_out() -> None:
    tags = (
        Tag("animal", "animal"),
        Tag("cat", "cat", parents=("animal",)),
        Tag("spam", "spam", status=Status.BLOCKED),
        Tag("auto", "auto", merged_into="car"),
        Tag("car", "car"),
        Tag("jaguar", "jaguar"),
        Tag("big-cat", "big cat", ("Jaguar",)),
    )
    free = removable(Vocabulary(tags))
    assert [tag.name for tag, ok in zip(tags, free, strict=True) if ok] == ["cat", "big cat"]


def test_tags_are_drawn_among_those_that_are_neither_rare_nor_common() -> None:
    vocabulary = Vocabulary.from_names(f"tag {place}" for place in range(200))
    counts = np.arange(200, dtype=np.int64)
    chosen = drawn(vocabulary, counts, seed=0)
    assert len(chosen) == 10  # 5 % of 200
    assert set(chosen) <= set(range(5, 51))
    assert chosen == drawn(vocabulary, counts, seed=0)
    assert chosen != drawn(vocabulary, counts, seed=1)
    assert drawn(vocabulary, counts * 0, seed=0) == ()


def labelled(tags: list[tuple[int, ...]]) -> Dataset:
    features = world(len(tags)).features
    return pack(
        (
            LabelledVideo(f"v{row}", "file:///x", Words(), None, TagSet(own), Split.TRAIN, (), row),
            seen,
        )
        for row, (own, seen) in enumerate(zip(tags, features, strict=True))
    )


def test_an_example_truly_has_the_tag_shows_little_else_and_has_no_words() -> None:
    training = labelled([(0, 1), (0,), (0, 2), (2,)])
    complete = {"v0": (0, 1), "v1": (1,), "v2": (0, 1, 2), "v3": (1,)}
    found = examples(training, {name: TagSet(tags) for name, tags in complete.items()}, [0, 2, 5])
    assert {tag: name for tag, (name, _) in found.items()} == {0: "v0", 2: "v2"}
    shown = found[0][1]
    assert shown.words == Words()
    assert shown.sentence is None
    assert shown.states[Modality.TEXT] is State.MISSING
    np.testing.assert_array_equal(shown.frames, training.features(0).frames)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Clips of three colours; every tag is common enough to be known from its videos."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = []
    for number in range(10):
        for place, colour in enumerate(("red", "blue", "checks")):
            name = f"{colour}-{number}"
            tone = 200.0 + 300 * place + number
            clip(folder / f"{name}.mp4", seconds=0.5, scenes=(colour,), tone_hz=tone, size=(64, 64))
            split = "test" if number > 7 else "val" if number == 7 else "train"
            rows.append(
                {
                    "video_id": name,
                    "uri": f"{name}.mp4",
                    "title": f"clip {number}",
                    "tags": [colour, f"{colour} picture", f"{colour} sound"],
                    "split": split,
                }
            )
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    for file in ("corpus.jsonl", "truth.jsonl"):
        (folder / file).write_text(lines)
    corpus = read_corpus(folder / "corpus.jsonl")
    complete = read_truth(folder / "truth.jsonl", corpus)
    gathering = Gathering(load_profile("packaged"), folder / "cache", workers=1)
    dataset = gathering.gather(corpus, corpus.videos, quiet).dataset
    test = dataset.of(Split.TEST)
    return Ground(
        corpus,
        complete,
        dataset,
        test,
        Truth.of(test, complete),
        gathering,
        Encoders.open(gathering.profile),
        folder / "variants",
        QUICK,
        quiet,
    )


@pytest.mark.slow
def test_a_held_out_tag_is_found_again_by_its_example(ground: Ground, tmp_path: Path) -> None:
    path = ground.corpus.folder / "corpus.jsonl"
    whole = train(path, tmp_path / "b", gathering=ground.gathering, plan=QUICK, progress=quiet)
    tagger = Tagger.load(whole.bundle.folder, ground.encoders)
    chosen = [ground.corpus.vocabulary.require(f"{colour} sound") for colour in ("red", "checks")]
    trained, by_name, by_example = new_tags(ground, tagger, chosen)
    assert {row.tags for row in (trained, by_name, by_example)} == {2}
    assert {row.pairs for row in (trained, by_name, by_example)} == {4}
    assert by_example.hit_far == 1.0
    assert by_example.place is not None
    assert by_example.place <= 9
    assert by_example.candidates_interval.holds(by_example.candidates)


@pytest.mark.slow
def test_a_bundle_of_names_alone_is_measured_beside_plain_similarity(ground: Ground) -> None:
    bootstrap = Bootstrap(ground.test.component.astype(np.int64))
    path = ground.corpus.folder / "corpus.jsonl"
    out = ground.folder / "product"
    product = train(path, out, gathering=ground.gathering, plan=QUICK, progress=quiet).evaluation
    cold = cold_start(ground, product.scored[System.RECALL_RANKING], bootstrap)
    assert 0 < cold.row.figures.accuracy_top < 1
    assert cold.row.accuracy_behind.high >= 0  # the product learned from labels
    assert 0 <= cold.zero_shot.figures.accuracy_top <= 1
    assert cold.candidates_per_video > 0
