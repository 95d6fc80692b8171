"""The demo's parts: what it plans to upload, and how it pairs what comes out."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import av
import pytest
from confluent_kafka import Producer
from rich.console import Console

from consumer.demo.broker import Broker, embedded_broker
from consumer.demo.plan import Upload, plan_uploads, read_samples, spoil_picture
from consumer.demo.results import Result, Results
from consumer.demo.table import ResultTable
from encoders.errors import CorpusError
from tests.synthetic import clip


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Three sample clips and the file that lists them."""
    rows = []
    for number in range(3):
        clip(tmp_path / f"{number}.mp4", seconds=0.5)
        rows.append(
            {"video_id": f"clip-{number}", "uri": f"{number}.mp4", "title": f"title {number}"}
        )
    listing = tmp_path / "samples.jsonl"
    listing.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return listing


def test_plan_holds_every_clip_and_each_way_to_end(samples: Path, tmp_path: Path) -> None:
    uploads = plan_uploads(read_samples(samples), tmp_path / "scratch")
    assert [upload.expected for upload in uploads] == [
        *["tagged"] * 4,
        "deleted",
        "degraded",
        *["dead_lettered"] * 3,
    ]
    assert len({upload.event_id for upload in uploads}) == len(uploads)


def test_an_update_comes_after_its_creation_with_a_greater_version(
    samples: Path, tmp_path: Path
) -> None:
    uploads = plan_uploads(read_samples(samples), tmp_path / "scratch")
    events = [json.loads(upload.value) for upload in uploads if upload.key == "clip-0"]
    assert [(event["event_type"], event["video_version"]) for event in events] == [
        ("created", 1),
        ("updated", 2),
    ]


def test_a_listed_clip_that_is_not_there_is_named(samples: Path) -> None:
    (samples.parent / "1.mp4").unlink()
    with pytest.raises(CorpusError, match=r"1\.mp4"):
        read_samples(samples)


def test_a_spoiled_picture_leaves_container_and_sound_whole(tmp_path: Path) -> None:
    source = clip(tmp_path / "whole.mp4", seconds=0.5)
    spoil_picture(source, tmp_path / "spoiled.mp4")
    with av.open(str(tmp_path / "spoiled.mp4")) as container:
        sounds = list(container.decode(container.streams.audio[0]))
    assert len(sounds) > 10
    with av.open(str(tmp_path / "spoiled.mp4")) as container, pytest.raises(av.FFmpegError):
        list(container.decode(container.streams.video[0]))


def wait_for(results: Results) -> Result:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if (result := results.poll(0.1)) is not None:
            return result
    raise AssertionError("no result within ten seconds")


def upload(key: str, expected: str) -> Upload:
    value = json.dumps({"event_id": f"event-{key}"}).encode()
    return Upload(key, value, f"event-{key}", f"title {key}", expected)


def send(broker: Broker, topic: str, key: str, value: bytes | None, **headers: str) -> None:
    producer = Producer(dict(broker.client))
    producer.produce(topic, value, key, headers=list(headers.items()))
    assert producer.flush(10) == 0


def test_results_answer_their_uploads() -> None:
    with embedded_broker() as broker:
        results = Results(broker)
        tagged, deleted, refused = (
            upload("a", "tagged"),
            upload("b", "deleted"),
            upload("c", "dead_lettered"),
        )
        for one in (tagged, deleted, refused):
            results.expect(one)
        tags = [{"tag": "cat", "score": 0.9, "channels": ["text"]}]
        event = {"source_event_id": "event-a", "outcome": "tagged", "tags": tags}
        send(broker, broker.tags, "a", json.dumps(event).encode())
        first = wait_for(results)
        assert (first.upload, first.outcome, first.tags) == (tagged, "tagged", tags)
        send(broker, broker.tags, "b", None)
        assert wait_for(results).outcome == "deleted"
        send(broker, broker.dead_letters, "c", refused.value, reason="refused", error="not allowed")
        assert wait_for(results).reason == "refused: not allowed"
        assert results.waiting == []
        results.close()


def test_a_repeated_tag_event_is_one_result() -> None:
    with embedded_broker() as broker:
        results = Results(broker)
        results.expect(upload("a", "tagged"))
        event = json.dumps({"source_event_id": "event-a", "outcome": "tagged", "tags": []}).encode()
        send(broker, broker.tags, "a", event)
        send(broker, broker.tags, "a", event)
        assert wait_for(results).outcome == "tagged"
        assert [results.poll(0.1) for _ in range(5)] == [None] * 5
        results.close()


@pytest.mark.parametrize("width", [80, 130])
def test_rows_keep_to_the_width_and_hold_every_tag(width: int) -> None:
    out = io.StringIO()
    table = ResultTable(1, Console(file=out, width=width))
    tags = [
        {"tag": f"tag{n}", "score": 0.5, "channels": ["text", "visual", "multimodal"]}
        for n in range(3)
    ]
    table.head()
    table.add(Result(upload("a", "tagged"), "tagged", tags, milliseconds=12.3))
    lines = out.getvalue().splitlines()
    assert max(len(line) for line in lines) <= width
    assert all(any(f"tag{n}" in line for line in lines) for n in range(3))
