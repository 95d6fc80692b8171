"""What the worker promises of single events, on the mock cluster and on Apache Kafka alike."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from consumer.kafka import headers_of
from consumer.pipeline import Fetched
from consumer.work import Outcome
from consumer.worker import Worker
from encoders.features import Words
from tests.delivery import Scene, audit
from tests.light import LightReader, light_stages

BOTH_MODES = pytest.mark.parametrize(
    "scene",
    [
        pytest.param("at_least_once", marks=[pytest.mark.kafka, pytest.mark.slow]),
        pytest.param("exactly_once", marks=pytest.mark.kafka),
    ],
    indirect=True,
)


def eventually(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until it is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def page(worker: Worker, path: str) -> tuple[int, str]:
    """Status and text of a page of the worker's HTTP server."""
    try:
        with urlopen(f"http://127.0.0.1:{worker.http_port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def counted(worker: Worker) -> dict[str, float]:
    """The outcome counter."""
    values = {}
    for outcome in Outcome:
        values[str(outcome)] = worker.metrics.registry.get_sample_value(
            "reeltag_outcomes_total", {"outcome": str(outcome)}
        )
    return {name: value for name, value in values.items() if value}


def test_every_upload_ends_as_one_counted_outcome(either: Scene) -> None:
    either.upload("good")
    either.upload("dark", "light:degraded")
    either.upload("gone", "light:missing")
    either.upload("evil", "light:refused")
    either.upload("bomb", "light:crash")
    either.upload("odd", "light:broken")
    either.upload("wait", "light:down:2")
    either.upload("old")
    either.upload("old", event_type="deleted")
    either.send("junk", b"{no json", "junk")
    with either.here() as worker:
        either.wait(60)
        counts = counted(worker)
    assert counts == {"tagged": 3, "degraded": 1, "deleted": 1, "dead_lettered": 5}
    found = audit(either)
    assert found.clean
    assert not found.repeated
    assert found.outcomes == counts
    assert found.last["old"] == "deleted"


def test_a_dead_letter_keeps_key_and_bytes_and_says_where_and_why(either: Scene) -> None:
    either.upload("gone", "light:missing")
    with either.here():
        either.wait(60)
    [letter] = either.read(either.dlq)
    [sent] = either.sent
    headers = headers_of(letter)
    assert headers.pop("failed_at").endswith("Z")
    assert headers == {
        "source_topic": either.uploads,
        "source_partition": str(sent.partition),
        "source_offset": str(sent.offset),
        "source_consumer_group": either.name,
        "video_version": "1",
        "attempts": "1",
        "stage": "fetch",
        "reason": "not_found",
        "error": "there is nothing there; check the URI",
        "bundle_version": "light",
    }
    assert letter.key() == b"gone"
    assert json.loads(letter.value() or b"")["event_id"] == "gone-1"


def test_a_message_without_key_is_a_dead_letter_of_its_own(mocked: Scene) -> None:
    mocked.producer.produce(mocked.uploads, value=b"{}", partition=0)
    mocked.producer.produce(mocked.uploads, value=None, key=b"v", partition=0)
    mocked.producer.flush(10)
    with mocked.here() as worker:
        mocked.wait(60)
        assert counted(worker) == {"dead_lettered": 2}
    assert sorted(str(letter.key()) for letter in mocked.read(mocked.dlq)) == ["None", "b'v'"]


@BOTH_MODES
def test_one_videos_events_keep_their_order_and_others_run_past_it(scene: Scene) -> None:
    scene.upload("slow", "light:slow:1.5")
    scene.upload("slow", "light:ok")
    for number in range(30):
        scene.upload(f"quick-{number}")
    with scene.here() as worker:
        eventually(lambda: counted(worker).get("tagged") == 30)
        scene.wait(60)
    found = audit(scene)
    assert found.clean
    assert found.out_of_order == 0
    assert found.last["slow"] == [2, 1]


@BOTH_MODES
def test_a_transient_error_blocks_no_other_video_and_keeps_its_own_order(scene: Scene) -> None:
    scene.upload("down", "light:down:3")
    scene.upload("down", "light:ok")
    for number in range(30):
        scene.upload(f"quick-{number}")
    with scene.here() as worker:
        eventually(lambda: counted(worker).get("tagged", 0) >= 30)
        scene.wait(60)
    found = audit(scene)
    assert found.clean
    assert found.out_of_order == 0
    assert found.last["down"] == [2, 1]


def test_retries_are_bounded_and_then_a_dead_letter(mocked: Scene) -> None:
    mocked.upload("down", "light:down:1000")
    with mocked.here(retry_attempts=4, retry_seconds=0.05):
        mocked.wait(60)
    [letter] = mocked.read(mocked.dlq)
    headers = headers_of(letter)
    assert (headers["attempts"], headers["reason"]) == ("4", "unavailable")


def test_a_full_pipeline_pauses_and_goes_on(mocked: Scene) -> None:
    for number in range(120):
        mocked.upload(f"v{number}")
    stages = light_stages(seconds=0.01)
    with mocked.here(stages, in_flight_events=6) as worker:
        most = 0.0

        def done() -> bool:
            nonlocal most
            load = worker.metrics.registry.get_sample_value("reeltag_in_flight_events") or 0.0
            most = max(most, load)
            return mocked.settled()

        mocked.wait(60, done)
    assert audit(mocked).clean
    assert most <= 6 + 200  # what one turn of the poll loop may bring beyond the bound


def test_health_pages(mocked: Scene) -> None:
    mocked.upload("v")
    with mocked.here() as worker:
        eventually(lambda: page(worker, "/readyz")[0] == 200)
        mocked.wait(60)
        assert page(worker, "/livez") == (200, "ok\n")
        status, text = page(worker, "/metrics")
        assert status == 200
        assert 'reeltag_outcomes_total{outcome="tagged"} 1.0' in text
        assert page(worker, "/")[0] == 404


def test_too_many_dead_letters_stop_the_intake_and_say_so(mocked: Scene) -> None:
    for number in range(1000):
        mocked.upload(f"bad-{number}", "light:missing")
    with mocked.here() as worker:
        eventually(lambda: "too many dead letters" in page(worker, "/readyz")[1])
        eventually(lambda: "limit_reached 1.0" in page(worker, "/metrics")[1])
        assert page(worker, "/livez")[0] == 200
        eventually(lambda: not worker.metrics.registry.get_sample_value("reeltag_in_flight_events"))
        stopped = counted(worker)["dead_lettered"]
        time.sleep(0.5)
        assert counted(worker)["dead_lettered"] == stopped < 1000
        assert not mocked.settled()


class ComesBack(LightReader):
    """Finds nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.there = threading.Event()

    def read(self, uri: str, words: Words) -> Fetched:
        """The error of a mount that is away, or what LightReader reads."""
        return super().read(uri if self.there.is_set() else "light:missing", words)


def test_a_worker_finds_its_way_back_from_too_many_dead_letters(mocked: Scene) -> None:
    for number in range(400):
        mocked.upload(f"v{number}")
    reader = ComesBack()
    stages = replace(light_stages(), reader=reader)
    with mocked.here(stages, in_flight_events=10, dead_letter_pause_seconds=0.2) as worker:
        eventually(lambda: "too many dead letters" in page(worker, "/readyz")[1])
        assert not mocked.settled()
        reader.there.set()
        mocked.wait(60)
        eventually(lambda: page(worker, "/readyz")[0] == 200)
        counts = counted(worker)
    assert counts["tagged"] + counts["dead_lettered"] == 400
    assert 50 <= counts["dead_lettered"] < 400
    assert audit(mocked).clean


def test_a_host_that_is_down_holds_up_no_other_video_however_many_wait(mocked: Scene) -> None:
    for number in range(40):
        mocked.upload(f"down-{number}", f"light:down:1000:{number}")
    for number in range(60):
        mocked.upload(f"good-{number}")
    with mocked.here(retry_events=5, retry_seconds=100.0, in_flight_events=10) as worker:
        eventually(lambda: counted(worker) == {"tagged": 60, "dead_lettered": 35})
        value = worker.metrics.registry.get_sample_value
        eventually(lambda: value("reeltag_retrying_events") == 5)
    letters = mocked.read(mocked.dlq)
    assert {headers_of(letter)["reason"] for letter in letters} == {"unavailable"}
    assert all("too many wait" in headers_of(letter)["error"] for letter in letters)


@BOTH_MODES
def test_ending_finishes_what_is_under_way_and_leaves_the_rest_to_the_next(scene: Scene) -> None:
    for number in range(40):
        scene.upload(f"v{number}", "light:slow:0.1")
    scene.producer.flush()
    with scene.here() as worker:
        eventually(lambda: bool(counted(worker)))
    assert 0 < len(scene.read(scene.tags)) < 40
    with scene.here():
        scene.wait(60)
    found = audit(scene)
    assert found.clean
    assert not found.repeated


@pytest.mark.kafka
def test_a_dead_letter_too_large_for_the_broker_leaves_its_value_at_the_source(
    scene: Scene,
) -> None:
    scene.upload("large", "light:missing", description="x" * 999_700)
    scene.upload("small", "light:missing")
    with scene.here():
        scene.wait(60)
    letters = {letter.key(): letter for letter in scene.read(scene.dlq)}
    assert letters[b"large"].value() is None
    assert int(headers_of(letters[b"large"])["value_omitted"]) > 999_700
    assert letters[b"small"].value() is not None
