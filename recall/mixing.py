"""Several scores for one pair become one: its log odds of being true, learned on pairs never seen.

Each score is first mapped through its own precision curve, then all are added up with learned
weights (logistic regression). A score that did not propose the pair, and one that was silent for
the whole video, count in their own ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

KNOTS = 24
_FEWEST_TRUE = 100
_RIDGE = 1.0
_STEPS = 30
_SMOOTHING = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Score → log odds, straight between knots. ``scores`` ascending, ``log_odds``: float32 [K]."""

    scores: F32
    log_odds: F32

    @classmethod
    def fit(cls, scores: F32, true: Mask) -> Curve:
        """The share of true pairs in bins of equal mass, made to rise with the score.

        Pool-adjacent-violators (Ayer et al. 1955); bins are smoothed towards the overall share.
        """
        order = np.argsort(scores, kind="stable")
        bins = [part for part in np.array_split(order, KNOTS) if len(part)]
        overall = (float(true.sum()) + 0.5) / (len(true) + 1.0)
        blocks = [
            [
                float(scores[part].mean(dtype=np.float64)),
                float(true[part].sum()) + _SMOOTHING * overall,
                len(part) + _SMOOTHING,
            ]
            for part in bins
        ]
        pooled: list[list[tuple[float, float, float]]] = []
        for score, hits, mass in blocks:
            pooled.append([(score, hits, mass)])
            while len(pooled) > 1 and _share(pooled[-2]) >= _share(pooled[-1]):
                last = pooled.pop()
                pooled[-1] += last
        at = [score for group in pooled for score, _, _ in group]
        share = np.asarray([_share(group) for group in pooled for _ in group])
        share = np.clip(share, 1e-6, 1 - 1e-6)
        return cls(np.asarray(at, dtype=np.float32), np.log(share / (1 - share)).astype(np.float32))

    def __call__(self, scores: F32) -> F32:
        """float32 [P] → float32 [P]."""
        return np.interp(scores, self.scores, self.log_odds).astype(np.float32)


def _share(group: list[tuple[float, float, float]]) -> float:
    return sum(hits for _, hits, _ in group) / sum(mass for _, _, mass in group)


@dataclass(frozen=True, slots=True, eq=False)
class Mixer:
    """One curve a column, and ``weights`` float32 [3 · columns + 1].

    For each column: the weight of its curve, what it counts to have proposed the pair, and what it
    counts that the column was silent; then the constant.
    """

    curves: tuple[Curve, ...]
    weights: F32

    @classmethod
    def fit(cls, scores: F32, silent: Mask, true: Mask, otherwise: Mixer) -> Mixer:
        """Fit to pairs [P, columns] of which ``true`` [P] says what they are.

        With too few true pairs to learn from, the mixer ``otherwise`` stands.
        """
        if true.sum() < _FEWEST_TRUE:
            return otherwise
        curves = []
        for column, default in enumerate(otherwise.curves):
            there = ~np.isnan(scores[:, column])
            known = true[there].sum() >= _FEWEST_TRUE / 4
            curves.append(Curve.fit(scores[there, column], true[there]) if known else default)
        unweighted = cls(tuple(curves), np.zeros(3 * len(curves) + 1, dtype=np.float32))
        return cls(tuple(curves), _logistic(unweighted._inputs(scores, silent), true))

    def __call__(self, scores: F32, silent: Mask) -> F32:
        """Log odds float32 [P]; ``scores`` [P, columns] (NaN: not proposed), ``silent`` alike."""
        return (self._inputs(scores, silent) @ self.weights).astype(np.float32)

    def _inputs(self, scores: F32, silent: Mask) -> F32:
        inputs = np.zeros((len(scores), 3 * len(self.curves) + 1), dtype=np.float32)
        for column, curve in enumerate(self.curves):
            there = ~np.isnan(scores[:, column])
            inputs[there, 3 * column] = curve(scores[there, column])
            inputs[:, 3 * column + 1] = there
            inputs[:, 3 * column + 2] = silent[:, column]
        inputs[:, -1] = 1.0
        return inputs

    def to_json(self) -> dict[str, object]:
        """What :meth:`from_json` reads."""
        return {
            "curves": [[c.scores.tolist(), c.log_odds.tolist()] for c in self.curves],
            "weights": self.weights.tolist(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Mixer:
        """The mixer that gave this :meth:`to_json`."""
        curves = (
            Curve(np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32))
            for a, b in stored["curves"]
        )
        return cls(tuple(curves), np.asarray(stored["weights"], dtype=np.float32))

    @classmethod
    def untrained(cls, curves: Sequence[tuple[float, float]]) -> Mixer:
        """For want of labels: each column has log odds -6 at one score and 0 at the other.

        What proposed a pair counts in full, over a start of -6.
        """
        weights = np.zeros(3 * len(curves) + 1, dtype=np.float32)
        weights[0:-1:3] = 1.0
        weights[1:-1:3] = 6.0
        weights[-1] = -6.0
        ends = np.asarray([-6.0, 0.0], dtype=np.float32)
        return cls(tuple(Curve(np.asarray(c, dtype=np.float32), ends) for c in curves), weights)


def _logistic(inputs: F32, true: Mask) -> F32:
    """Ridge logistic regression by Newton's method; the constant (last column) is not shrunk."""
    columns = inputs.astype(np.float64)
    target = true.astype(np.float64)
    weights = np.zeros(columns.shape[1])
    ridge = np.full(columns.shape[1], _RIDGE)
    ridge[-1] = 1e-6
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(columns @ weights, -30, 30)))
        slope = columns.T @ (chance - target) + ridge * weights
        curvature = (columns * (chance * (1 - chance))[:, None]).T @ columns + np.diag(ridge)
        step = np.linalg.solve(curvature, slope)
        weights -= step * min(1.0, 8.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-6:
            break
    return weights.astype(np.float32)
