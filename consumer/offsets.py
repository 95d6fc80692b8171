"""Which offsets may be committed, when events finish in any order. Pure; no Kafka, no threads.

The position of a partition is the offset of its first unfinished event, or, where there is none,
the one after the last received: everything below it is finished. Events finished *beyond* the
position ride in the commit's metadata as a bitmap, so that a successor doesn't do them again, and
with them the decoder crashes that unfinished events have caused. Offsets with no message
(transaction markers, compaction) are never received, and so never waited for.

Kafka bounds a commit's metadata to 4,096 bytes (``offset.metadata.max.bytes``). A partition
therefore takes in events only within WINDOW offsets of its position: WINDOW bits, compressed and
in base64, stay below 2,800 bytes at their worst, and CRASHES entries below 1,100.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from consumer.work import Partition, Ticket

WINDOW = 16_384
CRASHES = 64
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Commit:
    """What may be committed of one partition: the next offset to read, and the metadata."""

    partition: Partition
    epoch: int
    offset: int
    metadata: str


@dataclass(frozen=True, slots=True)
class Progress:
    """What a commit's metadata says: offsets finished beyond it, and crashes by offset."""

    finished: frozenset[int] = frozenset()
    crashes: Mapping[int, int] = field(default_factory=dict)


def encode(position: int, finished: Iterable[int], crashes: Mapping[int, int]) -> str:
    """``Progress`` relative to ``position`` as text; empty where there is nothing to say."""
    ahead = sorted(offset - position for offset in finished)
    bits = bytearray(ahead[-1] // 8 + 1 if ahead else 0)
    for delta in ahead:
        bits[delta // 8] |= 1 << delta % 8
    counted = sorted(crashes.items(), key=lambda item: (-item[1], item[0]))[:CRASHES]
    if not bits and not counted:
        return ""
    body: dict[str, object] = {"reeltag": FORMAT}
    if bits:
        body["done"] = base64.b64encode(zlib.compress(bits, 9)).decode("ascii")
    if counted:
        body["crashes"] = [[offset - position, count] for offset, count in counted]
    return json.dumps(body, separators=(",", ":"))


def decode(position: int, metadata: str | None) -> Progress:
    """The reverse of ``encode``; what somebody else wrote there says nothing."""
    if not metadata:
        return Progress()
    try:
        body = json.loads(metadata)
        if not isinstance(body, dict) or body.get("reeltag") != FORMAT:
            return Progress()
        packed = base64.b64decode(body.get("done", ""), validate=True)
        unpacked = zlib.decompressobj().decompress(packed, WINDOW // 4) if packed else b""
        crashes = {position + int(delta): int(count) for delta, count in body.get("crashes", [])}
    except (ValueError, TypeError, binascii.Error, zlib.error):
        return Progress()
    finished = frozenset(
        position + 8 * i + bit
        for i, byte in enumerate(unpacked)
        for bit in range(8)
        if byte >> bit & 1
    )
    return Progress(finished, crashes)


class PartitionOffsets:
    """The offsets of one assignment of one partition."""

    def __init__(self, committed: int | None, progress: Progress = Progress()) -> None:
        """``committed`` is None where the group has never committed: the first event tells."""
        self._next = committed
        self._order: deque[int] = deque()  # received at or after the position, ascending
        self._finished: set[int] = set()  # the finished ones among them
        self._inherited = deque(sorted(progress.finished))  # by a predecessor, not received yet
        self._crashes = dict(progress.crashes)

    @property
    def position(self) -> int | None:
        """The offset to commit; None while nothing is known."""
        return self._order[0] if self._order else self._next

    @property
    def unfinished(self) -> int:
        """How many received events are unfinished."""
        return len(self._order) - len(self._finished)

    @property
    def unknown_from(self) -> int:
        """From this offset on nothing is finished yet, as far as the commit told."""
        if self._inherited:
            return self._inherited[-1] + 1
        return self._next or 0

    def fits(self, offset: int) -> bool:
        """Whether an event at ``offset`` lies within the window, so that it may be received."""
        position = self.position
        return position is None or not self._order or offset - position < WINDOW

    def receive(self, offset: int) -> bool:
        """Note an event; False where it needs no work: finished already, or received before."""
        if self._next is not None and offset < self._next:
            return False
        self._next = offset + 1
        self._order.append(offset)
        while self._inherited and self._inherited[0] < offset:
            self._inherited.popleft()  # will never come: it was compacted away
        done = bool(self._inherited) and self._inherited[0] == offset
        if done:
            self._inherited.popleft()
            self.finish(offset)
        return not done

    def finish(self, offset: int) -> None:
        """Note that a received event is finished; twice is once."""
        if not self._order or offset < self._order[0]:
            return
        self._finished.add(offset)
        self._crashes.pop(offset, None)
        while self._order and self._order[0] in self._finished:
            self._finished.remove(self._order.popleft())

    def crashes(self, offset: int) -> int:
        """Decoder crashes that the event at ``offset`` has caused."""
        return self._crashes.get(offset, 0)

    def crashed(self, offset: int) -> int:
        """Count one more; it goes out with the next commit."""
        self._crashes[offset] = self._crashes.get(offset, 0) + 1
        return self._crashes[offset]

    def commit(self) -> tuple[int, str] | None:
        """Position and metadata as they stand."""
        position = self.position
        if position is None:
            return None
        crashes = {at: count for at, count in self._crashes.items() if at >= position}
        return position, encode(position, [*self._finished, *self._inherited], crashes)


class OffsetTracker:
    """The offsets of every partition that is ours now, by assignment.

    A ticket of an assignment that has ended is not ours: nothing it says has any effect, also
    where the same partition has come back since.
    """

    def __init__(self) -> None:
        self._open: dict[Partition, tuple[int, PartitionOffsets]] = {}
        self._confirmed: dict[Partition, tuple[int, str]] = {}
        self._epoch = 0

    @property
    def partitions(self) -> list[Partition]:
        """The partitions that are ours."""
        return sorted(self._open)

    def open(self, partition: Partition, committed: int | None, metadata: str | None) -> int:
        """Begin an assignment where the group's commit stands; the answer is its epoch."""
        self._epoch += 1
        progress = Progress() if committed is None else decode(committed, metadata)
        self._open[partition] = self._epoch, PartitionOffsets(committed, progress)
        self._confirmed.pop(partition, None)
        if committed is not None:
            self._confirmed[partition] = committed, metadata or ""
        return self._epoch

    def close(self, partition: Partition) -> None:
        """End an assignment: revoked or lost."""
        self._open.pop(partition, None)
        self._confirmed.pop(partition, None)

    def epoch(self, partition: Partition) -> int | None:
        """The epoch of the current assignment; None where the partition is not ours."""
        entry = self._open.get(partition)
        return None if entry is None else entry[0]

    def owns(self, ticket: Ticket) -> bool:
        """Whether the assignment that ``ticket`` was received in still holds."""
        return self.epoch(ticket.partition) == ticket.epoch

    def offsets(self, partition: Partition) -> PartitionOffsets:
        """The offsets of a partition that is ours; KeyError where it isn't."""
        return self._open[partition][1]

    def finish(self, ticket: Ticket) -> bool:
        """Note that an event is finished; False where its assignment has ended."""
        if not self.owns(ticket):
            return False
        self.offsets(ticket.partition).finish(ticket.offset)
        return True

    def commits(self, partitions: Iterable[Partition] | None = None) -> list[Commit]:
        """What differs from the confirmed commits, of all or some partitions."""
        commits = []
        for partition in self.partitions if partitions is None else partitions:
            if partition not in self._open:
                continue
            epoch, offsets = self._open[partition]
            state = offsets.commit()
            if state is not None and self._confirmed.get(partition) != state:
                commits.append(Commit(partition, epoch, *state))
        return commits

    def confirm(self, commits: Iterable[Commit]) -> None:
        """Note that the broker has these commits."""
        for commit in commits:
            if self.epoch(commit.partition) == commit.epoch:
                self._confirmed[commit.partition] = commit.offset, commit.metadata
