"""What an uploader's other labelled videos say of the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from recall.library import Library
from recall.proposals import Proposals
from recall.ragged import Ragged

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

MOST_VIDEOS = 1000


@dataclass(frozen=True)
class UploaderHistory:
    """The labelled videos of each uploader."""

    library: Library

    @cached_property
    def _number_of(self) -> dict[str, int]:
        return {uploader: number for number, uploader in enumerate(self.library.uploaders)}

    @cached_property
    def _by_uploader(self) -> tuple[I64, I64]:
        """The library's videos sorted by uploader, and the uploaders in that order."""
        order = np.argsort(self.library.uploader, kind="stable").astype(np.int64)
        return order, self.library.uploader[order].astype(np.int64)

    def videos_of(self, uploader_id: str | None, without: I32 | None = None) -> I64:
        """The uploader's labelled videos but those in ``without``."""
        number = None if uploader_id is None else self._number_of.get(uploader_id)
        if number is None:
            return np.zeros(0, dtype=np.int64)
        order, uploaders = self._by_uploader
        low, high = np.searchsorted(uploaders, [number, number + 1])
        videos = order[low:high]
        if without is not None:
            videos = videos[~np.isin(videos, without)]
        return videos[-MOST_VIDEOS:]

    def proposals(
        self, uploader_ids: Sequence[str | None], without: Ragged[np.int32] | None = None
    ) -> tuple[Proposals, npt.NDArray[np.bool_]]:
        """Each tag of the uploader's other videos: how many have it ÷ (how many there are + 1).

        The one more keeps a single earlier video from counting as certainty. Also bool [B]: for
        which videos there is a history at all.
        """
        lists = [
            self.videos_of(u, None if without is None else without[row])
            for row, u in enumerate(uploader_ids)
        ]
        counts = np.asarray([len(videos) for videos in lists], dtype=np.int64)
        videos = np.concatenate([np.zeros(0, dtype=np.int64), *lists])
        at, owner = self.library.labels.positions(videos)
        row = np.repeat(np.arange(len(lists)), counts)[owner]
        score = (1.0 / (counts[row] + 1.0)).astype(np.float32)
        tags = self.library.labels.values[at]
        return Proposals.of_pairs(row, tags, score, self.library.width), counts > 0
