"""Texts of a vocabulary embedded once, on all the cores that training has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from encoders.features import F32
from rank.progress import Progress

Embed = Callable[[Sequence[str]], F32]
AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Remembering:
    """An embedding function that remembers; ``workers`` calls of ``embed`` run at once."""

    embed: Embed
    progress: Progress
    workers: int = 2
    known: dict[str, F32] = field(default_factory=dict)

    def __call__(self, texts: Sequence[str]) -> F32:
        """Embeddings of texts, [N, D], in their order."""
        new = sorted({text for text in texts if text not in self.known}, key=lambda t: (len(t), t))
        parts = [new[start : start + AT_ONCE] for start in range(0, len(new), AT_ONCE)]
        with ThreadPoolExecutor(self.workers) as pool:
            done = 0
            for part, found in zip(parts, pool.map(self.embed, parts), strict=True):
                self.known.update(zip(part, found, strict=True))
                done += len(part)
                self.progress("names", done, len(new))
        return np.stack([self.known[text] for text in texts])
