"""`reeltag bench`: what the product costs, beside the raw libraries on the same work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from consumer.cli.cores import one_thread_a_call
from consumer.cli.style import (
    NEW,
    bootstrap_option,
    bundle_option,
    samples_option,
    seed_option,
    write_json,
)

json_option = click.option("--json", "json_file", type=NEW, help="File for the figures.")
threads_option = click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of one call."
)


@click.group()
def bench() -> None:
    """Measure speed beside the raw libraries, in one run.

    \b
    Example:
      reeltag bench encoders
    """


@bench.command()
@click.option(
    "--profile", default="packaged", show_default=True, help="Encoders: packaged or paper."
)
@threads_option
@json_option
def encoders(profile: str, threads: int, json_file: Path | None) -> None:
    """The encoders, beside ONNX Runtime on inputs that are prepared already.

    \b
    Example:
      reeltag bench encoders --threads 2
    """
    from consumer.bench.encoders import bench_encoders, videos_per_second
    from encoders.profile import load_profile

    chosen = load_profile(profile)
    rows = bench_encoders(chosen, threads)
    cores = os.cpu_count() or 1
    speed = {str(callers): videos_per_second(chosen, callers) for callers in sorted({1, cores})}
    _finish(rows, {"videos_per_second": speed}, json_file)
    for callers, rate in speed.items():
        click.echo(f"{rate:.2f} videos a second with {callers} at a time")


@bench.command()
@bundle_option
@click.option("--videos", type=click.IntRange(1000), default=100_000, show_default=True)
@click.option("--tags", type=click.IntRange(100), default=30_000, show_default=True)
@click.option(
    "--threads",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Channels searched side by side, as a worker does it on so many cores.",
)
@seed_option
@json_option
def recall(
    bundle: Path, videos: int, tags: int, threads: int, seed: int, json_file: Path | None
) -> None:
    """The five channels at a platform's size, beside FAISS on the same vectors.

    The bundle's labelled videos and tags are multiplied; building the indexes takes minutes.

    \b
    Example:
      reeltag bench recall --bundle deploy/starter --videos 1000000 --tags 300000
    """
    one_thread_a_call()
    from consumer.bench.enlarged import Size
    from consumer.bench.recall import bench_recall, to_json

    found = bench_recall(
        bundle, Size(videos, tags), threads, seed, lambda part: click.echo(part, err=True)
    )
    _finish(found.rows, to_json(found), json_file)
    figures = found.figures
    click.echo(
        f"{figures['videos']:,} videos and {figures['tags']:,} tags, "
        f"built in {figures['build_seconds']:.0f} s"
    )
    click.echo(f"peak memory {figures['peak_memory_bytes'] / 2**30:.1f} GiB")
    for name, one in found.indexes.items():
        click.echo(
            f"{name}: {one.vectors:,} × {one.dimensions}, built in {one.build_seconds:.0f} s, "
            f"{one.bytes / 2**20:.0f} MiB, {one.milliseconds:.2f} ms a search, "
            f"{one.recall_at_100:.3f} of the 100 nearest found"
        )
    for name, milliseconds in figures["channel_milliseconds"].items():
        click.echo(f"{name}: {milliseconds:.1f} ms a video")


@bench.command()
@bundle_option
@click.option("--videos", type=click.IntRange(1000), default=10_000, show_default=True)
@click.option("--tags", type=click.IntRange(100), default=30_000, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=1, show_default=True, help="Passes.")
@seed_option
@json_option
def training(
    bundle: Path, videos: int, tags: int, epochs: int, seed: int, json_file: Path | None
) -> None:
    """Training recall at a platform's size: seconds and memory by stage. Needs the extra train.

    The bundle's labelled videos and tags are multiplied. What grows with the videos lies in files
    without names in TMPDIR and isn't counted: about 100 KB a video, so put TMPDIR on a disk.

    \b
    Example:
      reeltag bench training --bundle deploy/starter --videos 100000 --tags 300000
    """
    from consumer.bench.enlarged import Size
    from consumer.bench.training import bench_training

    stages = bench_training(
        bundle, Size(videos, tags), epochs, seed, lambda part: click.echo(part, err=True)
    )
    for name, stage in stages.items():
        click.echo(f"{name}: {stage.seconds:.0f} s, {stage.bytes / 2**30:.2f} GiB")
    if json_file is not None:
        write_json(json_file, {name: asdict(stage) for name, stage in stages.items()})


@bench.command()
@bundle_option
@click.option(
    "--candidates", type=click.IntRange(1), default=300, show_default=True, help="Tags to score."
)
@threads_option
@json_option
def rank(bundle: Path, candidates: int, threads: int, json_file: Path | None) -> None:
    """Ranking at 300,000 tags, beside its networks alone in ONNX Runtime.

    \b
    Example:
      reeltag bench rank --bundle deploy/starter
    """
    from consumer.bench.rank import bench_rank

    _finish(bench_rank(bundle, candidates, threads), {}, json_file)


@bench.command()
@bundle_option
@samples_option
@bootstrap_option
@click.option("--uploads", type=click.IntRange(1), default=200, show_default=True, help="How many.")
@click.option("--replay", is_flag=True, help="Measure replay out of a feature store instead.")
@json_option
def worker(
    bundle: Path,
    samples: Path,
    bootstrap: str | None,
    uploads: int,
    replay: bool,
    json_file: Path | None,
) -> None:
    """The worker with Kafka, beside the same videos without.

    With --replay: what was uploaded is tagged again, beside recall and ranking alone on the same
    features. A corpus file does as --samples, too.
    REELTAG_DELIVERY=exactly_once measures transactions; that takes a real broker (--bootstrap).

    \b
    Example:
      reeltag bench worker --bundle deploy/starter --bootstrap localhost:9092
    """
    one_thread_a_call()
    from tempfile import TemporaryDirectory

    from consumer.bench.worker import bench_replay, bench_worker
    from consumer.demo.broker import open_broker
    from consumer.demo.plan import read_samples

    log = Path("build/bench/worker.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    cores = os.cpu_count() or 1
    clips = read_samples(samples)
    with open_broker(bootstrap) as broker, TemporaryDirectory() as store:
        if replay:
            row = bench_replay(bundle, clips, broker, uploads, cores, log, Path(store))
        else:
            row = bench_worker(bundle, clips, broker, uploads, cores, log)
    rate, alone = 1000 / row.milliseconds, 1000 / row.raw_milliseconds
    _finish([row], {"videos_per_second": rate, "alone_videos_per_second": alone}, json_file)
    click.echo(f"{rate:.2f} videos a second, {rate / alone:.2f} of the {alone:.2f} without Kafka")


def _finish(rows: list[Any], figures: Mapping[str, Any], json_file: Path | None) -> None:
    """Print the table; write both to ``json_file``."""
    from rich.console import Console

    from consumer.bench.timing import show, to_json

    show(rows, Console(highlight=False))
    if json_file is not None:
        write_json(json_file, {"rows": to_json(rows), **figures})
