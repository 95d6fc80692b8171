"""The pulse and the watchdog: a call that hangs ends the worker, a stopped process does not."""

from __future__ import annotations

import threading
import time

import pytest

from consumer.clocks import STATUS_STALE, Pulse, Watchdog


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_activity_past_its_limit_is_stale_until_it_ends() -> None:
    clock = Clock()
    pulse = Pulse(clock)
    with pulse.during("commit", 5):
        clock.now += 4
        assert pulse.stale() == []
        clock.now += 2
        assert pulse.stale() == ["commit has gone on for 6 s (limit 5 s)"]
        assert pulse.age("commit") == 6
    assert pulse.stale() == []
    assert pulse.age("commit") is None


def test_a_loop_must_come_round() -> None:
    clock = Clock()
    pulse = Pulse(clock)
    pulse.beat("poll", 5)
    clock.now += 4
    pulse.beat("poll", 5)
    clock.now += 4
    assert not pulse.stale()
    clock.now += 4
    assert pulse.stale()
    pulse.end("poll")
    assert not pulse.stale()


def test_the_watchdog_ends_a_process_whose_call_hangs() -> None:
    pulse = Pulse()
    ended = threading.Event()
    statuses: list[int] = []

    def end(status: int) -> None:
        statuses.append(status)
        ended.set()

    watchdog = Watchdog(pulse, tick=0.01, end=end)
    watchdog.start()
    with pulse.during("send offsets", 0.05):
        assert ended.wait(5)
    watchdog.stop()
    assert statuses == [STATUS_STALE]


def test_time_that_the_whole_process_stood_still_does_not_count() -> None:
    """SIGSTOP, as the watchdog sees it: its own clock jumps."""
    clock = Clock()
    pulse = Pulse(clock)
    statuses: list[int] = []
    watchdog = Watchdog(pulse, tick=0.01, clock=clock, end=statuses.append)
    pulse.beat("poll", 5)
    watchdog.start()
    time.sleep(0.05)
    clock.now += 60
    time.sleep(0.1)
    watchdog.stop()
    assert not statuses
    assert pulse.age("poll") == pytest.approx(0, abs=1)
