"""Videos like a bundle's labelled ones, and the vectors that they are searched for with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt

from encoders.features import Features, Modality, State, Words
from recall.channels import Channels
from recall.classifier import queries
from recall.index import VectorIndex
from recall.linear import joined
from recall.ragged import Ragged
from recall.recaller import Recaller
from recall.views import Placed, Space, unit, views_of

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Random = np.random.Generator

SHIFT = 0.5
"""Length of the noise added to a unit vector: a copy has a cosine of about 0.9 to the original."""
_WORDS = 5  # of each of two videos


def videos_like(recaller: Recaller, count: int, random: Random) -> list[Features]:
    """Features whose vectors lie near those of one labelled video, with words of two.

    A space is a linear map, so a vector leads back to an embedding by the map's pseudo-inverse.
    """
    channels, library = recaller.channels, recaller.channels.library
    parts = (channels.sentence.index, channels.picture.index, channels.sound.index)
    whole = reduce(np.intersect1d, [part.rows for part in parts])
    spaces = channels.spaces
    said = way_back(parts[0], spaces.sentence)
    seen = way_back(parts[1], spaces.picture)
    heard = way_back(parts[2], spaces.sound)
    terms = channels.words.index.numbers.transposed(channels.words.index.videos)
    term_list = channels.words.index.space.term_list
    videos = []
    for number in random.choice(whole, count).tolist():
        words: list[str] = []
        for other in (number, int(random.choice(whole))):
            words += [term_list[t] for t in terms[other] if " " not in term_list[t]][:_WORDS]
        tags = library.labels[number]
        names = channels.bridge.vectors
        tag = random.choice(tags) if len(tags) else random.integers(len(names))
        mean, loudest = np.split(_like(heard, parts[2], number, random, unit_parts=2), 2, axis=1)
        videos.append(
            Features(
                words=Words(" ".join(words)),
                states=dict.fromkeys(Modality, State.USED),
                sentence=unit(_like(said, parts[0], number, random, unit_parts=1)[0]),
                frames=_like(seen, parts[1], number, random),
                bridge=shifted(names[tag], random),
                # Two blocks with this mean and, but for its length, this maximum.
                audio=np.concatenate([2 * loudest, 2 * (mean - loudest)]),
                sound_bridge=shifted(channels.meaning.vectors[tag], random),
            )
        )
    return videos


def shifted(vectors: F32, random: Random) -> F32:
    """Unit vectors float32 [..., D] near the given ones."""
    noise = random.standard_normal(vectors.shape, dtype=np.float32)
    return unit(vectors + noise * np.float32(SHIFT / np.sqrt(vectors.shape[-1])))


def vectors_of(index: VectorIndex) -> F32:
    """float32 [M, D]: what an index holds, as it holds it."""
    vectors: F32 = index.main.reconstruct_n(0, index.main.ntotal)
    return vectors


def indexes_of(channels: Channels) -> dict[str, VectorIndex]:
    """Every index that a video is searched in."""
    found: dict[str, object] = {
        "sentence": channels.sentence.index,
        "picture": channels.picture.index,
        "sound": channels.sound.index,
        "fused": channels.fused and channels.fused.index,
        "meaning": channels.meaning.index,
        "bridge": channels.bridge.index,
        "classifier": channels.classifier and channels.classifier.tags.search,
        "linear": channels.linear and channels.linear.vectors,
    }
    return {name: index for name, index in found.items() if isinstance(index, VectorIndex)}


def queries_of(channels: Channels, batch: Sequence[Features]) -> dict[str, F32]:
    """The vectors float32 [n, D] that each index is searched for with, ready made."""
    views = views_of(batch, channels.dims)
    spaces = channels.spaces
    together = joined(views, spaces)
    projection = None if channels.linear is None else channels.linear.projection
    placed = Placed.of(views, spaces)
    found = {
        "sentence": placed.sentence,
        "picture": placed.scenes.values,
        "sound": placed.sound,
        "meaning": views.sentence,
        "bridge": views.bridge,
        "linear": together if projection is None else together @ projection,
    }
    fused = channels.fuse(views, placed)
    if fused is not None:
        found["fused"] = fused.fused
        found["classifier"] = queries(fused)
    return {name: np.ascontiguousarray(vectors) for name, vectors in found.items()}


def rows_by_video(index: VectorIndex, numbers: I64) -> Ragged[np.int32]:
    """The places in the index of each video's vectors, for videos up to the last of ``numbers``."""
    among = int(max(numbers.max(), index.rows.max(initial=0))) + 1
    return Ragged(index.rows, np.arange(len(index.rows) + 1)).transposed(among)


def way_back(index: VectorIndex, space: Space) -> tuple[F32, F32, F32]:
    """The index's vectors, and the way back from the space: its mean and its inverse."""
    back = np.linalg.pinv(space.basis.astype(np.float32)).astype(np.float32)
    return vectors_of(index), space.mean, back


def _like(
    way: tuple[F32, F32, F32],
    index: VectorIndex,
    video: int,
    random: Random,
    *,
    unit_parts: int = 0,
) -> F32:
    """Embeddings float32 [n, D] whose places lie near those of the video.

    A place says which way from the mean, not how far. Where embeddings are so many vectors of unit
    length side by side, ``unit_parts``, it is as far as makes them as long: |mean + s · way|² = n.
    """
    vectors, mean, back = way
    held = np.flatnonzero(index.rows == video)
    offset = shifted(vectors[held], random) @ back
    if unit_parts:
        a, b = (offset * offset).sum(axis=1), offset @ mean
        c = mean @ mean - unit_parts
        offset *= ((np.sqrt(np.maximum(b * b - a * c, 0)) - b) / np.maximum(a, 1e-12))[:, None]
    near: F32 = mean + offset
    return near.astype(np.float32)
