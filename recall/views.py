"""One vector a modality for each video, and the spaces in which such vectors are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.features import F32, Features, Modality, State, Words
from recall.dataset import MODALITIES, STATES, Dataset
from recall.large import large, parts
from recall.ragged import Ragged, Value

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float16] | F32
I64 = npt.NDArray[np.int64]

SAME_SCENE = 0.5
MOST_SCENES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """B videos, one row each; a row is zero where the video lacks that modality.

    ``sentence`` [B, Ds], ``bridge`` [B, Db], ``sound_bridge`` [B, Ds], ``frames`` ragged rows of
    [Dv]: as in the features, but the frames in half precision, as a :class:`Dataset` holds them.
    ``picture`` [B, Dv]: mean over the frames. ``sound`` [B, 2 Da]: unit mean and unit
    maximum over the blocks, side by side. ``states``: each video's modalities. All others float32.
    """

    words: tuple[Words, ...]
    states: tuple[tuple[State, State, State], ...]
    sentence: F32
    bridge: F32
    sound_bridge: F32
    frames: Ragged[np.float16]
    picture: F32
    sound: F32

    def __len__(self) -> int:
        return len(self.words)

    def part(self, rows: slice) -> Views:
        """The videos from ``rows.start`` to ``rows.stop``, nothing copied."""
        return Views(
            self.words[rows],
            self.states[rows],
            self.sentence[rows],
            self.bridge[rows],
            self.sound_bridge[rows],
            stretch(self.frames, rows),
            self.picture[rows],
            self.sound[rows],
        )

    def used(self, modality: Modality) -> I64:
        """The rows of the videos that have this modality."""
        column = MODALITIES.index(modality)
        return np.flatnonzero([row[column] is State.USED for row in self.states]).astype(np.int64)

    def named_sounds(self) -> I64:
        """The rows of the videos whose sound has a place among names."""
        heard = self.used(Modality.AUDIO)
        return heard[self.sound_bridge[heard].any(axis=1)]

    def any_used(self) -> I64:
        """The rows of the videos that have any modality at all."""
        return np.flatnonzero(self.used_mask().any(axis=1)).astype(np.int64)

    def used_mask(self) -> F32:
        """float32 [B, 3]: 1 where a modality is used, in the order of MODALITIES."""
        mask = [[float(state is State.USED) for state in row] for row in self.states]
        return np.asarray(mask, dtype=np.float32).reshape(-1, len(MODALITIES))


@dataclass(frozen=True, slots=True)
class Dims:
    """How wide a profile's arrays are: sentence, bridge, frame and audio embeddings."""

    sentence: int
    bridge: int
    frame: int
    audio: int


def views_of(batch: Sequence[Features], dims: Dims) -> Views:
    """The views of a batch of features."""
    frames = _ragged([f.frames for f in batch], dims.frame).rounded()
    return Views(
        words=tuple(f.words for f in batch),
        states=tuple(
            (f.states[Modality.TEXT], f.states[Modality.VISUAL], f.states[Modality.AUDIO])
            for f in batch
        ),
        sentence=_rows([f.sentence for f in batch], dims.sentence),
        bridge=_rows([f.bridge for f in batch], dims.bridge),
        sound_bridge=_rows([f.sound_bridge for f in batch], dims.sentence),
        frames=frames,
        picture=frames.means(),
        sound=_sound(_ragged([f.audio for f in batch], dims.audio)),
    )


def views_of_dataset(dataset: Dataset, dims: Dims) -> Views:
    """The views of packed features: the same numbers as :func:`views_of`, frames not copied."""
    return Views(
        words=dataset.words,
        states=tuple((STATES[a], STATES[b], STATES[c]) for a, b, c in dataset.states.tolist()),
        sentence=_widened(dataset.sentence, dims.sentence),
        bridge=_widened(dataset.bridge, dims.bridge),
        sound_bridge=_widened(dataset.sound_bridge, dims.sentence),
        frames=dataset.frames,
        picture=by_parts(len(dataset), lambda part: stretch(dataset.frames, part).means()),
        sound=by_parts(len(dataset), lambda part: _sound(stretch(dataset.audio, part))),
    )


def by_parts(count: int, make: Callable[[slice], F32]) -> F32:
    """float32 [count, D]: what ``make`` makes of some rows, for all of them in turn."""
    rows = make(slice(0, 0))
    out = large((count, *rows.shape[1:]), np.float32)
    for part in parts(count):
        out[part] = make(part)
    return out


def stretch(lists: Ragged[Value], rows: slice) -> Ragged[Value]:
    """The lists from ``rows.start`` to ``rows.stop``, nothing copied."""
    starts = lists.starts[rows.start : rows.stop + 1]
    return Ragged(lists.values[starts[0] : starts[-1]], starts - starts[0])


