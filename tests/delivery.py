"""A scene for tests of delivery: topics, uploads, worker processes, and an audit of what came out.

The audit knows nothing of the worker: it reads the topics as any reader would, and compares them
with what was uploaded.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka import KafkaError as ClientError

from consumer.kafka import headers_of
from consumer.pipeline import Stages
from consumer.scan import patiently
from consumer.settings import load_settings
from consumer.worker import Worker
from encoders.errors import ReeltagError
from tests.kafka_broker import Broker, unique
from tests.light import light_stages
from tests.worker_process import LIGHT, WorkerProcess

UPLOADED_AT = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Sent:
    """One upload event as the broker took it."""

    event_id: str
    video_id: str
    version: int
    partition: int
    offset: int
    deleted: bool


@dataclass
class Scene:
    """Topics and a group of their own on a broker."""

    broker: Broker
    folder: Path
    partitions: int = 4
    delivery: str = "at_least_once"
    environment: Mapping[str, str] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    workers: list[WorkerProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name = unique("scene")
        self.uploads = f"{self.name}.uploads"
        self.tags = f"{self.name}.tags"
        self.dlq = f"{self.name}.dlq"
        self.replay = f"{self.name}.replay"
        self.broker.create(self.uploads, partitions=self.partitions)
        dated = {"message_timestamp_type": "LogAppendTime"}
        self.broker.create(self.tags, self.dlq, partitions=self.partitions, **dated)
        self.producer = Producer(
            {
                "bootstrap.servers": self.broker.bootstrap,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "log_level": 0,
            }
        )
        self._versions: dict[str, int] = defaultdict(int)

    @property
    def settings(self) -> dict[str, str]:
        """What a worker of this scene is set to."""
        settings = {
            "REELTAG_BOOTSTRAP_SERVERS": self.broker.bootstrap,
            "REELTAG_GROUP_ID": self.name,
            "REELTAG_UPLOADS_TOPIC": self.uploads,
            "REELTAG_TAGS_TOPIC": self.tags,
            "REELTAG_DLQ_TOPIC": self.dlq,
            "REELTAG_REPLAY_TOPIC": self.replay,
            "REELTAG_DELIVERY": self.delivery,
            "REELTAG_DECODERS": "4",
            "REELTAG_FETCHERS": "4",
            "REELTAG_STATE": str(self.folder / "state"),
            "REELTAG_ENCODER_THREADS": "1",
            "REELTAG_COMMIT_SECONDS": "0.3",
            "REELTAG_RETRY_SECONDS": "0.2",
            "REELTAG_REVOKE_SECONDS": "3",
            "REELTAG_TRANSACTION_TIMEOUT_SECONDS": "4",
            "REELTAG_KAFKA__SESSION_TIMEOUT_MS": "4000",
            "REELTAG_KAFKA__HEARTBEAT_INTERVAL_MS": "500",
            **self.environment,
        }
        if "REELTAG_KAFKA__GROUP_PROTOCOL" in self.environment:  # then the broker times sessions
            del settings["REELTAG_KAFKA__SESSION_TIMEOUT_MS"]
            del settings["REELTAG_KAFKA__HEARTBEAT_INTERVAL_MS"]
        return settings

    def upload(
        self, video_id: str, uri: str = "light:ok", event_type: str = "created", **more: object
    ) -> str:
        """Send one upload event; the answer is its id."""
        self._versions[video_id] += 1
        version = self._versions[video_id]
        event_id = f"{video_id}-{version}"
        event = {
            "schema_version": 1,
            "event_id": event_id,
            "event_type": event_type,
            "video_id": video_id,
            "video_version": version,
            "uri": uri,
            "title": "cat at play",
            "uploaded_at": UPLOADED_AT,
            **more,
        }
        self.send(video_id, json.dumps(event).encode(), event_id, version, event_type == "deleted")
        return event_id

    def send(
        self, key: str, value: bytes, event_id: str, version: int = 0, deleted: bool = False
    ) -> None:
        """Send any bytes."""

        def delivered(error: object, message: Message) -> None:
            if error is not None:
                raise RuntimeError(f"the upload was not taken: {error}")
            partition, offset = message.partition(), message.offset()
            if partition is None or offset is None:
                raise RuntimeError("the broker told no offset")
            self.sent.append(Sent(event_id, key, version, partition, offset, deleted))

        while True:
            try:
                self.producer.produce(self.uploads, key=key, value=value, on_delivery=delivered)
                break
            except BufferError:
                self.producer.poll(0.1)
        self.producer.poll(0)

    def worker(self, *command: str, **environment: str) -> WorkerProcess:
        """Start a worker process; without a ``command`` it has light stages."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        made = WorkerProcess.start({**self.settings, **environment}, log, command or LIGHT)
        self.workers.append(made)
        return made

    @contextmanager
    def here(self, stages: Stages | None = None, **settings: object) -> Iterator[Worker]:
        """A worker inside this process, in a thread; it drains at the end of the block."""
        given: dict[str, object] = {"kafka": {}, "http_port": 0}
        kafka: dict[str, object] = {}
        for name, value in self.settings.items():
            plain = name.removeprefix("REELTAG_").lower()
            if plain.startswith("kafka__"):
                kafka[plain.removeprefix("kafka__")] = value
            else:
                given[plain] = value
        given["kafka"] = kafka
        worker = Worker(load_settings(None, **{**given, **settings}), stages or light_stages())
        failed: list[Exception] = []

        def run() -> None:
            try:
                worker.run()
            except ReeltagError as error:
                failed.append(error)

        thread = threading.Thread(target=run, name="worker")
        thread.start()
        try:
            yield worker
        finally:
            worker.stop()
            thread.join(60)
        if failed:
            raise failed[0]
        if thread.is_alive():
            raise TimeoutError("the worker did not end")

    def committed(self) -> dict[int, int]:
        """The group's committed offset of each uploads partition; -1001 where there is none."""
        asked = [TopicPartition(self.uploads, number) for number in range(self.partitions)]
        with self._reader() as reader:
            answers = patiently(lambda: reader.committed(asked, timeout=30))
            return {part.partition: part.offset for part in answers}

    def ends(self, topic: str) -> dict[int, int]:
        """The end offset of each partition."""
        with self._reader() as reader:
            return {
                number: _span(reader, TopicPartition(topic, number))[1]
                for number in range(self.partitions)
            }

    def settled(self) -> bool:
        """Whether everything uploaded is committed."""
        committed = self.committed()
        return all(committed[part] >= end for part, end in self.ends(self.uploads).items() if end)

    def wait(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """Wait until everything uploaded is committed, or ``until`` says so."""
        self.producer.flush(30)
        deadline = time.monotonic() + seconds
        while not (until or self.settled)():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not settled: {self.committed()} of {self.ends(self.uploads)}")
            time.sleep(0.1)

    def read(self, topic: str, *, committed: bool = True) -> list[Message]:
        """Every message of a topic, partition by partition in log order."""
        messages: list[Message] = []
        with self._reader(committed=committed) as reader:
            for number in range(self.partitions):
                low, end = _span(reader, TopicPartition(topic, number))
                if low >= end:
                    continue
                reader.assign([TopicPartition(topic, number, low)])
                while True:
                    message = reader.poll(30)
                    if message is None:
                        raise TimeoutError(f"{topic} can't be read")
                    error = message.error()
                    if error is None:
                        messages.append(message)
                    elif error.code() == ClientError._PARTITION_EOF:
                        break
        return messages

    def stop(self) -> None:
        """Kill the workers that are left."""
        for worker in self.workers:
            worker.kill()
        del self.producer

    def _reader(self, *, committed: bool = True) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.broker.bootstrap,
                "group.id": self.name,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed" if committed else "read_uncommitted",
                "log_level": 0,
            }
        )


