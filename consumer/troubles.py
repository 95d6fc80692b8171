"""What keeps this worker itself from working: its disk, its clock, its broker; not one video."""

from __future__ import annotations

import logging
import threading
from enum import StrEnum

log = logging.getLogger(__name__)


class Trouble(StrEnum):
    """Kinds of it. The worker waits for the end of each; without its feature store it goes on."""

    SCRATCH = "scratch"
    PUBLISH = "publish"
    FEATURES = "features"


class Troubles:
    """The troubles that last. Each is logged when it begins and when it ends. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: dict[Trouble, str] = {}

    def met(self, trouble: Trouble, what: str) -> None:
        """It is there, or still there."""
        with self._lock:
            fresh = trouble not in self._now
            self._now[trouble] = what
        if fresh:
            log.warning("%s", what)

    def over(self, trouble: Trouble) -> None:
        """What failed before has worked."""
        if trouble not in self._now:  # nearly always: spares the lock
            return
        with self._lock:
            gone = self._now.pop(trouble, None)
        if gone:
            log.info("over: %s", gone)

    def lasts(self, trouble: Trouble) -> bool:
        """Whether it is there."""
        return trouble in self._now

    def stopping(self) -> list[str]:
        """Those that the worker waits for, one sentence each."""
        with self._lock:
            return [what for trouble, what in self._now.items() if trouble != Trouble.FEATURES]
