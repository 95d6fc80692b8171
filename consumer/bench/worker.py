"""The worker, Kafka and all, beside the same videos through reader, encoders and tagger alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

from confluent_kafka import Producer

from consumer.bench.timing import Row
from consumer.demo.broker import Broker
from consumer.demo.plan import Sample, Upload, upload_of
from consumer.demo.results import Results
from consumer.demo.worker import running_worker
from encoders.access import Access
from encoders.encoder import Encoders, Item
from encoders.errors import ReeltagError
from encoders.features import Words
from encoders.limits import Limits
from encoders.profile import load_profile
from encoders.sandbox import MediaReader
from rank.bundle import open_bundle
from rank.tagger import Tagger

BATCH = 8
PATIENCE_SECONDS = 120.0


def bench_worker(
    bundle: Path, samples: Sequence[Sample], broker: Broker, uploads: int, cores: int, log: Path
) -> Row:
    """Milliseconds a video, of ``uploads`` uploads of the samples in turn.

    Both ways decode in ``cores`` children and encode in ``cores`` threads.
    """
    chosen = list(islice(cycle(samples), uploads))
    alone = _alone(bundle, chosen, cores)
    worker = _through_kafka(bundle, chosen, broker, log)
    return Row(
        f"worker, {uploads} uploads",
        worker * 1000 / uploads,
        "reader, encoders, tagger",
        alone * 1000 / uploads,
    )


def _through_kafka(bundle: Path, chosen: Sequence[Sample], broker: Broker, log: Path) -> float:
    """Seconds from the first upload to the last tag event."""
    uploads = [
        upload_of(sample, sample.path.as_uri(), "tagged", video_id=f"video-{number}")
        for number, sample in enumerate(chosen)
    ]
    folders = tuple({sample.path.parent for sample in chosen})
    producer = Producer({**broker.client, "partitioner": "murmur2_random"})
    with running_worker(broker, bundle, folders, log) as worker:
        results = Results(broker)
        began = last = time.monotonic()
        for upload in uploads:
            results.expect(upload)
            producer.produce(broker.uploads, upload.value, upload.key.encode())
        producer.flush()
        while results.waiting:
            result = results.poll(0.2)
            if result is not None:
                last = time.monotonic()
                _as_expected(result.upload, result.outcome, result.reason)
            worker.check()
            if time.monotonic() - last > PATIENCE_SECONDS:
                raise ReeltagError(f"No result for {PATIENCE_SECONDS:.0f} s: see {log}.")
        results.close()
    return last - began


def _as_expected(upload: Upload, outcome: str, reason: str) -> None:
    if outcome != upload.expected:
        raise ReeltagError(f"{upload.key} ended {outcome} ({reason}): mend the sample.")


def _alone(bundle: Path, chosen: Sequence[Sample], cores: int) -> float:
    """Seconds for the same videos without Kafka: ``cores`` threads, each a batch at a time."""
    profile = load_profile(open_bundle(bundle).manifest.profile)
    paths = tuple({sample.path.parent for sample in chosen})
    access = Access(schemes=frozenset({"file"}), paths=paths)
    with MediaReader(Limits(), profile.frame_spec, profile.sound_spec, children=cores) as reader:
        encoders = Encoders.open(profile)
        tagger = Tagger.load(bundle, encoders)

        def work(batch: Sequence[Sample]) -> None:
            items = [
                Item(
                    Words(str(sample.fields.get("title", ""))),
                    reader.read(sample.path.as_uri(), access),
                )
                for sample in batch
            ]
            uploaders = [sample.fields.get("uploader_id") for sample in batch]
            tagger.tag(encoders.encode(items), uploaders)

        work(chosen[:1])
        began = time.monotonic()
        with ThreadPoolExecutor(cores) as pool:
            starts = range(0, len(chosen), BATCH)
            list(pool.map(work, [chosen[start : start + BATCH] for start in starts]))
        return time.monotonic() - began
