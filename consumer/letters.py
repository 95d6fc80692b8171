"""The way back from the dead-letter topic: `reeltag dlq list`, `show` and `replay`.

Replay is idempotent: a dead letter goes back once, and what its replay makes of it is a result or a
new dead letter. It keeps version, attempts and where the event lay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from confluent_kafka import Consumer
from pydantic import ValidationError

from consumer import scan
from consumer.again import AgainHeaders
from consumer.events import DeadLetterHeaders
from consumer.kafka import headers_of, partitions_of
from consumer.requests import CALL_SECONDS, Last, Replayer, Told
from consumer.settings import Settings
from consumer.work import Partition
from encoders.errors import KafkaError, SettingError


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter: its place in the dead-letter topic, the original bytes, and why."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    why: DeadLetterHeaders

    @property
    def place(self) -> str:
        """As the command line names it: partition, a colon, offset."""
        return f"{self.partition}:{self.offset}"

    @property
    def source(self) -> tuple[str, int, int]:
        """Topic, partition and offset of the upload event."""
        return self.why.source_topic, self.why.source_partition, self.why.source_offset


@dataclass(frozen=True, slots=True)
class Choice:
    """Which dead letters are meant; None is any."""

    reason: str | None = None
    stage: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __contains__(self, letter: object) -> bool:
        return (
            isinstance(letter, Letter)
            and (self.reason is None or letter.why.reason == self.reason)
            and (self.stage is None or letter.why.stage == self.stage)
            and (self.since is None or letter.why.failed_at >= self.since)
            and (self.until is None or letter.why.failed_at < self.until)
        )


ANY = Choice()


def moment(text: str) -> datetime:
    """A time (RFC 3339), or how long ago: 90s, 15m, 2h, 7d. Raises SettingError."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    if text[:-1].isdigit() and text[-1:] in units:
        return datetime.now(UTC) - timedelta(seconds=int(text[:-1]) * units[text[-1]])
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise SettingError(f"{text!r} is no time; write it like 2026-01-31T12:00:00Z or 2h")
    return found


def list_letters(settings: Settings, choice: Choice = ANY) -> Iterator[Letter]:
    """The dead letters, partition by partition, oldest first."""
    client = scan.scanner(settings)
    for number in partitions_of(client, settings.dlq_topic, CALL_SECONDS):
        place = Partition(settings.dlq_topic, number)
        for letter in read_letters(client, scan.whole(client, place)):
            if letter in choice:
                yield letter


def show_letter(settings: Settings, place: str) -> Letter:
    """The dead letter at ``partition:offset``. Raises SettingError where there is none."""
    number, _, offset = place.partition(":")
    if number.isdigit() and offset.isdigit():
        client = scan.scanner(settings)
        there = partitions_of(client, settings.dlq_topic, CALL_SECONDS)
        if int(number) in there:
            whole = scan.whole(client, Partition(settings.dlq_topic, int(number)))
            begin = max(whole.begin, int(offset))
            one = scan.Stretch(whole.partition, begin, min(whole.end, int(offset) + 1))
            for letter in read_letters(client, one):
                return letter
    raise SettingError(f"there is no dead letter {place!r}; reeltag dlq list shows their places")


def read_letters(client: Consumer, stretch: scan.Stretch) -> Iterator[Letter]:
    """The dead letters of a stretch; what isn't one is passed over."""
    for message in scan.read(client, stretch):
        try:
            why = DeadLetterHeaders.model_validate(headers_of(message))
        except ValidationError:
            continue
        number, offset = message.partition() or 0, message.offset() or 0
        yield Letter(number, offset, message.key(), message.value(), why)


def figures(letters: Iterable[Letter]) -> Counter[tuple[str, str]]:
    """How many there are, by stage and reason."""
    return Counter((letter.why.stage, letter.why.reason) for letter in letters)


