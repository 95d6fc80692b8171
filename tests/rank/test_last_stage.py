"""The last stage: columns, combiner, calibration and the operating point."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("sklearn")


from encoders.features import Features, Modality, State, Words
from rank import calibration, combining, last_training, threshold
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


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 100), st.sampled_from([300, 6000]), st.sampled_from([0.6, 1.0]))
def test_calibration_keeps_the_order(seed: int, count: int, frequency: float) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(size=count) * 3
    labelled = random.random(count) < calibration.sigmoid(logits)
    fitted = calibration.fit(logits, labelled, frequency=frequency)
    line = fitted(np.linspace(-15, 15, 400))
    assert (np.diff(line) >= 0).all()
    assert line.min() >= 0
    assert line.max() <= 1
    ranked = np.sort(logits)
    assert (np.diff(fitted(ranked))[np.diff(ranked) > 1e-3] > 0).all()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.floats(0, 1), st.integers(1, 9)), min_size=1, max_size=20
    )
)
def test_what_does_not_rise_becomes_one_corner(points: list[tuple[int, float, int]]) -> None:
    at, values, weights = np.array(sorted(points), np.float64).T
    places, means = calibration.rising(at, values, weights)
    assert (np.diff(places) > 0).all()
    assert (np.diff(means) > 0).all()
    assert places.min() >= at.min() - 1e-9
    assert places.max() <= at.max() + 1e-9
    assert means.min() >= values.min() - 1e-9
    assert means.max() <= values.max() + 1e-9


def test_pooled_corners_are_weighted_means() -> None:
    found = calibration.rising(
        np.array([0.0, 1, 2, 3]), np.array([0.1, 0.5, 0.2, 0.9]), np.array([1.0, 1, 2, 1])
    )
    assert np.allclose(found, [[0, 5 / 3, 3], [0.1, 0.3, 0.9]])


@pytest.mark.parametrize("count", [900, 20_000])
def test_a_calibrated_score_is_the_share_of_right_answers(count: int) -> None:
    random = np.random.default_rng(3)
    logits = random.normal(size=2 * count) * 2
    labelled = random.random(2 * count) < calibration.sigmoid(0.5 * logits - 1)  # overconfident
    fitted = calibration.fit(logits[:count], labelled[:count])
    scores = fitted(logits[count:])
    order = np.array_split(np.argsort(scores), 10)
    gaps = [abs(scores[part].mean() - labelled[count:][part].mean()) for part in order]
    assert np.mean(gaps) < 0.05


def test_the_label_frequency_is_read_off_the_plateau() -> None:
    random = np.random.default_rng(4)
    chance = calibration.sigmoid(random.normal(size=20_000) * 4 - 4)
    true = random.random(len(chance)) < chance
    hidden = true & (random.random(len(chance)) < 0.7)
    assert calibration.label_frequency(chance * 0.7, hidden) == pytest.approx(0.7, abs=0.05)
    assert calibration.label_frequency(chance, true) > 0.95


@pytest.mark.parametrize("frequency", [0.4, 0.7, 1.0])
def test_a_plateau_that_still_rises_a_little_is_one(frequency: float) -> None:
    """Of the most certain a hundredth is wrong, of those behind them a twentieth."""
    place = np.arange(200_000) / 200_000
    chance = np.clip(0.99 - 2 * place, 0.01, 1)
    labelled = np.random.default_rng(6).random(len(place)) < chance * frequency
    found = calibration.label_frequency(chance * frequency, labelled)
    assert found == pytest.approx(frequency, rel=0.06)


def test_mistakes_among_the_most_certain_do_not_pass_for_missing_labels() -> None:
    """All true tags are labelled; of the most certain fifth a twentieth is wrong, of the first few
    none."""
    place = np.arange(40_000) / 40_000
    chance = np.exp(-4 * place)
    labelled = np.random.default_rng(8).random(len(place)) < chance
    fifth = labelled[: int(labelled.sum()) // 5].mean()
    assert fifth < 0.96
    assert calibration.label_frequency(chance, labelled) > 0.98


def test_a_slope_is_no_plateau() -> None:
    """Where the most certain are right 0.85 of the time and those behind them ever less often,
    nothing says that labels are missing."""
    place = np.arange(40_000) / 40_000
    chance = 0.85 * np.exp(-25 * place)
    labelled = np.random.default_rng(7).random(len(place)) < chance
    assert calibration.label_frequency(chance, labelled) == 1.0


def test_the_threshold_gives_the_wanted_tags_per_video() -> None:
    scores = np.random.default_rng(5).random(20_000)
    found = threshold.for_tags_per_video(scores, 100)
    assert (scores >= found).sum() == 312


def test_a_target_precision_holds_on_new_videos_as_often_as_promised() -> None:
    """Over 200 worlds, the promise (precision ≥ 0.8 at risk 0.1) is broken in at most a tenth."""
    broken = kept = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        video = np.repeat(np.arange(300), 10)
        logits = random.normal(size=3000) * 2 + random.normal(size=300)[video]
        right = random.random(3000) < calibration.sigmoid(logits)
        found = threshold.for_precision(logits, right, video, 0.8)
        if found is not None:
            kept += 1
            fresh = random.normal(size=100_000) * 2 + random.normal(size=100_000)
            broken += calibration.sigmoid(fresh[fresh >= found]).mean() < 0.8
    assert kept > 100
    assert broken <= 0.1 * 200


def test_a_few_videos_with_many_sure_tags_do_not_keep_a_precision_from_being_promised() -> None:
    """They alone are above the strictest threshold, and show little; all videos show enough."""
    video = np.repeat(np.arange(160), 30)
    place = np.tile(np.arange(30), 160)
    many = (video < 10) & (place < 8)
    good = many | (place < 3)
    scores = np.where(many, 0.95, np.where(good, 0.9, 0.1)) - place / 1000 - video / 1e6
    right = good & (np.random.default_rng(0).random(4800) < 0.93)
    found = threshold.for_precision(scores, right, video, 0.8)
    assert found is not None
    assert right[scores >= found].mean() > 0.8
    assert (scores >= found).sum() >= 3 * 160
    few = video < 20
    assert threshold.for_precision(scores[few], right[few], video[few], 0.8) is None


def test_where_there_is_no_candidate_no_precision_is_promised() -> None:
    nothing = np.zeros(0)
    assert threshold.for_precision(nothing, nothing > 0, nothing.astype(np.int64), 0.5) is None
