"""From a folder of clips to a bundle that tags and is measured."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from encoders.encoder import Encoders
from encoders.errors import BundleError, CorpusError
from encoders.features import Features, Modality, State, Words
from rank.bundle import EVALUATION, RECALL
from rank.gathering import Gathering, without
from rank.progress import quiet
from rank.served_training import Serving
from rank.systems import System
from rank.tagger import Tagger
from rank.training import Trained, learned_from, train
from recall.dataset import Dataset
from recall.splits import Split
from recall.storage import load_recaller
from tests.rank.small_training import SMALL

pytestmark = pytest.mark.train


def test_what_could_not_be_used_is_listed(trained: Trained) -> None:
    assert [item.video_id for item in trained.gathered.unread] == ["broken"]
    assert [row.line for row in trained.corpus.skipped] == [34]


def test_the_bundle_is_good_on_videos_it_has_never_seen(trained: Trained) -> None:
    assert trained.evaluation.systems[System.RECALL_RANKING].map > 0.7


def test_the_evaluation_in_the_bundle_has_the_designs_keys(trained: Trained) -> None:
    figures = json.loads((trained.bundle.folder / EVALUATION).read_text())
    assert {"videos", "vocabulary", "against", "true_tags_per_video", "out_of_vocabulary"} < set(
        figures
    )
    assert {"text", "visual", "audio", "classifier", "multimodal", "overall", "at"} < set(
        figures["recall"]
    )
    for system in System:
        low, high = figures["systems"][system]["accuracy_interval"]
        assert low <= figures["systems"][system]["accuracy"] <= high
        assert figures["systems"][system]["milliseconds_per_video"] > 0
    assert set(figures["by_frequency"]) == {"head", "middle", "tail"}
    assert figures["by_uploader"]["known"]["pairs"] == figures["videos"] * 2


@pytest.mark.slow
def test_trained_again_the_files_are_the_same(
    corpus: Path, trained: Trained, gathering: Gathering, tmp_path: Path
) -> None:
    """On a cold cache of stages, so that everything is trained once more."""
    fresh = tmp_path / "cache"
    shutil.copytree(gathering.cache_dir, fresh, ignore=shutil.ignore_patterns("training"))
    again = train(
        corpus,
        tmp_path / "again",
        gathering=replace(gathering, cache_dir=fresh),
        plan=SMALL,
        progress=quiet,
    )
    assert again.bundle.manifest.digest == trained.bundle.manifest.digest


def test_the_ranker_learns_from_as_many_videos_as_it_is_given_recall_from_all(
    corpus: Path, trained: Trained, gathering: Gathering, tmp_path: Path
) -> None:
    some = train(
        corpus,
        tmp_path / "bundle",
        gathering=gathering,
        plan=replace(SMALL, ranked=15),
        progress=quiet,
    )
    videos = trained.gathered.dataset.of(Split.TRAIN)
    taught = learned_from(some.gathered.dataset, some.stages.recall)
    assert len(taught) == 15 < len(videos)
    assert set(taught.video_ids) < set(videos.video_ids)
    assert len(learned_from(trained.gathered.dataset, trained.stages.recall)) == len(videos)
    library = Tagger.load(some.bundle.folder, Encoders.open(gathering.profile)).recaller
    assert set(library.channels.library.video_ids) > set(videos.video_ids)
    assert some.evaluation.systems[System.RECALL_RANKING].map > 0.5


def test_what_serves_has_learned_from_validation_videos_too(
    trained: Trained, tagger: Tagger
) -> None:
    """What was chosen with their help was chosen by models that they were new to."""
    dataset = trained.gathered.dataset
    seen = dataset.of(Split.TRAIN).video_ids
    validation = dataset.of(Split.VAL).video_ids
    strangers = load_recaller(trained.stages.recall / RECALL)
    assert strangers.channels.library.video_ids == seen
    channels = tagger.recaller.channels
    assert channels.library.video_ids == (*seen, *validation)
    for own, other in (
        (channels.sentence, strangers.channels.sentence),
        (channels.picture, strangers.channels.picture),
        (channels.sound, strangers.channels.sound),
        (channels.words, strangers.channels.words),
        (channels.fused, strangers.channels.fused),
    ):
        assert own is not None
        assert other is not None
        assert own.carry == other.carry


def serving(trained: Trained, encoders: Encoders, dataset: Dataset) -> Serving:
    made = trained.stages
    return Serving(dataset, made.recall, made.ranker, encoders, SMALL.ranker, 100, 0, quiet)


def test_a_validation_video_is_judged_by_models_that_learned_from_all_videos_but_its_half(
    trained: Trained, encoders: Encoders, tmp_path: Path
) -> None:
    dataset = trained.gathered.dataset
    seen = set(dataset.of(Split.TRAIN).video_ids)
    validation = dataset.of(Split.VAL).video_ids
    judged: list[str] = []
    for judge in serving(trained, encoders, dataset).judges(tmp_path):
        own = {validation[row] for row in judge.rows.tolist()}
        learned = judge.recaller.channels.library.video_ids
        assert set(learned) == seen | set(validation) - own
        judged += own
    assert sorted(judged) == sorted(validation)


def test_a_small_validation_split_is_judged_by_what_was_chosen_with_it(
    trained: Trained, encoders: Encoders, tmp_path: Path
) -> None:
    whole = trained.gathered.dataset
    training, validation = (whole.rows_of(split) for split in (Split.TRAIN, Split.VAL))
    dataset = whole.take(np.concatenate([training, validation[:1]]))
    (judge,) = serving(trained, encoders, dataset).judges(tmp_path)
    assert judge.rows.tolist() == [0]
    library = judge.recaller.channels.library
    assert library.video_ids == whole.of(Split.TRAIN).video_ids


def test_without_validation_videos_training_videos_say_what_scores_mean(
    corpus: Path, gathering: Gathering, tmp_path: Path
) -> None:
    rows = corpus.read_text().splitlines()[:-2]
    fewer = corpus.with_name("without-validation.jsonl")
    fewer.write_text("\n".join(row for row in rows if json.loads(row)["split"] != "val"))
    few = train(fewer, tmp_path / "bundle", gathering=gathering, plan=SMALL, progress=quiet)
    found = few.evaluation.systems[System.RECALL_RANKING]
    assert found.map > 0.5
    assert 1 < found.tags_per_video < 5


def test_a_tagged_video_is_attributed(tagger: Tagger, seen: Features) -> None:
    (tagging,) = tagger.tag([seen], ["red"], explain=True)
    assert {tag.tag for tag in tagging.tags} <= {tag.name for tag in tagger.vocabulary.tags}
    scores = [tag.score for tag in tagging.tags]
    assert scores == sorted(scores, reverse=True)
    best = tagging.tags[0]
    assert best.channels
    assert {item.channel for item in best.evidence} == set(best.channels)
    assert "ranker" in dict(best.parts)


def test_batch_mates_change_nothing(tagger: Tagger, trained: Trained, seen: Features) -> None:
    others = list(trained.gathered.dataset.each())[:5]
    (alone,) = tagger.tag([seen], ["red"])
    *_, together = tagger.tag([*others, seen], [*["blue"] * 5, "red"])
    assert together.candidates.tags.tolist() == alone.candidates.tags.tolist()
    assert together.scores == pytest.approx(alone.scores, abs=1e-4)


def test_a_video_with_one_modality_left_is_still_tagged(tagger: Tagger, seen: Features) -> None:
    for kept in Modality:
        video = seen
        for other in set(Modality) - {kept}:
            video = without(video, other)
        (tagging,) = tagger.tag([video], [None])
        assert len(tagging.candidates.tags)
    nothing = Features(Words(), dict.fromkeys(Modality, State.MISSING))
    assert len(tagger.tag([nothing], [None])) == 1


def test_another_profiles_features_are_refused(trained: Trained, encoders: Encoders) -> None:
    other = copy.copy(encoders)
    other.profile = replace(encoders.profile, digest="0" * 64)
    with pytest.raises(BundleError, match="trained with profile"):
        Tagger.load(trained.bundle.folder, other)


def test_without_any_label_tag_names_are_enough(
    corpus: Path, gathering: Gathering, encoders: Encoders, seen: Features, tmp_path: Path
) -> None:
    names = ["red wall", "blue sea", "static", "chess board"]
    (tmp_path / "names.jsonl").write_text(
        "\n".join(json.dumps({"tag_id": name, "name": name}) for name in names)
    )
    cold = train(
        corpus,
        tmp_path / "cold",
        gathering=gathering,
        vocabulary=tmp_path / "names.jsonl",
        plan=SMALL,
        progress=quiet,
    )
    (tagging,) = Tagger.load(cold.bundle.folder, encoders).tag([seen], [None])
    best = int(tagging.candidates.tags[tagging.scores.argmax()])
    assert names[best] == "red wall"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("a", "test", ["x"])], "no training"),
        ([("a", "train", ["x"])], "at least two"),
        ([("a", "train", ["x", "y"])], "no test"),
        ([("a", "train", ["x", "y"]), ("b", "test", ["x"])], "none of the"),
        ([("red-0", "train", ["x", "y"]), ("b", "test", ["x"])], "no test video could be read"),
        ([("a", "train", ["x", "y"]), ("red-0", "test", ["x"])], "no labelled training video"),
    ],
)
def test_a_corpus_that_teaches_nothing_or_judges_nothing_is_refused(
    corpus: Path,
    gathering: Gathering,
    tmp_path: Path,
    rows: list[tuple[str, str, list[str]]],
    reason: str,
) -> None:
    path = corpus.with_name("refused.jsonl")
    lines = [
        json.dumps({"video_id": name, "uri": f"{name}.mp4", "tags": tags, "split": split})
        for name, split, tags in rows
    ]
    path.write_text("\n".join(lines))
    with pytest.raises(CorpusError, match=reason):
        train(path, tmp_path / "out", gathering=gathering, plan=SMALL, progress=quiet)
    assert not (tmp_path / "out").exists()
