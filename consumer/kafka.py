"""Kafka clients: how they are configured, and the few things all of them need."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka import KafkaError as ClientError
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from consumer.offsets import Commit
from consumer.settings import Settings
from consumer.work import Partition
from encoders.errors import KafkaError, SettingError

log = logging.getLogger(__name__)

C = TypeVar("C")

NONE_COMMITTED = -1001
"""librdkafka's RD_KAFKA_OFFSET_INVALID: the group has no commit for this partition."""

CONSUMER_ONLY = (
    "auto.offset.reset",
    "check.crcs",
    "enable.auto.",
    "enable.partition.eof",
    "fetch.",
    "group.",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "partition.assignment.strategy",
    "queued.",
    "session.timeout.ms",
)
PRODUCER_ONLY = (
    "acks",
    "batch.",
    "compression.",
    "delivery.",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "linger.ms",
    "max.in.flight",
    "message.send.max.retries",
    "message.timeout.ms",
    "partitioner",
    "queue.buffering.",
    "queuing.strategy",
    "request.required.acks",
    "request.timeout.ms",
    "retries",
    "retry.backoff",
    "sticky.partitioning.linger.ms",
    "transaction",
)


@dataclass(frozen=True, slots=True)
class Clients:
    """The client classes that the worker uses; tests pass some that die at a given call."""

    consumer: type[Consumer] = Consumer
    producer: type[Producer] = Producer


def common(settings: Settings, without: Sequence[str]) -> dict[str, Any]:
    """What every client is given, less the passed-through properties that start with ``without``.

    librdkafka logs a line a client for each property that is another client's.
    """
    passed = {
        name: value
        for name, value in settings.librdkafka().items()
        if not name.startswith(tuple(without))
    }
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": f"reeltag-{settings.instance_id or socket.gethostname()}",
        "reconnect.backoff.max.ms": 2000,
        **passed,
    }


def connect(settings: Settings, make: Callable[[], C]) -> C:
    """A client. Raises SettingError where librdkafka refuses a property, without its value."""
    try:
        return make()
    except KafkaException as error:
        said = client_error(error).str()
        for value in settings.librdkafka().values():
            said = said.replace(value, "…") if value else said
        raise SettingError(f"a Kafka client can't be made with these settings: {said}") from None


def new_protocol(settings: Settings) -> bool:
    """Whether the group uses KIP-848, where the broker assigns and times sessions."""
    return settings.librdkafka().get("group.protocol", "classic").lower() == "consumer"


def eager(settings: Settings) -> bool:
    """Whether a passed-through assignment strategy stops the world at each rebalance."""
    strategy = settings.librdkafka().get("partition.assignment.strategy", "cooperative-sticky")
    return "cooperative" not in strategy and not new_protocol(settings)


def group_consumer(
    settings: Settings,
    on_commit: Callable[[ClientError | None, list[TopicPartition]], None],
    on_statistics: Callable[[str], None],
    on_error: Callable[[ClientError], None],
    kind: type[Consumer] = Consumer,
) -> Consumer:
    """The member of the consumer group. It never commits by itself.

    ``isolation.level`` read_committed also makes ``committed()`` wait for the transaction of a
    predecessor that has not ended yet.
    """
    properties: dict[str, Any] = {
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "statistics.interval.ms": 1000,
        "queued.max.messages.kbytes": 8192,
        **common(settings, PRODUCER_ONLY),
        "group.id": settings.group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "on_commit": on_commit,
        "stats_cb": on_statistics,
        "error_cb": on_error,
    }
    if not new_protocol(settings):
        properties.setdefault("partition.assignment.strategy", "cooperative-sticky")
    if settings.instance_id:
        properties["group.instance.id"] = settings.instance_id
    return connect(settings, lambda: kind(properties, logger=log))


