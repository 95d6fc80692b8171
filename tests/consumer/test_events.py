"""The wire contracts."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.events import BundleName, EventType, parse_upload, schemas, tag_event
from encoders.errors import EventError
from encoders.features import Modality, State
from tests.light import LightTag

GOOD: dict[str, Any] = {
    "schema_version": 1,
    "event_id": "e1",
    "event_type": "created",
    "video_id": "v1",
    "video_version": 12,
    "uploader_id": "u1",
    "uri": "https://cdn.example/v1.mp4",
    "title": "a cat",
    "description": "at play",
    "language": "en",
    "uploaded_at": "2026-01-01T12:00:00+02:00",
    "unknown": {"fields": "are ignored"},
}
OPTIONAL = ("video_version", "uploader_id", "description", "language")
USED = dict.fromkeys(Modality, State.USED)


def raw(**changes: object) -> bytes:
    """The good event with changes; a field set to ... is left out."""
    event = {**GOOD, **changes}
    return json.dumps({name: value for name, value in event.items() if value is not ...}).encode()


def test_a_whole_event() -> None:
    event = parse_upload(b"v1", raw())
    assert event.event_type is EventType.CREATED
    assert event.video_version == 12
    assert event.words.text == "a cat. at play"


@pytest.mark.parametrize("name", OPTIONAL)
def test_optional_fields_may_be_absent_or_null(name: str) -> None:
    assert getattr(parse_upload(b"v1", raw(**{name: ...})), name) is None
    assert getattr(parse_upload(b"v1", raw(**{name: None})), name) is None


def test_a_deletion_needs_only_its_ids() -> None:
    value = raw(event_type="deleted", uri=..., title=..., uploaded_at=...)
    assert parse_upload(b"v1", value).event_type is EventType.DELETED


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (None, raw(), "no key"),
        (b"v1", None, "no value"),
        (b"v2", raw(), "not its video_id"),
        (b"v1", b"{", "not JSON"),
        (b"v1", b"\xff\xfe", "not JSON"),
        (b"v1", b"[]", "contract"),
        (b"v1", raw(schema_version=2), "schema_version"),
        (b"v1", raw(schema_version="1"), "schema_version"),
        (b"v1", raw(event_type="renamed"), "event_type"),
        (b"v1", raw(event_id=""), "event_id"),
        (b"v1", raw(event_id=...), "event_id"),
        (b"v1", raw(video_id=5), "video_id"),
        (b"v1", raw(video_version="12"), "video_version"),
        (b"v1", raw(video_version=True), "video_version"),
        (b"v1", raw(video_version=-1), "video_version"),
        (b"v1", raw(video_version=1 << 70), "video_version"),
        (b"v1", raw(uri=...), "uri is missing"),
        (b"v1", raw(title=...), "title is missing"),
        (b"v1", raw(uploaded_at="yesterday"), "uploaded_at"),
        (b"v1", raw(uploaded_at="2026-01-01T12:00:00"), "uploaded_at"),
        (b"v1", raw(title="\ud800"), "contract|JSON"),
        (b"v1", b'{"a":' * 5000, "JSON"),
    ],
)
def test_what_breaks_the_contract_is_refused(
    key: bytes | None, value: bytes | None, says: str
) -> None:
    with pytest.raises(EventError, match=says):
        parse_upload(key, value)


def test_an_error_does_not_repeat_the_value() -> None:
    with pytest.raises(EventError) as raised:
        parse_upload(b"v1", raw(uploaded_at="https://user:secret@host/"))
    assert "secret" not in str(raised.value)


@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
        lambda value: json.dumps({**GOOD, "title": value}).encode()
    )
)
def test_anything_is_an_event_or_an_event_error(value: bytes) -> None:
    with suppress(EventError):
        assert parse_upload(b"v1", value).video_id == "v1"


def made(states: dict[Modality, State], digest: str = "sha256:1") -> dict[str, Any]:
    """A tag event as it is published."""
    event = parse_upload(b"v1", raw())
    tags = [LightTag("t-cat", "cat", 0.93)]
    bundle = BundleName(version="7", digest=digest)
    found: dict[str, Any] = json.loads(
        tag_event(event, 12, tags, states, bundle, 3).model_dump_json()
    )
    return found


def test_a_tag_event_as_the_contract_has_it() -> None:
    event = made({**USED, Modality.AUDIO: State.MISSING})
    tagged_at = event.pop("tagged_at")
    assert "T" in tagged_at
    assert tagged_at.endswith("Z")
    uuid.UUID(event.pop("event_id"))
    assert event == {
        "schema_version": 1,
        "source_event_id": "e1",
        "video_id": "v1",
        "revision": [12, 3],
        "outcome": "tagged",
        "tags": [{"tag_id": "t-cat", "tag": "cat", "score": 0.93, "channels": ["text"]}],
        "modalities": {"text": "used", "visual": "used", "audio": "missing"},
        "bundle": {"version": "7", "digest": "sha256:1"},
    }


def test_one_failed_modality_makes_it_degraded() -> None:
    assert made({**USED, Modality.VISUAL: State.FAILED})["outcome"] == "degraded"
    assert made({**USED, Modality.TEXT: State.UNSUPPORTED})["outcome"] == "tagged"


def test_the_same_work_twice_has_the_same_id_and_other_work_another() -> None:
    once = made(USED)["event_id"]
    assert made(USED)["event_id"] == once
    assert made(USED, digest="sha256:2")["event_id"] != once
    assert made({**USED, Modality.VISUAL: State.FAILED})["event_id"] != once


def test_schemas_name_the_required_fields() -> None:
    upload = schemas()["upload_event"]
    assert set(upload["required"]) == {"schema_version", "event_id", "event_type", "video_id"}
    assert upload["else"]["required"] == ["uri", "title", "uploaded_at"]
    assert schemas()["tag_event"]["properties"]["outcome"]["enum"] == ["tagged", "degraded"]
