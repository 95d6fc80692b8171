"""The worker: one thread polls and never blocks, the pipeline's threads work, one publishes.

    Kafka ─ poll ─→ InFlight ─→ Pipeline ─→ Publisher ─→ Kafka
             ↑         │                        │
             └ commit ─┴──────── settle ────────┘

Where it is killed, at whatever point, its successor begins at the last commit: what was not settled
by then is done again, with the same event ids.
"""

from __future__ import annotations

import logging
import os
import threading
import time

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka import KafkaError as ClientError

from consumer.again import Again, Newest, Throttle, overtaken
from consumer.assignment import Assignment
from consumer.clocks import Pulse, Watchdog
from consumer.dead_letter_limit import Bounds as DeadLetterBounds
from consumer.dead_letter_limit import DeadLetterLimit
from consumer.dead_letters import DeadLetters
from consumer.deliveries import make_publisher
from consumer.health import POLL_LOOP, Health
from consumer.http import HttpServer
from consumer.in_flight import Bounds, InFlight, Receipt
from consumer.kafka import (
    Clients,
    client_error,
    eager,
    ensure_topics,
    group_consumer,
    reader,
    to_client,
)
from consumer.logs import start_logging
from consumer.marks import Marks
from consumer.metrics import Metrics
from consumer.offsets import Commit
from consumer.pipeline import Batching, Pipeline, Stages
from consumer.retries import RetryPolicy
from consumer.scan import scanner
from consumer.settings import Settings
from consumer.signals import EndSignals
from consumer.work import Partition, Source
from encoders.errors import KafkaError
from encoders.fetch import scratch_folder

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05
POLL_MESSAGES = 200
WAY_OUT_SECONDS = 10.0
FATAL = (ClientError._FATAL, ClientError.FENCED_INSTANCE_ID)


CLIENTS = Clients()