def reader(settings: Settings, **more: object) -> Consumer:
    """A consumer outside any group, for ``assign``: scans, replay."""
    properties = {
        "isolation.level": "read_committed",
        "queued.max.messages.kbytes": 8192,
        "auto.offset.reset": "earliest",
        **common(
            settings, (*PRODUCER_ONLY, "group.", "session.", "heartbeat.", "partition.assign")
        ),
        "group.id": settings.group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        **more,
    }
    return connect(settings, lambda: Consumer(properties, logger=log))


def producer(
    settings: Settings,
    on_error: Callable[[ClientError], None],
    kind: type[Producer] = Producer,
    **properties: object,
) -> Producer:
    """An idempotent producer that finds the partitions that Java clients find."""
    made = {
        "linger.ms": 5,
        "compression.type": "lz4",
        **common(settings, CONSUMER_ONLY),
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "error_cb": on_error,
        **properties,
    }
    return connect(settings, lambda: kind(made, logger=log))


def admin(settings: Settings) -> AdminClient:
    """For topics."""
    properties = common(settings, (*CONSUMER_ONLY, *PRODUCER_ONLY))
    return connect(settings, lambda: AdminClient(properties))


def to_client(commits: Iterable[Commit]) -> list[TopicPartition]:
    """Commits as the client takes them."""
    return [
        TopicPartition(c.partition.topic, c.partition.number, c.offset, c.metadata) for c in commits
    ]


def from_client(parts: Iterable[TopicPartition]) -> list[Partition]:
    """Partitions as the client names them."""
    return [Partition(part.topic, part.partition) for part in parts]


def headers_of(message: Message) -> dict[str, str]:
    """The headers of a message as text; of equal names the last counts."""
    found: dict[str, str] = {}
    headers = message.headers()
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    for name, value in pairs:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
        found[str(name)] = text
    return found


def client_error(error: BaseException) -> ClientError:
    """The client's error inside an exception."""
    inner = error.args[0] if error.args else None
    return inner if isinstance(inner, ClientError) else ClientError(ClientError._FAIL, str(error))


def partitions_of(
    client: Consumer | AdminClient | Producer, topic: str, seconds: float
) -> list[int]:
    """The partitions of a topic; empty where there is none. Raises KafkaError without an answer."""
    try:
        found = client.list_topics(topic, timeout=seconds).topics.get(topic)
    except KafkaException as error:
        raise KafkaError(
            f"Kafka doesn't answer ({client_error(error).name()}); check REELTAG_BOOTSTRAP_SERVERS"
        ) from None
    return sorted(found.partitions) if found is not None and found.error is None else []


def ensure_topics(settings: Settings, enough: threading.Event) -> None:
    """Create the topics that the worker writes to, where they are missing; wait for the uploads.

    Best effort, until ``enough`` is set: without the right to do so, or on a broker without admin
    calls, it is only said.
    """
    client = admin(settings)
    while not enough.is_set():
        try:
            topics = client.list_topics(timeout=5.0).topics
        except KafkaException:
            continue
        uploads = topics.get(settings.uploads_topic)
        if uploads is not None and uploads.partitions:
            create_topics(client, settings, len(uploads.partitions), topics.keys())
            return
        enough.wait(2.0)


def create_topics(
    client: AdminClient, settings: Settings, count: int, existing: Collection[str]
) -> None:
    """Create what is missing of the tags, dead-letter and replay topics."""
    dated = {"message.timestamp.type": "LogAppendTime"}  # whatever the workers' clocks show
    wanted = [
        NewTopic(settings.tags_topic, count, config={"cleanup.policy": "compact", **dated}),
        NewTopic(settings.dlq_topic, count, config=dated),
        NewTopic(settings.replay_topic, count, config=dated),
    ]
    missing = [topic for topic in wanted if topic.topic not in existing]
    if not missing:
        return
    for name, future in client.create_topics(missing, operation_timeout=10.0).items():
        try:
            future.result(10.0)
            log.info("created topic %s with %d partitions", name, count)
        except (KafkaException, TimeoutError) as error:
            if client_error(error).code() != ClientError.TOPIC_ALREADY_EXISTS:
                why = str(error) or type(error).__name__
                log.warning("topic %s is missing and could not be created: %s", name, why)
