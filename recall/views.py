"""One vector a modality for each video, and the spaces in which such vectors are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.features import F32, Features, Modality, State, Words
from recall.dataset import MODALITIES, Dataset

Mask = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """B videos, one row each; a row is zero where the video lacks that modality.

    ``sentence`` [B, Ds], ``bridge`` [B, Db]: as in the features. ``picture`` [B, Dv]: mean over the
    frames. ``sound`` [B, 2 Da]: unit mean and unit maximum over the blocks, side by side.
    ``states``: each video's modalities. All float32.
    """

    words: tuple[Words, ...]
    states: tuple[tuple[State, State, State], ...]
    sentence: F32
    bridge: F32
    picture: F32
    sound: F32

    def __len__(self) -> int:
        return len(self.words)

    def used(self, modality: Modality) -> I64:
        """The rows of the videos that have this modality."""
        column = MODALITIES.index(modality)
        return np.flatnonzero([row[column] is State.USED for row in self.states]).astype(np.int64)

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
    sentence = np.zeros((len(batch), dims.sentence), dtype=np.float32)
    bridge = np.zeros((len(batch), dims.bridge), dtype=np.float32)
    picture = np.zeros((len(batch), dims.frame), dtype=np.float32)
    sound = np.zeros((len(batch), 2 * dims.audio), dtype=np.float32)
    for row, features in enumerate(batch):
        if features.sentence is not None:
            sentence[row] = features.sentence
        if features.bridge is not None:
            bridge[row] = features.bridge
        if features.frames is not None and len(features.frames):
            picture[row] = features.frames.mean(axis=0)
        if features.audio is not None and len(features.audio):
            mean, peak = features.audio.mean(axis=0), features.audio.max(axis=0)
            sound[row] = np.concatenate([unit(mean), unit(peak)])
    states = tuple(
        (f.states[Modality.TEXT], f.states[Modality.VISUAL], f.states[Modality.AUDIO])
        for f in batch
    )
    return Views(tuple(f.words for f in batch), states, sentence, bridge, picture, sound)


def views_of_dataset(dataset: Dataset, dims: Dims) -> Views:
    """The views of packed features: the same numbers as :func:`views_of`."""
    return views_of([dataset.features(row) for row in range(len(dataset))], dims)


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
    def fit(cls, vectors: F32, width: int, whitening: float) -> Space:
        """Fit to float32 [N, D]; ``whitening`` 0 keeps the variances, 1 makes them equal.

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

    def place(self, vectors: F32) -> F32:
        """float32 [B, D] → unit vectors [B, d]."""
        return unit((vectors - self.mean) @ self.basis)
