"""One upload event on its way through the worker, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """Every upload event ends as exactly one of these."""

    TAGGED = "tagged"
    DEGRADED = "degraded"
    DELETED = "deleted"
    DEAD_LETTERED = "dead_lettered"
    SUPERSEDED = "superseded"


class Stage(StrEnum):
    """Where an event can fail; the dead letter's header ``stage`` names it."""

    PARSE = "parse"
    FETCH = "fetch"  # fetch and decode
    ENCODE = "encode"
    TAG = "tag"  # recall and rank
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A partition of a topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Ticket:
    """The receipt of one message: where it lay, and the assignment (epoch) it was received in."""

    partition: Partition
    epoch: int
    offset: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where an upload event lies in the uploads topic; carried along by replay and dead letters.

    ``version``  its ``video_version``, or its offset where it has none; None until it is parsed.
    """

    partition: Partition
    offset: int
    version: int | None = None


@dataclass(slots=True, eq=False)
class Work:
    """One upload event taken in and not settled yet. Owned by one thread at a time.

    ``attempts``  tries so far; ``before`` those of earlier lives, where it is done ``again``.
    ``crashes``   tries that killed the decoder, restarts included.
    ``deaths``    tries during which the worker itself ended suddenly.
    ``began``     when it was received, in seconds of the running clock.
    ``held``      bytes it holds: the message, and its decoded media while there are some.
    """

    ticket: Ticket
    key: bytes | None
    value: bytes | None
    source: Source
    began: float
    again: bool = False
    before: int = 0
    attempts: int = 0
    crashes: int = 0
    deaths: int = 0
    held: int = 0

    @property
    def lane(self) -> bytes | Ticket:
        """Events with equal lanes are done one after the other; a null key has its own."""
        return self.ticket if self.key is None else self.key


@dataclass(frozen=True, slots=True)
class Record:
    """A message to be published."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """How one upload event ended, and what is published for it (nothing where superseded)."""

    work: Work
    outcome: Outcome
    record: Record | None
    fallback: Record | None = None
    """Published instead where the broker finds ``record`` too large."""
    stage: Stage | None = None
    reason: str = ""
    """Where and why it failed, of a dead letter."""
