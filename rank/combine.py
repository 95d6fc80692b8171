"""The last, simple stage: what the channels, the hints and the ranker say, as one logit.

The mean of two models on the same columns: a ridge logistic regression on bounded transforms of
them, which holds up on a handful of videos, and gradient-boosted trees, which are better on many.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.errors import BundleError
from encoders.features import F32
from rank.trees import Trees

F64 = npt.NDArray[np.float64]

TREES = "trees.npz"
LINEAR = "linear.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A logistic regression on standardised columns and on which of them are unknown.

    ``mean``, ``spread`` float64 [F]; ``weights`` float64 [2F]; ``shift``: the intercept.
    """

    mean: F64
    spread: F64
    weights: F64
    shift: float

    def inputs(self, rows: F32) -> F64:
        """float64 [n, 2F]: columns standardised and bounded to ± 4 (0 if unknown), then flags."""
        unknown = np.isnan(rows)
        known = np.clip((rows - self.mean) / self.spread, -4, 4)
        return np.concatenate([np.where(unknown, 0, known), unknown], axis=1)

    def __call__(self, rows: F32) -> F64:
        """The logit of each row, float64 [n]."""
        return np.asarray(self.inputs(rows) @ self.weights + self.shift, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Combiner:
    """Rows of ``rank.columns`` to logits. ``share``: the trees' weight in the mean, 0 to 1."""

    linear: Linear
    trees: Trees
    share: float

    def __call__(self, rows: F32) -> F64:
        """The logit of each row, float64 [n]."""
        found = (1 - self.share) * self.linear(rows)
        if self.share:
            found = found + self.share * self.trees(rows)
        return np.asarray(found, np.float64)

    def save(self, folder: Path) -> None:
        """Write the two models."""
        folder.mkdir(parents=True, exist_ok=True)
        self.trees.save(folder / TREES)
        with (folder / LINEAR).open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                mean=self.linear.mean,
                spread=self.linear.spread,
                weights=self.linear.weights,
                shift=self.linear.shift,
                share=self.share,
            )

    @classmethod
    def load(cls, folder: Path) -> Combiner:
        """Read what :meth:`save` wrote; raises BundleError where it can't."""
        try:
            with np.load(folder / LINEAR, allow_pickle=False) as stored:
                linear = Linear(
                    stored["mean"], stored["spread"], stored["weights"], float(stored["shift"])
                )
                share = float(stored["share"])
        except (OSError, ValueError, KeyError) as error:
            raise BundleError(
                f"the last stage in {folder} can't be read: {error}; train the bundle again"
            ) from error
        return cls(linear, Trees.load(folder / TREES), share)
