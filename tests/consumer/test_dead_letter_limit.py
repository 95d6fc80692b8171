"""The limit on dead letters: it stops early, not by chance, and finds its way back."""

from __future__ import annotations

import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.dead_letter_limit import LONGEST_PAUSE, Bounds, DeadLetterLimit, surely
from consumer.work import Outcome

BOUNDS = Bounds(share=0.5, window=1000, least=50, probe=10, seconds=60.0)


class Scene:
    """A limit, and the clock that it looks at."""

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.now = 0.0
        self.limit = DeadLetterLimit(bounds, lambda: self.now)

    def end(self, dead: int = 0, well: int = 0) -> None:
        """So many events end as dead letters, then so many well."""
        for outcome in [Outcome.DEAD_LETTERED] * dead + [Outcome.TAGGED] * well:
            self.limit.count(outcome)

    def probe(self, dead: int) -> None:
        """Take in all that there is room for; so many of them end as dead letters."""
        room = self.limit.room()
        for left in range(room, 0, -1):
            assert self.limit.room() == left
            self.limit.take()
        assert self.limit.room() == 0
        self.end(dead, room - dead)


def test_a_worker_that_starts_against_a_broken_dependency_stops_after_fifty() -> None:
    scene = Scene()
    scene.end(dead=49)
    assert not scene.limit.reached
    assert scene.limit.room() == sys.maxsize
    scene.end(dead=1)
    assert scene.limit.reached
    assert scene.limit.room() == 0
    assert scene.limit.share == 1.0


def test_the_way_back_is_a_probe_after_a_pause() -> None:
    scene = Scene()
    scene.end(dead=50)
    scene.now = 59.0
    assert scene.limit.room() == 0
    scene.now = 60.0
    scene.probe(dead=5)
    assert not scene.limit.reached
    assert scene.limit.room() == sys.maxsize
    scene.end(dead=49)  # what was counted before doesn't count again
    assert not scene.limit.reached


def test_pauses_double_while_probes_fail_up_to_a_bound() -> None:
    scene = Scene()
    scene.end(dead=50)
    pauses = []
    for _ in range(8):
        began = scene.now
        while not scene.limit.room():
            scene.now += 1.0
        pauses.append((scene.now - began) / BOUNDS.seconds)
        scene.probe(dead=6)
        assert scene.limit.reached
    assert pauses == [1, 2, 4, 8, 16, 16, 16, 16]
    assert pauses[-1] == LONGEST_PAUSE


def test_a_probe_without_an_answer_is_followed_by_another() -> None:
    """Its events may wait for retries, or have been handed over in a rebalance."""
    scene = Scene()
    scene.end(dead=50)
    scene.now = 60.0
    for _ in range(scene.limit.room()):
        scene.limit.take()
    scene.end(well=4)
    scene.now = 119.0
    assert scene.limit.room() == 0
    scene.now = 120.0
    assert scene.limit.room() == BOUNDS.probe
    scene.end(well=6)
    assert not scene.limit.reached


def test_what_was_under_way_when_it_stopped_decides_nothing() -> None:
    scene = Scene()
    scene.end(dead=50)
    scene.end(well=200)
    assert scene.limit.reached
    assert scene.limit.room() == 0


@pytest.mark.parametrize(("share", "stops"), [(0.05, False), (0.35, False), (0.7, True)])
def test_it_goes_by_the_share_not_by_chance(share: float, stops: bool) -> None:
    chance = random.Random(0)
    stopped = 0
    for _ in range(20):
        scene = Scene()
        for _ in range(1000):
            scene.end(dead=1) if chance.random() < share else scene.end(well=1)
        stopped += scene.limit.reached
    assert stopped == (20 if stops else 0)


@given(st.integers(1, 2000), st.data())
def test_the_sure_share_lies_below_the_share_and_grows_with_it(
    tries: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, tries))
    assert -1e-12 <= surely(hits, tries) <= hits / tries + 1e-12
    if hits:
        assert surely(hits - 1, tries) < surely(hits, tries)


def test_a_small_window_is_judged_once_it_is_full() -> None:
    scene = Scene(Bounds(share=0.5, window=20, least=50, probe=2, seconds=1.0))
    scene.end(dead=19)
    assert not scene.limit.reached
    scene.end(dead=1)
    assert scene.limit.reached
