"""Publishing exactly once: results and the offsets of their events in one transaction.

Fencing (KIP-447): offsets are committed under the membership that the partitions are owned under,
so the broker refuses what a worker sends after its partitions went to another. An aborted
transaction is done again with the same results, as far as their partitions are still ours; an
event's lane is freed only by the commit, so nothing of its key can overtake it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException, Message, Producer

from consumer.clocks import Pulse
from consumer.in_flight import Claim, InFlight
from consumer.kafka import client_error, to_client
from consumer.metrics import Metrics
from consumer.publisher import TOO_LARGE, Settled, refused, send
from consumer.troubles import Trouble, Troubles
from consumer.work import Result

log = logging.getLogger(__name__)

CALL_SECONDS = 10.0
HUNG_SECONDS = 15.0
"""A call that took CALL_SECONDS as its time-out and has not returned by then never will."""
AGAIN_SECONDS = 0.2
UNKNOWN_END = "a transaction whose end is not known"


class AbortedError(Exception):
    """The transaction has to be aborted and done again."""


class FencedError(Exception):
    """The producer can't go on; another one has to be connected.

    Its transaction is not committed: the other one, of the same id, has it aborted first.
    """


class UnknownEndError(Exception):
    """The producer can't go on, and may or may not have committed."""


@dataclass(frozen=True, slots=True)
class Gather:
    """How large a transaction gets, and how long results gather for one."""

    events: int
    seconds: float
    idle_seconds: float
    """How often offsets alone are committed, where nothing is published."""


