"""The worker, Kafka and all, beside the same videos without; fresh uploads, and replay."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

from confluent_kafka import Producer

from consumer.bench.timing import Row, side_by_side
from consumer.demo.broker import Broker
from consumer.demo.plan import Sample, Upload, upload_of
from consumer.demo.results import Results
from consumer.demo.worker import RunningWorker, running_worker
from consumer.replay import replay
from consumer.settings import load_settings
from consumer.stages import open_stages
from encoders.access import Access
from encoders.encoder import Encoders, Item
from encoders.errors import ReeltagError
from encoders.features import Features, Words
from encoders.limits import Limits
from encoders.profile import load_profile
from encoders.sandbox import MediaReader
from rank.bundle import open_bundle
from rank.tagger import Tagger

PATIENCE_SECONDS = 120.0
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Through:
    """Uploads on their way through a running worker."""

    broker: Broker
    worker: RunningWorker
    results: Results

    def fresh(self, uploads: Sequence[Upload]) -> float:
        """Seconds from the first upload to the last tag event."""
        producer = Producer({**self.broker.client, "partitioner": "murmur2_random"})
        began = time.monotonic()
        for upload in uploads:
            self.results.expect(upload)
            producer.produce(self.broker.uploads, upload.value, upload.key.encode())
        producer.flush()
        self._wait()
        return time.monotonic() - began

    def again(self, uploads: Sequence[Upload]) -> None:
        """Replay what was uploaded, and wait for the last tag event."""
        settings = load_settings(
            bootstrap_servers=self.broker.address,
            group_id=self.broker.uploads,
            uploads_topic=self.broker.uploads,
            tags_topic=self.broker.tags,
            dlq_topic=self.broker.dead_letters,
            replay_topic=self.broker.replay,
        )
        for upload in uploads:
            self.results.expect(upload)
        replay(settings, start="0", wait=False)
        self._wait()

    def _wait(self) -> None:
        last = time.monotonic()
        while self.results.waiting:
            result = self.results.poll(0.2)
            if result is not None:
                last = time.monotonic()
                if result.outcome != result.upload.expected:
                    raise ReeltagError(
                        f"{result.upload.key} ended {result.outcome} ({result.reason}): "
                        "mend the sample."
                    )
            self.worker.check()
            if time.monotonic() - last > PATIENCE_SECONDS:
                raise ReeltagError(
                    f"No result for {PATIENCE_SECONDS:.0f} s: see {self.worker.log}."
                )


def bench_worker(
    bundle: Path, samples: Sequence[Sample], broker: Broker, uploads: int, cores: int, log: Path
) -> Row:
    """Milliseconds a video, of ``uploads`` uploads of the samples in turn.

    Both ways decode in ``cores`` children and encode in ``cores`` threads.
    """
    chosen = list(islice(cycle(samples), uploads))
    alone = _alone(bundle, chosen, cores)
    with running_worker(broker, bundle, _folders(chosen), log) as worker:
        seconds = Through(broker, worker, Results(broker)).fresh(_uploads(chosen))
    return Row(
        f"worker, {uploads} uploads",
        seconds * 1000 / uploads,
        "reader, encoders, tagger",
        alone * 1000 / uploads,
    )


def bench_replay(
    bundle: Path,
    samples: Sequence[Sample],
    broker: Broker,
    uploads: int,
    cores: int,
    log: Path,
    store: Path,
) -> Row:
    """Milliseconds a video of a replay out of the feature store in ``store``.

    Beside it recall and ranking alone, in ``cores`` threads, of the same features in memory. The
    fresh uploads before it fill the store; both are then measured in turn.
    """
    chosen = list(islice(cycle(samples), uploads))
    sent = _uploads(chosen)
    broker = replace(broker, settings={**broker.settings, "FEATURES": str(store)})
    with (
        running_worker(broker, bundle, _folders(chosen), log) as worker,
        ThreadPoolExecutor(cores) as channels,
    ):
        through = Through(broker, worker, Results(broker))
        through.fresh(sent)
        known = _stored(bundle, chosen, store)
        profile = load_profile(open_bundle(bundle).manifest.profile)
        tagger = Tagger.load(bundle, Encoders.open(profile), pool=channels)
        uploaders: Sequence[str | None] = [s.fields.get("uploader_id") for s in chosen]
        batches = _batches(uploads)

        def tag(part: slice) -> object:
            return tagger.tag(known[part], uploaders[part])

        def alone(number: int) -> None:
            with ThreadPoolExecutor(cores) as pool:
                list(pool.map(tag, batches))

        return side_by_side(
            f"replay, {uploads} videos",
            lambda number: through.again(sent),
            "recall and ranking, features in memory",
            alone,
            rounds=ROUNDS,
            per=uploads,
        )


def _uploads(chosen: Sequence[Sample]) -> list[Upload]:
    return [
        upload_of(sample, sample.path.as_uri(), "tagged", video_id=f"video-{number}")
        for number, sample in enumerate(chosen)
    ]


def _folders(chosen: Sequence[Sample]) -> tuple[Path, ...]:
    return (Path(os.path.commonpath([sample.path.parent for sample in chosen])),)


def _batches(count: int) -> list[slice]:
    """As the worker's micro-batches are where enough work waits."""
    size = load_settings().batch_videos
    return [slice(start, start + size) for start in range(0, count, size)]


def _words(sample: Sample) -> Words:
    fields = sample.fields
    return Words(fields.get("title", ""), fields.get("description", ""), fields.get("language"))


def _stored(bundle: Path, chosen: Sequence[Sample], store: Path) -> list[Features]:
    """The features that ``store`` has of the samples."""
    settings = load_settings(
        bundle=bundle,
        features=store,
        decoders=1,
        allowed_schemes="file",
        allowed_paths=[str(folder) for folder in _folders(chosen)],
    )
    with open_stages(settings) as stages:
        return [
            features
            for sample in chosen
            for features in stages.encoder.encode(
                [stages.reader.read(sample.path.as_uri(), _words(sample))]
            )
        ]


def _alone(bundle: Path, chosen: Sequence[Sample], cores: int) -> float:
    """Seconds for the same videos without Kafka: ``cores`` threads, each a batch at a time."""
    profile = load_profile(open_bundle(bundle).manifest.profile)
    access = Access(schemes=frozenset({"file"}), paths=_folders(chosen))
    with (
        MediaReader(Limits(), profile.frame_spec, profile.sound_spec, children=cores) as reader,
        ThreadPoolExecutor(cores) as channels,
    ):
        encoders = Encoders.open(profile)
        tagger = Tagger.load(bundle, encoders, pool=channels)

        def work(batch: Sequence[Sample]) -> None:
            items = [
                Item(_words(sample), reader.read(sample.path.as_uri(), access)) for sample in batch
            ]
            uploaders = [sample.fields.get("uploader_id") for sample in batch]
            tagger.tag(encoders.encode(items), uploaders)

        work(chosen[:1])
        began = time.monotonic()
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(work, [chosen[part] for part in _batches(len(chosen))]))
        return time.monotonic() - began
