"""The last stage: columns, combiner, and how it is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("sklearn")


from encoders.features import Features, Modality, State, Words
from rank import calibration, combining, last_training
from rank.columns import COLUMNS, RISING, below_best, columns, places
from rank.combine import Combiner
from rank.together import COMPANY
from recall.candidates import CHANNELS, HINTS, CandidateSet
from recall.ragged import Ragged

pytestmark = pytest.mark.train

UNRELATED: Ragged[np.int32] = Ragged.of([np.zeros(0, np.int32)] * 20, np.int32)


def examples(count: int, *, seed: int = 0) -> combining.Examples:
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, len(COLUMNS))).astype(np.float32)
    rows[random.random(rows.shape) < 0.3] = np.nan
    filled = np.nan_to_num(rows).astype(np.float64)
    chance = calibration.sigmoid(2 * filled[:, 0] + filled[:, 11] - 2)
    return combining.Examples(
        rows,
        random.random(count) < chance,
        np.tile(np.arange(20, dtype=np.int32), count // 20),
        np.arange(count) // 20,
    )


def fitted(some: combining.Examples) -> Combiner:
    """A combiner of videos that are each a component of their own."""
    labels = labels_of(some)
    return combining.fit(some, labels, np.arange(len(labels)), combining.CombinePlan(), seed=0)


def logits(combiner: Combiner, some: combining.Examples) -> npt.NDArray[np.float64]:
    return combiner(some.rows, some.tags, some.video)


def calibration_gap(stage: last_training.LastStage, fresh: combining.Examples) -> float:
    """How far scores are from the share of right answers, over tenths of new candidates."""
    scores = stage.operating.calibration(logits(stage.combiner, fresh))
    parts = np.array_split(np.argsort(scores), 10)
    gaps = [abs(scores[part].mean() - fresh.labelled[part].mean()) for part in parts]
    return float(np.mean(gaps))


def known(some: combining.Examples, first: int) -> last_training.Known:
    """Videos that are each a component of their own, counted from ``first``."""
    labels = labels_of(some)
    return last_training.Known(some, labels, first + np.arange(len(labels)))


def labels_of(some: combining.Examples) -> Ragged[np.int32]:
    videos = int(some.video.max()) + 1
    return Ragged.of(
        [some.tags[some.labelled & (some.video == video)] for video in range(videos)], np.int32
    )


def test_a_row_for_each_candidate_and_a_name_for_each_column() -> None:
    candidates = CandidateSet(
        np.array([4, 2], np.int32),
        np.full((2, len(CHANNELS)), 0.5, np.float32),
        np.full((2, len(HINTS)), np.nan, np.float32),
        {},
    )
    video = Features(Words("x"), dict.fromkeys(Modality, State.USED))
    rows = columns(video, candidates, np.array([2.0, 1.0], np.float32))
    assert rows.shape == (2, len(COLUMNS)) == (2, len(RISING))
    assert rows[:, COLUMNS.index("ranker")].tolist() == [2, 1]
    assert rows[:, COLUMNS.index("ranker below best")].tolist() == [0, -1]
    assert rows[:, COLUMNS.index("ranker place")].tolist() == [1, 0.5]


@given(arrays(np.float32, (6, 2), elements=st.floats(-5, 5, width=32) | st.just(float("nan"))))
def test_places_and_differences_agree_with_sorting(values: npt.NDArray[np.float32]) -> None:
    for column, (place, below) in enumerate(
        zip(places(values).T, below_best(values).T, strict=True)
    ):
        known = values[~np.isnan(values[:, column]), column]
        for row, value in enumerate(values[:, column]):
            if np.isnan(value):
                assert place[row] == 0
                assert np.isnan(below[row])
            else:
                assert place[row] == pytest.approx(1 / (1 + (known > value).sum()))
                assert below[row] == value - known.max()


def test_better_evidence_never_lowers_a_score() -> None:
    combiner = fitted(examples(3000))
    rows = examples(50, seed=1).rows
    alone = np.zeros((50, len(COMPANY)), np.float32)
    risen = np.where(np.array(RISING) == 1, rows + 1, rows).astype(np.float32)
    before, after = (combiner.rounds[0](np.hstack([each, alone])) for each in (rows, risen))
    assert (after >= before - 1e-9).all()


def test_company_counts_where_labels_are_many() -> None:
    """Tags 10 to 19 have the labels of tags 0 to 9, and nothing but their company gives it away."""
    videos = 400
    labelled = np.random.default_rng(7).random((videos, 10)) < 0.2
    some = examples(videos * 20)
    rows = some.rows.copy()
    rows[:, 0] = np.where(labelled, 3, np.nan).repeat(2, axis=0).ravel()
    rows.reshape(videos, 20, -1)[:, 10:, 0] = np.nan
    some = replace(some, rows=rows, labelled=np.tile(labelled, 2).ravel())
    hidden = some.tags >= 10
    gaps = {}
    for many in (1, 10**9):
        plan = combining.CombinePlan(many=many, trees=40)
        found = logits(combining.fit(some, labels_of(some), np.arange(videos), plan, seed=0), some)
        gaps[many] = found[hidden & some.labelled].mean() - found[hidden & ~some.labelled].mean()
    assert gaps[1] > gaps[10**9] + 1


def test_rounds_of_trees_build_on_each_other_and_are_kept(tmp_path: Path) -> None:
    some = examples(2000)
    plan = combining.CombinePlan(many=1, trees=30)
    combiner = combining.fit(some, labels_of(some), np.arange(100), plan, seed=0)
    assert len(combiner.rounds) == plan.rounds == 2
    once = replace(combiner, rounds=combiner.rounds[:1])
    assert np.abs(logits(combiner, some) - logits(once, some)).max() > 0.1
    for number, each in enumerate((once, combiner)):
        folder = tmp_path / f"{number}"
        each.save(folder)
        np.testing.assert_array_equal(logits(Combiner.load(folder), some), logits(each, some))


def test_few_labels_get_a_single_round_without_opinions() -> None:
    some = examples(3000)
    combiner = fitted(some)
    assert len(combiner.rounds) == 1
    assert combiner.rounds[0].column.max() < len(COLUMNS)
    assert len(fitted(examples(200)).rounds) == 0


def test_a_column_that_is_unknown_for_every_candidate_is_passed_over() -> None:
    some = examples(800)
    rows = some.rows.copy()
    rows[:, COLUMNS.index("uploader")] = np.nan
    silent = replace(some, rows=rows)
    combiner = fitted(silent)
    assert combiner.share > 0, "too few examples for trees to be fitted"
    assert np.isfinite(logits(combiner, silent)).all()
    alone = np.zeros((len(rows), len(COMPANY)), np.float32)
    known, unknown = (combiner.rounds[0](np.hstack([each, alone])) for each in (some.rows, rows))
    np.testing.assert_array_equal(known, unknown)


def test_a_handful_of_examples_is_enough_to_fit(tmp_path: Path) -> None:
    few = examples(40)
    combiner = fitted(few)
    combiner.save(tmp_path)
    again = Combiner.load(tmp_path)
    np.testing.assert_array_equal(logits(again, few), logits(combiner, few))
    guessed = fitted(replace(few, labelled=np.zeros(40, bool)))
    named, unnamed = few.rows.copy(), few.rows.copy()
    named[:, COLUMNS.index("name")], unnamed[:, COLUMNS.index("name")] = 1, 0
    assert (
        logits(guessed, replace(few, rows=named)) > logits(guessed, replace(few, rows=unnamed))
    ).all()


def test_cross_fitting_never_scores_what_it_trained_on() -> None:
    """With labels that are pure noise, scores of held-out rows can't tell them."""
    random = np.random.default_rng(0)
    noise = examples(2000)
    noise = replace(noise, labelled=random.random(2000) < 0.5)
    scores = combining.cross_fit(
        noise, labels_of(noise), np.arange(100), combining.CombinePlan(), folds=4, seed=0
    )
    gap = scores[noise.labelled].mean() - scores[~noise.labelled].mean()
    own = logits(fitted(noise), noise)
    assert abs(gap) < 0.1 < own[noise.labelled].mean() - own[~noise.labelled].mean()


