"""The broker on a Docker engine, without one: a stand-in that speaks the engine's HTTP API.

It does with a container's environment what Apache's image does, and runs the jars: so what
testcontainers is told, what the broker makes of it, and a kill and restart are all real.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.docker_broker import IMAGE
from tests.kafka_broker import CLUSTER_ID, free_port, java_with, kafka_home, missing

ROOT = Path(__file__).parent.parent


class Engine:
    """A Docker engine with one image and room for one container."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.asked: list[str] = []
        self.container: dict[str, Any] = {}
        self._home = home
        self._folder = folder
        self._broker: subprocess.Popen[bytes] | None = None

    def answer(self, method: str, path: str, body: Any) -> Any:
        """What the engine says; None is "no content". See Docker's Engine API reference."""
        self.asked.append(f"{method} {path}")
        match f"{method} {path}".split("/"):
            case ["GET ", "version"]:
                return {"ApiVersion": "1.43", "Version": "24"}
            case ["GET ", "_ping"]:
                return {}
            case ["GET ", "images", *name, "json"] if "/".join(name) == IMAGE:
                return {"Id": "sha256:1", "RepoTags": [IMAGE]}
            case ["POST ", "containers", "create"]:
                self.container = body
                return {"Id": "c1", "Warnings": []}
            case ["GET ", "containers", "c1", "json"]:
                return {"Id": "c1", "Name": "/c1", "State": {"Status": "running"}, "Config": {}}
            case ["POST ", "containers", "c1", "start"]:
                self._start()
            case ["POST ", "containers", "c1", "kill"]:
                self.stop()
            case ["POST ", "containers", "c1", "wait"]:
                return {"StatusCode": 137}
            case ["DELETE ", "containers", "c1"]:
                self.stop()
            case _:
                raise LookupError(path)
        return None

    def stop(self) -> None:
        """SIGKILL."""
        if self._broker is not None:
            self._broker.kill()
            self._broker.wait(30)
            self._broker = None

    def _start(self) -> None:
        """As the image: KAFKA_A_B becomes a.b; the container's ports become free ones here."""
        [bound] = self.container["HostConfig"]["PortBindings"]["9092/tcp"]
        ports = {"9092": bound["HostPort"]}
        lines = []
        for variable in self.container["Env"]:
            name, _, value = variable.partition("=")
            for port in re.findall(r"(?<=:)\d{4,5}", value):
                if port in ("29092", "9093"):
                    ports.setdefault(port, str(free_port()))
                value = value.replace(f":{port}", f":{ports.get(port, port)}")
            lines.append(f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={value}")
        config = self._folder / "server.properties"
        config.write_text("\n".join([*lines, f"log.dirs={self._folder}/data"]))
        java = java_with(self._home)
        form = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", CLUSTER_ID, "-c"]
        with (self._folder / "log").open("ab") as log:
            subprocess.run([*java, *form, str(config)], check=True, stdout=log, stderr=log)
            command = [*java, "kafka.Kafka", str(config)]
            self._broker = subprocess.Popen(command, stdout=log, stderr=log)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[Engine, str]]:
    """The engine, and its DOCKER_HOST."""
    home = kafka_home()
    if home is None or not shutil.which("java"):
        missing("needs Kafka's jars (KAFKA_HOME or ../shared/kafka) and java")
    made = Engine(home, tmp_path)

    class Handler(BaseHTTPRequestHandler):
        """One request of Docker's client."""

        def do_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = re.sub(r"^/v1\.\d+", "", self.path.partition("?")[0])
            answer = made.answer(self.command, path, json.loads(body) if body else None)
            sent = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(204 if answer is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_DELETE = do_any  # noqa: N815 - the names that http.server calls

        def log_message(self, format: str, *args: object) -> None:
            """The test says what was asked."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made, f"tcp://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        made.stop()


SCRIPT = """
from tests.docker_broker import docker_answers
from tests.kafka_broker import start_container

assert docker_answers()
broker = start_container()
broker.create("a", partitions=3)
broker.restart()
broker.create("b")
from confluent_kafka.admin import AdminClient
topics = AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=10).topics
assert {"a", "b"} <= topics.keys() and len(topics["a"].partitions) == 3
broker.stop()
"""


@pytest.mark.kafka
@pytest.mark.slow
def test_a_container_is_started_killed_started_again_and_removed(
    engine: tuple[Engine, str],
) -> None:
    """In a process of its own, where every warning is an error: the client looks at DOCKER_HOST."""
    made, host = engine
    environment = {**os.environ, "DOCKER_HOST": host, "TESTCONTAINERS_RYUK_DISABLED": "true"}
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    calls = [asked for asked in made.asked if "containers/" in asked and "json" not in asked]
    begun = ["POST /containers/create", "POST /containers/c1/start"]
    again = ["POST /containers/c1/kill", "POST /containers/c1/wait", "POST /containers/c1/start"]
    assert calls == [*begun, *again, "DELETE /containers/c1"]
    assert made.container["Image"] == IMAGE


def test_without_an_engine_docker_does_not_answer() -> None:
    environment = {**os.environ, "DOCKER_HOST": f"tcp://127.0.0.1:{free_port()}"}
    code = "from tests.docker_broker import docker_answers; assert not docker_answers()"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
