"""Kafka brokers for tests: the first of a given address, Apache Kafka's jars, a Docker engine.

``REELTAG_TEST_BOOTSTRAP`` gives an address; ``KAFKA_HOME`` or ``../shared/kafka`` holds the jars
(needs ``java``); else testcontainers starts Apache's image. With none of them the tests skip and
say so; where CI is set, that is a failure.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.docker_broker import DockerNode, docker_answers

NO_BROKER = (
    "no Kafka: set REELTAG_TEST_BOOTSTRAP, or KAFKA_HOME (or ../shared/kafka) with java, "
    "or start a Docker engine"
)
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"
HEAP = "-Xmx256m"

PROPERTIES = """
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners={listeners}
advertised.listeners={advertised}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{map}
log.dirs={folder}/data
auto.create.topics.enable=false
{more}
"""

TUNING = """
offsets.topic.num.partitions=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
"""
"""What every broker of ours is set to, so that tests need not wait for it."""

LOG4J = """
rootLogger.level=WARN
rootLogger.appenderRef.stdout.ref=stdout
appender.stdout.type=Console
appender.stdout.name=stdout
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=%d %p %m%n
"""


def tuning(replicas: int) -> dict[str, str]:
    """Properties of a cluster where everything lies on ``replicas`` brokers."""
    in_sync = str(max(1, replicas - 1))
    lines = (line.partition("=") for line in TUNING.split())
    return {
        **{name: value for name, _, value in lines},
        "default.replication.factor": str(replicas),
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": str(replicas),
        "transaction.state.log.replication.factor": str(replicas),
        "transaction.state.log.min.isr": in_sync,
    }


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kafka_home() -> Path | None:
    """The folder of Apache Kafka's jars."""
    given = os.environ.get("KAFKA_HOME")
    beside = Path(__file__).parent.parent.parent / "shared" / "kafka"
    for home in (Path(given) if given else None, beside):
        if home is not None and any(home.glob("libs/kafka_*.jar")):
            return home
    return None


