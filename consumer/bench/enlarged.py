"""A bundle's recaller blown up to a platform's size, for measuring what size costs.

Videos are drawn from the bundle's own labelled videos, each with its labels and words, its vectors
shifted a little. The vocabulary is repeated in blocks; which block a video's labels come from
follows Zipf's law, so that most tags have a handful of videos and a few have very many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TypeVar

import faiss
import numpy as np
import numpy.typing as npt

from consumer.bench.videos import (
    indexes_of,
    queries_of,
    rows_by_video,
    shifted,
    vectors_of,
    videos_like,
)
from encoders.features import Features
from recall.channels import Channels, log_share
from recall.classifier import Classifier, TagScorer, index_of_tags, tag_rows
from recall.index import VectorIndex
from recall.library import NO_UPLOADER, Library
from recall.linear import LinearClassifier, dimensions, joined
from recall.names import NameMatcher
from recall.parts import NameSearch, VectorNeighbours, WordNeighbours
from recall.ragged import Ragged
from recall.recaller import Recaller
from recall.uploader import UploaderHistory
from recall.views import Placed, views_of
from recall.words import SparseRows, WordClassifier, WordIndex

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Random = np.random.Generator
Part = TypeVar("Part")

NEAREST = 100
BITS = 4  # a dimension of labelled videos' vectors, as training has it
MOST_WORD_WEIGHTS = 3_000_000  # as training has it
_TO_SEARCH_FOR = 2_000
_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Size:
    """How large: labelled videos and tags; a bundle's vocabulary is never cut."""

    videos: int
    tags: int


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """What is known of an index: seconds to build it, and the truth about some ``queries`` [n, D].

    ``nearest`` int64 [n, 100]: places of the greatest products, by exhaustive search of the vectors
    as they were before the index packed them.
    """

    seconds: float
    queries: F32
    nearest: I64


@dataclass(frozen=True, slots=True, eq=False)
class Enlarged:
    """The large recaller, and how each of its indexes came about."""

    recaller: Recaller
    built: dict[str, Built]


@dataclass(frozen=True, slots=True, eq=False)
class _Builder:
    """Builds indexes, and notes what there is to know while the vectors are at hand."""

    queries: dict[str, F32]
    tell: Callable[[str], None]
    built: dict[str, Built] = field(default_factory=dict)

    def build(self, name: str, vectors: F32, make: Callable[[F32], Part]) -> Part:
        """What ``make`` makes of the vectors."""
        self.tell(f"{len(vectors):,} vectors: {name}")
        began = perf_counter()
        part = make(vectors)
        seconds = perf_counter() - began
        queries = self.queries[name]
        keep = min(NEAREST, len(vectors))
        _, nearest = faiss.knn(queries, vectors, keep, metric=faiss.METRIC_INNER_PRODUCT)
        self.built[name] = Built(seconds, queries, np.asarray(nearest, dtype=np.int64))
        return part


def enlarge(
    recaller: Recaller,
    size: Size,
    videos: Sequence[Features],
    seed: int,
    tell: Callable[[str], None] = lambda _: None,
) -> Enlarged:
    """The recaller at ``size``; ``tell`` is called before each part that takes a while.

    ``videos``: those whose nearest are to be known.
    """
    random = np.random.default_rng(seed)
    old = recaller.channels
    base = len(recaller.vocabulary)
    size = Size(size.videos, max(size.tags, base))
    copy_of = random.integers(0, len(old.library), size.videos)
    tell(f"vocabulary of {size.tags:,} tags")
    vocabulary = recaller.vocabulary.repeated(size.tags)
    library = _library(old.library, copy_of, base, size, random)
    prior = log_share(library.counts(), size.videos)
    linear = _projected(old.linear, size.tags, random)
    builder = _Builder(queries_of(replace(old, linear=linear), videos), tell)
    tag_of = np.arange(size.tags) % base

    def near(name: str, part: VectorNeighbours) -> VectorNeighbours:
        """Copies of all rows of the videos that the index knows; the others have none, too."""
        rows = rows_by_video(part.index, copy_of)
        at, copy = rows.positions(copy_of)
        vectors = _copies(vectors_of(part.index), rows.values[at], random)
        index = builder.build(
            name, vectors, lambda v: VectorIndex.build(v, copy, bits=BITS, seed=seed)
        )
        return replace(part, index=index)

    like = videos_like(recaller, min(_TO_SEARCH_FOR, size.videos), random)
    wanted = queries_of(old, like)

    def names(name: str, part: NameSearch) -> NameSearch:
        vectors = _copies(part.vectors, tag_of, random)
        return builder.build(
            name, vectors, lambda v: NameSearch.build(v, queries=wanted[name], seed=seed)
        )

    meaning, bridge = names("meaning", old.meaning), names("bridge", old.bridge)
    channels = Channels(
        dims=old.dims,
        spaces=old.spaces,
        library=library,
        prior=prior,
        sentence=near("sentence", old.sentence),
        picture=near("picture", old.picture),
        sound=near("sound", old.sound),
        fused=None if old.fused is None else near("fused", old.fused),
        words=_words(old.words, copy_of),
        matcher=NameMatcher(vocabulary),
        meaning=meaning,
        bridge=bridge,
        history=UploaderHistory(library),
        classifier=_classifier(old, bridge.vectors, tag_of, like, builder, random, seed),
        word_classifier=_word_classifier(old.word_classifier, base, size.tags),
        linear=_linear(replace(old, linear=linear), tag_of, like, builder, random, seed),
    )
    large = replace(recaller, vocabulary=vocabulary, channels=channels)
    kept = indexes_of(channels)
    return Enlarged(large, {name: built for name, built in builder.built.items() if name in kept})


