"""Asking for work to be done again: what `reeltag replay` and `reeltag dlq replay` share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka import KafkaError as ClientError

from consumer import scan
from consumer.again import AgainHeaders
from consumer.events import EventType, parse_upload
from consumer.kafka import (
    admin,
    create_topics,
    headers_of,
    partitions_of,
    producer,
)
from consumer.publisher import send
from consumer.settings import Settings
from consumer.work import Partition, Record
from encoders.errors import EventError, KafkaError

Told = Callable[[str, int, int], None]
"""Called with the stage's name, how much of it is done, and how much there is in all."""

CALL_SECONDS = 10.0
STEP = 500
"""Messages between two calls of ``Told``."""


@dataclass(frozen=True, slots=True)
class Last:
    """The newest event of a video that a scan found."""

    offset: int
    deleted: bool


@dataclass
class Replayer:
    """Clients, and the partitions of the uploads and replay topics."""

    settings: Settings
    told: Told
    client: Consumer
    numbers: list[int]
    producer: Producer | None = None
    wrong: list[ClientError] = field(default_factory=list)

    @classmethod
    def open(cls, settings: Settings, told: Told | None) -> Replayer:
        """Connect, and create the replay topic where it is missing.

        Raises KafkaError where Kafka doesn't answer, or where the two topics don't go together.
        """
        client = scan.scanner(settings)
        numbers = partitions_of(client, settings.uploads_topic, CALL_SECONDS)
        if not numbers:
            raise KafkaError(
                f"there is no topic {settings.uploads_topic}; correct REELTAG_UPLOADS_TOPIC"
            )
        if not partitions_of(client, settings.replay_topic, CALL_SECONDS):
            names = [settings.tags_topic, settings.dlq_topic]
            create_topics(admin(settings), settings, len(numbers), names)
            deadline = time.monotonic() + CALL_SECONDS
            while not partitions_of(client, settings.replay_topic, CALL_SECONDS):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.1)
        there = partitions_of(client, settings.replay_topic, CALL_SECONDS)
        if there[: len(numbers)] != numbers:
            raise KafkaError(
                f"topic {settings.replay_topic} has {len(there)} partitions, and "
                f"{settings.uploads_topic} has {len(numbers)}; give it as many"
            )
        return cls(settings, told or (lambda stage, done, total: None), client, numbers)

    def uploads(self, number: int) -> Partition:
        """A partition of the uploads topic."""
        return Partition(self.settings.uploads_topic, number)

    def read(self, stage: str, stretches: Iterable[scan.Stretch]) -> Iterable[Message]:
        """The messages of some stretches, with progress."""
        wanted = list(stretches)
        total = sum(map(len, wanted))
        base = 0
        self.told(stage, 0, total)
        for stretch in wanted:
            for count, message in enumerate(scan.read(self.client, stretch)):
                if count % STEP == 0:
                    done = base + (message.offset() or 0) - stretch.begin
                    self.told(stage, min(done, total), total)
                yield message
            base += len(stretch)
        self.told(stage, total, total)

    def newest(
        self, stage: str, stretches: Mapping[int, scan.Stretch]
    ) -> dict[int, dict[bytes, Last]]:
        """The newest event of each video in some stretches, by partition."""
        found: dict[int, dict[bytes, Last]] = {number: {} for number in stretches}
        for message in self.read(stage, stretches.values()):
            key = message.key()
            try:
                event = parse_upload(key, message.value())
            except EventError:
                continue
            deleted = event.event_type is EventType.DELETED
            if key is not None:
                found[message.partition() or 0][key] = Last(message.offset() or 0, deleted)
        return found

    def unfinished(self, run: str) -> tuple[int, set[tuple[int, int]]]:
        """Which attempt of ``run`` this is, and what it has asked for before it was stopped.

        An attempt that came to its end is over: the same command then begins the next one.
        """
        ended = 0
        asked: dict[int, set[tuple[int, int]]] = {}
        for headers in self._requests():
            if headers.get("end_of_run") == run:
                ended += 1
            elif headers.get("run") == run:
                why = AgainHeaders.model_validate(headers)
                place = why.source_partition, why.source_offset
                asked.setdefault(why.run_attempt, set()).add(place)
        return ended, asked.get(ended, set())

    def replayed_letters(self) -> set[str]:
        """The dead letters that have been replayed."""
        return {headers["letter"] for headers in self._requests() if "letter" in headers}

    def _requests(self) -> Iterable[dict[str, str]]:
        """The headers of all that was asked for and is kept."""
        for number in self.numbers:
            place = Partition(self.settings.replay_topic, number)
            for message in scan.read(self.client, scan.whole(self.client, place)):
                yield headers_of(message)

    def ask(self, number: int, key: bytes | None, value: bytes | None, why: AgainHeaders) -> None:
        """Put one event into the replay topic."""
        self._send(number, Record(self.settings.replay_topic, key, value, why.to_bytes()))

    def end(self, run: str) -> None:
        """Mark the end of a run, so that the same command begins another one."""
        self.flush()
        headers = {"end_of_run": run.encode()}
        self._send(self.numbers[0], Record(self.settings.replay_topic, None, None, headers))
        self.flush()

    def _send(self, number: int, record: Record) -> None:
        if self.producer is None:
            self.producer = producer(self.settings, lambda error: None)
        send(self.producer, record, self._delivered, number)

    def _delivered(self, error: ClientError | None, message: Message) -> None:
        if error is not None:
            self.wrong.append(error)

    def flush(self) -> None:
        """Wait until all is delivered. Raises KafkaError where something can't be."""
        if self.producer is not None and self.producer.flush(60):
            raise KafkaError("Kafka does not take the requests; start the command again")
        if self.wrong:
            raise KafkaError(f"Kafka refused a request ({self.wrong[0].name()}); see its log")

    def ends(self) -> dict[int, int]:
        """The ends of the replay topic's partitions."""
        return {
            number: scan.whole(self.client, Partition(self.settings.replay_topic, number)).end
            for number in self.numbers
        }

    def done(self) -> dict[int, int]:
        """How far the workers have come in the replay topic."""
        asked = [TopicPartition(self.settings.replay_topic, number) for number in self.numbers]
        answers = scan.patiently(lambda: self.client.committed(asked, timeout=CALL_SECONDS))
        return {answer.partition: max(0, answer.offset) for answer in answers}

    def wait(self, stage: str, begun: dict[int, int], pause: float = 0.5) -> None:
        """Wait until the workers have done all that is asked for now; they were at ``begun``."""
        ends = self.ends()
        total = sum(max(0, end - begun[number]) for number, end in ends.items())
        while True:
            done = self.done()
            left = sum(max(0, end - done[number]) for number, end in ends.items())
            self.told(stage, max(0, total - left), total)
            if not left:
                return
            time.sleep(pause)
