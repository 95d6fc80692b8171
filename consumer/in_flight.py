"""Everything between the receipt of an upload event and its settlement. Thread-safe.

    receive ─→ lane ─→ ready ─→ start ─→ … ─→ finish ─→ leave
                         ↑        │
                         └─ tick ─┴─ retry          (the lane stays busy: its order is kept)

``finish`` says that what is published for an event is delivered (or goes into the transaction that
also commits its offset); ``leave`` frees its lane. Work whose assignment has ended has no effect.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from consumer.lanes import Lanes
from consumer.marks import Marks
from consumer.offsets import Commit, OffsetTracker
from consumer.retries import RetryQueue
from consumer.work import Partition, Source, Ticket, Work

RETRY_SHARE = 0.25
"""Of the bytes in flight, what those that wait for another try may hold."""

SUSPECT_SECONDS = 0.2
"""How often an event with a sudden end behind it asks whether it is its turn."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be in flight; intake stops at these and goes on at half of them.

    ``retries``  events that may wait for another try; they don't stop the intake.
    """

    events: int
    bytes: int
    retries: int


class Receipt(Enum):
    """What became of a message that was received."""

    TAKEN = auto()
    SKIPPED = auto()  # finished before, by a predecessor or by us
    FOREIGN = auto()  # its partition is not ours
    PARKED = auto()  # too far beyond the position: offer it again


@dataclass(frozen=True, slots=True)
class Load:
    """How much is in flight: ``events`` and ``bytes`` in all, ``retries`` of them waiting.

    ``oldest_seconds``  age of the oldest event under way, those waiting for a retry left out.
    """

    events: int
    bytes: int
    retries: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Claim:
    """What one transaction settles: works of ours, the commits with them, and the membership."""

    works: Sequence[Work]
    commits: Sequence[Commit]
    group: object


class InFlight:
    """The tracker, the lanes and the retries behind one lock."""

    def __init__(
        self,
        bounds: Bounds,
        clock: Callable[[], float] = time.monotonic,
        marks: Marks | None = None,
    ) -> None:
        self.ready: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._bounds = bounds
        self._clock = clock
        self._tracker = OffsetTracker()
        self._lanes = Lanes()
        self._retries = RetryQueue()
        self._active: set[Work] = set()
        self._closing: set[Partition] = set()
        self._beside: dict[Partition, Partition] = {}
        self._group: object | None = None
        self._marks = marks or Marks(None)
        self._suspect: Work | None = None
        self._changed = threading.Condition(threading.RLock())

    # Assignment

    def open(
        self, partition: Partition, committed: int | None, metadata: str | None
    ) -> tuple[int, int]:
        """Begin an assignment where the group's commit stands.

        The answers are its epoch, and the offset from which on nothing is finished yet.
        """
        with self._changed:
            self._closing.discard(partition)
            self._marks.forget(partition, committed or 0)
            epoch = self._tracker.open(partition, committed, metadata)
            return epoch, self._tracker.offsets(partition).unknown_from

    def open_beside(
        self,
        partition: Partition,
        uploads: Partition,
        epoch: int,
        committed: int | None,
        metadata: str | None,
    ) -> bool:
        """Begin to read ``partition`` while ``uploads`` stays ours; False where it isn't."""
        with self._changed:
            if self._tracker.epoch(uploads) != epoch or uploads in self._closing:
                return False
            self._beside[uploads] = partition
            self.open(partition, committed, metadata)
            return True

    def close(self, partitions: Iterable[Partition]) -> None:
        """End assignments: what waits is dropped, what is under way has no effect any more."""
        with self._changed:
            for partition in self._with_beside(partitions):
                self._stop_starting(partition)
                self._tracker.close(partition)
                self._closing.discard(partition)
                self._beside.pop(partition, None)
            self._changed.notify_all()

    def drain(self, partitions: Iterable[Partition], seconds: float) -> bool:
        """Start nothing more of these partitions and wait for what is under way, at most so long.

        False where something was still under way; ``close`` then makes it have no effect.
        """
        with self._changed:
            parts = self._with_beside(partitions)
            for partition in parts:
                self._stop_starting(partition)
            return self._changed.wait_for(
                lambda: not any(work.ticket.partition in parts for work in self._active), seconds
            )

    def _stop_starting(self, partition: Partition) -> None:
        self._closing.add(partition)
        self._lanes.drop(lambda work: work.ticket.partition == partition)
        for work in self._retries.drop(lambda work: work.ticket.partition == partition):
            self._leave(work)

    def _with_beside(self, partitions: Iterable[Partition]) -> set[Partition]:
        parts = set(partitions)
        return parts | {self._beside[part] for part in parts if part in self._beside}

    @property
    def partitions(self) -> list[Partition]:
        """The partitions that are ours."""
        with self._changed:
            return self._tracker.partitions

    def positions(self) -> dict[Partition, int]:
        """The offset that each partition has settled up to."""
        with self._changed:
            known = {p: self._tracker.offsets(p).position for p in self._tracker.partitions}
            return {partition: at for partition, at in known.items() if at is not None}

    # The way of one event

    def receive(
        self,
        partition: Partition,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        source: Source,
        *,
        again: bool = False,
        before: int = 0,
    ) -> Receipt:
        """Take in one message."""
        with self._changed:
            epoch = self._tracker.epoch(partition)
            if epoch is None:
                return Receipt.FOREIGN
            offsets = self._tracker.offsets(partition)
            if not offsets.fits(offset):
                return Receipt.PARKED
            if not offsets.receive(offset):
                return Receipt.SKIPPED
            work = Work(
                ticket=Ticket(partition, epoch, offset),
                key=key,
                value=value,
                source=source,
                began=self._clock(),
                again=again,
                before=before,
                crashes=offsets.crashes(offset),
                held=len(key or b"") + len(value or b""),
            )
            if self._lanes.enter(work):
                self._hand_out(work)
            return Receipt.TAKEN

    def skip(self, partition: Partition, offset: int) -> None:
        """Note a message that asks for no work."""
        with self._changed:
            if self._tracker.epoch(partition) is not None:
                offsets = self._tracker.offsets(partition)
                offsets.receive(offset)
                offsets.finish(offset)

    def unfinished(self, partition: Partition) -> int:
        """How many events of a partition are in flight."""
        with self._changed:
            if self._tracker.epoch(partition) is None:
                return 0
            return self._tracker.offsets(partition).unfinished

    def start(self, work: Work) -> bool:
        """Begin a try; False where its partition is going or gone: it has left then.

        Of events during which a worker ended suddenly, one at a time is tried, so that those that
        were only beside the culprit finish; False for the others, which wait for their turn.
        """
        with self._changed:
            partition = work.ticket.partition
            if partition in self._closing or not self._tracker.owns(work.ticket):
                self._leave(work)
                return False
            work.deaths = self._marks.begin(work.ticket)
            if work.deaths and self._suspect is not None:
                self._marks.end(work.ticket)
                self._active.discard(work)
                self._retries.add(work, self._clock() + SUSPECT_SECONDS)
                return False
            if work.deaths:
                self._suspect = work
            work.attempts += 1
            return True

    def owns(self, work: Work) -> bool:
        """Whether the assignment that ``work`` was received in still holds."""
        with self._changed:
            return self._tracker.owns(work.ticket)

    def hold(self, work: Work, held: int) -> None:
        """Note that ``work`` holds so many bytes now."""
        with self._changed:
            self._lanes.hold(work, held)

    def crashed(self, work: Work) -> None:
        """Count a crash of the decoder against ``work``; the next commit carries it."""
        with self._changed:
            work.crashes += 1
            if self._tracker.owns(work.ticket):
                work.crashes = self._tracker.offsets(work.ticket.partition).crashed(
                    work.ticket.offset
                )

    def retry(self, work: Work, pause: float) -> bool:
        """Let ``work`` wait for its next try; its lane waits with it, others don't.

        False where too many wait, or their bytes would leave others no room: nothing is done then.
        """
        with self._changed:
            if work.ticket.partition in self._closing or not self._tracker.owns(work.ticket):
                self._leave(work)
                return True
            held = len(work.key or b"") + len(work.value or b"")
            if (
                len(self._retries) >= self._bounds.retries
                or self._retries.bytes + held > self._bounds.bytes * RETRY_SHARE
            ):
                return False
            self._lanes.hold(work, held)
            self._ended(work)
            self._retries.add(work, self._clock() + pause)
            self._changed.notify_all()
            return True

    def tick(self) -> None:
        """Hand out what has waited long enough."""
        with self._changed:
            for work in self._retries.due(self._clock()):
                self._hand_out(work)

    def finish(self, works: Iterable[Work]) -> None:
        """Note that these events are finished; what is not ours any more has no effect."""
        with self._changed:
            for work in works:
                self._tracker.finish(work.ticket)

    def leave(self, works: Iterable[Work]) -> None:
        """Free the lanes of these events."""
        with self._changed:
            for work in works:
                self._leave(work)

    def settle(self, works: Sequence[Work]) -> None:
        """``finish`` and ``leave``."""
        with self._changed:
            self.finish(works)
            self.leave(works)

    # Commits

    def joined(self, group: object | None) -> None:
        """Note the group membership that our partitions are owned under; None where it is lost."""
        with self._changed:
            self._group = group

    def claim(self, works: Sequence[Work]) -> Claim | None:
        """Finish ``works`` and say what a transaction with them must commit, as whose member.

        Assignment and membership are read at one moment, so a worker whose partitions have gone
        can't commit for them under a membership that it won later. None while there is no
        membership. Works that are not ours any more are left out of it.
        """
        with self._changed:
            if self._group is None:
                return None
            ours = [work for work in works if self._tracker.finish(work.ticket)]
            return Claim(ours, self._tracker.commits(), self._group)

    def commits(self, partitions: Iterable[Partition] | None = None) -> list[Commit]:
        """What the broker doesn't have yet, of all or some partitions."""
        with self._changed:
            wanted = None if partitions is None else sorted(self._with_beside(partitions))
            return self._tracker.commits(wanted)

    def confirm(self, commits: Iterable[Commit]) -> None:
        """Note that the broker has these commits."""
        with self._changed:
            self._tracker.confirm(commits)

    # Bounds

    @property
    def full(self) -> bool:
        """Whether intake must stop."""
        with self._changed:
            return self._above(1.0)

    @property
    def roomy(self) -> bool:
        """Whether intake may go on: low enough that it doesn't stop again at once."""
        with self._changed:
            return not self._above(0.5)

    def load(self) -> Load:
        """Figures for the metrics."""
        with self._changed:
            began = [work.began for work in self._active]
            return Load(
                events=self._lanes.events,
                bytes=self._lanes.bytes,
                retries=len(self._retries),
                oldest_seconds=self._clock() - min(began) if began else 0.0,
            )

    def _above(self, share: float) -> bool:
        events = self._lanes.events - len(self._retries)
        return (
            events >= self._bounds.events * share or self._lanes.bytes >= self._bounds.bytes * share
        )

    def _hand_out(self, work: Work) -> None:
        self._active.add(work)
        self.ready.put(work)

    def _ended(self, work: Work) -> None:
        self._active.discard(work)
        self._marks.end(work.ticket)
        if self._suspect is work:
            self._suspect = None

    def _leave(self, work: Work) -> None:
        self._ended(work)
        following = self._lanes.leave(work)
        if following is not None:
            self._hand_out(following)
        self._changed.notify_all()
