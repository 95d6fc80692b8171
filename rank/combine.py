"""The last, simple stage: what the channels, the hints and the ranker say, as one logit.

A weighted mean of two models: a ridge logistic regression on bounded transforms of the columns,
which holds up on a handful of videos, and gradient-boosted trees, which are better on many. There
the trees come in rounds, each of which looks at the opinion so far, too: that of a candidate and
its rivals (``rank.opinion``), and its company: what tags go with it, and how likely those are
(``rank.together``). The first opinion is the regression's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.errors import BundleError
from encoders.features import F32
from rank.calibration import sigmoid
from rank.opinion import opinions
from rank.together import Together
from recall.trees import Trees

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

TREES = "trees.npz"
LINEAR = "linear.npz"
TOGETHER = "together.npz"


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
    rounds: tuple[Trees, ...]
    together: Together
    share: float

    def __call__(self, rows: F32, tags: I32, video: I64) -> F64:
        """The logit of each candidate, float64 [n].

        ``rows`` float32 [n, F], ``tags`` int32 [n], ``video`` int64 [n]: whose it is; a video's
        candidates stand side by side.
        """
        first = opinion = self.linear(rows)
        for trees in self.rounds:
            company = self.together.columns(tags, video, sigmoid(opinion))
            table = np.concatenate([rows, company, opinions(opinion, video)], axis=1)
            opinion = mean(first, trees(table), self.share)
        return opinion

    def save(self, folder: Path) -> None:
        """Write the models and the counts."""
        folder.mkdir(parents=True, exist_ok=True)
        self.together.save(folder / TOGETHER)
        for number, trees in enumerate(self.rounds):
            trees.save(folder / _round(number))
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
        counts = folder / TOGETHER
        # Earlier bundles' trees look at fewer columns, and some have no counts beside them.
        together = Together.load(counts) if counts.exists() else Together.none()
        rounds: list[Trees] = []
        while (path := folder / _round(len(rounds))).exists():
            rounds.append(Trees.load(path))
        return cls(linear, tuple(rounds), together, share)


def mean(linear: F64, trees: F64, share: float) -> F64:
    """What regression and trees say together; ``share`` is the trees'."""
    return np.asarray((1 - share) * linear + share * trees, np.float64)


def _round(number: int) -> str:
    return TREES if not number else f"trees-{number + 1}.npz"