def test_validation_videos_teach_what_holds_on_new_material() -> None:
    """What tells training videos' tags but not strangers' is trusted less."""
    training, validation, fresh = (examples(6_000, seed=seed) for seed in range(3))
    told = training.rows.copy()
    told[:, 2] = np.where(training.labelled, 1, -1)
    training = replace(training, rows=told)
    stage = last_training.train_last(
        known(training, 0), known(validation, 10_000), combining.CombinePlan(), UNRELATED, seed=0
    )
    scores, misled = logits(stage.combiner, fresh), logits(fitted(training), fresh)

    def gap(found: npt.NDArray[np.float64]) -> float:
        right = fresh.labelled
        return float((found[right].mean() - found[~right].mean()) / found.std())

    assert gap(scores) > gap(misled) + 0.2


def test_validation_scores_are_of_combiners_that_never_saw_the_video() -> None:
    """With labels that are pure noise, scores can't tell them, though both are learned from."""
    random = np.random.default_rng(0)
    training, validation = (
        replace(some, labelled=random.random(len(some.rows)) < 0.5)
        for some in (examples(2000), examples(4000, seed=1))
    )
    stage = last_training.train_last(
        known(training, 0), known(validation, 1_000), combining.CombinePlan(), UNRELATED, seed=0
    )
    scores, labelled = stage.validation.score, stage.validation.right
    assert abs(scores[labelled].mean() - scores[~labelled].mean()) < 0.02
    own = logits(stage.combiner, validation)
    assert own[labelled].mean() - own[~labelled].mean() > 0.1


