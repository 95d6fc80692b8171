"""Proposals, ragged lists, neighbours carried over and mixers: the arithmetic inside recall."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recall.arrays import pack_rows, unpack_rows
from recall.library import Library, carry_over
from recall.mixing import Curve, Mixer
from recall.proposals import Proposals, align, greatest
from recall.ragged import Ragged
from recall.strangers import folds_by_group

TAGS = 7
LISTS = st.lists(st.lists(st.integers(0, TAGS - 1), max_size=5, unique=True), max_size=8)
PAIRS = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(0, TAGS - 1)),
    st.floats(-5, 5, width=32),
    max_size=25,
)


def ragged(lists: list[list[int]]) -> Ragged[np.int32]:
    return Ragged.of([np.asarray(item, dtype=np.int32) for item in lists], np.int32)


def proposals(pairs: dict[tuple[int, int], float]) -> Proposals:
    ordered = sorted(pairs)
    return Proposals(
        np.asarray([video for video, _ in ordered], dtype=np.int64),
        np.asarray([tag for _, tag in ordered], dtype=np.int32),
        np.asarray([pairs[pair] for pair in ordered], dtype=np.float32),
    )


def as_dict(found: Proposals) -> dict[tuple[int, int], float]:
    rows = zip(found.video.tolist(), found.tag.tolist(), found.score.tolist(), strict=True)
    return {(video, tag): score for video, tag, score in rows}


@given(LISTS, LISTS)
def test_ragged_lists_follow_each_other(first: list[list[int]], second: list[list[int]]) -> None:
    together = ragged(first).followed_by(ragged(second))
    assert [together[i].tolist() for i in range(len(together))] == [*first, *second]


@given(LISTS)
def test_ragged_lists_are_kept_taken_and_turned_around(lists: list[list[int]]) -> None:
    packed = ragged(lists)
    assert [packed[i].tolist() for i in range(len(packed))] == lists
    backwards = np.arange(len(lists))[::-1]
    taken = packed.take(backwards)
    assert [taken[i].tolist() for i in range(len(taken))] == lists[::-1]
    holders = packed.transposed(TAGS)
    for tag in range(TAGS):
        assert holders[tag].tolist() == [i for i, item in enumerate(lists) if tag in item]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, TAGS - 1), st.floats(-5, 5, width=32))))
def test_alternatives_of_a_pair_add_up_as_chances_do(
    found: list[tuple[int, int, float]],
) -> None:
    video, tag, score = (np.asarray([row[place] for row in found]) for place in range(3))
    pooled = Proposals.of_alternatives(
        video.astype(np.int64), tag.astype(np.int32), score.astype(np.float32), TAGS
    )
    wanted: dict[tuple[int, int], float] = {}
    for a, b, each in found:
        wanted[a, b] = float(np.logaddexp(wanted.get((a, b), -np.inf), each))
    assert as_dict(pooled) == pytest.approx(wanted, abs=1e-4)
    assert (np.diff(pooled.keys(TAGS)) > 0).all()


def test_means_and_maxima_of_lists_leave_empty_ones_at_zero() -> None:
    rows = Ragged.of(
        [
            np.asarray([[1.0, -1.0], [3.0, -3.0]], dtype=np.float32),
            np.zeros((0, 2), dtype=np.float32),
            np.asarray([[5.0, 0.0]], dtype=np.float32),
        ],
        np.float32,
        np.zeros((0, 2), dtype=np.float32),
    )
    assert rows.means().tolist() == [[2.0, -2.0], [0.0, 0.0], [5.0, 0.0]]
    assert rows.maxima().tolist() == [[3.0, -1.0], [0.0, 0.0], [5.0, 0.0]]


@given(PAIRS, st.integers(1, 4))
def test_the_strongest_of_each_video_are_kept(
    pairs: dict[tuple[int, int], float], keep: int
) -> None:
    kept = as_dict(proposals(pairs).strongest(keep))
    for video in range(5):
        mine = sorted(
            ((tag, np.float32(s)) for (v, tag), s in pairs.items() if v == video),
            key=lambda pair: (-pair[1], pair[0]),
        )
        assert {tag for v, tag in kept if v == video} == {tag for tag, _ in mine[:keep]}


@given(PAIRS, PAIRS)
def test_columns_laid_side_by_side_keep_every_score(
    left: dict[tuple[int, int], float], right: dict[tuple[int, int], float]
) -> None:
    pairs, table = align([proposals(left), proposals(right)], TAGS)
    keys = list(as_dict(pairs))
    assert set(keys) == set(left) | set(right)
    for row, pair in enumerate(keys):
        for column, source in enumerate((left, right)):
            if pair in source:
                assert table[row, column] == np.float32(source[pair])
            else:
                assert np.isnan(table[row, column])


@given(PAIRS)
def test_merged_tags_score_for_their_stand_ins_and_blocked_ones_go(
    pairs: dict[tuple[int, int], float],
) -> None:
    redirects = np.asarray([0, 0, 2, -1, 2, 5, 6], dtype=np.int32)
    wanted: dict[tuple[int, int], np.float32] = {}
    for (video, tag), score in pairs.items():
        if redirects[tag] >= 0:
            place = (video, int(redirects[tag]))
            wanted[place] = max(wanted.get(place, np.float32(-np.inf)), np.float32(score))
    assert as_dict(proposals(pairs).redirected(redirects)) == wanted


def library(labels: list[list[int]]) -> Library:
    count = len(labels)
    return Library(
        tuple(f"v{i}" for i in range(count)),
        ragged(labels),
        TAGS,
        np.full(count, -1, dtype=np.int32),
        (),
    )


def test_tags_are_carried_over_by_similarity() -> None:
    numbers = np.asarray([[0, 1, -1]], dtype=np.int32)
    similarity = np.asarray([[0.9, 0.8, -np.inf]], dtype=np.float32)
    shares, nearest = carry_over(
        library([[1, 2], [2, 3]]), numbers, similarity, 0.1, np.asarray([4])
    )
    first = 1 / (1 + np.exp(-1.0))
    assert as_dict(shares) == pytest.approx({(4, 1): first, (4, 2): 1.0, (4, 3): 1 - first})
    assert as_dict(nearest) == pytest.approx({(4, 1): 0.9, (4, 2): 0.9, (4, 3): 0.8})


@given(
    hnp.arrays(np.float32, st.integers(1, 200), elements=st.floats(-3, 3, width=32)),
    st.integers(0, 2**31),
)
def test_a_curve_never_falls(scores: npt.NDArray[np.float32], seed: int) -> None:
    true = np.random.default_rng(seed).random(len(scores)) < 0.3
    curve = Curve.fit(scores, true)
    grid = curve(np.linspace(-4, 4, 50, dtype=np.float32))
    assert (np.diff(grid) >= -1e-5).all()
    assert np.isfinite(grid).all()


def test_a_mixer_is_calibrated_and_better_than_either_score() -> None:
    random = np.random.default_rng(0)
    true = random.random(20_000) < 0.1
    scores = np.stack(
        [true + random.normal(size=len(true)), true + random.normal(size=len(true))], axis=1
    ).astype(np.float32)
    scores[random.random(scores.shape) < 0.2] = np.nan
    silent = np.zeros(scores.shape, dtype=bool)
    mixer = Mixer.fit(scores, silent, true, Mixer.untrained([(0.0, 1.0)] * 2))
    chance = 1 / (1 + np.exp(-mixer(scores, silent)))
    for low, high in ((0.0, 0.05), (0.05, 0.2), (0.2, 0.5)):
        part = (chance >= low) & (chance < high)
        assert true[part].mean() == pytest.approx(chance[part].mean(), abs=0.02)
    top = np.argsort(-chance)[:1000]
    for column in range(2):
        alone = np.argsort(-np.nan_to_num(scores[:, column], nan=-9))[:1000]
        assert true[top].mean() > true[alone].mean()
    same = Mixer.from_json(mixer.to_json())
    assert np.allclose(same(scores, silent), mixer(scores, silent))


def test_with_too_few_true_pairs_a_mixer_stays_as_it_was() -> None:
    untrained = Mixer.untrained([(0.0, 1.0)])
    scores = np.zeros((50, 1), dtype=np.float32)
    assert Mixer.fit(scores, scores > 1, scores[:, 0] == 0, untrained) is untrained


@given(st.lists(st.integers(0, 9), min_size=2, max_size=60), st.integers(2, 5))
def test_a_component_is_never_parted_between_folds(component: list[int], folds: int) -> None:
    numbers = np.asarray(component, dtype=np.int32)
    fold = folds_by_group(numbers, folds, seed=0)
    for number in set(component):
        assert len(set(fold[numbers == number].tolist())) == 1
    assert set(fold.tolist()) == set(range(min(folds, len(set(component)))))


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(0, 3), st.integers(1, 70)),
        elements=st.floats(-100, 100, width=32),
    ),
    st.sampled_from([4, 8]),
)
def test_packed_rows_come_back_within_half_a_step(rows: npt.NDArray[np.float32], bits: int) -> None:
    back = unpack_rows("rows", pack_rows("rows", rows, bits=bits))
    step = np.abs(rows).max(axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
    assert back.shape == rows.shape
    assert (np.abs(back - rows) <= step * 0.51 + 1e-6).all()


def test_rows_of_older_bundles_are_kept_in_half_precision() -> None:
    rows = np.asarray([[0.5, -2.0]], dtype=np.float16)
    assert unpack_rows("rows", {"rows": rows}).tolist() == [[0.5, -2.0]]


def test_what_a_search_found_becomes_proposals_in_order() -> None:
    tags = np.asarray([[3, 1, -1], [0, -1, -1]], dtype=np.int32)
    scores = np.asarray([[0.9, 0.8, -np.inf], [0.5, -np.inf, -np.inf]], dtype=np.float32)
    found = Proposals.of_found(tags, scores, np.asarray([4, 7]))
    assert as_dict(found) == pytest.approx({(4, 1): 0.8, (4, 3): 0.9, (7, 0): 0.5})


@pytest.mark.parametrize("count", [1, 50, 5_000])
@pytest.mark.parametrize("keep", [0, 1, 20])
def test_the_greatest_of_a_long_row_are_those_that_sorting_finds(count: int, keep: int) -> None:
    random = np.random.default_rng(count)
    for scores in (random.normal(size=count), np.round(random.normal(size=count), 1)):
        kept = min(keep, count)
        found = greatest(scores, kept)
        assert len(np.unique(found)) == kept
        assert (np.diff(found) > 0).all()
        assert np.sort(scores[found]).tolist() == np.sort(scores)[count - kept :].tolist()
