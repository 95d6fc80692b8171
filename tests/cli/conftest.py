"""The real broker, for commands that talk to Kafka."""

from __future__ import annotations

from tests.kafka_broker import kafka

__all__ = ["kafka"]
