"""What a training video may not see of others, and the folds that hold it out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from recall.components import components
from recall.ragged import Ragged
from recall.strangers import BETWEEN, Strangers, groups_of

FOLDS = 3
MADE_OF = st.lists(st.lists(st.integers(0, 40), max_size=3, unique=True), min_size=2, max_size=200)


def strangers(made_of: list[list[int]]) -> Strangers:
    return Strangers.of(component_of(made_of), ragged(made_of), FOLDS, seed=0)


def ragged(made_of: list[list[int]]) -> Ragged[np.int32]:
    return Ragged.of([np.asarray(item, dtype=np.int32) for item in made_of], np.int32)


def component_of(made_of: list[list[int]]) -> npt.NDArray[np.int32]:
    return components([[str(source) for source in item] for item in made_of])


def joined_up(random: np.random.Generator, videos: int, sources: int) -> list[list[int]]:
    """Videos of two sources that lie near each other, so that all hang together."""
    first = random.integers(0, sources, videos)
    second = np.clip(first + random.integers(-2, 3, videos), 0, sources - 1)
    return [list({int(a), int(b)}) for a, b in zip(first, second, strict=True)]


@given(MADE_OF)
def test_no_model_has_learned_from_what_it_judges(made_of: list[list[int]]) -> None:
    found = strangers(made_of)
    common = {source for source in range(41) if source not in found.sources.values}
    for number in range(found.folds):
        held, taught = found.held(number), found.taught(number)
        assert not set(held.tolist()) & set(taught.tolist())
        inside = {source for row in held.tolist() for source in made_of[row]} - common
        outside = {source for row in taught.tolist() for source in made_of[row]}
        assert not inside & outside


@given(MADE_OF)
def test_mates_are_those_with_a_source_in_common(made_of: list[list[int]]) -> None:
    found = strangers(made_of)
    mates = found.mates(np.arange(len(made_of)))
    for row in range(len(made_of)):
        own = set(found.sources[row].tolist())
        theirs = [number for number in range(len(made_of)) if own & set(found.sources[number])]
        assert set(mates[row].tolist()) == {row, *theirs}


def test_small_components_are_held_out_whole_and_all() -> None:
    made_of = [[number // 4] for number in range(200)]
    found = strangers(made_of)
    assert (np.bincount(found.fold) >= 64).all()
    for number in range(FOLDS):
        assert len(found.held(number)) + len(found.taught(number)) == 200


def test_where_everything_hangs_together_most_is_still_held_out() -> None:
    made_of = joined_up(np.random.default_rng(0), 600, 60)
    assert len(set(component_of(made_of).tolist())) < 5
    found = strangers(made_of)
    assert (found.fold != BETWEEN).mean() > 0.8
    for number in range(FOLDS):
        assert len(found.held(number)) > 100
        assert len(found.taught(number)) > 300


def test_material_that_nearly_all_share_parts_nobody() -> None:
    """A jingle in every video can't be held out; what else they share still is."""
    made_of = [[99, number // 3] for number in range(300)]
    found = strangers(made_of)
    assert (found.fold != BETWEEN).all()
    assert found.mates(np.asarray([4]))[0].tolist() == [3, 4, 5]


def test_what_hangs_together_too_densely_is_held_out_video_by_video() -> None:
    random = np.random.default_rng(2)
    made_of = [random.choice(60, 8, replace=False).tolist() for _ in range(300)]
    found = strangers(made_of)
    assert np.bincount(found.fold).tolist() == [100, 100, 100]
    assert found.mates(np.asarray([7]))[0].tolist() == [7]


def test_a_group_for_each_video_between_parts() -> None:
    made_of = joined_up(np.random.default_rng(1), 600, 60)
    groups = groups_of(component_of(made_of), ragged(made_of), FOLDS)
    assert groups.min() >= 0
    between = strangers(made_of).fold == BETWEEN
    alone = np.bincount(groups)[groups] == 1
    assert alone[between].all()
