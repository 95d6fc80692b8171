"""The merge: what the channels and the hints say of a pair becomes the order of the candidates.

Far down the list, what one channel says has to be read by what the others say, which a mixer, a sum
of curves, can't do and boosted trees can. Trees know nothing beyond the pairs that they have
learned from, which a mixer does. So both are heard, where there are labels enough for trees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recall.candidates import CHANNELS, HINTS, Hint
from recall.mixing import Mixer
from recall.trees import Trees

F32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

SHARE = 2 / 3  # of the trees in the mean
TREES = "merge.npz"
RISING: tuple[int, ...] = (
    *(1 for _ in CHANNELS),
    *(int(hint in (Hint.WORDS, Hint.NAME, Hint.UPLOADER)) for hint in HINTS),
    0,
)
"""Of each column that trees look at: 1 where more of it never makes a pair less likely, else 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """Log odds of pairs: a mixer's, or a mean of its and the trees'."""

    mixer: Mixer
    trees: Trees | None = None

    def __call__(self, log_odds: F32, hints: F32) -> F32:
        """float32 [P] from the channels' log odds [P, 5] (NaN: not proposed) and the hints [P, H].

        A hint's NaN means that it is unknown.
        """
        mixed = self.mixer(*mixer_columns(log_odds, hints))
        if self.trees is None:
            return mixed
        grown = self.trees(tree_columns(log_odds, hints))
        return ((1 - SHARE) * mixed + SHARE * grown).astype(np.float32)

    def save(self, folder: Path) -> dict[str, object]:
        """Write the trees, if any, into ``folder``; gives what else :meth:`load` needs."""
        if self.trees is not None:
            self.trees.save(folder / TREES)
        return self.mixer.to_json()

    @classmethod
    def load(cls, folder: Path, stored: Mapping[str, Any]) -> Merge:
        """The merge that gave ``stored`` by :meth:`save`; raises BundleError where it can't."""
        path = folder / TREES  # earlier bundles have none
        return cls(Mixer.from_json(stored), Trees.load(path) if path.exists() else None)


def tree_columns(log_odds: F32, hints: F32) -> F32:
    """float32 [P, 5 + H + 1]: what trees look at; last, how many channels proposed the pair."""
    channels = (~np.isnan(log_odds)).sum(axis=1, dtype=np.float32)
    return np.concatenate([log_odds, hints, channels[:, None]], axis=1)


def mixer_columns(log_odds: F32, hints: F32) -> tuple[F32, Mask]:
    """What a mixer looks at: the scores [P, 5 + H], and which of them are silent."""
    scores = np.concatenate([log_odds, hints], axis=1)
    silent = np.zeros(scores.shape, dtype=bool)
    silent[:, log_odds.shape[1] :] = np.isnan(hints)
    return scores, silent


def untrained_mixer() -> Mixer:
    """Before any label has been seen: channels and names count, the other hints don't."""
    mixer = Mixer.untrained([(-6.0, 0.0)] * len(CHANNELS) + [(0.0, 1.0)] * len(HINTS))
    weights = mixer.weights.copy()
    weights[3 * len(CHANNELS) : -1] = 0.0
    return Mixer(mixer.curves, weights)
