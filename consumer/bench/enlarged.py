"""A bundle's recaller blown up to a platform's size, for measuring what size costs.

Videos are drawn from the bundle's own labelled videos, each with its labels and words, its vectors
shifted a little. The vocabulary is repeated in blocks; which block a video's labels come from
follows Zipf's law, so that most tags have a handful of videos and a few have very many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from recall.channels import Channels
from recall.classifier import Classifier, TagScorer
from recall.index import VectorIndex
from recall.library import NO_UPLOADER, Library
from recall.linear import LinearClassifier, dimensions
from recall.names import NameMatcher
from recall.parts import NameSearch, VectorNeighbours, WordNeighbours
from recall.ragged import Ragged
from recall.recaller import Recaller
from recall.uploader import UploaderHistory
from recall.views import unit
from recall.vocabulary import Tag, Vocabulary
from recall.words import SparseRows, WordClassifier, WordIndex

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Random = np.random.Generator

SHIFT = 0.5
"""Length of the noise added to a unit vector: a copy has a cosine of about 0.9 to the original."""


@dataclass(frozen=True, slots=True, eq=False)
class Size:
    """How large: labelled videos and tags."""

    videos: int
    tags: int


def enlarge(
    recaller: Recaller, size: Size, seed: int, tell: Callable[[str], None] = lambda _: None
) -> Recaller:
    """The recaller at ``size``; ``tell`` is called before each part that takes a while."""
    random = np.random.default_rng(seed)
    old = recaller.channels
    base = len(recaller.vocabulary)
    copy_of = random.integers(0, len(old.library), size.videos)
    tell(f"vocabulary of {size.tags:,} tags")
    vocabulary = _vocabulary(recaller.vocabulary, size.tags)
    library = _library(old.library, copy_of, base, size, random)
    prior = np.log((library.counts() + 1) / (size.videos + 1)).astype(np.float32)

    def near(name: str, part: VectorNeighbours) -> VectorNeighbours:
        tell(f"{size.videos:,} {name} vectors")
        return replace(part, index=_index(part.index, copy_of, random, seed))

    def names(name: str, part: NameSearch) -> NameSearch:
        tell(f"{size.tags:,} {name} vectors")
        rows = np.arange(size.tags) % base
        return NameSearch.build(_shifted(part.vectors[rows], random), seed=seed)

    meaning = names("name", old.meaning)
    same = np.array_equal(old.meaning.vectors, old.bridge.vectors)
    bridge = meaning if same else names("bridge", old.bridge)
    tell("words")
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
        classifier=_classifier(old.classifier, bridge.vectors, base, random, seed),
        word_classifier=_word_classifier(old.word_classifier, base, size.tags),
        linear=_linear(old.linear, base, size.tags, random, seed),
    )
    return replace(recaller, vocabulary=vocabulary, channels=channels)


def vectors_of(index: VectorIndex) -> F32:
    """float32 [M, D]: what an index holds, as it holds it."""
    vectors: F32 = index.main.reconstruct_n(0, index.main.ntotal)
    return vectors


def _shifted(vectors: F32, random: Random) -> F32:
    noise = random.standard_normal(vectors.shape, dtype=np.float32)
    return unit(vectors + noise * np.float32(SHIFT / np.sqrt(vectors.shape[1])))


def _index(index: VectorIndex, copy_of: I64, random: Random, seed: int) -> VectorIndex:
    """Copies of all rows of the videos that the index knows; the others have none here, too."""
    vectors = vectors_of(index)
    videos = int(max(copy_of.max(), index.rows.max(initial=0))) + 1
    rows = Ragged(index.rows, np.arange(len(index.rows) + 1)).transposed(videos)
    at, copy = rows.positions(copy_of)
    return VectorIndex.build(_shifted(vectors[rows.values[at]], random), copy, seed=seed)


def _vocabulary(old: Vocabulary, tags: int) -> Vocabulary:
    base = len(old)
    return Vocabulary(
        tuple(
            Tag(f"tag-{number}", f"{old.tags[number % base].name}{number // base or ''}")
            for number in range(tags)
        )
    )


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
        np.arange(size.videos, dtype=np.int32),
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
    old: Classifier | None, names: F32, base: int, random: Random, seed: int
) -> Classifier | None:
    if old is None:
        return None
    rows = np.arange(len(names)) % base
    embeddings = old.tags.embeddings[rows]
    noise = random.normal(0, 0.1 * embeddings.std(), embeddings.shape).astype(np.float32)
    scorer = TagScorer.build(embeddings + noise, old.tags.bias[rows], names, seed=seed)
    return replace(old, tags=scorer)


def _word_classifier(old: WordClassifier | None, base: int, tags: int) -> WordClassifier | None:
    """Each block's tags weigh the words as the originals do."""
    if old is None:
        return None
    blocks = -(-tags // base)
    term = np.tile(np.repeat(np.arange(len(old.tags)), old.tags.lengths), blocks)
    tag = (old.tags.values[None, :] + base * np.arange(blocks)[:, None]).ravel()
    kept = tag < tags
    order = np.argsort(term[kept], kind="stable")
    starts = np.zeros(len(old.tags) + 1, dtype=np.int64)
    np.cumsum(np.bincount(term[kept], minlength=len(old.tags)), out=starts[1:])
    weights = np.tile(old.weights, blocks)[kept][order]
    bias = old.bias[np.arange(tags) % base]
    return WordClassifier(Ragged(tag[kept][order].astype(np.int32), starts), weights, bias)


def _linear(
    old: LinearClassifier | None, base: int, tags: int, random: Random, seed: int
) -> LinearClassifier | None:
    """Each block's tags weigh videos as the originals do, in as few dimensions as if trained."""
    if old is None or isinstance(old.vectors, VectorIndex):
        return None
    width = old.vectors.shape[1]
    projection = None
    vectors = old.vectors
    if (rank := dimensions(tags, width)) < width:
        projection = np.linalg.qr(random.standard_normal((width, rank), dtype=np.float32))[0]
        vectors = vectors @ projection
    rows = np.arange(tags) % base
    noise = random.standard_normal((tags, vectors.shape[1]), dtype=np.float32)
    noise *= np.float32(0.1 * vectors.std())
    return LinearClassifier.build(projection, vectors[rows] + noise, seed=seed)
