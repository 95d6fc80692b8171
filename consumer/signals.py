"""SIGTERM and SIGINT, from the first moment of a worker on.

Loading encoders and indexes takes seconds, and a worker that is told to end meanwhile has taken
nothing in: it ends at once, with status 0. This module loads fast, so that it can come first.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType


class EndSignals:
    """What to do when the process is told to end. Made on the main thread."""

    def __init__(self) -> None:
        self._came = False
        self._stop: Callable[[], None] | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._told)

    def call(self, stop: Callable[[], None]) -> None:
        """From now on ``stop`` ends the process; called at once where a signal came before."""
        self._stop = stop
        if self._came:
            stop()

    def _told(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        if self._stop is None:
            raise SystemExit(0)
        self._stop()
