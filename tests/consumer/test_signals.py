"""Told to end while it starts: a worker that has taken nothing in ends at once, with status 0."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.consumer.test_worker import eventually
from tests.kafka_broker import free_port

ROOT = Path(__file__).parents[2]


@contextmanager
def starting(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`reeltag run` with the starter bundle; nobody listens where its broker should be."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("REELTAG_")},
        "REELTAG_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "REELTAG_HTTP_PORT": "0",
        "REELTAG_DECODERS": "2",
    }
    command = [sys.executable, "-m", "consumer.cli", "run", "--bundle", "deploy/starter"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def heeds(number: int) -> Callable[[int], bool]:
    """Whether a process has a handler for a signal (proc(5), SigCgt)."""

    def check(process: int) -> bool:
        status = Path(f"/proc/{process}/status").read_text()
        [caught] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
        return bool(int(caught, 16) >> number - 1 & 1)

    return check


def children(process: int) -> list[int]:
    """Processes that it has started."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(number) for number in text.split()]


MOMENTS: dict[str, Callable[[int], bool]] = {
    "before the imports": heeds(signal.SIGTERM),
    "with a decode child": lambda process: bool(children(process)),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_while_it_starts_it_ends_well(
    moment: str, number: signal.Signals, tmp_path: Path
) -> None:
    reached = MOMENTS[moment]
    with starting(tmp_path / "log") as process:
        eventually(lambda: heeds(signal.SIGTERM)(process.pid) and reached(process.pid))
        born = children(process.pid)
        process.send_signal(number)
        began = time.monotonic()
        assert process.wait(30) == 0
        assert time.monotonic() - began < 10
    assert "Traceback" not in (tmp_path / "log").read_text()
    eventually(lambda: not any(Path(f"/proc/{child}/exe").exists() for child in born))
