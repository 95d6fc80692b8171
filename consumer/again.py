"""Work done again, seen from the worker: the replay topic beside the uploads topic.

The replay topic has as many partitions as the uploads topic, and whoever owns a partition of the
uploads also reads the same partition of the replay topic: assigned by hand, but committed under the
same membership. So fresh uploads and work done again of one video pass the same lane and the same
fenced publisher, and nobody can write an older event over a newer one.

A message there is an upload event, as it was, with headers that say where it lies, and up to which
offset newer events of its video were looked for (``seen``). What came after that, the worker knows
from ``Newest``: it notes each event it parses, and reads what it has not seen itself from the
uploads topic. A newer event, or a deletion, makes the older one *superseded*.

Fresh uploads go first: replay stands still while they wait, and takes at most half the pipeline.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from pydantic import BaseModel, ConfigDict, ValidationError

from consumer import scan
from consumer.clocks import Pulse
from consumer.events import parse_upload
from consumer.in_flight import InFlight, Receipt
from consumer.kafka import NONE_COMMITTED, headers_of
from consumer.work import Partition, Source, Work
from encoders.errors import EventError, KafkaError

log = logging.getLogger(__name__)

TURN_SECONDS = 0.1
OPENING_SECONDS = 5.0
KEYS = 200_000
"""Videos that ``Newest`` remembers of a partition while nothing is done again."""


class AgainHeaders(BaseModel):
    """Headers of a message of the replay topic.

    ``attempts``  tries in earlier lives; ``run`` names the command that asked for it, and
    ``run_attempt`` counts its ends before. ``letter`` is the place of the dead letter that it was.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    source_topic: str
    source_partition: int
    source_offset: int
    seen: int
    run: str
    run_attempt: int = 0
    video_version: int | None = None
    attempts: int = 0
    letter: str | None = None

    def to_bytes(self) -> dict[str, bytes]:
        """As Kafka carries them."""
        return {k: str(v).encode() for k, v in self.model_dump(exclude_none=True).items()}


class Newest:
    """The newest event of each video in each partition of ours, as far as it was seen. Thread-safe.

    For each partition it knows every event from an offset ``since`` on, as soon as its own lane has
    come to it; what a predecessor had finished beyond its commit lies below ``since``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Partition, tuple[int, dict[bytes, int]]] = {}

    def begin(self, partition: Partition, since: int) -> None:
        """Start to know a partition: every event from ``since`` on will be noted."""
        with self._lock:
            self._known[partition] = since, {}

    def end(self, partition: Partition) -> None:
        """Forget a partition."""
        with self._lock:
            self._known.pop(partition, None)

    def since(self, partition: Partition) -> int | None:
        """From where on every event is known; None where none is."""
        with self._lock:
            known = self._known.get(partition)
            return None if known is None else known[0]

    def note(self, partition: Partition, key: bytes, offset: int) -> None:
        """An event that keeps the contract was seen."""
        with self._lock:
            known = self._known.get(partition)
            if known is not None and known[1].get(key, -1) < offset:
                known[1][key] = offset

    def reach_back(self, partition: Partition, since: int) -> None:
        """Everything from ``since`` on has been noted too."""
        with self._lock:
            known = self._known.get(partition)
            if known is not None:
                self._known[partition] = min(since, known[0]), known[1]

    def shrink(self, partition: Partition, position: int) -> None:
        """Forget what lies below ``position``, where more videos are known than are kept.

        Only while nothing of this partition is done again: that may need what is forgotten.
        """
        with self._lock:
            known = self._known.get(partition)
            if known is not None and len(known[1]) > KEYS:
                since = max(position, known[0])
                kept = {key: offset for key, offset in known[1].items() if offset >= since}
                self._known[partition] = since, kept

    def newer(self, partition: Partition, key: bytes, offset: int) -> bool:
        """Whether a newer event of this video is known than the one at ``offset``."""
        with self._lock:
            known = self._known.get(partition)
            return known is not None and known[1].get(key, -1) > offset


class Throttle:
    """When replay may take one more event. ``free`` says whether fresh uploads leave room."""

    def __init__(self, rate: float, free: Callable[[], bool]) -> None:
        self._pause = 1.0 / rate if rate else 0.0
        self._free = free
        self._next = 0.0

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; False where it is not yet time."""
        deadline = time.monotonic() + seconds
        while not self._free() or time.monotonic() < self._next:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        self._next = max(self._next, time.monotonic() - 1.0) + self._pause
        return True


