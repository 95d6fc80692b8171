"""A lane for each key: one video's events one after the other, different videos side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from consumer.work import Ticket, Work

Lane = bytes | Ticket


class Lanes:
    """Which work may be done now. Not thread-safe.

    A lane is *busy* from the moment its first work is handed out until that work has left, be it
    settled or dropped; the rest of the lane waits behind it. Counts events and bytes inside.
    """

    def __init__(self) -> None:
        self._lanes: dict[Lane, deque[Work]] = {}
        self.events = 0
        self.bytes = 0

    def enter(self, work: Work) -> bool:
        """Put ``work`` at the end of its lane; True where it may be done at once."""
        self.events += 1
        self.bytes += work.held
        lane = self._lanes.setdefault(work.lane, deque())
        lane.append(work)
        return len(lane) == 1

    def hold(self, work: Work, held: int) -> None:
        """Note that ``work`` holds so many bytes now."""
        self.bytes += held - work.held
        work.held = held

    def leave(self, work: Work) -> Work | None:
        """Take out the work at the head of its lane; the next one may be done now."""
        lane = self._lanes[work.lane]
        if lane[0] is not work:
            raise ValueError("only the head of a lane can leave")
        lane.popleft()
        self._left(work)
        if lane:
            return lane[0]
        del self._lanes[work.lane]
        return None

    def drop(self, unwanted: Callable[[Work], bool]) -> int:
        """Take out all unwanted work that waits behind a head; heads must leave by themselves."""
        dropped = 0
        for lane in self._lanes.values():
            waiting = [work for work in list(lane)[1:] if unwanted(work)]
            for work in waiting:
                lane.remove(work)
                self._left(work)
            dropped += len(waiting)
        return dropped

    def _left(self, work: Work) -> None:
        self.events -= 1
        self.bytes -= work.held
        work.held = 0
