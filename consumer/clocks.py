"""What is going on, since when, and for how long it may: the base of /livez and of the watchdog.

A client call has been seen never to return, and no time-out of its own can help there. So every
call that may block runs inside ``Pulse.during``, and a thread of its own looks at the clocks: where
one is past its limit, the worker ends itself with status 70, and its supervisor starts it again.
Nothing is lost by it: what was not committed is done again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

log = logging.getLogger(__name__)

STATUS_STALE = 70
"""Exit status of a worker that ended itself (EX_SOFTWARE of sysexits)."""


@dataclass(slots=True)
class Activity:
    """Something that has begun and not ended, and how long it may take."""

    name: str
    began: float
    limit: float


class Pulse:
    """The activities under way. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._activities: dict[object, Activity] = {}

    @contextmanager
    def during(self, name: str, limit: float) -> Iterator[None]:
        """Note that ``name`` goes on inside the block, and may for ``limit`` seconds."""
        token = object()
        self._note(token, name, limit)
        try:
            yield
        finally:
            self.end(token)

    def beat(self, name: str, limit: float) -> None:
        """Begin ``name`` anew: a loop that must come round within ``limit`` seconds."""
        self._note(name, name, limit)

    def end(self, token: object) -> None:
        """The activity is over; a loop is named by its name."""
        with self._lock:
            self._activities.pop(token, None)

    def age(self, name: str) -> float | None:
        """Seconds since the oldest activity of that name began; None where there is none."""
        now = self._clock()
        with self._lock:
            ages = [now - one.began for one in self._activities.values() if one.name == name]
        return max(ages, default=None)

    def stale(self) -> list[str]:
        """What is past its limit, in words."""
        now = self._clock()
        with self._lock:
            return [
                f"{one.name} has gone on for {now - one.began:.0f} s (limit {one.limit:.0f} s)"
                for one in self._activities.values()
                if now - one.began > one.limit
            ]

    def forgive(self, seconds: float) -> None:
        """Don't count the last ``seconds``: the whole process stood still."""
        with self._lock:
            for one in self._activities.values():
                one.began += seconds

    def _note(self, token: object, name: str, limit: float) -> None:
        with self._lock:
            self._activities[token] = Activity(name, self._clock(), limit)


class Watchdog:
    """Ends the process where an activity is past its limit; also where no other thread can."""

    def __init__(
        self,
        pulse: Pulse,
        *,
        tick: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._pulse = pulse
        self._tick = tick
        self._clock = clock
        self._end = end
        self.status = STATUS_STALE
        """What the process ends with; 0 once it is on its way out anyway."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        last = self._clock()
        while not self._stop.wait(self._tick):
            now = self._clock()
            if now - last > 4 * self._tick:  # stopped (SIGSTOP) or suspended: nobody could beat
                self._pulse.forgive(now - last)
                last = now
                continue
            last = now
            if stale := self._pulse.stale():
                log.critical("ending this worker, which hangs: %s", "; ".join(stale))
                logging.shutdown()
                self._end(self.status)
                return
