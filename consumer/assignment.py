"""The partitions that are ours: taken, opened where their last commit stands, paused, given up.

Everything here runs on the polling thread; rebalance callbacks come from inside ``poll``. While one
runs, calls of the same consumer from other threads wait for its end, so there are none.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from consumer.in_flight import InFlight
from consumer.kafka import NONE_COMMITTED, client_error, from_client
from consumer.metrics import Metrics
from consumer.work import Partition

log = logging.getLogger(__name__)

OPENING_SECONDS = 1.0


class Assignment:
    """Rebalance callbacks, and what is paused."""

    def __init__(
        self,
        in_flight: InFlight,
        metrics: Metrics,
        commit: Callable[[list[Partition]], None],
        given_up: Callable[[Partition], None],
        *,
        eager: bool,
        revoke_seconds: float,
    ) -> None:
        """``commit`` sends what is finished of some partitions before they are handed over;
        ``given_up`` is told of each that is not ours any more."""
        self._in_flight = in_flight
        self._metrics = metrics
        self._commit = commit
        self._given_up = given_up
        self._eager = eager
        self.revoke_seconds = revoke_seconds
        self._opening: set[Partition] = set()
        self._running: set[Partition] = set()
        self._parked: dict[Partition, deque[Message]] = {}
        self.stopped = False
        """No partition is to be read: the pipeline is full, or the worker takes no more work."""
        self.rebalanced = 0.0
        """When the last rebalance ended, in monotonic seconds; 0 before the first."""

    @property
    def partitions(self) -> set[Partition]:
        """What is assigned, opened or not."""
        return self._opening | self._running

    # Callbacks of the client

    def on_assign(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        """Take partitions, paused: they are read once it is known what is finished of them."""
        if self._eager:
            consumer.assign(parts)
        else:
            consumer.incremental_assign(parts)
        if parts:
            consumer.pause(parts)
        self._opening.update(from_client(parts))
        self._ended("assigned", parts)

    def on_revoke(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        """Hand partitions over: finish what is under way, within bounds, and commit it."""
        ours = [part for part in from_client(parts) if part in self._running]
        if not self._in_flight.drain(ours, self.revoke_seconds):
            log.info("handing over partitions with events under way; their successor does them")
        self._commit(ours)
        self._give_up(consumer, parts)
        self._ended("revoked", parts)

    def on_lost(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        """Partitions are somebody else's already: drop everything, commit nothing."""
        self._give_up(consumer, parts)
        self._ended("lost", parts)

    def _give_up(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        gone = from_client(parts)
        self._in_flight.close(gone)
        for partition in gone:
            self._given_up(partition)
            self._metrics.forget(partition)
            self._opening.discard(partition)
            self._parked.pop(partition, None)
            if partition in self._running:
                self._running.remove(partition)
        if self._eager:
            consumer.unassign()
        else:
            consumer.incremental_unassign(parts)

    def _ended(self, kind: str, parts: list[TopicPartition]) -> None:
        self.rebalanced = time.monotonic()
        self._metrics.rebalances.labels(kind).inc()
        self._metrics.assigned.set(len(self.partitions))
        if parts:
            names = ", ".join(f"{part.topic}-{part.partition}" for part in parts)
            log.info("%s: %s", kind, names)

    # Between polls

    def open(self, consumer: Consumer) -> list[tuple[Partition, int, int]]:
        """Learn what is finished of newly assigned partitions, and begin to read them.

        The answer names them, with the epoch and from where on nothing is finished yet.
        """
        if not self._opening:
            return []
        asked = [TopicPartition(part.topic, part.number) for part in sorted(self._opening)]
        try:
            answers = consumer.committed(asked, timeout=OPENING_SECONDS)
        except KafkaException as error:
            log.info("the group's commits are not known yet: %s", client_error(error).name())
            return []
        opened = []
        for answer in answers:
            if answer.error is not None:
                continue
            partition = Partition(answer.topic, answer.partition)
            committed = None if answer.offset == NONE_COMMITTED else answer.offset
            epoch, since = self._in_flight.open(partition, committed, answer.metadata)
            self._opening.remove(partition)
            self._running.add(partition)
            opened.append((partition, epoch, since))
        if not self.stopped:
            self._resume(consumer, [part for part, _, _ in opened if part not in self._parked])
        return opened

    def stop(self, consumer: Consumer) -> None:
        """Read nothing, and keep polling."""
        if not self.stopped:
            self.stopped = True
            self._pause(consumer, self._running)
            self._metrics.paused.set(1)

    def go_on(self, consumer: Consumer) -> None:
        """Read again what is not parked."""
        if self.stopped:
            self.stopped = False
            self._resume(consumer, self._running - self._parked.keys())
            self._metrics.paused.set(0)

    def park(self, consumer: Consumer, message: Message, partition: Partition) -> None:
        """Keep a message that lies too far beyond its partition's position, and read no more."""
        if partition not in self._parked:
            self._parked[partition] = deque()
            self._pause(consumer, [partition])
        self._parked[partition].append(message)

    def parked(self, partition: Partition) -> bool:
        """Whether messages of the partition must wait: to fit, or for it to be opened."""
        return partition in self._parked or partition in self._opening

    def unpark(self, consumer: Consumer, receive: Callable[[Message], bool]) -> None:
        """Offer the parked messages again, in order; ``receive`` says whether one fitted."""
        for partition, waiting in list(self._parked.items()):
            if partition in self._opening:
                continue
            while waiting and receive(waiting[0]):
                waiting.popleft()
            if not waiting:
                del self._parked[partition]
                if not self.stopped:
                    self._resume(consumer, [partition])

    def _pause(self, consumer: Consumer, partitions: Iterable[Partition]) -> None:
        if parts := [TopicPartition(part.topic, part.number) for part in partitions]:
            consumer.pause(parts)

    def _resume(self, consumer: Consumer, partitions: Iterable[Partition]) -> None:
        if parts := [TopicPartition(part.topic, part.number) for part in partitions]:
            consumer.resume(parts)
