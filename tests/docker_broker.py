"""Apache Kafka's own image on a Docker engine, as testcontainers runs it.

testcontainers' KafkaContainer knows Confluent's image alone: it starts scripts that Apache's image
doesn't have. So this is a plain container, whose port on this machine is chosen beforehand: then
the broker can be told its address by its environment, and keeps it when it is killed and started
again.
"""

from __future__ import annotations

import gc
import signal
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

IMAGE = "apache/kafka:4.1.1"
PORT = 9092
"""Where the broker listens for us inside its container."""


@contextmanager
def quietly() -> Iterator[None]:
    """Docker's client leaves sockets to the garbage collector; here that is no error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            yield
        finally:
            gc.collect()


def docker_answers() -> bool:
    """Whether there is a Docker engine."""
    from testcontainers.core.docker_client import DockerClient

    with quietly():
        try:
            DockerClient().client.ping()
        except Exception:  # docker's client raises what its transport raises: there is no engine
            return False
    return True


def environment(host: str, port: int, settings: Mapping[str, str]) -> dict[str, str]:
    """What the image makes its server.properties of: ``a.b`` is KAFKA_A_B."""
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": "1@localhost:9093",
        "listeners": f"INSIDE://:29092,OUTSIDE://:{PORT},CONTROLLER://:9093",
        "advertised.listeners": f"INSIDE://localhost:29092,OUTSIDE://{host}:{port}",
        "listener.security.protocol.map": (
            "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT"
        ),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "INSIDE",
        **settings,
    }
    return {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in properties.items()}


@dataclass
class DockerNode:
    """One broker in a container, to be killed and started again."""

    container: Any
    bootstrap: str
    made: bool = False

    @classmethod
    def on(cls, port: int, settings: Mapping[str, str]) -> DockerNode:
        """A broker that will be reached at ``port`` of the engine's host."""
        from testcontainers.core.container import DockerContainer

        with quietly():
            container = DockerContainer(IMAGE).with_bind_ports(PORT, port)
            host = container.get_docker_client().host()
            container.with_envs(**environment(host, port, settings))
        return cls(container, f"{host}:{port}")

    def start(self) -> None:
        """Make the container, pulling its image where it is missing; later start it again."""
        with quietly():
            if self.made:
                self.container.get_wrapped_container().start()
            else:
                self.container.start()
                self.made = True

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the broker a signal and wait for its end."""
        with quietly():
            running = self.container.get_wrapped_container()
            running.kill(signal.Signals(number).name)
            running.wait(timeout=60)

    def end(self) -> None:
        """Remove the container."""
        with quietly():
            self.container.stop()
