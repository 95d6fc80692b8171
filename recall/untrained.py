"""Channels before anything has learned from labels: spaces, indexes, names, history."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from recall.channels import Channels, log_share
from recall.dataset import MODALITIES, Dataset
from recall.index import VectorIndex
from recall.large import laid_down, large, parts
from recall.library import Library
from recall.names import Embed, NameMatcher, name_vectors
from recall.parts import Carry, NameSearch, VectorNeighbours, WordNeighbours
from recall.ragged import Ragged
from recall.uploader import UploaderHistory
from recall.views import (
    MOST_SCENES,
    Dims,
    Space,
    Spaces,
    Views,
    by_parts,
    dims_of,
    scenes,
)
from recall.vocabulary import Vocabulary
from recall.words import WordIndex, WordSpace

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

# Dimensions and whitening of each space, chosen on validation splits.
_SENTENCE, _PICTURE, _SOUND = (256, 0.5), (256, 0.75), (256, 0.75)
VIDEOS_TO_SEARCH_FOR = 4_000
_VECTORS_TO_FIT = 50_000
_BITS = 4  # a dimension of the indexed vectors


@dataclass(frozen=True, slots=True, eq=False)
class Lasting:
    """What of the channels stays when other videos are labelled."""

    dims: Dims
    spaces: Spaces
    matcher: NameMatcher
    meaning: NameSearch
    bridge: NameSearch

    @classmethod
    def of(
        cls,
        views: Views,
        dims: Dims,
        vocabulary: Vocabulary,
        sentences: Embed,
        names: Embed,
        seed: int,
    ) -> Lasting:
        """Of the first videos to be labelled."""
        text, visual, _ = (views.used(modality) for modality in MODALITIES)
        said = views.sentence[some_of(text, VIDEOS_TO_SEARCH_FOR)]
        shown = views.bridge[some_of(visual, VIDEOS_TO_SEARCH_FOR)]
        return cls(
            dims,
            _spaces(views),
            NameMatcher(vocabulary),
            NameSearch.build(
                laid_down(name_vectors(vocabulary, sentences)), queries=said, seed=seed
            ),
            NameSearch.build(laid_down(name_vectors(vocabulary, names)), queries=shown, seed=seed),
        )

    @classmethod
    def kept(cls, channels: Channels) -> Lasting:
        """Of channels that there are."""
        return cls(
            channels.dims, channels.spaces, channels.matcher, channels.meaning, channels.bridge
        )


def untrained_channels(
    videos: Dataset, views: Views, seen: Ragged[np.float32], lasting: Lasting, seed: int
) -> Channels:
    """All that needs no training: indexes, words, names, history."""
    spaces, tags = lasting.spaces, len(lasting.bridge.vectors)
    library = Library(
        videos.video_ids,
        videos.labels,
        tags,
        videos.uploader,
        videos.uploaders,
    )
    text, _, audio = (views.used(modality) for modality in MODALITIES)
    has_text = set(text.tolist())
    texts = [w.text if row in has_text else "" for row, w in enumerate(views.words)]
    space = WordSpace.fit(text for text in texts if text)
    numbers = np.arange(len(videos), dtype=np.int32)
    words = WordIndex.build(space, space.rows(texts), numbers, len(videos))
    return Channels(
        dims=lasting.dims,
        spaces=spaces,
        library=library,
        prior=log_share(library.counts(), len(library)),
        sentence=neighbours_of(_placed(spaces.sentence, views.sentence, text), text, seed),
        picture=neighbours_of(seen.values, np.repeat(numbers, seen.lengths), seed),
        sound=neighbours_of(_placed(spaces.sound, views.sound, audio), audio, seed),
        fused=None,
        words=WordNeighbours(words, Carry()),
        matcher=lasting.matcher,
        meaning=lasting.meaning,
        bridge=lasting.bridge,
        history=UploaderHistory(library),
        classifier=None,
        word_classifier=None,
        linear=None,
    )


def widths(dataset: Dataset, sentences: Embed, names: Embed) -> Dims:
    """The dataset's widths; the encoders' own where it has none."""
    dims = dims_of(dataset)
    return replace(
        dims,
        sentence=dims.sentence or sentences([""]).shape[1],
        bridge=dims.bridge or names([""]).shape[1],
    )


def _spaces(views: Views) -> Spaces:
    """Fitted to the training videos, without labels."""
    text, _, audio = (views.used(modality) for modality in MODALITIES)
    frames = views.frames.values
    return Spaces(
        Space.fit(views.sentence[some_of(text)], *_SENTENCE),
        Space.fit(frames[:: 1 + len(frames) // _VECTORS_TO_FIT], *_PICTURE),
        Space.fit(views.sound[some_of(audio)], *_SOUND),
    )


def neighbours_of(vectors: F32, rows: npt.NDArray[np.integer], seed: int) -> VectorNeighbours:
    return VectorNeighbours(VectorIndex.build(vectors, rows, bits=_BITS, seed=seed), Carry())


def some_of(rows: I64, most: int = _VECTORS_TO_FIT) -> I64:
    """At most so many, spread evenly; by default as many as a space is fitted to."""
    return rows[:: 1 + len(rows) // most]


def _placed(space: Space, vectors: F32, rows: I64) -> F32:
    return by_parts(len(rows), lambda part: space.place(vectors[rows[part]]))


def scenes_of(views: Views, space: Space) -> Ragged[np.float32]:
    """All videos' scenes, a few videos at a time."""
    values = large((MOST_SCENES * len(views), space.width), np.float32)
    lengths = [np.zeros(0, dtype=np.int64)]
    filled = 0
    for part in parts(len(views)):
        seen = scenes(views.part(part).frames, space)
        values[filled : filled + len(seen.values)] = seen.values
        filled += len(seen.values)
        lengths.append(seen.lengths)
    starts = np.zeros(len(views) + 1, dtype=np.int64)
    np.cumsum(np.concatenate(lengths), out=starts[1:])
    return Ragged(values[:filled], starts)
