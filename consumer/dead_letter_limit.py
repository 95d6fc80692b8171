"""When there are too many dead letters, and how the worker finds its way back."""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from consumer.work import Outcome

log = logging.getLogger(__name__)

SURE = 3.0
"""Standard errors: one window in 700 is misjudged where the true share lies at the limit."""
LONGEST_PAUSE = 16
"""Pauses double up to so many times the first."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """``share`` of dead letters that is too much, among the newest ``window`` outcomes, judged by
    ``least`` of them at least; ``probe`` events are taken in after each pause of ``seconds``."""

    share: float
    window: int
    least: int
    probe: int
    seconds: float


class DeadLetterLimit:
    """Stops the intake where a bad release or dependency would drain the uploads topic.

        closed ── share surely above the limit ──→ open ←── share above it: pause doubled ──┐
          ↑                                          └─── pause ───→ probing ───────────────┤
          └────────────────────────────── share within the limit ───────────────────────────┘

    A circuit breaker (M. Nygard, "Release It!", 2007). Nothing is lost by it: what is not taken in
    stays in the uploads topic, and the few dead letters of a probe can be replayed. Thread-safe.
    """

    def __init__(self, bounds: Bounds, clock: Callable[[], float] = time.monotonic) -> None:
        self._bounds = bounds
        self._clock = clock
        self._lock = threading.Lock()
        self._newest: deque[bool] = deque(maxlen=bounds.window)
        self._probe: deque[bool] = deque(maxlen=bounds.probe)
        self._taken = 0
        self._pause = bounds.seconds
        self._open = False
        self._probing = False
        self._since = 0.0
        """When it opened, or the probe began."""

    @property
    def reached(self) -> bool:
        """Whether the intake is stopped, but for probes."""
        return self._open

    @property
    def share(self) -> float:
        """The share of dead letters among the outcomes counted."""
        with self._lock:
            return sum(self._newest) / len(self._newest) if self._newest else 0.0

    def room(self) -> int:
        """How many events may be taken in now."""
        with self._lock:
            if not self._open:
                return sys.maxsize
            if self._clock() - self._since >= self._pause:
                # also where a probe got no answer: its events wait for retries, or were handed over
                self._since = self._clock()
                self._probing = True
                self._taken = 0
                log.info("taking in %d events, to see how they end", self._bounds.probe)
            return max(0, self._bounds.probe - self._taken) if self._probing else 0

    def take(self) -> None:
        """One event was taken in."""
        with self._lock:
            self._taken += 1

    def count(self, outcome: Outcome) -> None:
        """One event has ended."""
        dead = outcome is Outcome.DEAD_LETTERED
        with self._lock:
            self._newest.append(dead)
            if self._probing:
                self._probe.append(dead)
                if len(self._probe) == self._bounds.probe:
                    self._judge_probe(sum(self._probe))
            elif not self._open:
                self._judge(sum(self._newest), len(self._newest))

    def _judge(self, dead: int, ended: int) -> None:
        least = min(self._bounds.least, self._bounds.window)
        if ended >= least and surely(dead, ended) > self._bounds.share:
            self._stop(self._bounds.seconds, f"{dead} of the last {ended} events")

    def _judge_probe(self, dead: int) -> None:
        tried = f"{dead} of {self._bounds.probe} events tried"
        if dead > self._bounds.share * self._bounds.probe:
            self._stop(min(2 * self._pause, LONGEST_PAUSE * self._bounds.seconds), tried)
            return
        self._open = False
        self._probing = False
        self._newest.clear()
        log.warning("%s were dead letters: taking in uploads again", tried)

    def _stop(self, pause: float, what: str) -> None:
        self._open = True
        self._probing = False
        self._probe.clear()
        self._since = self._clock()
        self._pause = pause
        log.error("%s were dead letters: no new work for %.0f s", what, pause)


def surely(hits: int, tries: int) -> float:
    """The share that is surely reached: Wilson's lower bound, at ``SURE`` standard errors.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    share, square = hits / tries, SURE * SURE / tries
    spread = SURE * math.sqrt(share * (1 - share) / tries + square / (4 * tries))
    return (share + square / 2 - spread) / (1 + square)
