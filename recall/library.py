"""The labelled videos that recall carries tags over from, and how it does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recall.arrays import bytes_to_texts, narrow, read_arrays, texts_to_bytes, write_arrays
from recall.proposals import Proposals
from recall.ragged import Ragged

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

NO_UPLOADER = -1


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """L labelled videos; a number in an index is a place here.

    ``labels``    ragged int32: each video's tags. ``width``: size of the vocabulary.
    ``uploader``  int32 [L]: place in ``uploaders``, or -1.
    """

    video_ids: tuple[str, ...]
    labels: Ragged[np.int32]
    width: int
    uploader: I32
    uploaders: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.video_ids)

    def counts(self) -> npt.NDArray[np.int64]:
        """int64 [V]: how many videos have each tag."""
        return np.bincount(self.labels.values, minlength=self.width)

    def added(self, video_id: str, labels: I32, width: int) -> Library:
        """With one more video (of nobody's) and a vocabulary of ``width`` tags."""
        return Library(
            (*self.video_ids, video_id),
            Ragged(
                np.concatenate([self.labels.values, labels]),
                np.append(self.labels.starts, self.labels.starts[-1] + len(labels)),
            ),
            width,
            np.append(self.uploader, NO_UPLOADER).astype(np.int32),
            self.uploaders,
        )

    def widened(self, width: int) -> Library:
        """The same videos in a vocabulary that has grown."""
        return Library(self.video_ids, self.labels, width, self.uploader, self.uploaders)

    def save(self, folder: Path) -> None:
        """Write into a new folder."""
        write_arrays(
            folder,
            {
                "video_ids": texts_to_bytes(self.video_ids),
                "labels": narrow(self.labels.values, self.width),
                "starts": self.labels.starts,
                "uploader": self.uploader,
                "uploaders": texts_to_bytes(self.uploaders),
                "sizes": np.asarray([len(self.video_ids), len(self.uploaders), self.width]),
            },
        )

    @classmethod
    def load(cls, folder: Path) -> Library:
        """Map what :meth:`save` wrote; raises BundleError."""
        arrays = read_arrays(folder)
        videos, uploaders, width = (int(n) for n in arrays["sizes"])
        return cls(
            bytes_to_texts(arrays["video_ids"], videos),
            Ragged(arrays["labels"].astype(np.int32, copy=False), arrays["starts"]),
            width,
            arrays["uploader"],
            bytes_to_texts(arrays["uploaders"], uploaders),
        )


def carry_over(
    library: Library, numbers: I32, similarity: F32, temperature: float, rows: npt.NDArray[np.int64]
) -> tuple[Proposals, Proposals]:
    """The tags of each video's neighbours.

    ``numbers`` int32 and ``similarity`` float32 [n, k]: neighbours (-1 for none) of n searches;
    ``rows`` int64 [n]: whose they are. Gives two scores for each tag: the neighbours' share that
    has it, each weighted by exp((similarity - best) / temperature), between 0 and 1 (the mean over
    a video's searches); and the similarity of the nearest neighbour that has it.
    """
    best = similarity[:, :1]
    with np.errstate(invalid="ignore"):
        weight = np.where(numbers >= 0, np.exp((similarity - best) / temperature), 0.0)
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    weight /= np.bincount(rows)[rows][:, None]
    video, place = np.nonzero(numbers >= 0)
    at, owner = library.labels.positions(numbers[video, place])
    tag = library.labels.values[at]
    pair = rows[video[owner]] * library.width + tag
    keys, inverse = np.unique(pair, return_inverse=True)
    share = np.bincount(inverse, weights=weight[video, place][owner], minlength=len(keys))
    nearest = np.full(len(keys), -np.inf, dtype=np.float32)
    np.maximum.at(nearest, inverse, similarity[video, place][owner])
    shares = Proposals(
        keys // library.width, (keys % library.width).astype(np.int32), share.astype(np.float32)
    )
    return shares, shares.with_scores(nearest)
