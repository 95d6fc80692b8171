"""Fixtures of the worker's tests: brokers and scenes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery import Scene
from tests.kafka_broker import Broker, kafka, mock_cluster, own_kafka, three_brokers

__all__ = ["kafka", "mock_cluster", "own_kafka", "three_brokers"]


@pytest.fixture(params=["at_least_once", "exactly_once"])
def scene(kafka: Broker, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """Topics of their own on the real broker, in either mode; its workers end with the test."""
    made = Scene(kafka, tmp_path, delivery=request.param)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def mocked(mock_cluster: Broker, tmp_path: Path) -> Iterator[Scene]:
    """At least once, on the mock cluster: quick, for what a real broker adds nothing to."""
    made = Scene(mock_cluster, tmp_path)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(params=["mock", pytest.param("kafka", marks=pytest.mark.kafka)])
def either(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """At least once, on the mock cluster and on the real broker: one contract for both."""
    name = "mock_cluster" if request.param == "mock" else "kafka"
    made = Scene(request.getfixturevalue(name), tmp_path)
    try:
        yield made
    finally:
        made.stop()