class ExactlyOnce:
    """One thread makes one transaction after the other."""

    def __init__(
        self,
        connect: Callable[[], Producer],
        in_flight: InFlight,
        settled: Settled,
        gather: Gather,
        metrics: Metrics,
        troubles: Troubles,
        pulse: Pulse,
        call_stale_seconds: float,
    ) -> None:
        self._connect = connect
        self._in_flight = in_flight
        self._settled = settled
        self._gather = gather
        self._metrics = metrics
        self._troubles = troubles
        self._pulse = pulse
        self._stale = call_stale_seconds
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="publish", daemon=True)

    def start(self) -> None:
        """Start the thread; it connects by itself."""
        self._thread.start()

    def submit(self, result: Result) -> None:
        """Hand over a result."""
        self._results.put(result)

    def stop(self, seconds: float) -> None:
        """Publish what was submitted, within so long, and end."""
        self._ending.set()
        self._thread.join(seconds)

    def _loop(self) -> None:
        self._producer = self._open()
        idle_since = time.monotonic()
        while not (self._ending.is_set() and self._results.empty()):
            batch = self._next_batch()
            if batch or time.monotonic() - idle_since > self._gather.idle_seconds:
                self._transact(batch)
                idle_since = time.monotonic()
            self._producer.poll(0)
        self._transact([])

    def _open(self) -> Producer:
        """A producer whose predecessor's transaction, if any, has been ended by the broker."""
        while True:
            made = self._connect()
            init = partial(made.init_transactions, CALL_SECONDS)
            try:
                self._patiently("init transactions", init)
                return made
            except (AbortedError, FencedError) as error:
                log.warning("transactions can't begin yet: %s", error)
                time.sleep(1.0)

    def _next_batch(self) -> list[Result]:
        """Results that came in time for one transaction."""
        batch: list[Result] = []
        deadline = time.monotonic() + self._gather.seconds
        while len(batch) < self._gather.events:
            left = max(0.001, deadline - time.monotonic()) if batch else 0.05
            try:
                batch.append(self._results.get(timeout=left))
            except queue.Empty:
                break
            if time.monotonic() >= deadline:
                break
        return batch

    def _transact(self, batch: list[Result]) -> None:
        """One transaction, done again until it is committed or nothing of it is ours."""
        self._done(batch)
        self._troubles.over(Trouble.PUBLISH)

    def _done(self, batch: list[Result]) -> None:
        while True:
            claim = self._in_flight.claim([result.work for result in batch])
            if claim is not None:
                ours = set(claim.works)
                self._in_flight.leave([r.work for r in batch if r.work not in ours])
                batch = [result for result in batch if result.work in ours]
                if not batch and not claim.commits:
                    return
                if self._attempted(batch, claim):
                    break
            elif not batch or self._ending.is_set():
                return
            time.sleep(AGAIN_SECONDS)
        self._metrics.transactions.labels("committed").inc()
        self._in_flight.confirm(claim.commits)
        for result in batch:
            self._settled(result)
        self._in_flight.leave([result.work for result in batch])

    def _attempted(self, batch: list[Result], claim: Claim) -> bool:
        """Whether one attempt was committed."""
        try:
            self._attempt(batch, claim)
            return True
        except AbortedError as error:
            self._metrics.transactions.labels("aborted").inc()
            log.info("transaction of %d events done again: %s", len(batch), error)
        except FencedError as error:
            self._metrics.transactions.labels("fenced").inc()
            log.warning("connecting another transactional producer: %s", error)
            self._dispose()
            self._producer = self._open()
        except UnknownEndError as error:
            # The commit's outcome can only be read back from the broker: by a new start.
            log.critical("%s: %s", UNKNOWN_END, error)
            self._pulse.beat(UNKNOWN_END, 0.0)
            threading.Event().wait()
        return False

    def _dispose(self) -> None:
        """Let go of the producer, in a thread of its own: a hung one may never go."""
        old = self._producer

        def let_go(producer: Producer) -> None:
            producer.purge(blocking=False)

        del self._producer
        threading.Thread(target=let_go, args=[old], name="let go", daemon=True).start()

    def _attempt(self, batch: list[Result], claim: Claim) -> None:
        """Begin, produce, send offsets, commit; aborts before it raises AbortedError."""
        too_large: list[int] = []
        producer = self._producer
        self._patiently("begin transaction", producer.begin_transaction)
        try:
            for number, result in enumerate(batch):
                self._produce(result, number, too_large)
            self._bounded(
                "send offsets",
                lambda: producer.send_offsets_to_transaction(
                    to_client(claim.commits), claim.group, CALL_SECONDS
                ),
            )
            self._commit(producer)
        except AbortedError:
            self._bounded("abort transaction", lambda: producer.abort_transaction(CALL_SECONDS))
            for number in too_large:
                batch[number] = smaller(batch[number])
            raise

    def _commit(self, producer: Producer) -> None:
        try:
            self._patiently("commit transaction", lambda: producer.commit_transaction(CALL_SECONDS))
        except FencedError as error:
            raise UnknownEndError(str(error)) from error

    def _bounded(self, name: str, call: Callable[[], object]) -> None:
        """One client call; where it times out or hangs, the producer is given up.

        After a broker's outage a repeated call of these has been seen never to return
        (confluent-kafka 2.16.1), whatever time-out it was given.
        """
        raised: list[KafkaException] = []

        def run() -> None:
            try:
                call()
            except KafkaException as error:
                raised.append(error)

        with self._pulse.during(name, self._stale):
            thread = threading.Thread(target=run, name=name, daemon=True)
            thread.start()
            thread.join(HUNG_SECONDS)
        if thread.is_alive():
            raise FencedError(f"{name} has not returned")
        for each in raised:
            self._sort(name, each)
            raise FencedError(f"{name}: {client_error(each)}") from each

    @staticmethod
    def _sort(name: str, raised: KafkaException) -> None:
        """Raise what an error asks for; return where the call may be done again."""
        error = client_error(raised)
        if error.fatal() or error.code() in (ClientError._FATAL, ClientError._FENCED):
            raise FencedError(f"{name}: {error}") from raised
        if error.txn_requires_abort() or not error.retriable():
            if name == "abort transaction":  # then this producer is of no use any more
                raise FencedError(f"{name}: {error}") from raised
            raise AbortedError(f"{name}: {error}") from raised

    def _produce(self, result: Result, number: int, too_large: list[int]) -> None:
        if result.record is None:
            return

        def delivered(error: ClientError | None, message: Message) -> None:
            if error is None:
                return
            if error.code() in TOO_LARGE:
                too_large.append(number)
            elif error.code() > 0:  # told by the broker; others follow from an abort
                self._troubles.met(Trouble.PUBLISH, refused(error))

        def produce() -> None:
            if result.record is not None:
                send(self._producer, result.record, delivered)

        try:
            self._patiently("produce", produce)
        except AbortedError as error:
            if isinstance(error.__cause__, KafkaException) and (
                client_error(error.__cause__).code() in TOO_LARGE
            ):
                too_large.append(number)
            raise

    def _patiently(self, name: str, call: Callable[[], object]) -> None:
        """One client call, again while its error is retriable; else AbortedError or FencedError."""
        while True:
            try:
                with self._pulse.during(name, self._stale):
                    call()
                return
            except KafkaException as raised:
                self._sort(name, raised)
                self._troubles.met(Trouble.PUBLISH, refused(client_error(raised)))
                time.sleep(AGAIN_SECONDS)


def smaller(result: Result) -> Result:
    """The result with its fallback, where it has one."""
    if result.fallback is None:
        return result
    return replace(result, record=result.fallback, fallback=None)
