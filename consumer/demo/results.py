"""What comes out: tag events, tombstones and dead letters, one result each."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from consumer.demo.broker import FETCH_MILLISECONDS, SECONDS, Broker
from consumer.demo.plan import Upload


@dataclass(frozen=True, slots=True)
class Result:
    """How one upload ended; ``milliseconds`` from the upload's arrival to the result's."""

    upload: Upload
    outcome: str
    tags: Sequence[dict[str, Any]] = ()
    reason: str = ""
    milliseconds: float = 0.0


class Results:
    """Reads both output topics and pairs every message with the upload it answers."""

    def __init__(self, broker: Broker) -> None:
        self._waiting: dict[str, tuple[Upload, float]] = {}
        self._dead_letters = broker.dead_letters
        self._consumer = Consumer(
            {
                **broker.client,
                "group.id": "reeltag-demo-table",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": FETCH_MILLISECONDS,
            }
        )
        self._consumer.assign(
            [
                TopicPartition(topic, partition, OFFSET_BEGINNING)
                for topic in (broker.tags, broker.dead_letters)
                for partition in self._consumer.list_topics(topic, timeout=SECONDS)
                .topics[topic]
                .partitions
            ]
        )

    @property
    def waiting(self) -> Sequence[Upload]:
        """Uploads sent that have no result yet."""
        return [upload for upload, _ in self._waiting.values()]

    def expect(self, upload: Upload) -> None:
        """Say that ``upload`` is being sent."""
        self._waiting[upload.event_id or upload.key] = (upload, time.monotonic())

    def poll(self, seconds: float) -> Result | None:
        """The next result within ``seconds``; a message that answers nothing gives None."""
        message = self._consumer.poll(seconds)
        if message is None or message.error() is not None:
            return None
        pending = self._waiting.pop(self._answers(message), None)
        if pending is None:
            return None
        upload, sent = pending
        return _read(message, upload, (time.monotonic() - sent) * 1000, self._dead_letters)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _answers(self, message: Message) -> str:
        """Event id (key, where there is none) of the upload that ``message`` answers."""
        key = _text(message.key())
        value = message.value()
        if value is None:
            deleted = (u for u in self.waiting if u.key == key and u.expected == "deleted")
            return next((upload.event_id for upload in deleted), key)
        try:
            event = json.loads(value)
        except ValueError:
            return key
        field = "event_id" if message.topic() == self._dead_letters else "source_event_id"
        return str(event.get(field, key))


def _read(message: Message, upload: Upload, milliseconds: float, dead_letters: str) -> Result:
    if message.topic() == dead_letters:
        headers = dict(message.headers() or ())
        reason = f"{_text(headers.get('reason'))}: {_text(headers.get('error'))}"
        return Result(upload, "dead_lettered", reason=reason, milliseconds=milliseconds)
    value = message.value()
    if value is None:
        return Result(upload, "deleted", milliseconds=milliseconds)
    event = json.loads(value)
    return Result(upload, event["outcome"], event["tags"], milliseconds=milliseconds)


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""
