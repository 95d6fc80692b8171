"""A hundred thousand light events: memory, descriptors and threads stay flat."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from tests.delivery import Scene
from tests.worker_process import WorkerProcess

EVENTS = 100_000
MIB = 1024 * 1024


def sample(worker: WorkerProcess) -> tuple[float, int, int, int]:
    """Outcomes so far, resident bytes, descriptors, threads."""
    process = Path("/proc") / str(worker.process.pid)
    status = dict(
        line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line
    )
    return (
        worker.metric("reeltag_outcomes_total", outcome="tagged"),
        int(status["VmRSS"].split()[0]) * 1024,
        len(list((process / "fd").iterdir())),
        int(status["Threads"]),
    )


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc to measure")
def test_soak(scene: Scene) -> None:
    worker = scene.worker(REELTAG_TEST_SECONDS="0", REELTAG_DECODERS="2")
    worker.wait_ready(60)
    samples: list[tuple[float, int, int, int]] = []
    began = time.monotonic()
    for number in range(EVENTS):
        scene.upload(f"v{number % 20_000}")
        if number % 4000 == 3999:
            scene.producer.flush()
            while worker.metric("reeltag_outcomes_total", outcome="tagged") < number - 2000:
                time.sleep(0.05)
            samples.append(sample(worker))
    scene.wait(120)
    seconds = time.monotonic() - began
    late = np.array(samples[len(samples) // 4 :], dtype=np.float64)
    slope = float(np.polyfit(late[:, 0], late[:, 1], 1)[0])
    figures = {
        "delivery": scene.delivery,
        "events": EVENTS,
        "events_per_second": round(EVENTS / seconds),
        "resident_mib": round(late[-1, 1] / MIB, 1),
        "growth_bytes_per_event": round(slope, 1),
        "descriptors": [int(late[:, 2].min()), int(late[:, 2].max())],
        "threads": [int(late[:, 3].min()), int(late[:, 3].max())],
    }
    print(json.dumps(figures))
    assert worker.terminate() == 0
    # 20,000 videos are remembered while their partitions are ours: some 100 bytes each
    assert slope < 200, figures
    assert late[:, 2].max() - late[:, 2].min() <= 8, figures
    assert late[:, 3].max() - late[:, 3].min() <= 4, figures
