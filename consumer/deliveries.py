"""Which publisher a delivery mode needs."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import Producer

from consumer.clocks import Pulse
from consumer.in_flight import InFlight
from consumer.kafka import producer
from consumer.metrics import Metrics
from consumer.publisher import AtLeastOnce, Publisher, Settled
from consumer.settings import Settings
from consumer.transactions import ExactlyOnce, Gather
from consumer.troubles import Troubles


def make_publisher(
    settings: Settings,
    in_flight: InFlight,
    settled: Settled,
    metrics: Metrics,
    troubles: Troubles,
    pulse: Pulse,
    on_error: Callable[[ClientError], None],
    kind: type[Producer] = Producer,
) -> Publisher:
    """The publisher of ``settings.delivery``."""
    if settings.delivery == "at_least_once":
        return AtLeastOnce(
            lambda: producer(settings, on_error, kind),
            in_flight,
            settled,
            metrics,
            troubles,
            pulse,
            settings.call_stale_seconds,
        )
    # Fencing rests on the group's membership, so the id need not outlive a restart; a name that
    # does lets the broker end the transaction of a killed predecessor at once.
    unique = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    properties: dict[str, object] = {
        "transactional.id": f"{settings.group_id}-{settings.instance_id or unique}",
        "transaction.timeout.ms": int(settings.transaction_timeout_seconds * 1000),
    }
    return ExactlyOnce(
        lambda: producer(settings, on_error, kind, **properties),
        in_flight,
        settled,
        Gather(settings.transaction_events, settings.transaction_seconds, settings.commit_seconds),
        metrics,
        troubles,
        pulse,
        settings.call_stale_seconds,
    )
