"""Recall at a platform's size, beside raw FAISS searching the same indexes for the same vectors."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from consumer.bench.enlarged import Size, enlarge, vectors_of
from consumer.bench.timing import Row, side_by_side
from encoders.features import Features, Modality, State, Words
from rank.bundle import open_bundle
from recall.channels import Channels
from recall.index import VectorIndex
from recall.recaller import Recaller
from recall.storage import load_recaller
from recall.views import Space, unit, views_of

F32 = npt.NDArray[np.float32]

QUERIES = 100
NEAREST = 100


@dataclass(frozen=True, slots=True)
class RecallBench:
    """``rows``: milliseconds a video. ``figures``: size, build time, memory, fidelity to exact."""

    rows: list[Row]
    figures: dict[str, Any]


def bench_recall(
    bundle: Path, size: Size, threads: int, seed: int, tell: Callable[[str], None]
) -> RecallBench:
    """Enlarge the bundle's recaller and search it, one video at a time and in batches of eight."""
    faiss.omp_set_num_threads(threads)
    small = load_recaller(open_bundle(bundle).recall, threads)
    random = np.random.default_rng(seed + 1)
    videos = _videos(small, QUERIES, random)
    began = perf_counter()
    large = enlarge(small, size, seed, tell)
    built = perf_counter() - began
    tell("exact searches to compare with")
    indexes = _indexes(large.channels)
    fidelity = {name: _fidelity(index, random) for name, index in indexes.items()}
    rows = []
    for together in (1, 8):
        batches = [videos[i : i + together] for i in range(0, QUERIES - together + 1, together)]
        queries = [_queries(large.channels, batch) for batch in batches]
        rows.append(
            side_by_side(
                f"five channels, {together} at a time",
                partial(_recall, large, batches),
                "FAISS, the same vectors",
                partial(_search, indexes, queries),
                rounds=len(batches),
                per=together,
            )
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return RecallBench(
        rows,
        {
            "videos": size.videos,
            "tags": size.tags,
            "build_seconds": built,
            "peak_memory_bytes": peak if sys.platform == "darwin" else peak * 1024,
            "recall_at_100_against_exact": fidelity,
        },
    )


def _recall(large: Recaller, batches: Sequence[Sequence[Features]], number: int) -> object:
    return large.candidates(batches[number], [None] * len(batches[number]))


def _search(
    indexes: Mapping[str, VectorIndex], queries: Sequence[Mapping[str, F32]], number: int
) -> object:
    return [indexes[name].main.search(query, NEAREST) for name, query in queries[number].items()]


def _indexes(channels: Channels) -> dict[str, VectorIndex]:
    """Every FAISS index that a video is searched in."""
    found = {
        "sentence": channels.sentence.index,
        "picture": channels.picture.index,
        "sound": channels.sound.index,
        "meaning": channels.meaning.index,
        "bridge": channels.bridge.index,
    }
    if channels.fused is not None:
        found["fused"] = channels.fused.index
    if channels.classifier is not None and channels.classifier.tags.search is not None:
        found["classifier"] = channels.classifier.tags.search
    return found


def _queries(channels: Channels, batch: Sequence[Features]) -> dict[str, F32]:
    """The vectors that each index is searched for, ready made."""
    views = views_of(batch, channels.dims)
    found = {
        "sentence": channels.spaces.sentence.place(views.sentence),
        "picture": channels.spaces.picture.place(views.picture),
        "sound": channels.spaces.sound.place(views.sound),
        "meaning": views.sentence,
        "bridge": views.bridge,
    }
    fused = channels.fuse(views)
    if fused is not None:
        ones = np.ones((len(batch), 1), dtype=np.float32)
        found["fused"] = fused.fused
        found["classifier"] = np.concatenate([fused.hidden, fused.query, ones], axis=1)
    wanted = _indexes(channels)
    return {name: np.ascontiguousarray(found[name]) for name in wanted}


def _fidelity(index: VectorIndex, random: np.random.Generator) -> float:
    """Share of the 100 truly nearest that the index finds, for vectors near those it holds."""
    held = vectors_of(index)
    queries = held[random.integers(0, len(held), QUERIES)]
    noise = random.standard_normal(queries.shape, dtype=np.float32)
    lengths = np.linalg.norm(queries, axis=1, keepdims=True)
    queries = queries + noise * lengths * np.float32(0.3 / np.sqrt(queries.shape[1]))
    keep = min(NEAREST, len(held))
    exact = np.argpartition(-(queries @ held.T), keep - 1, axis=1)[:, :keep]
    _, found = index.main.search(queries, keep)
    hits = [len(np.intersect1d(a, b)) for a, b in zip(exact, found, strict=True)]
    return float(np.mean(hits)) / keep


def _videos(small: Recaller, count: int, random: np.random.Generator) -> list[Features]:
    """Videos like the labelled ones: features that lead back to their vectors, and words of theirs.

    The spaces are linear maps, so a vector leads back to an embedding by their pseudo-inverses.
    """
    channels = small.channels
    spaces = channels.spaces

    def like(index: VectorIndex, space: Space) -> F32:
        held = vectors_of(index)
        chosen = held[random.integers(0, len(held), count)]
        back = np.linalg.pinv(space.basis.astype(np.float32)).astype(np.float32)
        vectors: F32 = space.mean + chosen @ back
        return vectors

    sentences = unit(like(channels.sentence.index, spaces.sentence))
    pictures = like(channels.picture.index, spaces.picture)
    sounds = like(channels.sound.index, spaces.sound)
    names = channels.bridge.vectors[random.integers(0, len(channels.bridge.vectors), count)]
    terms = [term for term in channels.words.index.space.term_list if " " not in term]
    return [
        Features(
            words=Words(" ".join(random.choice(terms, min(6, len(terms)), replace=False))),
            states=dict.fromkeys(Modality, State.USED),
            sentence=sentences[row],
            frames=pictures[row : row + 1],
            bridge=unit(names[row]),
            audio=sounds[row : row + 1, : sounds.shape[1] // 2],
        )
        for row in range(count)
    ]