@dataclass(frozen=True, slots=True)
class LettersReplayed:
    """What a replay of dead letters came to; every letter chosen is one of the first five.

    ``replayed`` went back; ``already`` went back earlier, or are the same event twice;
    ``superseded`` by a newer event of the video; ``gone``: the value was omitted and the source
    doesn't have it any more; ``elsewhere`` come from another topic.
    ``again`` of those replayed are dead letters anew, by stage and reason.
    """

    chosen: int = 0
    replayed: int = 0
    already: int = 0
    superseded: int = 0
    gone: int = 0
    elsewhere: int = 0
    again: Counter[tuple[str, str]] = field(default_factory=Counter)


def replay_letters(
    settings: Settings, choice: Choice = ANY, *, told: Told | None = None, wait: bool = True
) -> LettersReplayed:
    """Send dead letters back to be done again, and wait until the workers have.

    Raises KafkaError where Kafka can't be used.
    """
    replayer = Replayer.open(settings, told)
    letters = list(list_letters(settings, choice))
    counts = Counter({"chosen": len(letters)})
    sent_before = replayer.replayed_letters()
    wanted: dict[tuple[str, int, int], Letter] = {}
    for letter in letters:
        number = letter.why.source_partition
        if letter.why.source_topic != settings.uploads_topic or number not in replayer.numbers:
            counts["elsewhere"] += 1
        elif letter.place in sent_before or letter.source in wanted:
            counts["already"] += 1
        else:
            wanted[letter.source] = letter
    stretches: dict[int, scan.Stretch] = {}
    for letter in wanted.values():
        number, offset = letter.why.source_partition, letter.why.source_offset
        whole = scan.whole(replayer.client, replayer.uploads(number))
        begin = min(offset, stretches[number].begin) if number in stretches else offset
        stretches[number] = scan.Stretch(whole.partition, max(begin, whole.begin), whole.end)
    newest = replayer.newest("looking for newer events", stretches)
    before = replayer_ends(replayer, settings)
    replayed: set[tuple[str, int, int]] = set()
    begun = replayer.done()
    for letter in wanted.values():
        number = letter.why.source_partition
        fate = send_back(replayer, letter, newest[number], stretches[number].end)
        counts[fate] += 1
        if fate == "replayed":
            replayed.add(letter.source)
    replayer.flush()
    again: Counter[tuple[str, str]] = Counter()
    if wait and replayed:
        replayer.wait("done again", begun)
        for place, offset in before.items():
            whole = scan.whole(replayer.client, place)
            fresh = read_letters(replayer.client, scan.Stretch(place, offset, whole.end))
            again += figures(letter for letter in fresh if letter.source in replayed)
    return LettersReplayed(**counts, again=again)


def send_back(replayer: Replayer, letter: Letter, newest: dict[bytes, Last], seen: int) -> str:
    """Ask for one dead letter to be done again, unless a newer event makes it superseded."""
    why = letter.why
    last = newest.get(letter.key or b"")
    if letter.key is not None and last is not None and last.offset > why.source_offset:
        return "superseded"
    value = letter.value
    if why.value_omitted is not None:
        place = replayer.uploads(why.source_partition)
        whole = scan.whole(replayer.client, place)
        one = scan.Stretch(place, max(why.source_offset, whole.begin), why.source_offset + 1)
        original = next(iter(scan.read(replayer.client, one)), None)
        if original is None:
            return "gone"
        value = original.value()
    headers = AgainHeaders(
        source_topic=why.source_topic,
        source_partition=why.source_partition,
        source_offset=why.source_offset,
        seen=seen,
        run="dead letters",
        video_version=why.video_version,
        attempts=why.attempts,
        letter=letter.place,
    )
    replayer.ask(why.source_partition, letter.key, value, headers)
    return "replayed"


def replayer_ends(replayer: Replayer, settings: Settings) -> dict[Partition, int]:
    """The ends of the dead-letter topic's partitions. Raises KafkaError where there is none."""
    numbers = partitions_of(replayer.client, settings.dlq_topic, CALL_SECONDS)
    if not numbers:
        raise KafkaError(f"there is no topic {settings.dlq_topic}; correct REELTAG_DLQ_TOPIC")
    places = [Partition(settings.dlq_topic, number) for number in numbers]
    return {place: scan.whole(replayer.client, place).end for place in places}
