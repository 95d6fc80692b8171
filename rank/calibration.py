"""Calibration: a logit as a probability that holds, fitted on videos that the logits never saw.

Platt's two numbers where positives are few, and otherwise a rising broken line through the share of
right answers in bins of equal mass (:func:`rising`), so that calibration never changes an order.

Labels miss true tags. If a true tag was written down with a frequency c that doesn't depend on the
video, the chance to be *true* is the chance to be *labelled* divided by c (Elkan and Noto 2008).
``label_frequency`` reads c off the plateau that the most certain candidates reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

ENOUGH_FOR_BINS = 400  # positives
A_BIN = 60  # positives, about
STEP = 1e-6  # least rise and least distance between two corners
SMALLER = (10, 20, 40)  # parts than the fifth, where they are large enough
ENOUGH_AT_THE_TOP = 300  # candidates: the share of fewer is high by chance
SLOPE = 1.15
"""So much may a plateau rise. On four corpora with and without hidden labels, all that the product
knows gives 1.05 to 1.10, single channels 1.18 and more."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A rising broken line from logits to probabilities, in logit space, divided by ``frequency``.

    ``at`` and ``gives``: the line's corners; beyond them it goes on with slope one.
    """

    at: tuple[float, ...]
    gives: tuple[float, ...]
    frequency: float = 1.0

    def __call__(self, logits: F64) -> F64:
        """Probabilities in [0, 1], float64."""
        x = np.asarray(logits, np.float64)
        at, gives = np.asarray(self.at), np.asarray(self.gives)
        line = np.interp(x, at, gives)
        line = line + np.minimum(x - at[0], 0) + np.maximum(x - at[-1], 0)
        return rescaled(sigmoid(line), self.frequency)


def rescaled(labelled: F64, frequency: float) -> F64:
    """The chance to be true from the chance to be labelled: p / c, bent below 1 so order stays."""
    raw = labelled / frequency
    bent = 1 - (1 - labelled) * 0.01
    return np.asarray(np.where(raw < 0.99, raw, np.maximum(0.99, bent)), np.float64)


def fit(logits: F64, labelled: Bools, *, frequency: float = 1.0) -> Calibration:
    """Calibrate on validation candidates: their logits and whether each was labelled."""
    if not labelled.any():
        return Calibration((-12.0, 12.0), (-12.0, 12.0), frequency)
    if labelled.sum() >= ENOUGH_FOR_BINS:
        at, gives = _bins(logits, labelled)
    else:
        slope, shift = platt(logits, labelled)
        at = np.array([-12.0, 12.0])
        gives = slope * at + shift
    return Calibration(tuple(at.tolist()), tuple(gives.tolist()), frequency)


def platt(logits: F64, labelled: Bools) -> tuple[float, float]:
    """Slope (> 0) and shift of a logistic regression on one logit, by Newton's method.

    A weak pull towards slope 1 and shift 0 keeps a handful of videos from deciding too much.
    """
    y = labelled.astype(np.float64)
    design = np.stack([logits, np.ones(len(logits))], axis=1)
    weights, prior, pull = np.array([1.0, 0.0]), np.array([1.0, 0.0]), 1.0
    for _ in range(50):
        p = sigmoid(design @ weights)
        gradient = design.T @ (p - y) + pull * (weights - prior)
        curve = (design * (p * (1 - p))[:, None]).T @ design + pull * np.eye(2)
        step = np.linalg.solve(curve, gradient)
        weights = weights - step * min(1.0, 2.0 / max(1e-9, float(np.abs(step).max())))
    return max(float(weights[0]), 0.05), float(weights[1])


def rising(at: F64, values: F64, weights: F64) -> tuple[F64, F64]:
    """Corners of the rising line that is closest to ``values`` at the places ``at``, in order.

    Those that don't rise are pooled into one corner at their weighted mean, so no stretch is flat
    (centred isotonic regression; Oron and Flournoy 2017, Statistics in Biopharmaceutical Research).
    """
    sums: list[F64] = []  # weight, weight · place, weight · value
    for point in np.stack([weights, weights * at, weights * values], axis=1):
        corner = point
        while sums and (corner[1:] / corner[0] - sums[-1][1:] / sums[-1][0] < STEP).any():
            corner = corner + sums.pop()
        sums.append(corner)
    mass, places, means = np.stack(sums, axis=1)
    return places / mass, means / mass


def label_frequency(logits: F64, labelled: Bools) -> float:
    """How often a true tag was labelled, c in (0, 1], from candidates in the order of their logits.

    Where the labels miss tags at random, even the most certain candidates are labelled only c of
    the time, and ever better evidence doesn't raise that: the curve has a plateau. c is the highest
    share of labelled ones that the most certain reach, be these the half of as many as are labelled
    or fewer: a few mistakes among many would pass for missing labels. If the fifth is better than
    the half by more than SLOPE, there is no plateau, so nothing says that labels are missing, and c
    is 1.
    """
    order = np.argsort(-logits, kind="stable")
    true_mass = int(labelled.sum())
    if true_mass < 200:
        return 1.0
    half, fifth, *fewer = (
        float(labelled[order[: true_mass // part]].mean())
        for part in (2, 5, *(part for part in SMALLER if true_mass >= part * ENOUGH_AT_THE_TOP))
    )
    return max(half, fifth, *fewer) if fifth <= SLOPE * half else 1.0


def sigmoid(x: F64) -> F64:
    """1 / (1 + e^-x), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(x, np.float64))), np.float64)


def logit(p: F64) -> F64:
    """The inverse of :func:`sigmoid`, bounded to ± 12."""
    bounded = np.clip(p, 6.1e-6, 1 - 6.1e-6)
    return np.asarray(np.log(bounded / (1 - bounded)), np.float64)


def _bins(logits: F64, labelled: Bools) -> tuple[F64, F64]:
    """Corners of the line: bins that hold about equally many positives, best first."""
    order = np.argsort(logits, kind="stable")
    mass = np.cumsum(labelled[order])
    count = max(4, int(mass[-1]) // A_BIN)
    place = np.minimum((mass - labelled[order]) * count // mass[-1], count - 1)
    # the many hopeless candidates below the first positives make a bin of their own
    sizes = np.bincount(place, minlength=count)
    kept = sizes > 0
    centres = np.bincount(place, logits[order], minlength=count)[kept] / sizes[kept]
    share = (np.bincount(place, labelled[order], minlength=count)[kept] + 0.5) / (sizes[kept] + 1)
    at, shares = rising(centres, share, sizes[kept].astype(np.float64))
    return at, logit(shares)
