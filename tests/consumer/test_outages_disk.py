"""The disk is full: the scratch folder that downloads pass through, and the feature store."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.consumer.test_worker import eventually
from tests.delivery import Scene, audit
from tests.media.servers import reply, serving
from tests.worker_process import REAL, WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
SAMPLES = Path(__file__).parents[2] / "deploy" / "samples"
ON_A_SMALL_DISK = """
mount -t tmpfs -o size=8m none "$TMPDIR" && head -c 8184K /dev/zero > "$TMPDIR/ballast" \
  && exec "$@"
"""
"""In a mount namespace of its own, so that nobody else sees the disk, and it goes with the worker.

The ballast leaves 8 KiB: without any room, Python would choose another folder."""


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Where a worker of this test will find its small disk."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(folder)]
    if not shutil.which("unshare") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs leave to mount a tmpfs in a namespace of its own (unshare -rm)")
    return folder


def resident(worker: WorkerProcess) -> int:
    """Bytes of memory."""
    return 4096 * int(Path(f"/proc/{worker.process.pid}/statm").read_text().split()[1])


def cpu(worker: WorkerProcess) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize("scene", ["exactly_once"], indirect=True)
def test_without_room_it_waits_and_says_so_and_goes_on_when_there_is(
    scene: Scene, disk: Path
) -> None:
    """No event is lost or dead-lettered, and what needs no scratch space is tagged meanwhile."""
    videos = sorted(SAMPLES.glob("*.mp4"))

    def answer(connection: socket.socket, path: str, head: str) -> None:
        connection.sendall(reply((SAMPLES / Path(path).name).read_bytes()))

    with serving(answer) as server:
        for number, video in enumerate(videos[:2]):
            scene.upload(f"local{number}", video.as_uri())
        worker = scene.worker(
            "unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK, "sh", *REAL,
            TMPDIR=str(disk),
            REELTAG_FEATURES=str(disk / "features"),
            REELTAG_ALLOWED_SCHEMES="file,http",
            REELTAG_ALLOWED_PATHS=str(SAMPLES),
            REELTAG_ALLOWED_HOSTS="127.0.0.1",
            REELTAG_DECODERS="1",
            REELTAG_RETRY_ATTEMPTS="2",
            REELTAG_RETRY_LONGEST_SECONDS="1",
        )  # fmt: skip
        scene.wait(60)
        assert worker.metric("reeltag_outcomes_total", outcome="tagged") == 2
        assert worker.metric("reeltag_trouble", what="features") == 1
        assert worker.get("/readyz") == (200, "ok\n")

        for number in range(12):
            scene.upload(f"far{number}", server.uri(f"/{videos[number % len(videos)].name}"))
        scene.producer.flush()
        eventually(lambda: "the scratch folder can't be written" in worker.get("/readyz")[1])
        eventually(lambda: worker.metric("reeltag_intake_paused") == 1)
        eventually(lambda: worker.metric("reeltag_trouble", what="scratch") == 1)
        before, busy = resident(worker), cpu(worker)
        time.sleep(5)
        assert resident(worker) - before < 20 << 20
        assert cpu(worker) - busy < 2.5
        assert worker.metric("reeltag_retries_total", reason="no_room") > 2
        assert worker.get("/livez") == (200, "ok\n")
        assert worker.metric("reeltag_outcomes_total", outcome="dead_lettered") == 0

        Path(f"/proc/{worker.process.pid}/root{disk}/ballast").unlink()
        scene.wait(60)
        eventually(lambda: worker.get("/readyz") == (200, "ok\n"))
        eventually(lambda: worker.metric("reeltag_intake_paused") == 0)
        eventually(lambda: worker.metric("reeltag_trouble", what="scratch") == 0)
        eventually(lambda: worker.metric("reeltag_trouble", what="features") == 0)
        assert worker.terminate() == 0
    found = audit(scene)
    assert found.clean
    assert found.repeated == 0
    assert sum(found.outcomes.values()) == found.outcomes["tagged"] + found.outcomes.get(
        "degraded", 0
    )