def _span(reader: Consumer, part: TopicPartition) -> tuple[int, int]:
    """Where a partition begins and ends; waits while its leader changes."""
    low, end = patiently(lambda: reader.get_watermark_offsets(part, timeout=30))
    return low, end


@dataclass
class Audit:
    """What came out for what was uploaded."""

    outcomes: dict[str, int]
    lost: list[Sent]
    repeated: int
    """Tag events and dead letters beyond the first of an upload event."""
    unequal_ids: int
    """Repeats of a tag event whose event_id differs."""
    two_ends: list[str]
    """Upload events that ended in two different ways."""
    out_of_order: int
    """Tag events of a video that came after one of a newer version."""
    last: dict[str, object]
    """The last record of each video: its revision, or "deleted"."""

    @property
    def clean(self) -> bool:
        """Nothing lost, and every upload event ended in one way, with equal ids."""
        return not self.lost and not self.unequal_ids and not self.two_ends


def audit(scene: Scene) -> Audit:
    """Read all topics and compare."""
    ids: dict[str, list[str]] = defaultdict(list)
    outcomes: dict[str, set[str]] = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    tombstones: dict[str, int] = defaultdict(int)
    newest: dict[str, int] = defaultdict(int)
    last: dict[str, object] = {}
    out_of_order = repeated = 0
    for message in scene.read(scene.tags):
        key = (message.key() or b"").decode()
        value = message.value()
        if value is None:
            tombstones[key] += 1
            last[key] = "deleted"
            continue
        event = json.loads(value)
        source = event["source_event_id"]
        ids[source].append(event["event_id"])
        outcomes[source].add(event["outcome"])
        version = event["revision"][0]
        out_of_order += version < newest[key]
        newest[key] = max(newest[key], version)
        last[key] = event["revision"]
    places = {(sent.partition, sent.offset): sent.event_id for sent in scene.sent}
    dead: dict[str, int] = defaultdict(int)
    for message in scene.read(scene.dlq):
        headers = headers_of(message)
        place = int(headers["source_partition"]), int(headers["source_offset"])
        dead[places[place]] += 1
        outcomes[places[place]].add("dead_lettered")
    lost = []
    deletions: dict[str, int] = defaultdict(int)
    for sent in scene.sent:
        if sent.deleted:
            deletions[sent.video_id] += 1
            if not dead[sent.event_id]:
                counts["deleted"] += 1
                if tombstones[sent.video_id] < deletions[sent.video_id]:
                    lost.append(sent)
                continue
        found = len(ids[sent.event_id]) + dead[sent.event_id]
        if not found:
            lost.append(sent)
        repeated += max(0, found - 1)
        for outcome in outcomes[sent.event_id]:
            counts[outcome] += 1
    repeated += sum(max(0, tombstones[key] - deletions[key]) for key in tombstones)
    return Audit(
        outcomes=dict(counts),
        lost=lost,
        repeated=repeated,
        unequal_ids=sum(len(set(found)) - 1 for found in ids.values() if found),
        two_ends=[source for source, ends in outcomes.items() if len(ends) > 1],
        out_of_order=out_of_order,
        last=last,
    )
