"""Dead letters: how they are made."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from consumer.events import DeadLetterHeaders
from consumer.work import Outcome, Record, Result, Stage, Work

ERROR_CHARACTERS = 500
CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
QUERY = re.compile(r"(?<=[^\s?])\?[^\s'\"]*[=&][^\s'\"]*")


def without_secrets(text: str) -> str:
    """``text`` without users, passwords and queries of URIs (signatures live there)."""
    return QUERY.sub("?…", CREDENTIALS.sub("", text))[:ERROR_CHARACTERS]


class DeadLetters:
    """Makes dead letters: the original key and bytes, with headers that say where, when and why."""

    def __init__(self, topic: str, group: str, bundle_version: str) -> None:
        self._topic = topic
        self._group = group
        self._bundle_version = bundle_version

    def make(self, work: Work, stage: Stage, reason: str, error: str) -> Result:
        """The result that sends ``work`` to the dead-letter topic."""
        source = work.source
        headers = DeadLetterHeaders(
            source_topic=source.partition.topic,
            source_partition=source.partition.number,
            source_offset=source.offset,
            source_consumer_group=self._group,
            video_version=source.offset if source.version is None else source.version,
            attempts=work.before + work.attempts,
            stage=stage,
            reason=reason,
            error=without_secrets(error),
            bundle_version=self._bundle_version,
            failed_at=datetime.now(UTC),
        )
        smaller = headers.model_copy(update={"value_omitted": len(work.value or b"")})
        return Result(
            work,
            Outcome.DEAD_LETTERED,
            Record(self._topic, work.key, work.value, headers.to_bytes()),
            fallback=Record(self._topic, work.key, None, smaller.to_bytes()),
            stage=stage,
            reason=reason,
        )
