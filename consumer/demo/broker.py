"""The demo's broker: librdkafka's own mock cluster inside this process, or a real one."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from consumer.settings import load_settings
from encoders.errors import KafkaError

QUIET = logging.getLogger("reeltag.demo.kafka")
PARTITIONS = 4
SECONDS = 15.0
FETCH_MILLISECONDS = 10


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the demo's messages go.

    ``client`` is what every Kafka client of it is made with; ``settings`` is what the worker needs
    to be told beside the address and the topics.
    """

    address: str
    client: Mapping[str, Any]
    uploads: str
    tags: str
    dead_letters: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def replay(self) -> str:
        """Topic of work to be done again."""
        return f"{self.uploads}.replay"

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that the worker uses."""
        return self.uploads, self.tags, self.dead_letters, self.replay


def open_broker(bootstrap: str | None) -> AbstractContextManager[Broker]:
    """The embedded broker, or the real one at ``bootstrap`` with REELTAG_KAFKA__* passed on."""
    if bootstrap is None:
        return embedded_broker()
    return real_broker(bootstrap, load_settings().librdkafka())


@contextmanager
def embedded_broker() -> Iterator[Broker]:
    """A Kafka broker that lives as long as this block, with the usual topics of 4 partitions."""
    cluster = Producer({"test.mock.num.brokers": 1}, logger=QUIET)
    brokers = cluster.list_topics(timeout=SECONDS).brokers.values()
    address = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    broker = Broker(
        address,
        {"bootstrap.servers": address, "logger": QUIET},
        "video.uploads",
        "video.tags",
        "video.uploads.dlq",
        # The mock cluster answers a fetch only when its time is up, even if something has come in.
        {"KAFKA__FETCH_WAIT_MAX_MS": str(FETCH_MILLISECONDS)},
    )
    for topic in broker.topics:
        cluster.list_topics(topic, timeout=SECONDS)  # asking for a topic makes it
    yield broker
    cluster.flush(0)


@contextmanager
def real_broker(bootstrap: str, client: Mapping[str, Any]) -> Iterator[Broker]:
    """Topics of the demo's own on the broker at ``bootstrap``; deleted afterwards.

    They are never the usual ones: sample videos have no business among somebody's uploads.
    Raises KafkaError where the broker does not answer or refuses.
    """
    prefix = f"reeltag-demo-{uuid4().hex[:8]}"
    broker = Broker(
        bootstrap,
        {**client, "bootstrap.servers": bootstrap, "logger": QUIET},
        f"{prefix}.uploads",
        f"{prefix}.tags",
        f"{prefix}.uploads.dlq",
    )
    admin = AdminClient(dict(broker.client))
    compact = {broker.tags: {"cleanup.policy": "compact"}}
    new = [
        NewTopic(topic, num_partitions=PARTITIONS, config=compact.get(topic, {}))
        for topic in broker.topics
    ]
    try:
        for future in admin.create_topics(new, request_timeout=SECONDS).values():
            future.result()
    except KafkaException as error:
        raise KafkaError(
            f"The broker at {bootstrap} did not create the demo's topics ({error.args[0].str()}): "
            "check the address and that topics may be created."
        ) from error
    try:
        yield broker
    finally:
        for future in admin.delete_topics(list(broker.topics), request_timeout=SECONDS).values():
            future.exception()
