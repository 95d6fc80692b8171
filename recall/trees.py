"""Gradient-boosted trees as plain arrays, evaluated for all rows and trees at once, by levels.

Trees are few and shallow, so each is filled up to a full binary tree: below a leaf, all nodes say
what the leaf says. Then a row's place at level l + 1 is 2 · place + (0: left, 1: right), and a
level costs three gathers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.errors import BundleError
from encoders.features import F32

I16 = npt.NDArray[np.int16]
Places = npt.NDArray[np.intp]
F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

ROWS_AT_ONCE = 512
FINITE = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """The nodes of all trees at one depth l, tree after tree: ``column``, ``limit`` [T · 2^l].

    Columns are counted over rows in which each stands twice, unknown values as NaN (which is above
    no limit: left) and as ∞ (right): which of the two a node reads decides where they go.
    """

    column: Places
    limit: F64


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """T trees of at most M nodes each; node 0 is the root, a leaf leads to itself.

    ``column`` int16, ``limit`` float64, ``unknown_left`` bool, ``left`` and ``right`` int16,
    ``value`` float64: all [T, M]. A row goes left where its value ≤ limit; a NaN as
    ``unknown_left`` says. ``base``: what the sum of leaves starts from. ``depth``: longest path.
    """

    column: I16
    limit: F64
    unknown_left: Bools
    left: I16
    right: I16
    value: F64
    base: float
    depth: int
    _levels: tuple[Level, ...] = field(init=False, repr=False)
    _leaves: F64 = field(init=False, repr=False)

    def __post_init__(self) -> None:
        trees = np.arange(len(self.column))[:, None]
        nodes = np.zeros((len(trees), 1), np.intp)
        levels = []
        for _ in range(self.depth):
            column = 2 * self.column[trees, nodes].astype(np.intp)
            column += ~self.unknown_left[trees, nodes]
            limit = np.minimum(self.limit[trees, nodes], FINITE)  # ∞: only what is unknown is right
            levels.append(Level(column.ravel(), limit.ravel()))
            below = [self.left[trees, nodes], self.right[trees, nodes]]
            nodes = np.stack(below, axis=-1).reshape(len(trees), -1).astype(np.intp)
        object.__setattr__(self, "_levels", tuple(levels))
        object.__setattr__(self, "_leaves", self.value[trees, nodes].ravel())

    def __call__(self, rows: F32) -> F64:
        """The sum of the trees' leaves for each row, float64 [n]: a logit."""
        parts = [
            self._sums(rows[start : start + ROWS_AT_ONCE])
            for start in range(0, len(rows), ROWS_AT_ONCE)
        ]
        return np.concatenate([np.zeros(0), *parts])

    def _sums(self, rows: F32) -> F64:
        """As ``__call__``, of few enough rows for their places [T, n] to stay in the cache."""
        count = len(rows)
        known = rows.T
        twice = np.stack([known, np.where(np.isnan(known), np.float32(np.inf), known)], axis=1)
        values, each = twice.ravel(), np.arange(count)
        place = np.repeat(np.arange(len(self.column))[:, None], count, axis=1)
        for level in self._levels:
            value = values.take((level.column * count).take(place) + each)
            right = value > level.limit.take(place)
            place += place
            place += right
        return np.asarray(self.base + self._leaves.take(place).sum(0), np.float64)

    def save(self, path: Path) -> None:
        """Write one ``.npz``."""
        arrays = {
            item.name: np.asarray(getattr(self, item.name)) for item in fields(self) if item.init
        }
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> Trees:
        """Read what :meth:`save` wrote; raises BundleError where it can't."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                found = dict(stored)
            base, depth = float(found.pop("base")), int(found.pop("depth"))
            return cls(**found, base=base, depth=depth)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{path} holds no trees: {error}; train the bundle again") from error
