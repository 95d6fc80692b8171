"""When a piece of work must be given up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment ``at`` on ``clock``, in seconds."""

    at: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """``seconds`` from now."""
        return cls(clock() + seconds, clock)

    @property
    def passed(self) -> bool:
        """Whether there is no time left."""
        return self.clock() >= self.at

    def share(self, part: float) -> Deadline:
        """The deadline of a piece of work that may take ``part`` (0 to 1) of the time left."""
        now = self.clock()
        return Deadline(now + part * (self.at - now), self.clock)
