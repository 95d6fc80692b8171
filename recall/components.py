"""Connected components: which videos share source material, directly or through others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt


def components(sources: Sequence[Iterable[str]]) -> npt.NDArray[np.int32]:
    """Number each video's component, given each video's sources.

    Videos that share a source are in one component, and so are videos joined by a chain of such
    videos. A video without sources is a component of its own. int32 [N], numbered from 0 in the
    order of first appearance. Union by smaller root with path halving (Tarjan 1975).
    """
    parent = list(range(len(sources)))

    def root(video: int) -> int:
        while parent[video] != video:
            parent[video] = parent[parent[video]]
            video = parent[video]
        return video

    first_of: dict[str, int] = {}
    for video, names in enumerate(sources):
        for name in names:
            a, b = root(first_of.setdefault(name, video)), root(video)
            parent[max(a, b)] = min(a, b)
    number: dict[int, int] = {}
    numbers = [number.setdefault(root(video), len(number)) for video in range(len(sources))]
    return np.asarray(numbers, dtype=np.int32)