def java_with(home: Path) -> list[str]:
    """A small virtual machine with Kafka's classes; the main class comes next."""
    return ["java", HEAP, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{home}/libs/*"]


@dataclass
class Node:
    """One broker process on a folder of its own, to be killed and started again."""

    home: Path
    folder: Path
    number: int
    port: int
    controller: int
    voters: str
    replicas: int = 1
    listeners: dict[str, tuple[str, int]] = field(default_factory=dict)
    more: str = ""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Format the folder if need be, and start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "server.properties"
        extra = "".join(f",{name}://127.0.0.1:{port}" for name, (_, port) in self.listeners.items())
        tuned = tuning(self.replicas)
        plain = f"PLAINTEXT://127.0.0.1:{self.port}"
        config.write_text(
            PROPERTIES.format(
                node=self.number,
                voters=self.voters,
                listeners=f"{plain},CONTROLLER://127.0.0.1:{self.controller}{extra}",
                advertised=f"{plain}{extra}",
                map="".join(f",{name}:{kind}" for name, (kind, _) in self.listeners.items()),
                folder=self.folder,
                more="\n".join(f"{name}={value}" for name, value in tuned.items()) + self.more,
            )
        )
        log4j = self.folder / "log4j2.properties"
        log4j.write_text(LOG4J)
        java = java_with(self.home)
        with (self.folder / "broker.log").open("ab") as output:
            if not (self.folder / "data" / "meta.properties").exists():
                tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(config)]
                subprocess.run(
                    [*java, *tool, "--ignore-formatted"], check=True, stdout=output, stderr=output
                )
            self.process = subprocess.Popen(
                [*java, "-Dlog4j2.configurationFile=" + str(log4j), "kafka.Kafka", str(config)],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal and wait for the end."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(60)
            self.process = None

    def end(self) -> None:
        """As ``kill``: its folder is the test's."""
        self.kill()


@dataclass
class Broker:
    """A cluster that tests talk to; ``nodes`` is empty where it is not ours to kill."""

    bootstrap: str
    nodes: Sequence[Node | DockerNode] = field(default_factory=list)
    mock: bool = False

    def restart(self, number: int = signal.SIGKILL, pause: float = 0.0) -> None:
        """Stop every node, and start it again after ``pause`` seconds."""
        for node in self.nodes:
            node.kill(number)
        time.sleep(pause)
        for node in self.nodes:
            node.start()
        self.wait()

    def stop(self) -> None:
        """End every node."""
        for node in self.nodes:
            node.end()

    def wait(self, seconds: float = 180.0) -> None:
        """Wait until it answers."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(KafkaException):
                found = admin.list_topics(timeout=2)
                if len(found.brokers) >= max(1, len(self.nodes)):
                    return
            if time.monotonic() > deadline:
                raise TimeoutError(f"the broker at {self.bootstrap} doesn't answer")
            time.sleep(0.1)

    def create(self, *topics: str, partitions: int = 4, **config: str) -> None:
        """Create topics and wait until they are there; a mock cluster gives each 4 partitions."""
        if self.mock:
            asking = Producer({"bootstrap.servers": self.bootstrap, "log_level": 0})
            for topic in topics:
                asking.list_topics(topic, timeout=5)
            return
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        settings = {name.replace("_", "."): value for name, value in config.items()}
        made = admin.create_topics(
            [NewTopic(topic, partitions, config=settings) for topic in topics]
        )
        for future in made.values():
            future.result(30)
        while not set(topics) <= admin.list_topics(timeout=5).topics.keys():
            time.sleep(0.05)


def start_cluster(
    home: Path,
    folder: Path,
    nodes: int = 1,
    *,
    listeners: Mapping[str, tuple[str, int]] | None = None,
    more: str = "",
) -> Broker:
    """Apache Kafka from its jars, in KRaft mode.

    ``listeners`` are further ones, by name: security protocol and port (of a single node).
    """
    ports = [(free_port(), free_port()) for _ in range(nodes)]
    voters = ",".join(f"{i + 1}@127.0.0.1:{ports[i][1]}" for i in range(nodes))
    made = [
        Node(
            home,
            folder / f"node{i + 1}",
            i + 1,
            *ports[i],
            voters,
            replicas=min(3, nodes),
            listeners=dict(listeners or {}),
            more=more,
        )
        for i in range(nodes)
    ]
    broker = Broker(",".join(f"127.0.0.1:{port}" for port, _ in ports), made)
    for node in made:
        node.start()
    broker.wait()
    return broker


def start_container() -> Broker:
    """Apache Kafka in a container of its own, on a Docker engine."""
    node = DockerNode.on(free_port(), tuning(1))
    broker = Broker(node.bootstrap, [node])
    try:
        node.start()
        broker.wait(120)
    except BaseException:
        broker.stop()
        raise
    return broker


def start_broker(folder: Path) -> Broker:
    """A broker of ours: from the jars, else in a container. Without either, the test skips."""
    home = kafka_home()
    if home is not None and shutil.which("java"):
        return start_cluster(home, folder)
    if docker_answers():
        return start_container()
    return missing(NO_BROKER)


def missing(what: str) -> NoReturn:
    """Skip the test for want of something; where CI is set, that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real broker for the whole run. Tests use topics and groups of their own."""
    if given := os.environ.get("REELTAG_TEST_BOOTSTRAP"):
        yield Broker(given)
        return
    broker = start_broker(tmp_path_factory.mktemp("kafka"))
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Broker]:
    """A real broker for one test, which may kill it and start it again."""
    broker = start_broker(tmp_path / "kafka")
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def three_brokers(tmp_path: Path) -> Iterator[Broker]:
    """Three brokers; every topic lies on all of them, and two must have a message."""
    home = kafka_home()
    if home is None or not shutil.which("java"):
        missing("needs brokers to kill: set KAFKA_HOME (or ../shared/kafka), with java")
    broker = start_cluster(home, tmp_path / "kafka", 3)
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def mock_cluster() -> Iterator[Broker]:
    """librdkafka's own mock cluster: quick, with the limits that its manual lists."""
    keeper = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 0})
    brokers = keeper.list_topics(timeout=5).brokers.values()
    yield Broker(",".join(f"{broker.host}:{broker.port}" for broker in brokers), mock=True)
    del keeper


def unique(name: str) -> str:
    """A topic or group name that no other test has."""
    return f"{name}-{uuid.uuid4().hex[:8]}"
