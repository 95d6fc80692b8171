"""Back-off and its bounds."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from consumer.retries import RetryPolicy, RetryQueue
from consumer.work import Partition, Source, Ticket, Work

HERE = Partition("video.uploads", 0)
POLICY = RetryPolicy(
    attempts=4,
    first_seconds=1.0,
    longest_seconds=30.0,
    age_seconds=100.0,
    crash_limit=3,
    death_limit=5,
    crash_seconds=2.0,
    random=random.Random(0),
)


def work(offset: int = 0, *, attempts: int = 0, crashes: int = 0, began: float = 0.0) -> Work:
    """An event in a state."""
    ticket = Ticket(HERE, 1, offset)
    source = Source(HERE, offset)
    return Work(ticket, b"v", b"", source, began, attempts=attempts, crashes=crashes)


@given(st.integers(1, 2000))
def test_a_pause_is_drawn_from_nothing_to_the_ceiling(attempts: int) -> None:
    assert 0.0 <= POLICY.pause(attempts) <= min(30.0, 2.0 ** min(attempts - 1, 99))
    assert POLICY.pause(attempts, crashed=True) >= 2.0


def test_transient_errors_are_bounded_by_attempts_and_age() -> None:
    assert POLICY.another(work(attempts=3), now=10, transient=True)
    assert not POLICY.another(work(attempts=4), now=10, transient=True)
    assert not POLICY.another(work(attempts=1), now=100, transient=True)


def test_crashes_are_bounded_by_their_count() -> None:
    assert POLICY.another(work(attempts=9, crashes=2), now=0, transient=False)
    assert not POLICY.another(work(crashes=3), now=0, transient=False)


@given(st.lists(st.floats(0, 100)))
def test_waiting_work_comes_out_when_it_is_due_soonest_first(dues: list[float]) -> None:
    waiting = RetryQueue()
    for offset, due in enumerate(dues):
        waiting.add(work(offset), due)
    ready = waiting.due(50.0)
    assert [dues[each.ticket.offset] for each in ready] == sorted(due for due in dues if due <= 50)
    assert len(waiting) == len(dues) - len(ready)
    dropped = waiting.drop(lambda each: each.ticket.offset % 2 == 0)
    assert all(each.ticket.offset % 2 == 0 for each in dropped)
    assert len(waiting.due(1000)) == len(dues) - len(ready) - len(dropped)
