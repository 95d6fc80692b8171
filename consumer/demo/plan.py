"""What the demo uploads, and how each upload must end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import av

from encoders.errors import CorpusError

METADATA_ADDRESS = "https://169.254.169.254/latest/meta-data/"
"""Where clouds keep a machine's credentials: an upload must never make the worker read it."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One message for the uploads topic. ``expected`` is the outcome it must end with."""

    key: str
    value: bytes
    event_id: str
    title: str
    expected: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample clip, as deploy/samples/samples.jsonl lists them."""

    video_id: str
    path: Path
    fields: Mapping[str, Any]


def read_samples(samples: Path) -> list[Sample]:
    """The clips that ``samples`` (JSON Lines, ``uri`` relative to it) lists.

    Raises CorpusError where there are too few for the demo, or a clip is not there.
    """
    found = []
    for line in samples.read_text().splitlines():
        row = json.loads(line)
        path = (samples.parent / row["uri"]).resolve()
        if not path.is_file():
            raise CorpusError(f"{samples} names {path}, which is not there: restore the file.")
        words = {
            k: row[k] for k in ("title", "description", "language", "uploader_id") if row.get(k)
        }
        found.append(Sample(row["video_id"], path, words))
    if len(found) < 2:
        raise CorpusError(f"{samples} must list at least two clips.")
    return found


def plan_uploads(samples: list[Sample], scratch: Path) -> list[Upload]:
    """Every clip once; then a changed title, a deletion, and uploads that can't be read.

    Damaged copies are written into ``scratch``.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    first, second = samples[0], samples[1]
    uploads = [upload_of(sample, sample.path.as_uri(), "tagged") for sample in samples]
    damaged = scratch / f"truncated{first.path.suffix}"
    damaged.write_bytes(first.path.read_bytes()[:1000])
    blind = scratch / f"no-picture{second.path.suffix}"
    spoil_picture(second.path, blind)
    title = f"{first.fields.get('title', '')} (new cut)".strip()
    uploads += [
        upload_of(
            first, first.path.as_uri(), "tagged", event_type="updated", video_version=2, title=title
        ),
        upload_of(second, second.path.as_uri(), "deleted", event_type="deleted", video_version=2),
        upload_of(second, blind.as_uri(), "degraded", video_id="no-picture"),
        upload_of(first, damaged.as_uri(), "dead_lettered", video_id="truncated"),
        upload_of(first, METADATA_ADDRESS, "dead_lettered", video_id="refused-host"),
        Upload("bad-json", b'{"schema_version": 1, "video_id": "bad-', "", "", "dead_lettered"),
    ]
    return uploads


def upload_of(sample: Sample, uri: str, expected: str, **changed: Any) -> Upload:
    """An upload of ``sample``'s words with the media at ``uri``; ``changed``: other fields."""
    event = {
        "schema_version": 1,
        "event_id": str(uuid4()),
        "event_type": "created",
        "video_id": sample.video_id,
        "video_version": 1,
        "uri": uri,
        "title": "",
        "uploaded_at": datetime.now(UTC).isoformat(),
        **sample.fields,
        **changed,
    }
    value = json.dumps(event, ensure_ascii=False).encode()
    return Upload(event["video_id"], value, event["event_id"], event["title"], expected)


def spoil_picture(source: Path, target: Path) -> None:
    """Copy a clip with every byte of its picture zeroed; container and sound stay whole."""
    data = bytearray(source.read_bytes())
    for start, size in _picture_packets(source):
        data[start : start + size] = bytes(size)
    target.write_bytes(data)


def _picture_packets(path: Path) -> Iterator[tuple[int, int]]:
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.pos is not None and packet.size:
                yield packet.pos, packet.size
