"""Gradient-boosted trees as plain arrays, evaluated for all rows and trees at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.errors import BundleError
from encoders.features import F32

I16 = npt.NDArray[np.int16]
F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


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

    def __call__(self, rows: F32) -> F64:
        """The sum of the trees' leaves for each row, float64 [n]: a logit."""
        trees = np.arange(len(self.column))
        node = np.zeros((len(rows), len(trees)), np.int64)
        each = np.arange(len(rows))[:, None]
        for _ in range(self.depth):
            value = rows[each, self.column[trees, node]]
            left = np.where(
                np.isnan(value), self.unknown_left[trees, node], value <= self.limit[trees, node]
            )
            node = np.where(left, self.left[trees, node], self.right[trees, node])
        return np.asarray(self.base + self.value[trees, node].sum(1), np.float64)

    def save(self, path: Path) -> None:
        """Write one ``.npz``."""
        arrays = {item.name: np.asarray(getattr(self, item.name)) for item in fields(self)}
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
