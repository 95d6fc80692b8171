"""The stages of one upload event: parse, fetch and decode, encode, recall and rank.

    ready ─→ fetcher threads ─→ micro-batches ─→ encoder threads ─→ submit(Result)
           (more than children)  (bounded)         (≤ cores)

Every event that is started ends here in exactly one of three ways: submitted with its outcome, left
to wait for a retry, or dropped because its partition went away.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol, TypeVar

from consumer.clocks import Pulse
from consumer.dead_letters import DeadLetters, without_secrets
from consumer.events import BundleName, EventType, Scored, UploadEvent, parse_upload, tag_event
from consumer.in_flight import InFlight
from consumer.metrics import Metrics
from consumer.retries import RetryPolicy
from consumer.troubles import Trouble, Troubles
from consumer.work import Outcome, Record, Result, Source, Stage, Work
from encoders.encoder import Item
from encoders.errors import DecoderCrashed, EventError, MediaError, NoRoom, ReeltagError
from encoders.features import Features, Media, State, Words

log = logging.getLogger(__name__)

T = TypeVar("T")
A = TypeVar("A")


@dataclass(frozen=True, slots=True, eq=False)
class Fetched:
    """A video to encode; ``fingerprint`` is what changes when the file at ``uri`` does."""

    item: Item
    uri: str
    fingerprint: str | None = None


class Reader(Protocol):
    """Fetches and decodes videos."""

    def read(self, uri: str, words: Words) -> Fetched:
        """Blocks, for as long as its limits allow. Raises MediaError."""


class Encoder(Protocol):
    """Knows what a profile's encoders know of videos."""

    def encode(self, videos: Sequence[Fetched]) -> Sequence[Features]:
        """The features of a micro-batch."""


class Tagging(Protocol):
    """The tags of one video."""

    @property
    def tags(self) -> Sequence[Scored]: ...


