"""The wall clock jumps by hours: what is measured in time goes on, what is dated shows the jump."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consumer.kafka import headers_of
from tests.consumer.test_worker import eventually
from tests.delivery import Scene, audit

ROOT = Path(__file__).parents[2]
READS = re.compile(
    r"\btime\.time\b|\btime_ns\(|\.(utc)?now\(|\.today\(|from time import .*\btime\b"
)
DATES = {
    "consumer/dead_letters.py": "failed_at",
    "consumer/events.py": "tagged_at",
    "consumer/letters.py": "--since, counted back from now",
    "consumer/demo/plan.py": "uploaded_at of the demo's uploads",
}
"""Where the wall clock is read, and what for."""


def test_the_wall_clock_is_read_for_dates_alone() -> None:
    modules = [*ROOT.glob("consumer/**/*.py"), *ROOT.glob("encoders/**/*.py")]
    readers = {
        str(module.relative_to(ROOT)) for module in modules if READS.search(module.read_text())
    }
    assert readers == DATES.keys()


@dataclass(frozen=True)
class WallClock:
    """The wall clock of a worker process, which the test moves."""

    offset: Path
    library: Path

    def set_ahead(self, hours: float) -> None:
        """Show so many hours more than it is."""
        with self.offset.open("r+b") as file:
            file.write(int(hours * 3600).to_bytes(8, "little", signed=True))

    @property
    def environment(self) -> dict[str, str]:
        """What a process is started with to have this clock."""
        return {"LD_PRELOAD": str(self.library), "REELTAG_TEST_CLOCK": str(self.offset)}


@pytest.fixture
def wall_clock(tmp_path: Path) -> WallClock:
    """Compiled for this test (tests/wall_clock.c)."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler (cc) and glibc: tests/wall_clock.c moves the clock")
    library = tmp_path / "wall_clock.so"
    source = ROOT / "tests" / "wall_clock.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    offset = tmp_path / "offset"
    offset.write_bytes(bytes(8))
    return WallClock(offset, library)


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.parametrize("hours", [7, -7])
def test_a_jump_of_the_wall_clock_changes_dates_and_nothing_else(
    scene: Scene, wall_clock: WallClock, hours: float
) -> None:
    """Back-offs, ages and bounds go on; it neither hurries nor waits, and isn't taken for hung."""
    worker = scene.worker(**wall_clock.environment)
    scene.upload("early")
    eventually(lambda: worker.metric("reeltag_outcomes_total", outcome="tagged") == 1)
    scene.upload("gone", "light:missing")
    scene.upload("long", "light:slow:4")
    scene.upload("down", "light:down:4")
    eventually(lambda: worker.metric("reeltag_retries_total", reason="unavailable") >= 1)
    wall_clock.set_ahead(hours)
    jumped = datetime.now(UTC)
    began = time.monotonic()
    for number in range(60):
        scene.upload(f"v{number}", "light:down:1" if number % 3 else "light:ok")
        scene.producer.flush()
        time.sleep(0.02)
    scene.upload("late", "light:missing")
    scene.wait(60)
    assert time.monotonic() - began < 15
    assert worker.metric("reeltag_oldest_in_flight_seconds") < 10
    assert worker.metric("reeltag_event_seconds_sum") < 400
    assert worker.get("/livez") == (200, "ok\n")
    assert worker.get("/readyz") == (200, "ok\n")
    assert worker.terminate() == 0
    found = audit(scene)
    assert found.clean
    assert found.outcomes == {"tagged": 63, "dead_lettered": 2}
    for video, date in dates(scene).items():
        true = timedelta(hours=hours) if video in ("late", "long", "v0", "v59") else timedelta()
        if video in ("early", "late", "long", "v0", "v59"):
            assert abs(date - jumped - true) < timedelta(minutes=2)


def dates(scene: Scene) -> dict[str, datetime]:
    """When each video was tagged or failed, as its message says."""
    found: dict[str, datetime] = {}
    for message in scene.read(scene.tags):
        event = json.loads(message.value() or b"{}")
        found[event["video_id"]] = datetime.fromisoformat(event["tagged_at"])
    for letter in scene.read(scene.dlq):
        video = (letter.key() or b"").decode()
        found[video] = datetime.fromisoformat(headers_of(letter)["failed_at"])
    return found