def _rows(found: Sequence[F32 | None], width: int) -> F32:
    rows = np.zeros((len(found), width), dtype=np.float32)
    for number, row in enumerate(found):
        if row is not None:
            rows[number] = row
    return rows


def _ragged(found: Sequence[F32 | None], width: int) -> Ragged[np.float32]:
    none = np.zeros((0, width), dtype=np.float32)
    return Ragged.of([none if rows is None else rows for rows in found], np.float32, none)


def _widened(rows: F32, width: int) -> F32:
    """A dataset in which no video has a modality knows no width for it."""
    return rows if rows.shape[1] else np.zeros((len(rows), width), dtype=np.float32)


def _sound(audio: Ragged[np.float32]) -> F32:
    return np.concatenate([unit(audio.means()), unit(audio.maxima())], axis=1)


def dims_of(dataset: Dataset) -> Dims:
    """The widths that a dataset has; 0 where no video has that modality."""
    return Dims(
        dataset.sentence.shape[1],
        dataset.bridge.shape[1],
        dataset.frames.values.shape[1],
        dataset.audio.values.shape[1],
    )


def unit(vectors: npt.NDArray[np.floating]) -> F32:
    """Scale along the last axis to unit length; zeros stay zeros."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: F32 = (vectors / np.maximum(length, 1e-12)).astype(np.float32)
    return scaled


@dataclass(frozen=True, slots=True, eq=False)
class Spaces:
    """Where words, pictures and sounds are compared."""

    sentence: Space
    picture: Space
    sound: Space


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """A linear map into a space where cosines tell more: centred, fewer dimensions, some whitening.

    Principal components, each divided by a power of its deviation. Fitted without labels.
    ``mean`` float32 [D], ``basis`` float32 [D, d].
    """

    mean: F32
    basis: F32

    @classmethod
    def fit(cls, vectors: Floats, width: int, whitening: float) -> Space:
        """Fit to vectors [N, D]; ``whitening`` 0 keeps the variances, 1 makes them equal.

        With fewer than two vectors there is nothing to fit: the space is the vectors' own.
        """
        dims = vectors.shape[1]
        if len(vectors) < 2:
            return cls(np.zeros(dims, dtype=np.float32), np.eye(dims, dtype=np.float32))
        mean = vectors.mean(axis=0, dtype=np.float64)
        centred = vectors - mean
        variance, axes = np.linalg.eigh(centred.T @ centred / len(vectors))
        order = np.argsort(-variance, kind="stable")[: min(width, len(vectors) - 1)]
        order = order[variance[order] > 1e-7 * max(float(variance.max()), 1e-12)]
        basis = axes[:, order] * (variance[order] / variance[order][0]) ** (-whitening / 2)
        return cls(mean.astype(np.float32), basis.astype(np.float32))

    @property
    def width(self) -> int:
        """How many dimensions the space has."""
        return int(self.basis.shape[1])

    def place(self, vectors: Floats) -> F32:
        """Vectors [B, D] → unit vectors float32 [B, d]."""
        return unit((vectors - self.mean) @ self.basis)


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """B videos in the spaces of their modalities; what is at the rows of others means nothing.

    ``sentence`` float32 [B, d], ``scenes``: the pictures, scene by scene, ``sound`` float32 [B, d].
    """

    sentence: F32
    scenes: Ragged[np.float32]
    sound: F32

    @classmethod
    def of(cls, views: Views, spaces: Spaces) -> Placed:
        """Place each modality."""
        return cls(
            spaces.sentence.place(views.sentence),
            scenes(views.frames, spaces.picture),
            spaces.sound.place(views.sound),
        )


def scenes(frames: Ragged[np.float16], space: Space) -> Ragged[np.float32]:
    """Each video's scenes in ``space``: ragged unit vectors, in the order of time.

    A scene ends where a frame is unlike the one before it (cosine below SAME_SCENE); its vector is
    the mean of its frames'. Of a video with many, the MOST_SCENES longest are kept.
    """
    placed = space.place(frames.values)
    first = np.ones(len(placed), dtype=bool)
    first[1:] = np.einsum("td,td->t", placed[1:], placed[:-1]) < SAME_SCENE
    first[frames.starts[:-1][frames.lengths > 0]] = True
    begins = np.flatnonzero(first)
    lengths = np.diff(np.append(begins, len(placed)))
    owner = np.searchsorted(frames.starts, begins, side="right") - 1
    order = np.lexsort((-lengths, owner))
    before = np.searchsorted(owner, owner)  # scenes are grouped by video, also in this order
    kept = np.sort(order[np.arange(len(order)) - before < MOST_SCENES])
    every = Ragged(placed, np.append(begins, len(placed))).means()
    return Ragged(
        unit(every[kept]), np.searchsorted(owner[kept], np.arange(len(frames) + 1)).astype(np.int64)
    )
