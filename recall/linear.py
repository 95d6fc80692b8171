"""One linear model a tag over everything that is known of a video, solved instead of trained.

A video's vector is its embeddings side by side (:func:`joined`); a tag's score is the product of
its vector with the video's, plus a bias: about the chance that the video has the tag. Over a large
vocabulary the vectors are first projected to fewer dimensions, and the best tags are searched for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recall.arrays import pack_rows, read_arrays, unpack_rows, write_arrays
from recall.index import VectorIndex
from recall.proposals import Proposals
from recall.views import Spaces, Views, unit

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

SCORED_IN_FULL_UP_TO = 20_000
MOST_WEIGHTS = 16_000_000
FEWEST_DIMENSIONS = 256
SOUND = 0.5
"""How long a sound's vector is beside those of words and picture: it says less."""


def joined(views: Views, spaces: Spaces) -> F32:
    """float32 [B, D]: sentence, picture and mean sound, centred and scaled; zeros: not used."""
    used = views.used_mask()
    half = views.sound.shape[1] // 2
    return np.concatenate(
        [
            unit(views.sentence - spaces.sentence.mean) * used[:, :1],
            unit(views.picture - spaces.picture.mean) * used[:, 1:2],
            unit((views.sound - spaces.sound.mean)[:, :half]) * used[:, 2:] * np.float32(SOUND),
        ],
        axis=1,
    )


def dimensions(tags: int, width: int) -> int:
    """How many dimensions the model of ``tags`` tags has where videos have ``width``."""
    return min(width, max(FEWEST_DIMENSIONS, MOST_WEIGHTS // max(tags, 1)))


@dataclass(frozen=True, slots=True, eq=False)
class LinearClassifier:
    """``projection`` float32 [D, r], or None where r is D. ``bias`` float32 [V].

    ``vectors`` float32 [V, r]; over a large vocabulary an index of [vector | bias] instead.
    """

    projection: F32 | None
    bias: F32
    vectors: F32 | VectorIndex

    @classmethod
    def build(
        cls, projection: F32 | None, vectors: F32, bias: F32, *, seed: int = 0
    ) -> LinearClassifier:
        """With a search index where the vocabulary is large."""
        if len(vectors) <= SCORED_IN_FULL_UP_TO:
            return cls(projection, bias, vectors)
        rows = np.concatenate([vectors, bias[:, None]], axis=1)
        return cls(projection, bias, VectorIndex.build(rows, np.arange(len(rows)), seed=seed))

    def best(self, videos: F32, keep: int, rows: I64) -> Proposals:
        """The ``keep`` best tags of ``videos`` float32 [n, D]; ``rows`` [n] says which they are."""
        seen: F32 = videos if self.projection is None else videos @ self.projection
        if not isinstance(self.vectors, VectorIndex):
            scores = (seen @ self.vectors.T + self.bias).astype(np.float32)
            return Proposals.of_dense(scores, keep, rows)
        ones = np.ones((len(seen), 1), dtype=np.float32)
        found = self.vectors.search(np.concatenate([seen, ones], axis=1), keep)
        return Proposals.of_found(*found, rows)

    def widened(self, width: int) -> LinearClassifier:
        """For a vocabulary that has grown: a new tag has the lowest bias and no vector."""
        new = np.arange(len(self.bias), width)
        more = np.full(len(new), self.bias.min(initial=0.0), dtype=np.float32)
        vectors: F32 | VectorIndex
        if isinstance(self.vectors, VectorIndex):
            rows = np.zeros((len(new), self.vectors.delta.shape[1]), dtype=np.float32)
            rows[:, -1] = more
            vectors = self.vectors.added(rows, new)
        else:
            vectors = np.pad(self.vectors, ((0, len(new)), (0, 0)))
        return LinearClassifier(self.projection, np.concatenate([self.bias, more]), vectors)

    def save(self, folder: Path) -> None:
        """Write into a new folder; vectors at four bits a number."""
        arrays: dict[str, npt.NDArray[np.generic]] = {"bias": self.bias}
        if self.projection is not None:
            arrays["projection"] = self.projection.astype(np.float16)
        if isinstance(self.vectors, VectorIndex):
            self.vectors.save(folder / "search")
        else:
            arrays |= pack_rows("vectors", self.vectors, bits=4)
        write_arrays(folder, arrays)

    @classmethod
    def load(cls, folder: Path) -> LinearClassifier:
        """Read what :meth:`save` wrote; raises BundleError."""
        arrays = read_arrays(folder)
        projection = arrays.get("projection")
        search = folder / "search"
        return cls(
            None if projection is None else projection.astype(np.float32),
            np.asarray(arrays["bias"]),
            VectorIndex.load(search) if search.is_dir() else unpack_rows("vectors", arrays),
        )
