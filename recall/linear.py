"""One linear model a tag over everything that is known of a video, solved instead of trained.

A video's vector is its embeddings side by side (:func:`joined`); a tag's score is the product of
its vector with the video's: how much likelier the tag is than its share of all videos, rare tags
weighed up. Over a large vocabulary the vectors are first projected to fewer dimensions, and the
best tags are searched for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recall.arrays import Array, pack_rows, read_arrays, unpack_rows, write_arrays
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

_BITS = 4  # a number of a tag's vector


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
    """``projection`` float32 [D, r], or None where r is D.

    ``vectors`` float32 [V, r], zeros for a tag never seen; over a large vocabulary an index.
    """

    projection: F32 | None
    vectors: F32 | VectorIndex

    @classmethod
    def build(
        cls, projection: F32 | None, vectors: F32, videos: F32, *, seed: int = 0
    ) -> LinearClassifier:
        """With a search index, made for such ``videos`` [n, D], where the vocabulary is large."""
        if len(vectors) <= SCORED_IN_FULL_UP_TO:
            return cls(projection, vectors)
        seen = videos if projection is None else videos @ projection
        numbers = np.arange(len(vectors))
        return cls(projection, VectorIndex.build(vectors, numbers, seed=seed, queries=seen))

    def best(self, videos: F32, keep: int, rows: I64) -> Proposals:
        """The ``keep`` best tags that each video speaks for: those with a score above zero.

        ``videos`` float32 [n, D]; ``rows`` int64 [n] says which they are.
        """
        seen: F32 = videos if self.projection is None else videos @ self.projection
        if isinstance(self.vectors, VectorIndex):
            found = Proposals.of_found(*self.vectors.search(seen, keep), rows)
        else:
            found = Proposals.of_dense((seen @ self.vectors.T).astype(np.float32), keep, rows)
        return found.where(found.score > 0)

    def widened(self, width: int) -> LinearClassifier:
        """For a vocabulary that has grown: nothing speaks for the new tags."""
        if isinstance(self.vectors, VectorIndex):
            return self
        new = width - len(self.vectors)
        return LinearClassifier(self.projection, np.pad(self.vectors, ((0, new), (0, 0))))

    def rounded(self) -> LinearClassifier:
        """As it will be read back, so that what is fitted upon it is fitted upon what serves."""
        if isinstance(self.vectors, VectorIndex):
            return self
        kept = unpack_rows("vectors", pack_rows("vectors", self.vectors, bits=_BITS))
        return LinearClassifier(self.projection, kept)

    def save(self, folder: Path) -> None:
        """Write into a new folder; vectors at four bits a number."""
        none = np.zeros((0, 0), dtype=np.float16)
        projection = none if self.projection is None else self.projection.astype(np.float16)
        arrays: dict[str, Array] = {"projection": projection}
        if isinstance(self.vectors, VectorIndex):
            self.vectors.save(folder / "search")
        else:
            arrays |= pack_rows("vectors", self.vectors, bits=_BITS)
        write_arrays(folder, arrays)

    @classmethod
    def load(cls, folder: Path) -> LinearClassifier:
        """Read what :meth:`save` wrote; raises BundleError."""
        search, arrays = folder / "search", read_arrays(folder)
        projection = arrays["projection"]
        return cls(
            projection.astype(np.float32) if projection.size else None,
            VectorIndex.load(search) if search.is_dir() else unpack_rows("vectors", arrays),
        )
