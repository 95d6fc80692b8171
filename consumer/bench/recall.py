"""Recall at a platform's size, beside raw FAISS searching the same indexes for the same vectors."""

from __future__ import annotations

import os
import resource
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from consumer.bench.enlarged import Built, Size, enlarge
from consumer.bench.timing import Row, side_by_side
from consumer.bench.videos import indexes_of, queries_of, videos_like
from encoders.features import Features
from rank.bundle import open_bundle
from recall.candidates import CHANNELS
from recall.index import VectorIndex
from recall.recaller import Recaller
from recall.storage import load_recaller

F32 = npt.NDArray[np.float32]

VIDEOS = 104


@dataclass(frozen=True, slots=True)
class IndexFigures:
    """One index. ``milliseconds``: median of a single search in FAISS, for 100 neighbours.

    ``recall_at_100``: the share of the truly nearest, by exhaustive search of unpacked vectors,
    that it finds for the videos measured.
    """

    vectors: int
    dimensions: int
    build_seconds: float
    bytes: int
    milliseconds: float
    recall_at_100: float


@dataclass(frozen=True, slots=True)
class RecallBench:
    """``rows``: milliseconds a video. ``indexes``: by name. ``figures``: of the whole."""

    rows: list[Row]
    indexes: dict[str, IndexFigures]
    figures: dict[str, Any]


def bench_recall(
    bundle: Path, size: Size, threads: int, seed: int, tell: Callable[[str], None]
) -> RecallBench:
    """Enlarge the bundle's recaller and search it, one video at a time and in batches of eight.

    Channels, and the raw searches beside them, run side by side on so many ``threads``.
    """
    faiss.omp_set_num_threads(os.cpu_count() or 1)  # to build with
    small = load_recaller(open_bundle(bundle).recall)
    videos = videos_like(small, VIDEOS, np.random.default_rng(seed + 1))
    began = perf_counter()
    enlarged = enlarge(small, size, videos, seed, tell)
    built = perf_counter() - began
    faiss.omp_set_num_threads(1)
    tell("searches")
    large = enlarged.recaller
    indexes = indexes_of(large.channels)
    rows = []
    with ThreadPoolExecutor(threads) as pool:
        for together in (1, 8):
            batches = [videos[i : i + together] for i in range(0, VIDEOS, together)]
            queries = [queries_of(large.channels, batch) for batch in batches]
            rows.append(
                side_by_side(
                    f"five channels, {together} at a time",
                    partial(_recall, replace(large, pool=pool), batches),
                    "FAISS, the same vectors",
                    partial(_search, indexes, queries, pool),
                    rounds=len(batches),
                    per=together,
                )
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return RecallBench(
        rows,
        {name: _figures(indexes[name], note) for name, note in enlarged.built.items()},
        {
            "videos": size.videos,
            "tags": len(large.vocabulary),
            "build_seconds": built,
            "peak_memory_bytes": peak if sys.platform == "darwin" else peak * 1024,
            "channel_milliseconds": _by_channel(large, videos),
        },
    )


def to_json(bench: RecallBench) -> dict[str, Any]:
    """The figures as JSON has them; the rows are the caller's."""
    return {
        **bench.figures,
        "indexes": {name: asdict(figures) for name, figures in bench.indexes.items()},
    }


def _recall(large: Recaller, batches: Sequence[Sequence[Features]], number: int) -> object:
    return large.candidates(batches[number], [None] * len(batches[number]))


def _search(
    indexes: Mapping[str, VectorIndex],
    queries: Sequence[Mapping[str, F32]],
    pool: Executor,
    number: int,
) -> object:
    own = queries[number]
    return list(pool.map(lambda name: indexes[name].main.search(own[name], 100), indexes))


def _by_channel(large: Recaller, videos: Sequence[Features]) -> dict[str, float]:
    """Median milliseconds of each channel alone, one video at a time."""
    taken: dict[str, list[float]] = {channel.value: [] for channel in CHANNELS}
    for video in videos:
        batch = large.channels.batch([video], [None])
        for channel in CHANNELS:
            began = perf_counter()
            large.channel(batch, channel)
            taken[channel.value].append((perf_counter() - began) * 1000)
    return {name: statistics.median(times) for name, times in taken.items()}


def _figures(index: VectorIndex, built: Built) -> IndexFigures:
    keep = built.nearest.shape[1]
    taken, found = [], []
    for row in range(len(built.queries)):
        began = perf_counter()
        _, places = index.main.search(built.queries[row : row + 1], keep)
        taken.append((perf_counter() - began) * 1000)
        found.append(len(np.intersect1d(places[0], built.nearest[row])) / max(keep, 1))
    return IndexFigures(
        len(index),
        index.main.d,
        built.seconds,
        _bytes(index.main),
        statistics.median(taken),
        float(np.mean(found)),
    )


def _bytes(main: Any) -> int:
    """How long the index is when written."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        faiss.write_index(main, str(path))
        return path.stat().st_size
