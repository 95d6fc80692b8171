"""The wire models: upload events in, tag events out. One pydantic model each.

An upload event that breaks the contract raises EventError, whose text names the field and never
repeats its value. Times are RFC 3339. Unknown fields are ignored.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from encoders.errors import EventError
from encoders.features import Modality, State, Words

SCHEMA_VERSION = 1
NAMESPACE = uuid.UUID("9e15d746-cb24-44e6-999d-3065efbbce54")
"""Namespace of the tag events' ids (UUIDv5, RFC 9562); never to be changed."""

Id = Annotated[str, Field(min_length=1, max_length=1024)]


class EventType(StrEnum):
    """What happened to the video."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class UploadEvent(BaseModel):
    """One message of the uploads topic; its key is ``video_id``.

    ``uri``, ``title`` and ``uploaded_at`` may be absent only where the video is deleted.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        json_schema_extra={
            "if": {"properties": {"event_type": {"const": "deleted"}}},
            "else": {"required": ["uri", "title", "uploaded_at"]},
        },
    )

    schema_version: Literal[1]
    event_id: Id
    event_type: EventType
    video_id: Id
    video_version: int | None = Field(None, ge=0, lt=1 << 63)
    uploader_id: Annotated[str, Field(max_length=1024)] | None = None
    uri: Annotated[str, Field(min_length=1)] | None = None
    title: str | None = None
    description: str | None = None
    language: str | None = None
    uploaded_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _complete(self) -> UploadEvent:
        if self.event_type is not EventType.DELETED:
            for name in ("uri", "title", "uploaded_at"):
                if getattr(self, name) is None:
                    raise ValueError(f"{name} is missing")
        return self

    @property
    def words(self) -> Words:
        """The words that came with the upload."""
        return Words(self.title or "", self.description or "", self.language or None)


def parse_upload(key: bytes | None, value: bytes | None) -> UploadEvent:
    """The upload event of one message; raises EventError where it breaks the contract."""
    if key is None:
        raise EventError("the message has no key; its key must be the video_id")
    if value is None:
        raise EventError("the message has no value; to delete a video send an event 'deleted'")
    try:
        event = UploadEvent.model_validate_json(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "json_invalid":
            raise EventError("the message is not JSON; send one JSON object") from None
        if where == "schema_version":
            raise EventError(
                f"unknown schema_version; this worker reads {SCHEMA_VERSION}"
            ) from None
        what = f"{where}: {first['msg']}" if where else first["msg"]
        raise EventError(f"the upload event breaks the contract: {what}") from None
    if key != event.video_id.encode():
        raise EventError("the message's key is not its video_id; send both the same")
    return event


class PublishedTag(BaseModel):
    """One tag of a tag event."""

    model_config = ConfigDict(frozen=True)

    tag_id: str
    tag: str
    score: float
    channels: tuple[str, ...]


class BundleName(BaseModel):
    """Which bundle made a tag event."""

    model_config = ConfigDict(frozen=True)

    version: str
    digest: str


class TagEvent(BaseModel):
    """One message of the tags topic; its key is ``video_id``. A reader keeps the greatest revision.

    ``event_id``  the same for the same work done twice.
    ``revision``  [video_version or the event's offset, the bundle's generation].
    """

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    event_id: str
    source_event_id: str
    video_id: str
    revision: tuple[int, int]
    outcome: Literal["tagged", "degraded"]
    tags: tuple[PublishedTag, ...]
    modalities: Mapping[Modality, State]
    bundle: BundleName
    tagged_at: AwareDatetime


class Scored(Protocol):
    """A tag as the tagger publishes it (rank.tagger.ScoredTag)."""

    @property
    def tag_id(self) -> str: ...
    @property
    def tag(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def channels(self) -> Sequence[str]: ...


def tag_event(
    event: UploadEvent,
    version: int,
    tags: Sequence[Scored],
    states: Mapping[Modality, State],
    bundle: BundleName,
    generation: int,
) -> TagEvent:
    """The tag event of one upload event: ``degraded`` where a modality failed."""
    outcome: Literal["tagged", "degraded"] = (
        "degraded" if State.FAILED in states.values() else "tagged"
    )
    flags = ",".join(f"{modality}={states[modality]}" for modality in Modality)
    name = "\n".join((event.event_id, bundle.digest, outcome, flags))
    return TagEvent(
        event_id=str(uuid.uuid5(NAMESPACE, name)),
        source_event_id=event.event_id,
        video_id=event.video_id,
        revision=(version, generation),
        outcome=outcome,
        tags=tuple(
            PublishedTag(
                tag_id=tag.tag_id,
                tag=tag.tag,
                score=round(float(tag.score), 6),
                channels=tuple(str(channel) for channel in tag.channels),
            )
            for tag in tags
        ),
        modalities={modality: states[modality] for modality in Modality},
        bundle=bundle,
        tagged_at=datetime.now(UTC),
    )


class DeadLetterHeaders(BaseModel):
    """The headers of a dead letter: where the upload event lies, and why it failed.

    ``value_omitted``  size of the original value, where the broker found it too large with these
    headers; it still lies at the source.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    source_topic: str
    source_partition: int
    source_offset: int
    source_consumer_group: str
    video_version: int
    attempts: int
    stage: str
    reason: str
    error: str
    bundle_version: str
    failed_at: AwareDatetime
    value_omitted: int | None = None

    def to_bytes(self) -> dict[str, bytes]:
        """As Kafka carries them."""
        fields = self.model_dump(mode="json", exclude_none=True)
        return {name: str(value).encode("utf-8", "replace") for name, value in fields.items()}


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema of both contracts, by name."""
    return {
        "upload_event": UploadEvent.model_json_schema(),
        "tag_event": TagEvent.model_json_schema(mode="serialization"),
        "dead_letter_headers": DeadLetterHeaders.model_json_schema(),
    }