def _copies(vectors: F32, rows: npt.NDArray[np.integer], random: Random) -> F32:
    """float32 [len(rows), D]: these rows of the vectors, each shifted; made piece by piece."""
    copies = np.empty((len(rows), vectors.shape[1]), dtype=np.float32)
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        copies[part] = shifted(vectors[rows[part]], random)
    return copies


def _roughened(vectors: F32, rows: I64, random: Random) -> F32:
    """float32 [len(rows), D]: these rows, with noise of a tenth of their spread."""
    noise = random.standard_normal((len(rows), vectors.shape[1]), dtype=np.float32)
    noise *= np.float32(0.1 * vectors.std())
    noise += vectors[rows]
    return noise


def _library(old: Library, copy_of: I64, base: int, size: Size, random: Random) -> Library:
    labels = old.labels.take(copy_of)
    blocks = -(-size.tags // base)
    zipf = 1 / np.arange(1, blocks + 1)
    block = random.choice(blocks, size.videos, p=zipf / zipf.sum())
    moved = labels.values + base * np.repeat(block, labels.lengths)
    values = np.where(moved < size.tags, moved, labels.values).astype(np.int32)
    return Library(
        tuple(f"video-{number}" for number in range(size.videos)),
        Ragged(values, labels.starts),
        size.tags,
        np.full(size.videos, NO_UPLOADER, dtype=np.int32),
        (),
    )


def _words(old: WordNeighbours, copy_of: I64) -> WordNeighbours:
    index = old.index
    order = np.argsort(index.numbers.values, kind="stable")
    rows = SparseRows(index.numbers.transposed(index.videos), index.weights[order])
    numbers = np.arange(len(copy_of), dtype=np.int32)
    wide = WordIndex.build(index.space, rows.take(copy_of), numbers, len(copy_of))
    return replace(old, index=wide)


def _classifier(
    old: Channels,
    names: F32,
    tag_of: I64,
    like: Sequence[Features],
    builder: _Builder,
    random: Random,
    seed: int,
) -> Classifier | None:
    views = views_of(like, old.dims)
    fused = old.fuse(views, Placed.of(views, old.spaces))
    if old.classifier is None or fused is None:
        return None
    tags = old.classifier.tags
    embeddings, bias = _roughened(tags.embeddings, tag_of, random), tags.bias[tag_of]
    rows = tag_rows(embeddings, names, bias)
    search = builder.build("classifier", rows, lambda rows: index_of_tags(rows, fused, seed))
    return replace(old.classifier, tags=TagScorer(embeddings, bias, names, search))


def _word_classifier(old: WordClassifier | None, base: int, tags: int) -> WordClassifier | None:
    """Each block's tags weigh the words as the originals do, small weights left out."""
    if old is None:
        return None
    blocks = -(-tags // base)
    strong = np.abs(old.weights)
    most = min(len(strong), MOST_WORD_WEIGHTS // blocks)
    strongest = np.flatnonzero(strong >= np.sort(strong)[len(strong) - most])
    owner = np.repeat(np.arange(len(old.tags)), old.tags.lengths)[strongest]
    term = np.tile(owner, blocks)
    tag = (old.tags.values[strongest][None, :] + base * np.arange(blocks)[:, None]).ravel()
    kept = tag < tags
    order = np.argsort(term[kept], kind="stable")
    starts = np.zeros(len(old.tags) + 1, dtype=np.int64)
    np.cumsum(np.bincount(term[kept], minlength=len(old.tags)), out=starts[1:])
    weights = np.tile(old.weights[strongest], blocks)[kept][order]
    bias = old.bias[np.arange(tags) % base]
    return WordClassifier(Ragged(tag[kept][order].astype(np.int32), starts), weights, bias)


def _projected(old: LinearClassifier | None, tags: int, random: Random) -> LinearClassifier | None:
    """In as few dimensions as if trained for so many tags."""
    if old is None or isinstance(old.vectors, VectorIndex):
        return None
    width = old.vectors.shape[1]
    if (rank := dimensions(tags, width)) == width:
        return old
    projection = np.linalg.qr(random.standard_normal((width, rank), dtype=np.float32))[0]
    return LinearClassifier(projection, old.vectors @ projection)


def _linear(
    old: Channels,
    tag_of: I64,
    like: Sequence[Features],
    builder: _Builder,
    random: Random,
    seed: int,
) -> LinearClassifier | None:
    """Each block's tags weigh videos as the originals do."""
    linear = old.linear
    if linear is None or isinstance(linear.vectors, VectorIndex):
        return None
    videos = joined(views_of(like, old.dims), old.spaces)
    vectors = _roughened(linear.vectors, tag_of, random)
    return builder.build(
        "linear",
        vectors,
        lambda v: LinearClassifier.build(linear.projection, v, videos, seed=seed),
    )
