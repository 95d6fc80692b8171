"""A worker that is killed, stopped or hung, at the worst moments, on Apache Kafka."""

from __future__ import annotations

import signal
import time
from functools import partial

import pytest

from tests.consumer.test_worker import eventually
from tests.delivery import Scene, audit
from tests.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka

SLOW = pytest.mark.slow
MOMENTS = [
    pytest.param("at_least_once", "before produce 40", marks=SLOW),
    ("at_least_once", "after produce 40"),
    pytest.param("at_least_once", "before commit 2", marks=SLOW),
    pytest.param("at_least_once", "after commit 2", marks=SLOW),
    pytest.param("exactly_once", "before produce 40", marks=SLOW),
    pytest.param("exactly_once", "after produce 40", marks=SLOW),
    pytest.param("exactly_once", "before send_offsets 3", marks=SLOW),
    ("exactly_once", "after send_offsets 3"),
    pytest.param("exactly_once", "before commit_transaction 3", marks=SLOW),
    pytest.param("exactly_once", "after commit_transaction 3", marks=SLOW),
]
only_exactly_once = pytest.mark.parametrize("scene", ["exactly_once"], indirect=True)


def upload(scene: Scene, count: int = 150) -> None:
    """Some of everything."""
    kinds = ["light:ok"] * 8 + ["light:degraded", "light:missing"]
    for number in range(count):
        scene.upload(f"v{number % 40}", kinds[number % len(kinds)])
    scene.producer.flush()


def nothing_wrong(scene: Scene) -> None:
    """Nothing is lost, and nothing came twice where that is promised."""
    found = audit(scene)
    assert found.clean
    if scene.delivery == "exactly_once":
        assert (found.repeated, found.out_of_order) == (0, 0)


@pytest.mark.parametrize(("scene", "moment"), MOMENTS, indirect=["scene"])
def test_killed_where_it_hurts_another_goes_on(scene: Scene, moment: str) -> None:
    upload(scene)
    first = scene.worker(REELTAG_TEST_DIE_AT=moment, REELTAG_TEST_SECONDS="0.05")
    assert first.process.wait(60) == -signal.SIGKILL
    worker = scene.worker()
    scene.wait(90)
    assert worker.terminate() == 0
    nothing_wrong(scene)


@SLOW
@only_exactly_once
def test_killed_while_it_drains(scene: Scene) -> None:
    upload(scene, 60)
    first = scene.worker(REELTAG_TEST_SECONDS="0.2")
    eventually(lambda: first.metric("reeltag_outcomes_total", outcome="tagged") > 3)
    first.signal(signal.SIGTERM)
    time.sleep(0.05)
    first.kill()
    worker = scene.worker()
    scene.wait(90)
    assert worker.terminate() == 0
    nothing_wrong(scene)


@only_exactly_once
def test_told_to_end_it_ends_in_time_and_well(scene: Scene) -> None:
    upload(scene, 60)
    scene.upload("endless", "light:slow:60")
    first = scene.worker(REELTAG_DRAIN_SECONDS="2")
    eventually(lambda: first.metric("reeltag_outcomes_total", outcome="tagged") > 3)
    began = time.monotonic()
    assert first.terminate() == 0
    assert time.monotonic() - began < 12


@pytest.mark.slow
def test_stopped_past_its_session_it_writes_nothing_old(scene: Scene) -> None:
    """A zombie: its partitions have gone to another, and come to an end there."""
    upload(scene)
    zombie = scene.worker(REELTAG_TEST_SECONDS="0.05")
    eventually(lambda: zombie.metric("reeltag_outcomes_total", outcome="tagged") > 3)
    zombie.signal(signal.SIGSTOP)
    worker = scene.worker()
    scene.wait(90)
    for number in range(40):
        scene.upload(f"v{number}")
    zombie.signal(signal.SIGCONT)
    scene.wait(90)
    for each in (zombie, worker):
        assert each.terminate() == 0
    nothing_wrong(scene)


@SLOW
@only_exactly_once
def test_a_file_that_kills_the_decoder_is_dead_after_its_crashes_restarts_included(
    scene: Scene,
) -> None:
    scene.upload("bomb", "light:crash")
    scene.upload("fine")
    scene.producer.flush()
    settings = {"REELTAG_CRASH_LIMIT": "3", "REELTAG_COMMIT_SECONDS": "1"}

    def once(worker: WorkerProcess) -> bool:
        return worker.metric("reeltag_decoder_crashes_total") == 1

    for _ in range(2):
        worker = scene.worker(**settings)
        eventually(partial(once, worker))
        time.sleep(1.7)  # a commit has carried the count; the next try is 2 s after the crash
        worker.kill()
    last = scene.worker(**settings)
    scene.wait(60)
    assert once(last)
    last.terminate()
    assert audit(scene).outcomes == {"tagged": 1, "dead_lettered": 1}


@only_exactly_once
def test_one_slow_video_does_not_stop_its_partition(scene: Scene) -> None:
    """What is finished beyond it rides in the commit, and a successor doesn't do it again."""
    scene.upload("slow", "light:slow:8")
    for number in range(200):
        scene.upload(f"v{number}")
    scene.producer.flush()
    first = scene.worker()
    eventually(lambda: first.metric("reeltag_outcomes_total", outcome="tagged") == 200)
    time.sleep(1.0)
    first.kill()
    assert not scene.settled()
    worker = scene.worker()
    scene.wait(60)
    assert worker.metric("reeltag_events_skipped_total") > 10
    worker.terminate()
    found = audit(scene)
    assert found.clean
    assert found.repeated == 0


@pytest.mark.slow
def test_a_rebalance_does_not_stop_the_partitions_that_stay(scene: Scene) -> None:
    for number in range(400):
        scene.upload(f"v{number}", "light:slow:0.02")
    scene.producer.flush()
    first = scene.worker()
    eventually(lambda: first.metric("reeltag_outcomes_total", outcome="tagged") > 5)
    second = scene.worker()
    eventually(lambda: second.metric("reeltag_partitions") == 2)
    assert first.metric("reeltag_rebalances_total", kind="lost") == 0
    scene.wait(90)
    assert {first.terminate(), second.terminate()} == {0}
    found = audit(scene)
    assert found.clean
    assert found.repeated == 0


@pytest.mark.slow
def test_static_membership_gives_a_restarted_worker_its_partitions_back(scene: Scene) -> None:
    upload(scene, 40)
    first = scene.worker(REELTAG_INSTANCE_ID="a")
    scene.wait(60)
    first.kill()
    upload(scene, 40)
    again = scene.worker(REELTAG_INSTANCE_ID="a")
    scene.wait(60)
    assert again.terminate() == 0
    nothing_wrong(scene)


@pytest.mark.slow
def test_the_newer_group_protocol(scene: Scene) -> None:
    """KIP-848, by passing ``group.protocol`` through."""
    settings = {"REELTAG_KAFKA__GROUP_PROTOCOL": "consumer"}
    scene.environment = settings
    upload(scene)
    first, second = scene.worker(), scene.worker()
    scene.wait(90)
    first.kill()
    upload(scene)
    scene.wait(90)
    assert second.terminate() == 0
    nothing_wrong(scene)
