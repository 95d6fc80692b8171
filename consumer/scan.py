"""Reading a stretch of a topic from outside any group."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka import KafkaError as ClientError

from consumer.kafka import client_error, reader
from consumer.settings import Settings
from consumer.work import Partition
from encoders.errors import KafkaError, SettingError

T = TypeVar("T")

CALL_SECONDS = 10.0
QUIET_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Offsets ``begin`` to ``end``, exclusive, of one partition."""

    partition: Partition
    begin: int
    end: int

    def __len__(self) -> int:
        return max(0, self.end - self.begin)


def scanner(settings: Settings) -> Consumer:
    """A consumer that says where a partition ends.

    It goes from partition to partition, and each waits for the last one's fetch: keep that short.
    """
    return reader(settings, **{"enable.partition.eof": True, "fetch.wait.max.ms": 10})


def whole(client: Consumer, partition: Partition) -> Stretch:
    """All that the broker keeps of a partition now."""
    part = TopicPartition(partition.topic, partition.number)
    low, high = patiently(lambda: client.get_watermark_offsets(part, timeout=CALL_SECONDS))
    return Stretch(partition, low, high)


def patiently(ask: Callable[[], T]) -> T:
    """The answer of a client call, tried again while a leader changes or a topic is new.

    Raises KafkaError where that doesn't help.
    """
    deadline = time.monotonic() + CALL_SECONDS
    while True:
        try:
            return ask()
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise unanswered(error) from error
        time.sleep(0.2)


def read(client: Consumer, stretch: Stretch) -> Iterator[Message]:
    """The messages of a stretch, by a ``scanner``. Raises KafkaError where the broker is silent."""
    if not len(stretch):
        return
    part = TopicPartition(stretch.partition.topic, stretch.partition.number, stretch.begin)
    client.assign([part])
    try:
        heard = time.monotonic()
        while time.monotonic() - heard < QUIET_SECONDS:
            message = client.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                # the end: offsets below it may have no message (markers, compaction)
                if error.code() == ClientError._PARTITION_EOF:
                    return
                continue
            heard = time.monotonic()
            if (message.offset() or 0) >= stretch.end:
                return
            yield message
            if (message.offset() or 0) >= stretch.end - 1:
                return
        raise KafkaError("Kafka does not answer; check REELTAG_BOOTSTRAP_SERVERS")
    finally:
        client.unassign()


def offset_at(client: Consumer, stretch: Stretch, text: str, name: str) -> int:
    """The offset that ``text`` means in a partition: an offset, or a time (RFC 3339)."""
    if text.isascii() and text.isdigit():
        return min(max(int(text), stretch.begin), stretch.end)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise SettingError(
            f"{name} is neither an offset nor a time with its zone; "
            "write it like 1200 or 2026-01-31T12:00:00Z"
        )
    at = int(moment.timestamp() * 1000)
    asked = TopicPartition(stretch.partition.topic, stretch.partition.number, at)
    [answer] = patiently(lambda: client.offsets_for_times([asked], timeout=CALL_SECONDS))
    return stretch.end if answer.offset < 0 else answer.offset


def unanswered(error: KafkaException) -> KafkaError:
    """What to say where the broker can't be asked."""
    name = client_error(error).name()
    return KafkaError(f"Kafka does not answer ({name}); check REELTAG_BOOTSTRAP_SERVERS")