class Again:
    """A thread that reads our partitions of the replay topic."""

    def __init__(
        self,
        connect: Callable[[], Consumer],
        connect_scanner: Callable[[], Consumer],
        uploads_topic: str,
        replay_topic: str,
        in_flight: InFlight,
        newest: Newest,
        throttle: Throttle,
        pulse: Pulse,
        stale_seconds: float,
    ) -> None:
        self._connect = connect
        self._connect_scanner = connect_scanner
        self._uploads_topic = uploads_topic
        self._replay_topic = replay_topic
        self._in_flight = in_flight
        self._newest = newest
        self._throttle = throttle
        self._pulse = pulse
        self._stale = stale_seconds
        self._lock = threading.Lock()
        self._wanted: dict[int, int] = {}  # partition number → epoch of the uploads' assignment
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="again", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Take nothing more; wait at most so long for the thread's end."""
        self._ending.set()
        self._thread.join(seconds)

    def beside(self, uploads: Partition) -> Partition:
        """The partition of the replay topic that goes with one of the uploads topic."""
        return Partition(self._replay_topic, uploads.number)

    def open(self, uploads: Partition, epoch: int, since: int) -> None:
        """The uploads partition is ours: read the one beside it. For ``since`` see ``Newest``."""
        self._newest.begin(uploads, since)
        with self._lock:
            self._wanted[uploads.number] = epoch

    def close(self, uploads: Partition) -> None:
        """The uploads partition is not ours any more."""
        with self._lock:
            self._wanted.pop(uploads.number, None)
        self._newest.end(uploads)

    # The thread

    def _loop(self) -> None:
        reader = self._connect()
        scanner = self._connect_scanner()
        reading: dict[int, int] = {}
        while not self._ending.is_set():
            try:
                with self._pulse.during("the replay reader", 4 * self._stale):
                    reading = self._assign(reader, reading)
                    if not self._throttle.wait(TURN_SECONDS):
                        continue
                    message = reader.poll(TURN_SECONDS)
                if message is None:
                    self._shrink(reading)
                elif message.error() is None:
                    self._take(scanner, message)
            except (KafkaException, KafkaError) as error:
                log.info("replay waits: %s", error)
                self._ending.wait(1.0)
                reading = {}

    def _assign(self, reader: Consumer, reading: dict[int, int]) -> dict[int, int]:
        """Read what is wanted, each partition from its commit or where it was."""
        with self._lock:
            wanted = dict(self._wanted)
        if wanted == reading:
            return reading
        try:
            there = reader.list_topics(self._replay_topic, timeout=OPENING_SECONDS)
        except KafkaException as error:
            raise scan.unanswered(error) from error
        topic = there.topics.get(self._replay_topic)
        if topic is None or topic.error is not None or not topic.partitions:
            self._ending.wait(1.0)
            return reading
        kept = {n for n, epoch in reading.items() if wanted.get(n) == epoch}
        asked = [TopicPartition(self._replay_topic, number) for number in sorted(kept)]
        places = [part for part in reader.position(asked) if part.offset >= 0] if asked else []
        places += self._committed(reader, kept - {part.partition for part in places})
        for part in self._committed(reader, (wanted.keys() & topic.partitions.keys()) - kept):
            committed = None if part.offset == NONE_COMMITTED else part.offset
            uploads = Partition(self._uploads_topic, part.partition)
            if self._in_flight.open_beside(
                self.beside(uploads), uploads, wanted[part.partition], committed, part.metadata
            ):
                places.append(part)
        reader.assign(places)
        return wanted

    def _committed(self, reader: Consumer, numbers: set[int]) -> list[TopicPartition]:
        if not numbers:
            return []
        asked = [TopicPartition(self._replay_topic, number) for number in sorted(numbers)]
        answers = reader.committed(asked, timeout=OPENING_SECONDS)
        for answer in answers:
            if answer.error is not None:
                raise KafkaException(answer.error)
        return answers

    def _take(self, scanner: Consumer, message: Message) -> None:
        number, offset = message.partition() or 0, message.offset() or 0
        here = Partition(self._replay_topic, number)
        try:
            headers = AgainHeaders.model_validate(headers_of(message))
        except ValidationError:  # the end of a run, or somebody else's: nothing to do
            self._in_flight.skip(here, offset)
            return
        uploads = Partition(self._uploads_topic, number)
        if (headers.source_topic, headers.source_partition) != (uploads.topic, number):
            log.warning("a message of %s belongs to another partition; left out", here)
            self._in_flight.skip(here, offset)
            return
        self._look_back(scanner, uploads, headers.seen)
        source = Source(uploads, headers.source_offset, headers.video_version)
        while not self._ending.is_set():
            receipt = self._in_flight.receive(
                here,
                offset,
                message.key(),
                message.value(),
                source,
                again=True,
                before=headers.attempts,
            )
            if receipt is not Receipt.PARKED:
                return
            time.sleep(0.05)

    def _shrink(self, reading: dict[int, int]) -> None:
        positions = self._in_flight.positions()
        for number in reading:
            uploads = Partition(self._uploads_topic, number)
            if not self._in_flight.unfinished(self.beside(uploads)):
                self._newest.shrink(uploads, positions.get(uploads, 0))

    def _look_back(self, scanner: Consumer, uploads: Partition, seen: int) -> None:
        """Note what came after ``seen`` and before this worker's own time."""
        since = self._newest.since(uploads)
        if since is None or seen >= since:
            return
        for message in scan.read(scanner, scan.Stretch(uploads, seen, since)):
            note(self._newest, uploads, message)
        self._newest.reach_back(uploads, seen)


def note(newest: Newest, partition: Partition, message: Message) -> None:
    """Note a message, where it is an upload event."""
    key = message.key()
    try:
        parse_upload(key, message.value())
    except EventError:
        return
    if key is not None:
        newest.note(partition, key, message.offset() or 0)


def overtaken(newest: Newest, work: Work) -> bool:
    """Whether ``work`` is done again although a newer event of its video has been seen.

    Fresh work is noted, never overtaken.
    """
    if work.key is None:
        return False
    source = work.source
    if work.again:
        return newest.newer(source.partition, work.key, source.offset)
    newest.note(source.partition, work.key, source.offset)
    return False
