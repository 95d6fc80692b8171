"""Three brokers, of which the leaders are killed one after the other while the worker works."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tests.consumer.test_worker import eventually
from tests.delivery import Scene, audit
from tests.kafka_broker import Broker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def leader(broker: Broker, topic: str) -> int:
    """The place in ``broker.nodes`` of the broker that leads most partitions of a topic."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    partitions = admin.list_topics(topic, timeout=10).topics[topic].partitions.values()
    leaders = [partition.leader for partition in partitions]
    return max(set(leaders), key=leaders.count) - 1


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_leaders_are_killed_until_too_few_are_left_and_come_back(
    three_brokers: Broker, tmp_path: Path, delivery: str
) -> None:
    """One death is survived without a stop; after two the worker waits, and then goes on.

    The coordinators of the group and of its transactions lie on one partition each, whose leaders
    are among those killed: with one broker left they have moved at least once.
    """
    scene = Scene(three_brokers, tmp_path, partitions=6, delivery=delivery)
    try:
        for number in range(600):
            scene.upload(f"v{number % 200}", "light:slow:0.05")
        scene.producer.flush()
        worker = scene.worker()
        eventually(lambda: worker.metric("reeltag_outcomes_total", outcome="tagged") > 20)

        first = leader(three_brokers, leading_topic(delivery))
        three_brokers.nodes[first].kill()
        before = worker.metric("reeltag_outcomes_total", outcome="tagged")
        began = time.monotonic()
        eventually(
            lambda: worker.metric("reeltag_outcomes_total", outcome="tagged") > before + 100, 60
        )
        print(f"{delivery}: 100 more outcomes {time.monotonic() - began:.1f} s after the death")

        left = [number for number in range(3) if number != first]
        three_brokers.nodes[left[0]].kill()
        time.sleep(5)
        waiting = worker.metric("reeltag_outcomes_total", outcome="tagged")
        eventually(lambda: worker.get("/readyz")[0] == 503)
        time.sleep(10)
        assert worker.metric("reeltag_outcomes_total", outcome="tagged") <= waiting + 1
        assert waiting < 600
        assert worker.running

        for number in (first, left[0]):
            three_brokers.nodes[number].start()
        three_brokers.wait()
        scene.wait(120)
        eventually(lambda: worker.get("/readyz")[0] == 200)
        assert worker.terminate() == 0
        found = audit(scene)
        assert found.clean
        if delivery == "exactly_once":
            assert (found.repeated, found.out_of_order) == (0, 0)
    finally:
        scene.stop()


def leading_topic(delivery: str) -> str:
    """The topic whose leader is the coordinator that this way of delivery needs most."""
    return "__consumer_offsets" if delivery == "at_least_once" else "__transaction_state"
