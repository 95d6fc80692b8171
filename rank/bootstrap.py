"""95 % intervals by bootstrap over connected components of sources, paired between systems.

Videos that share material rise and fall together, so whole components are drawn (with
replacement), and all systems are measured on the same draws (Efron and Tibshirani 1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.features import I64

F64 = npt.NDArray[np.float64]

DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle 95 % of a figure over the draws."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value is inside."""
        return self.low <= value <= self.high


class Bootstrap:
    """The same draws for every figure. ``component`` int64 [N]: one a video."""

    def __init__(self, component: I64, *, seed: int = 0, draws: int = DRAWS) -> None:
        _, place = np.unique(component, return_inverse=True)
        count = int(place.max(initial=-1)) + 1
        random = np.random.default_rng(seed)
        drawn = random.multinomial(count, np.full(count, 1 / max(1, count)), size=draws)
        self._place = place
        self._drawn = drawn.astype(np.float64)

    def ratio(self, above: F64, below: F64) -> F64:
        """Σ above ÷ Σ below in each draw; both float64 [N], one number a video."""
        count = self._drawn.shape[1]
        top = self._drawn @ np.bincount(self._place, above, minlength=count)
        bottom = self._drawn @ np.bincount(self._place, below, minlength=count)
        return np.asarray(top / np.maximum(bottom, 1e-12), np.float64)

    def interval(self, above: F64, below: F64) -> Interval:
        """The interval of Σ above ÷ Σ below."""
        return middle(self.ratio(above, below))


def middle(values: F64) -> Interval:
    """From the 2.5th to the 97.5th hundredth."""
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(low), float(high))


def differs(first: F64, second: F64) -> bool:
    """Whether two figures over the same draws differ beyond the interval of their difference."""
    return not middle(np.asarray(first - second)).holds(0.0)
