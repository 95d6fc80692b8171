"""When a transient error is tried again, and when it is enough."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from consumer.work import Work


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with full jitter: a try waits between 0 and min(longest, first·2ⁿ).

    Full jitter spreads the tries of many events best (M. Brooker, "Exponential Backoff And
    Jitter", AWS Architecture Blog, 2015).
    """

    attempts: int
    first_seconds: float
    longest_seconds: float
    age_seconds: float
    crash_limit: int
    death_limit: int
    crash_seconds: float
    """Least pause after a crash, so that a commit carries its count before the next try."""
    random: random.Random = field(default_factory=random.Random, compare=False)

    def another(self, work: Work, now: float, *, transient: bool, counted: bool = True) -> bool:
        """Whether ``work``, which has just failed, gets another try.

        ``transient`` errors are bounded by attempts, where they are ``counted``, and by age;
        crashes of the decoder by their count.
        """
        if not transient:
            return work.crashes < self.crash_limit
        few = work.attempts < self.attempts or not counted
        return few and now - work.began < self.age_seconds

    def pause(self, attempts: int, *, crashed: bool = False) -> float:
        """Seconds to wait after that many tries."""
        least = self.crash_seconds if crashed else 0.0
        ceiling = min(self.longest_seconds, self.first_seconds * 2.0 ** min(attempts - 1, 60))
        return max(least, self.random.uniform(0.0, ceiling))


class RetryQueue:
    """Work that waits for its next try, soonest first. Not thread-safe."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Work]] = []
        self._order = count()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, work: Work, due: float) -> None:
        """Let ``work`` wait until ``due``."""
        heapq.heappush(self._heap, (due, next(self._order), work))
        self.bytes += work.held

    def due(self, now: float) -> list[Work]:
        """Take out what has waited long enough."""
        ready = []
        while self._heap and self._heap[0][0] <= now:
            ready.append(heapq.heappop(self._heap)[2])
        self.bytes -= sum(work.held for work in ready)
        return ready

    def drop(self, unwanted: Callable[[Work], bool]) -> list[Work]:
        """Take out all unwanted work."""
        dropped = [entry[2] for entry in self._heap if unwanted(entry[2])]
        self._heap = [entry for entry in self._heap if not unwanted(entry[2])]
        heapq.heapify(self._heap)
        self.bytes -= sum(work.held for work in dropped)
        return dropped
