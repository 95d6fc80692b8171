"""Lanes: one key's events in order, others side by side, events and bytes counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.lanes import Lanes
from consumer.work import Partition, Source, Ticket, Work

HERE = Partition("video.uploads", 0)


def work(offset: int, key: bytes | None, held: int = 10) -> Work:
    """An event at ``offset``."""
    return Work(Ticket(HERE, 1, offset), key, b"", Source(HERE, offset), began=0.0, held=held)


@given(
    st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", None]), st.integers(0, 99))), st.data()
)
def test_events_of_one_key_never_overtake_each_other(
    arrivals: list[tuple[bytes | None, int]], data: st.DataObject
) -> None:
    lanes = Lanes()
    done: dict[bytes | None, list[int]] = {}
    waiting = [work(i, key, held) for i, (key, held) in enumerate(arrivals)]
    total = sum(held for _, held in arrivals)
    handed = [each for each in waiting if lanes.enter(each)]
    assert (lanes.events, lanes.bytes) == (len(arrivals), total)
    while handed:
        assert len({each.lane for each in handed}) == len(handed)
        leaving = handed.pop(data.draw(st.integers(0, len(handed) - 1)))
        done.setdefault(leaving.key, []).append(leaving.ticket.offset)
        following = lanes.leave(leaving)
        if following is not None:
            handed.append(following)
    for key, offsets in done.items():
        if key is not None:
            assert offsets == sorted(offsets)
    assert sum(map(len, done.values())) == len(arrivals)
    assert (lanes.events, lanes.bytes) == (0, 0)


def test_what_waits_can_be_dropped_and_heads_stay() -> None:
    lanes = Lanes()
    first, second, third = work(0, b"a"), work(1, b"a"), work(2, b"a")
    assert lanes.enter(first)
    assert not lanes.enter(second)
    assert not lanes.enter(third)
    assert lanes.drop(lambda each: each is not third) == 1
    assert lanes.events == 2
    assert lanes.leave(first) is third


def test_only_the_head_leaves() -> None:
    lanes = Lanes()
    first, second = work(0, b"a"), work(1, b"a")
    lanes.enter(first)
    lanes.enter(second)
    with pytest.raises(ValueError, match="head"):
        lanes.leave(second)


def test_bytes_follow_what_a_work_holds() -> None:
    lanes = Lanes()
    one = work(0, b"a", held=10)
    lanes.enter(one)
    lanes.hold(one, 1000)
    assert lanes.bytes == 1000
    lanes.leave(one)
    assert lanes.bytes == 0