class Tagger(Protocol):
    """Recall and rank (rank.tagger.Tagger)."""

    @property
    def version(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def digest(self) -> str: ...

    def tag(
        self, batch: Sequence[Features], uploader_ids: Sequence[str | None]
    ) -> Sequence[Tagging]:
        """The tags of a micro-batch."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """An upload event whose media are decoded."""

    work: Work
    event: UploadEvent
    fetched: Fetched


@dataclass(frozen=True, slots=True)
class Stages:
    """What the pipeline is made of."""

    reader: Reader
    encoder: Encoder
    tagger: Tagger
    troubles: Troubles = field(default_factory=Troubles)


@dataclass(frozen=True, slots=True)
class Batching:
    """How the pipeline's threads work together.

    ``fetchers``  events being fetched and decoded at once: more than decode children, so that slow
    servers hold up their own videos and no others.
    """

    fetchers: int
    encoders: int
    videos: int
    seconds: float
    stale_seconds: float


class Pipeline:
    """Threads that take ready work and submit results."""

    def __init__(
        self,
        stages: Stages,
        batching: Batching,
        in_flight: InFlight,
        policy: RetryPolicy,
        dead_letters: DeadLetters,
        tags_topic: str,
        submit: Callable[[Result], None],
        superseded: Callable[[Work], bool],
        metrics: Metrics,
        pulse: Pulse,
    ) -> None:
        self._stages = stages
        self._batching = batching
        self._in_flight = in_flight
        self._policy = policy
        self._dead_letters = dead_letters
        self._tags_topic = tags_topic
        self._submit = submit
        self._superseded = superseded
        self._metrics = metrics
        self._pulse = pulse
        digest = stages.tagger.digest.removeprefix("sha256:")
        self._bundle = BundleName(version=stages.tagger.version, digest=f"sha256:{digest}")
        self._decoded: queue.Queue[Decoded | None] = queue.Queue(2 * batching.videos)
        self._threads = [
            threading.Thread(target=self._fetch_loop, name=f"fetch-{i}", daemon=True)
            for i in range(batching.fetchers)
        ] + [
            threading.Thread(target=self._encode_loop, name=f"encode-{i}", daemon=True)
            for i in range(batching.encoders)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float) -> None:
        """Ask the threads to end after what they are at; wait at most so long."""
        deadline = monotonic() + seconds
        for _ in range(self._batching.fetchers):
            self._in_flight.ready.put(None)
        for thread in self._threads[: self._batching.fetchers]:
            thread.join(max(0.0, deadline - monotonic()))
        for _ in range(self._batching.encoders):
            try:
                self._decoded.put(None, timeout=max(0.01, deadline - monotonic()))
            except queue.Full:
                return
        for thread in self._threads[self._batching.fetchers :]:
            thread.join(max(0.0, deadline - monotonic()))

    # Parse, fetch and decode

    def _fetch_loop(self) -> None:
        while (work := self._in_flight.ready.get()) is not None:
            if not self._in_flight.start(work):
                continue
            try:
                self._decode(work)
            except Exception as error:  # one event must never end the thread that others need
                self._broken(work, Stage.FETCH, error)

    def _decode(self, work: Work) -> None:
        if work.deaths >= self._policy.death_limit:
            error = f"the worker ended suddenly {work.deaths} times with this event under way"
            self._dead(work, Stage.FETCH, "worker_died", f"{error}; see what is odd about the file")
            return
        try:
            event = parse_upload(work.key, work.value)
        except EventError as error:
            self._dead(work, Stage.PARSE, error.reason, str(error))
            return
        source = work.source
        if source.version is None:
            version = source.offset if event.video_version is None else event.video_version
            work.source = Source(source.partition, source.offset, version)
        if self._superseded(work):
            self._submit(Result(work, Outcome.SUPERSEDED, None))
            return
        if event.event_type is EventType.DELETED:
            record = Record(self._tags_topic, work.key, None)
            self._submit(Result(work, Outcome.DELETED, record))
            return
        try:
            with self._metrics.stage(Stage.FETCH):
                fetched = self._stages.reader.read(event.uri or "", event.words)
        except MediaError as error:
            self._failed(work, error)
            return
        if fetched.item.media is not None and not fetched.uri.startswith("file:"):
            self._stages.troubles.over(Trouble.SCRATCH)
        self._in_flight.hold(work, work.held + size_of(fetched.item.media))
        self._decoded.put(Decoded(work, event, fetched))

    def _failed(self, work: Work, error: MediaError) -> None:
        if isinstance(error, NoRoom):
            self._stages.troubles.met(Trouble.SCRATCH, str(error))
        crashed = isinstance(error, DecoderCrashed)
        if crashed:
            self._metrics.crashes.inc()
            self._in_flight.crashed(work)
        again = (error.transient or crashed) and self._policy.another(
            work,
            monotonic(),
            transient=error.transient,
            counted=not isinstance(error, NoRoom),  # it is this machine's fault
        )
        if not again:
            self._dead(work, Stage.FETCH, error.reason, str(error))
            return
        tries = work.attempts
        pause = self._policy.pause(tries, crashed=crashed)
        if not self._in_flight.retry(work, pause):
            self._dead(work, Stage.FETCH, error.reason, f"{error}; too many wait for another try")
            return
        self._metrics.retries.labels(error.reason).inc()
        log.info("try %d failed, another in %.1f s: %s", tries, pause, error)

    # Encode, recall and rank

    def _encode_loop(self) -> None:
        while batch := self._next_batch():
            with self._pulse.during("a micro-batch", self._batching.stale_seconds):
                self._metrics.batch_videos.observe(len(batch))
                self._tag(batch)

    def _next_batch(self) -> list[Decoded]:
        """What has been decoded, up to a micro-batch; empty at the end."""
        first = self._decoded.get()
        if first is None:
            return []
        batch = [first]
        deadline = monotonic() + self._batching.seconds
        while len(batch) < self._batching.videos:
            try:
                following = self._decoded.get(timeout=max(0.0, deadline - monotonic()))
            except queue.Empty:
                break
            if following is None:  # the end, for this thread after the batch
                self._decoded.put(None)
                break
            batch.append(following)
        return batch

    def _tag(self, batch: Sequence[Decoded]) -> None:
        with self._metrics.stage(Stage.ENCODE):
            features = one_by_one(
                lambda part: self._stages.encoder.encode([d.fetched for d in part]), batch
            )
        encoded: list[tuple[Decoded, Features]] = []
        for decoded, known in zip(batch, features, strict=True):
            if isinstance(known, Exception):
                self._broken(decoded.work, Stage.ENCODE, known)
            elif State.USED not in known.states.values():
                media = decoded.fetched.item.media
                notes = "; ".join(media.notes.values()) if media is not None else ""
                error = notes or "the video has neither words, nor a picture, nor a sound"
                self._dead(decoded.work, Stage.ENCODE, "nothing_usable", error)
            else:
                encoded.append((decoded, known))
        if not encoded:
            return
        with self._metrics.stage(Stage.TAG):
            taggings = one_by_one(
                lambda part: self._stages.tagger.tag(
                    [known for _, known in part], [d.event.uploader_id for d, _ in part]
                ),
                encoded,
            )
        for (decoded, known), tagging in zip(encoded, taggings, strict=True):
            if isinstance(tagging, Exception):
                self._broken(decoded.work, Stage.TAG, tagging)
                continue
            try:
                result = self._tagged(decoded, known, tagging)
            except (TypeError, ValueError, LookupError) as error:  # what can't be written as JSON
                self._broken(decoded.work, Stage.TAG, error)
            else:
                self._submit(result)

    def _tagged(self, decoded: Decoded, features: Features, tagging: Tagging) -> Result:
        work = decoded.work
        event = tag_event(
            decoded.event,
            work.source.offset if work.source.version is None else work.source.version,
            tagging.tags,
            features.states,
            self._bundle,
            self._stages.tagger.generation,
        )
        record = Record(self._tags_topic, work.key, event.model_dump_json().encode())
        return Result(work, Outcome(event.outcome), record)

    # Ways out

    def _dead(self, work: Work, stage: Stage, reason: str, error: str) -> None:
        self._submit(self._dead_letters.make(work, stage, reason, error))

    def _broken(self, work: Work, stage: Stage, error: Exception) -> None:
        """An error that nobody raised on purpose: the event is dead, the worker is not."""
        if isinstance(error, ReeltagError):
            self._dead(work, stage, error.reason, str(error))
            return
        shown = without_secrets(f"{type(error).__name__}: {error}")
        log.error("stage %s failed unexpectedly: %s", stage, shown)
        self._dead(work, stage, "internal", shown)


def one_by_one(
    call: Callable[[Sequence[A]], Sequence[T]], batch: Sequence[A]
) -> list[T | Exception]:
    """``call`` on the batch; where that fails, on each alone: none can spoil the others."""
    try:
        answers: list[T | Exception] = list(call(batch))
        if len(answers) != len(batch):
            raise ValueError(f"{len(answers)} answers for {len(batch)} videos")
        return answers
    except Exception as error:  # sorted out one by one, and told for each
        if len(batch) == 1:
            return [error]
    return [one_by_one(call, [one])[0] for one in batch]


def size_of(media: Media | None) -> int:
    """Bytes of the decoded arrays."""
    if media is None:
        return 0
    return sum(part.nbytes for part in (media.frames, media.sound) if part is not None)
