"""The demo's worker: `reeltag run` in a process of its own, as in production."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from consumer.demo.broker import Broker
from encoders.errors import ReeltagError

START_SECONDS = 180.0
"""Loading starts with unpacking the encoders' weights, once."""
DRAIN_SECONDS = 60.0
COUNT_SECONDS = 15.0
"""A worker counts an outcome after it is delivered, on a busy machine seconds after."""


@dataclass(frozen=True, slots=True)
class RunningWorker:
    """A worker that is ready for work."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def metrics_page(self) -> str:
        """Address of the Prometheus page."""
        return f"http://127.0.0.1:{self.port}/metrics"

    def check(self) -> None:
        """Raise ReeltagError if it has ended."""
        status = self.process.poll()
        if status is not None:
            raise ReeltagError(f"The worker ended with status {status}: {_last_line(self.log)}")

    def counted(self, counter: str, label: str, total: int) -> Mapping[str, int]:
        """One of its counters, by the values of ``label``, once it has reached ``total`` in all.

        What it says in the end, if it never does.
        """
        deadline = time.monotonic() + COUNT_SECONDS
        while True:
            found = self._counter(counter, label)
            if sum(found.values()) >= total or time.monotonic() > deadline:
                return found
            time.sleep(0.1)

    def _counter(self, counter: str, label: str) -> Mapping[str, int]:
        families = text_string_to_metric_families(httpx.get(self.metrics_page).text)
        return {
            sample.labels[label]: int(sample.value)
            for family in families
            for sample in family.samples
            if sample.name == counter
        }

    def stop(self) -> int:
        """Ask it to drain, wait, and give its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@contextmanager
def running_worker(
    broker: Broker,
    bundle: Path,
    folders: tuple[Path, ...],
    log: Path,
) -> Iterator[RunningWorker]:
    """Start a worker that may read ``folders``, and wait until it is ready.

    Raises ReeltagError, with the last line of its log.
    """
    port = _free_port()
    settings = {
        "BUNDLE": str(bundle),
        "BOOTSTRAP_SERVERS": broker.address,
        "GROUP_ID": broker.uploads,
        "UPLOADS_TOPIC": broker.uploads,
        "TAGS_TOPIC": broker.tags,
        "DLQ_TOPIC": broker.dead_letters,
        "REPLAY_TOPIC": broker.replay,
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(port),
        "ALLOWED_SCHEMES": "file,https,s3",
        "ALLOWED_PATHS": ",".join(str(folder.resolve()) for folder in folders),
        **broker.settings,
    }
    environment = os.environ | {f"REELTAG_{name}": value for name, value in settings.items()}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "consumer.cli", "run"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is the demo's; the worker is asked to drain
        )
    worker = RunningWorker(process, port, log)
    try:
        _wait_until_ready(worker)
        yield worker
    finally:
        worker.stop()


def _wait_until_ready(worker: RunningWorker) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        worker.check()
        with suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{worker.port}/readyz", timeout=2).is_success:
                return
        time.sleep(0.1)
    raise ReeltagError(f"The worker is not ready after {START_SECONDS:.0f} s: see {worker.log}.")


def _free_port() -> int:
    """9464 where it is free, else any."""
    for port in (9464, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ReeltagError("No port is free for the Prometheus page.")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"its log {log} is empty."
