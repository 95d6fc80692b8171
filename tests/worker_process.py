"""A worker as a process of its own, to be watched, stopped and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.kafka_broker import free_port

ROOT = Path(__file__).parent.parent
LIGHT = (sys.executable, "-m", "tests.light_worker")
REAL = (sys.executable, "-m", "consumer.cli", "run", "--bundle", "deploy/starter")
"""`reeltag run`, with real encoders and the starter bundle."""


@dataclass
class WorkerProcess:
    """A worker as a process of its own, with light stages where no other command is given."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @classmethod
    def start(
        cls, environment: Mapping[str, str], log: Path, command: Sequence[str] = LIGHT
    ) -> WorkerProcess:
        """Start one; it is ready later."""
        port = free_port()
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={
                    **{k: v for k, v in os.environ.items() if not k.startswith("REELTAG_")},
                    **environment,
                    "REELTAG_HTTP_PORT": str(port),
                    "OMP_NUM_THREADS": "1",
                },
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return cls(process, port, log)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page of its HTTP server; status 0 where nobody answers."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except URLError as error:
            status = getattr(error, "code", 0)
            text = error.read().decode() if hasattr(error, "read") else str(error)
            return status, text
        except OSError as error:
            return 0, str(error)

    def metric(self, name: str, **labels: str) -> float:
        """One sample of /metrics; 0 where it is not there."""
        wanted = "".join(f'{key}="{value}"' for key, value in labels.items())
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(f"{name}{{{wanted}" if labels else f"{name} "):
                return float(line.rpartition(" ")[2])
        return 0.0

    def wait_ready(self, seconds: float = 30.0) -> None:
        """Wait until /readyz says yes."""
        deadline = time.monotonic() + seconds
        while self.get("/readyz")[0] != 200:
            if time.monotonic() > deadline or not self.running:
                raise TimeoutError(f"the worker is not ready: {self.get('/readyz')}")
            time.sleep(0.1)

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.running:
            self.process.send_signal(number)

    def terminate(self, seconds: float = 60.0) -> int:
        """SIGTERM, and the exit status."""
        self.signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL."""
        self.signal(signal.SIGKILL)
        self.process.wait(30)