class Worker:
    """One member of the consumer group. ``run`` returns after ``stop``."""

    def __init__(self, settings: Settings, stages: Stages, clients: Clients = CLIENTS) -> None:
        self._settings = settings
        self._clients = clients
        self.metrics = Metrics()
        self._pulse = Pulse()
        self._watchdog = Watchdog(self._pulse)
        self._sent: dict[Partition, Commit] = {}
        self._next_commit = 0.0
        self._next_look = 0.0
        self._told: dict[str, float] = {}
        state = settings.state or scratch_folder() / f"reeltag-{os.getuid()}"
        self._marks = Marks.of(state, settings.group_id)
        self._in_flight = InFlight(
            Bounds(settings.in_flight_events, settings.in_flight_bytes, settings.retry_events),
            marks=self._marks,
        )
        self._health = Health(
            self._pulse,
            self._in_flight,
            DeadLetterLimit(
                DeadLetterBounds(
                    share=settings.dead_letter_limit,
                    window=settings.dead_letter_window,
                    least=settings.dead_letter_least,
                    probe=settings.dead_letter_probe,
                    seconds=settings.dead_letter_pause_seconds,
                )
            ),
            self.metrics,
            stages.troubles,
            settings.in_flight_stale_seconds,
        )
        self._publisher = make_publisher(
            settings,
            self._in_flight,
            self._health.settled,
            self.metrics,
            stages.troubles,
            self._pulse,
            self._on_error,
            clients.producer,
        )
        self._newest = Newest()
        self._again = Again(
            lambda: reader(settings),
            lambda: scanner(settings),
            settings.uploads_topic,
            settings.replay_topic,
            self._in_flight,
            self._newest,
            Throttle(settings.replay_rate, self._room_for_replay),
            self._pulse,
            settings.call_stale_seconds,
        )
        self._fresh_lag = 0
        self._pipeline = Pipeline(
            stages,
            Batching(
                fetchers=max(settings.fetchers, settings.decoders),
                encoders=settings.encoder_threads,
                videos=settings.batch_videos,
                seconds=settings.batch_seconds,
                stale_seconds=settings.batch_stale_seconds,
            ),
            self._in_flight,
            RetryPolicy(
                attempts=settings.retry_attempts,
                first_seconds=settings.retry_seconds,
                longest_seconds=settings.retry_longest_seconds,
                age_seconds=settings.retry_age_seconds,
                crash_limit=settings.crash_limit,
                death_limit=settings.death_limit,
                crash_seconds=2 * settings.commit_seconds,
            ),
            DeadLetters(settings.dlq_topic, settings.group_id, stages.tagger.version),
            settings.tags_topic,
            submit=self._publisher.submit,
            superseded=lambda work: overtaken(self._newest, work),
            metrics=self.metrics,
            pulse=self._pulse,
        )
        self._assignment = Assignment(
            self._in_flight,
            self.metrics,
            commit=self._commit if settings.delivery == "at_least_once" else self._commit_nothing,
            given_up=self._again.close,
            eager=eager(settings),
            revoke_seconds=settings.revoke_seconds,
        )
        self._http = HttpServer(
            settings.http_host,
            settings.http_port,
            self.metrics.registry,
            self._health.livez,
            self._health.readyz,
        )
        self.http_port = self._http.port

    def stop(self) -> None:
        """Take no more work, finish what is in flight, then end. From any thread."""
        self._health.ending.set()

    def run(self) -> None:
        """Work until ``stop``. Raises KafkaError where the broker can't be used as configured."""
        settings = self._settings
        if settings.create_topics:
            threading.Thread(
                target=ensure_topics,
                args=[settings, self._health.ending],
                name="topics",
                daemon=True,
            ).start()
        consumer = group_consumer(
            settings,
            self._on_commit,
            self._health.group.update,
            self._on_error,
            self._clients.consumer,
        )
        self._watchdog.start()
        self._publisher.start()
        self._pipeline.start()
        self._again.start()
        consumer.subscribe(
            [settings.uploads_topic],
            on_assign=self._assignment.on_assign,
            on_revoke=self._assignment.on_revoke,
            on_lost=self._assignment.on_lost,
        )
        self._consumer = consumer
        log.info("reading %s as group %s", settings.uploads_topic, settings.group_id)
        try:
            while not self._health.ending.is_set():
                self._turn(consumer)
            self._drain(consumer)
        finally:
            self._watchdog.stop()
            self._http.close()

    # The polling thread

    def _turn(self, consumer: Consumer) -> None:
        """Once around: poll, take in, commit, pause or go on."""
        self._pulse.beat(POLL_LOOP, self._settings.poll_stale_seconds)
        room = min(POLL_MESSAGES, self._health.limit.room())
        message = self._poll(consumer, POLL_SECONDS)
        while message is not None:
            self._take(consumer, message)
            room -= 1
            message = self._poll(consumer, 0.0) if room > 0 else None
        self._between_polls(consumer)
        self._throttle(consumer)

    def _between_polls(self, consumer: Consumer) -> None:
        group = consumer.consumer_group_metadata()
        self._in_flight.joined(group if consumer.memberid() else None)
        for partition, epoch, since in self._assignment.open(consumer):
            self._again.open(partition, epoch, since)
        self._assignment.unpark(consumer, self._receive)
        self._in_flight.tick()
        now = time.monotonic()
        if self._settings.delivery == "at_least_once" and now >= self._next_commit:
            self._next_commit = now + self._settings.commit_seconds
            self._commit()
        if now >= self._next_look:
            self._next_look = now + 1.0
            self._look(consumer)

    def _poll(self, consumer: Consumer, seconds: float) -> Message | None:
        try:
            message = consumer.poll(seconds)
        except KafkaException as raised:
            error = client_error(raised)
            raise KafkaError(f"the consumer can't go on: {error}") from raised
        if message is None or message.error() is None:
            return message
        error = message.error() or ClientError(ClientError._FAIL)
        if error.fatal() or error.code() in FATAL:
            raise KafkaError(f"the consumer can't go on: {error}")
        self._tell(f"{error.name()}: {error.str()}")
        return None

    def _take(self, consumer: Consumer, message: Message) -> None:
        partition = Partition(message.topic() or "", message.partition() or 0)
        if self._assignment.parked(partition) or not self._receive(message):
            self._assignment.park(consumer, message, partition)

    def _receive(self, message: Message) -> bool:
        """Take in one message; False where it has to wait until its partition has moved on."""
        partition = Partition(message.topic() or "", message.partition() or 0)
        offset = message.offset() or 0
        receipt = self._in_flight.receive(
            partition, offset, message.key(), message.value(), Source(partition, offset)
        )
        if receipt is Receipt.TAKEN:
            self.metrics.received.labels(partition.topic).inc()
            self._health.limit.take()
        elif receipt is Receipt.SKIPPED:
            self.metrics.skipped.inc()
        return receipt is not Receipt.PARKED

    def _throttle(self, consumer: Consumer) -> None:
        if not self._health.limit.room() or self._in_flight.full or self._health.no_room():
            self._assignment.stop(consumer)
        elif self._in_flight.roomy:
            self._assignment.go_on(consumer)

    def _room_for_replay(self) -> bool:
        """Whether fresh uploads leave room for work done again."""
        return (
            not self._assignment.stopped
            and not self._health.limit.reached
            and self._fresh_lag <= self._settings.replay_lag
            and self._in_flight.roomy
        )

    # Commits, at least once

    def _commit(self, partitions: list[Partition] | None = None) -> None:
        """Send what the broker doesn't have yet; ``_on_commit`` tells what became of it.

        Also before a partition is handed over: the client sends the commit before it rejoins.
        """
        commits = self._in_flight.commits(partitions)
        if not commits:
            return
        self._sent.update({commit.partition: commit for commit in commits})
        try:
            self._consumer.commit(offsets=to_client(commits), asynchronous=True)
        except KafkaException as error:
            self._tell(f"offsets not committed yet: {client_error(error)}")

    def _commit_nothing(self, partitions: list[Partition]) -> None:
        """Exactly once: offsets are committed by transactions alone."""

    def _on_commit(self, error: ClientError | None, parts: list[TopicPartition]) -> None:
        for part in parts:
            wrong = error or part.error
            self.metrics.commits.labels("error" if wrong else "ok").inc()
            if wrong:
                self._tell(f"offsets not committed yet: {wrong}")
                continue
            commit = self._sent.get(Partition(part.topic, part.partition))
            if commit and (commit.offset, commit.metadata) == (part.offset, part.metadata or ""):
                self._in_flight.confirm([commit])

    # The way out

    def _drain(self, consumer: Consumer) -> None:
        settings = self._settings
        log.info("finishing what is in flight, for at most %.0f s", settings.drain_seconds)
        began = time.monotonic()
        self._watchdog.status = 0
        self._pulse.beat("the shutdown", settings.drain_seconds + WAY_OUT_SECONDS)
        self._assignment.stop(consumer)
        self._again.stop(0.0)
        while not self._in_flight.drain(self._in_flight.partitions, POLL_SECONDS):
            if time.monotonic() - began > settings.drain_seconds:
                log.warning("not all was finished in time; the next worker does it again")
                break
            self._pulse.beat(POLL_LOOP, settings.poll_stale_seconds)
            self._poll(consumer, 0.0)
            self._between_polls(consumer)
        left = max(2.0, settings.drain_seconds - (time.monotonic() - began))
        self._pipeline.stop(min(1.0, left))
        self._publisher.stop(min(5.0, left))
        if settings.delivery == "at_least_once":
            self._commit()
            deadline = time.monotonic() + min(5.0, left)
            while self._in_flight.commits() and time.monotonic() < deadline:
                self._poll(consumer, POLL_SECONDS)
        self._assignment.revoke_seconds = 0.0
        consumer.close()
        self._marks.end_all()
        log.info("ended %.1f s after the signal", time.monotonic() - began)

    # What is told

    def _look(self, consumer: Consumer) -> None:
        """Set the gauges, and learn how many fresh uploads wait."""
        self._health.look()
        waiting = 0
        for partition, position in self._in_flight.positions().items():
            if partition.topic != self._settings.uploads_topic:
                continue
            part = TopicPartition(partition.topic, partition.number)
            _, high = consumer.get_watermark_offsets(part, cached=True)
            lag = max(0, high - position)
            waiting += lag
            self.metrics.lag.labels(partition.topic, partition.number).set(lag)
        self._fresh_lag = waiting

    def _on_error(self, error: ClientError) -> None:
        self.metrics.client_errors.labels(error.name()).inc()
        self._tell(f"{error.name()}: {error.str()}")

    def _tell(self, what: str) -> None:
        """Log a trouble that comes again and again, once in ten seconds."""
        now = time.monotonic()
        if now - self._told.get(what[:40], -10.0) >= 10.0:
            self._told[what[:40]] = now
            log.warning("%s", what)


def run(settings: Settings, signals: EndSignals) -> None:
    """`reeltag run`: load the bundle and its encoders, start decode children, work until SIGTERM.

    Raises ReeltagError where something is missing; ends by itself with status 70 where it hangs.
    """
    from consumer.stages import open_stages  # heavy: ONNX Runtime, FAISS

    start_logging(settings)
    with open_stages(settings) as stages:
        run_until_told(settings, stages, signals)


def run_until_told(
    settings: Settings, stages: Stages, signals: EndSignals, clients: Clients = CLIENTS
) -> None:
    """A worker with these stages, until SIGTERM or SIGINT."""
    worker = Worker(settings, stages, clients)
    signals.call(worker.stop)
    worker.run()