@pytest.mark.parametrize("seed", range(3))
def test_few_validation_videos_do_not_settle_calibration(seed: int) -> None:
    """With thirty of them, training videos say what the scores mean on new ones."""
    training, validation, fresh = (
        examples(count, seed=3 * seed + place) for place, count in enumerate((20_000, 600, 20_000))
    )
    stage = last_training.train_last(
        known(training, 0), known(validation, 10_000), combining.CombinePlan(), UNRELATED, seed=0
    )
    assert calibration_gap(stage, fresh) < 0.015
    assert stage.validation.videos == 30


def test_validation_videos_say_what_scores_mean_where_training_videos_are_unlike_new_ones() -> None:
    """Labelled more often, these would promise too much."""
    training, validation, fresh = (
        examples(count, seed=place) for place, count in enumerate((20_000, 3_000, 20_000))
    )
    often = training.labelled | (np.random.default_rng(0).random(20_000) < 0.3)
    stage = last_training.train_last(
        known(replace(training, labelled=often), 0),
        known(validation, 10_000),
        combining.CombinePlan(),
        UNRELATED,
        seed=0,
    )
    assert calibration_gap(stage, fresh) < 0.03


@pytest.mark.parametrize("written", [True, False])
def test_a_tag_counts_as_implied_unless_the_labels_speak_against_it(*, written: bool) -> None:
    """Tags 1 to 19 imply tag 0, which nothing else tells; labels have it with them, or never."""
    above = Ragged.of([np.zeros(int(tag > 0), np.int32) for tag in range(20)], np.int32)
    training, validation = (examples(6_000, seed=seed) for seed in range(2))

    def altered(some: combining.Examples) -> combining.Examples:
        rows, labelled = (
            some.rows.reshape(-1, 20, len(COLUMNS)).copy(),
            some.labelled.reshape(-1, 20),
        )
        rows[:, 0] = np.nan
        first = labelled[:, 1:].any(axis=1, keepdims=True) & written
        together = np.concatenate([first, labelled[:, 1:]], axis=1)
        return replace(some, rows=rows.reshape(some.rows.shape), labelled=together.ravel())

    stage = last_training.train_last(
        known(altered(training), 0),
        known(altered(validation), 10_000),
        combining.CombinePlan(many=2**62),
        above,
        seed=0,
    )
    assert stage.operating.implied is written
