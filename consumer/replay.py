"""`reeltag replay`: what was uploaded between two times or offsets is tagged again.

Only the newest event of each video is asked for; a deleted video is left alone; what is overtaken
while it waits, the worker leaves out. Killed half-way and started again with the same arguments, it
goes on: what it has asked for is not asked for twice.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from consumer import scan
from consumer.again import AgainHeaders
from consumer.events import parse_upload
from consumer.requests import Replayer, Told
from consumer.settings import Settings
from encoders.errors import EventError, SettingError


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to. The events of its stretch are one of these each.

    ``asked`` put into the replay topic now; ``before`` put there by the same command, which was
    stopped; ``superseded`` by a newer event of the video; ``deleted`` since; ``others`` are videos
    that were not named; ``unreadable`` break the contract and are dead letters.
    """

    asked: int = 0
    before: int = 0
    superseded: int = 0
    deleted: int = 0
    others: int = 0
    unreadable: int = 0


def replay(
    settings: Settings,
    *,
    start: str,
    end: str | None = None,
    videos: Path | None = None,
    told: Told | None = None,
    wait: bool = True,
) -> Replayed:
    """Ask the workers to tag again what lies from ``start`` to ``end``, and wait until they have.

    Raises SettingError where a bound can't be read, KafkaError where Kafka can't be used.
    """
    named = read_names(videos)
    replayer = Replayer.open(settings, told)
    client = replayer.client
    whole = {number: scan.whole(client, replayer.uploads(number)) for number in replayer.numbers}
    begin = {n: scan.offset_at(client, each, start, "--from") for n, each in whole.items()}
    stop = {
        n: each.end if end is None else scan.offset_at(client, each, end, "--to")
        for n, each in whole.items()
    }
    run = name_of(settings, start, end, named)
    begun = replayer.done()
    attempt, before = replayer.unfinished(run)
    newest = replayer.newest(
        "looking for the newest events",
        {n: scan.Stretch(each.partition, begin[n], each.end) for n, each in whole.items()},
    )
    counts = dict.fromkeys(Replayed.__dataclass_fields__, 0)
    stretches = [scan.Stretch(each.partition, begin[n], stop[n]) for n, each in whole.items()]
    for message in replayer.read("asking for them", stretches):
        number, offset = message.partition() or 0, message.offset() or 0
        key, value = message.key(), message.value()
        try:
            event = parse_upload(key, value)
        except EventError:
            counts["unreadable"] += 1
            continue
        last = newest[number].get(key or b"")
        if named is not None and event.video_id not in named:
            counts["others"] += 1
        elif last is not None and last.deleted:
            counts["deleted"] += 1
        elif last is None or last.offset != offset:
            counts["superseded"] += 1
        elif (number, offset) in before:
            counts["before"] += 1
        else:
            counts["asked"] += 1
            why = AgainHeaders(
                source_topic=settings.uploads_topic,
                source_partition=number,
                source_offset=offset,
                seen=whole[number].end,
                run=run,
                run_attempt=attempt,
                video_version=offset if event.video_version is None else event.video_version,
            )
            replayer.ask(number, key, value, why)
    replayer.end(run)
    if wait:
        replayer.wait("tagged again", begun)
    return Replayed(**counts)


def read_names(videos: Path | None) -> frozenset[str] | None:
    """The video ids of a file, one a line; None where there is no file."""
    if videos is None:
        return None
    try:
        lines = videos.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{videos} can't be read as text: {type(error).__name__}") from error
    return frozenset(line.strip() for line in lines if line.strip())


def name_of(settings: Settings, start: str, end: str | None, named: frozenset[str] | None) -> str:
    """A name for a command: the same for the same arguments."""
    parts = [settings.group_id, settings.uploads_topic, start, end or ""]
    parts += sorted(named) if named is not None else ["*"]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
