"""Sudden ends of the worker are counted against the events that were under way, and no others."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from consumer.in_flight import Bounds, InFlight
from consumer.kafka import headers_of
from consumer.marks import Marks
from consumer.work import Partition, Source, Ticket, Work
from tests.delivery import Scene, audit

UPLOADS = Partition("uploads", 0)


def ticket(offset: int, epoch: int = 1) -> Ticket:
    """An event's receipt."""
    return Ticket(UPLOADS, epoch, offset)


def test_a_try_that_nobody_ended_is_a_sudden_end(tmp_path: Path) -> None:
    assert Marks.of(tmp_path, "g").begin(ticket(7)) == 0
    assert Marks.of(tmp_path, "g").begin(ticket(7)) == 1
    marks = Marks.of(tmp_path, "g")
    assert marks.begin(ticket(7)) == 2
    marks.end(ticket(7))
    assert marks.begin(ticket(7)) == 2
    assert marks.begin(ticket(8)) == 0


def test_what_ended_leaves_nothing(tmp_path: Path) -> None:
    marks = Marks.of(tmp_path, "g")
    for offset in range(3):
        marks.begin(ticket(offset))
    marks.end(ticket(0))
    marks.end(ticket(0))
    marks.end_all()
    assert list((tmp_path / "g").iterdir()) == []
    assert Marks.of(tmp_path, "g").begin(ticket(1)) == 0


def test_groups_and_partitions_are_apart_and_finished_events_forgotten(tmp_path: Path) -> None:
    marks = Marks.of(tmp_path, "a/b")
    marks.begin(ticket(3))
    marks.begin(ticket(30))
    marks.begin(Ticket(Partition("uploads-0", 1), 1, 3))
    Marks.of(tmp_path, "a/b").forget(UPLOADS, 10)
    again = Marks.of(tmp_path, "a/b")
    assert again.begin(ticket(3)) == 0
    assert again.begin(ticket(30)) == 1
    assert again.begin(Ticket(Partition("uploads-0", 1), 1, 3)) == 1
    assert Marks.of(tmp_path, "other").begin(ticket(30)) == 0


def test_a_folder_that_is_a_link_or_a_file_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        assert Marks.of(tmp_path / name, "g").begin(ticket(1)) == 0
        assert Marks.of(tmp_path / name, "g").begin(ticket(1)) == 0
    assert list((tmp_path / "real").iterdir()) == []


def received(in_flight: InFlight, count: int) -> list[Work]:
    """That many events of different videos, ready to be started."""
    in_flight.open(UPLOADS, 0, None)
    for offset in range(count):
        in_flight.receive(UPLOADS, offset, b"v%d" % offset, b"{}", Source(UPLOADS, offset))
    ready = [in_flight.ready.get_nowait() for _ in range(count)]
    return [work for work in ready if work is not None]


def test_those_that_were_under_way_are_tried_one_at_a_time(tmp_path: Path) -> None:
    now = 0.0
    bounds = Bounds(100, 1 << 20, 100)
    before = InFlight(bounds, marks=Marks.of(tmp_path, "g"))
    for work in received(before, 2):
        before.start(work)

    after = InFlight(bounds, lambda: now, Marks.of(tmp_path, "g"))
    first, second, third = received(after, 3)
    assert after.start(first)
    assert not after.start(second)
    assert after.start(third)
    assert (first.deaths, third.deaths) == (1, 0)
    now = 1.0
    after.tick()
    assert after.ready.get_nowait() is second
    assert not after.start(second)
    after.settle([first])
    now = 2.0
    after.tick()
    assert after.ready.get_nowait() is second
    assert after.start(second)
    assert (second.deaths, second.attempts) == (1, 1)


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.parametrize("scene", ["exactly_once"], indirect=True)
def test_an_event_that_kills_the_worker_is_a_dead_letter_after_its_limit(scene: Scene) -> None:
    """Those beside it are tagged, and a worker told to end counts against nobody."""
    for number in range(40):
        scene.upload(f"v{number}", "light:kill" if number == 5 else "light:slow:0.1")
    scene.producer.flush()
    settings = {"REELTAG_DEATH_LIMIT": "3", "REELTAG_INSTANCE_ID": "a", "REELTAG_FETCHERS": "4"}
    for _ in range(3):
        worker = scene.worker(**settings)
        assert worker.process.wait(60) == -signal.SIGKILL
    worker = scene.worker(**settings)
    scene.wait(60)
    assert worker.terminate() == 0
    found = audit(scene)
    assert found.clean
    assert found.outcomes == {"tagged": 39, "dead_lettered": 1}
    [letter] = scene.read(scene.dlq)
    assert letter.key() == b"v5"
    assert headers_of(letter)["reason"] == "worker_died"
    assert json.loads(letter.value() or b"{}")["uri"] == "light:kill"
    left = list((scene.folder / "state" / scene.name).iterdir())
    assert len(left) <= 5  # of events that others finished, until their partition is opened again
