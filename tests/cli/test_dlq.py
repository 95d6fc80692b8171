"""`reeltag dlq` on a real broker: what is listed, shown, and refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from consumer.cli import main
from consumer.events import DeadLetterHeaders
from tests.kafka_broker import Broker, unique

pytestmark = pytest.mark.kafka
EVENT = b'{"event_id": "e1", "video_id": "v1"}'


@pytest.fixture
def config(kafka: Broker, tmp_path: Path) -> Path:
    """Settings of a dead-letter topic with two letters, one of them not even text."""
    topic = unique("dlq")
    kafka.create(topic, partitions=1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for key, value, reason in ((b"v1", EVENT, "unavailable"), (b"\xff", b"\xfe", "bad_event")):
        why = DeadLetterHeaders(
            source_topic="video.uploads",
            source_partition=0,
            source_offset=7,
            source_consumer_group="reeltag",
            video_version=7,
            attempts=1,
            stage="fetch",
            reason=reason,
            error="the server does not answer",
            bundle_version="b1",
            failed_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
        )
        producer.produce(topic, value, key, headers=list(why.to_bytes().items()))
    assert producer.flush(10) == 0
    file = tmp_path / "reeltag.toml"
    file.write_text(f'bootstrap_servers = "{kafka.bootstrap}"\ndlq_topic = "{topic}"\n')
    return file


def dlq(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["dlq", *arguments, "--config", str(config)])


def test_list_has_a_line_a_letter_and_counts(config: Path) -> None:
    result = dlq(config, "list")
    assert result.exit_code == 0, result.output
    assert "0:0  2026-01-31T12:00:00+00:00  v1  fetch unavailable" in result.stdout
    assert "2 dead letters" in result.stdout
    assert "1  fetch bad_event" in result.stdout


@pytest.mark.parametrize(
    ("option", "value", "places"),
    [
        ("--reason", "unavailable", ["0:0"]),
        ("--stage", "parse", []),
        ("--since", "2026-01-31T12:00:00Z", ["0:0", "0:1"]),
        ("--until", "2026-01-31T12:00:00Z", []),
    ],
)
def test_options_choose(config: Path, option: str, value: str, places: list[str]) -> None:
    result = dlq(config, "list", "--json", option, value)
    assert [json.loads(line)["place"] for line in result.stdout.splitlines()] == places


def test_show_gives_the_original_bytes_as_text(config: Path) -> None:
    assert json.loads(dlq(config, "show", "0:0").stdout)["value"] == EVENT.decode()
    assert json.loads(dlq(config, "show", "0:1").stdout)["value"] == "\\xfe"


@pytest.mark.parametrize(
    "arguments", [("show", "0:9"), ("show", "nonsense"), ("list", "--since", "yesterday")]
)
def test_what_can_not_be_understood_is_one_sentence(
    config: Path, arguments: tuple[str, ...]
) -> None:
    result = dlq(config, *arguments)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
