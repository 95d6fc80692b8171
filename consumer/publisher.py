"""Publishing at least once: an idempotent producer; an event is settled when it is delivered.

A delivery that fails is tried again until the broker takes it: an event's lane stays busy
meanwhile, so nothing of its key can overtake it. A message that the broker finds too large is
replaced by its fallback.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException, Message, Producer

from consumer.clocks import Pulse
from consumer.in_flight import InFlight
from consumer.kafka import client_error
from consumer.metrics import Metrics
from consumer.troubles import Trouble, Troubles
from consumer.work import Record, Result

log = logging.getLogger(__name__)

Settled = Callable[[Result], None]
"""Called once for each settled event, to count it."""

AGAIN_SECONDS = 1.0
PARTITION_UA = -1
"""librdkafka's RD_KAFKA_PARTITION_UA: the partitioner chooses."""
CLOCK = (ClientError.INVALID_TIMESTAMP, ClientError.INVALID_RECORD)
"""A date too far ahead of the broker's; the second is told of the batch's other messages."""
TOO_LARGE = (ClientError.MSG_SIZE_TOO_LARGE, ClientError.RECORD_LIST_TOO_LARGE)


class Publisher(Protocol):
    """Publishes results and settles their events."""

    def start(self) -> None:
        """Begin; may block until the broker is there."""

    def submit(self, result: Result) -> None:
        """Hand over a result; never blocks."""

    def stop(self, seconds: float) -> None:
        """Publish what was submitted, within so long, and end."""


def send(
    producer: Producer,
    record: Record,
    delivered: Callable[[ClientError | None, Message], None],
    partition: int = PARTITION_UA,
) -> None:
    """Queue ``record``; waits while the client's queue is full. Raises KafkaException."""
    while True:
        try:
            producer.produce(
                record.topic,
                key=record.key,
                value=record.value,
                headers=dict(record.headers),
                partition=partition,
                on_delivery=delivered,
            )
            return
        except BufferError:
            producer.poll(0.1)


def refused(error: ClientError) -> str:
    """What to say where something can't be published now."""
    if error.code() in CLOCK:
        return (
            f"the broker refuses the dates of messages ({error.name()}): set the worker's clock "
            "right, or message.timestamp.type=LogAppendTime for the topics that it writes to"
        )
    return f"publishing fails and is tried again: {error.name()}: {error.str()}"


class AtLeastOnce:
    """One thread produces and serves the delivery callbacks."""

    def __init__(
        self,
        connect: Callable[[], Producer],
        in_flight: InFlight,
        settled: Settled,
        metrics: Metrics,
        troubles: Troubles,
        pulse: Pulse,
        call_stale_seconds: float,
    ) -> None:
        self._connect = connect
        self._in_flight = in_flight
        self._settled = settled
        self._metrics = metrics
        self._troubles = troubles
        self._pulse = pulse
        self._stale = call_stale_seconds
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._again: list[tuple[float, Result]] = []
        self._outstanding = 0
        self._fatal = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="publish", daemon=True)

    def start(self) -> None:
        """Connect and start the thread."""
        self._producer = self._connect()
        self._thread.start()

    def submit(self, result: Result) -> None:
        """Hand over a result."""
        self._results.put(result)

    def stop(self, seconds: float) -> None:
        """Publish what was submitted, within so long, and end."""
        self._ending.set()
        self._thread.join(seconds)

    def _loop(self) -> None:
        while True:
            for result in self._take():
                self._publish(result)
            with self._pulse.during("producer poll", self._stale):
                self._producer.poll(0)
            if self._fatal:
                self._reconnect()
            if self._idle:
                self._troubles.over(Trouble.PUBLISH)
                if self._ending.is_set():
                    return

    @property
    def _idle(self) -> bool:
        return self._results.empty() and not self._outstanding and not self._again

    def _take(self) -> Sequence[Result]:
        """New results, waiting a little for the first; then those whose second try is due."""
        taken = []
        try:
            taken.append(self._results.get(timeout=0.005 if self._outstanding else 0.05))
            while len(taken) < 100:
                taken.append(self._results.get_nowait())
        except queue.Empty:
            pass
        now = time.monotonic()
        taken += [result for due, result in self._again if due <= now]
        self._again = [entry for entry in self._again if entry[0] > now]
        return taken

    def _publish(self, result: Result) -> None:
        if not self._in_flight.owns(result.work):
            self._in_flight.leave([result.work])  # the successor publishes it
            return
        if result.record is None:
            self._settle(result)
            return

        def delivered(error: ClientError | None, message: Message) -> None:
            self._outstanding -= 1
            if error is None:
                self._troubles.over(Trouble.PUBLISH)
                self._settle(result)
            else:
                self._undelivered(result, error)

        try:
            with self._pulse.during("produce", self._stale):
                send(self._producer, result.record, delivered)
            self._outstanding += 1
        except KafkaException as error:
            self._undelivered(result, client_error(error))

    def _settle(self, result: Result) -> None:
        if self._in_flight.owns(result.work):
            self._settled(result)
        self._in_flight.settle([result.work])

    def _undelivered(self, result: Result, error: ClientError) -> None:
        self._metrics.publish_errors.inc()
        if error.code() in TOO_LARGE and result.fallback is not None:
            log.warning("a message is too large for the broker; publishing it without its value")
            self._publish(replace(result, record=result.fallback, fallback=None))
            return
        self._troubles.met(Trouble.PUBLISH, refused(error))
        self._again.append((time.monotonic() + AGAIN_SECONDS, result))
        self._fatal |= error.fatal() or error.code() == ClientError._FATAL

    def _reconnect(self) -> None:
        """A fatal error ends an idempotent producer; what it had queued is tried again by another.

        A message that was taken but not acknowledged may so come twice, with the same event id.
        """
        log.warning("the producer can't go on; connecting another")
        with self._pulse.during("producer purge", self._stale):
            self._producer.purge()
            while self._outstanding:
                self._producer.poll(0.1)
        self._producer = self._connect()
        self._fatal = False
