"""Arrays that grow with the number of videos, kept out of memory when they are large.

A large array lies in a temporary file without a name (in TMPDIR, which should be on a disk). The
system holds as much of it in memory as there is room for and gives that up when asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from tempfile import TemporaryFile
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Item = TypeVar("Item", bound=np.generic)

IN_MEMORY_UP_TO = 2**28
AT_ONCE = 8_192


def large(shape: tuple[int, ...], dtype: type[Item]) -> npt.NDArray[Item]:
    """An array to be filled; above IN_MEMORY_UP_TO bytes it lies in a file."""
    if prod(shape) * np.dtype(dtype).itemsize <= IN_MEMORY_UP_TO:
        return np.empty(shape, dtype=dtype)
    with TemporaryFile() as file:
        return np.asarray(np.memmap(file, dtype=dtype, mode="w+", shape=shape))


def laid_down(rows: npt.NDArray[Item]) -> npt.NDArray[Item]:
    """The same values; where they are large, in a file."""
    out = large(rows.shape, rows.dtype.type)
    out[...] = rows
    return out


class Growing(Generic[Item]):
    """An array [N, ...] of rows that come one after another, nobody knows how many."""

    def __init__(self, row: tuple[int, ...], dtype: type[Item]) -> None:
        self._count = 0
        self._rows = large((AT_ONCE, *row), dtype)

    def extend(self, rows: npt.NDArray[Item]) -> None:
        """Add rows [n, ...]; raises ValueError where they are of another width."""
        row = self._rows.shape[1:]
        if rows.shape[1:] != row:
            raise ValueError(f"a row of {rows.shape[1:]} beside rows of {row}")
        end = self._count + len(rows)
        if end > len(self._rows):
            wider = large((2 * end, *row), self._rows.dtype.type)
            wider[: self._count] = self.whole()
            self._rows = wider
        self._rows[self._count : end] = rows
        self._count = end

    def whole(self) -> npt.NDArray[Item]:
        """All rows so far; in a file where they are large."""
        return self._rows[: self._count]


def parts(count: int, at_once: int = AT_ONCE) -> Iterator[slice]:
    """``count`` rows, a few at a time."""
    for start in range(0, count, at_once):
        yield slice(start, min(start + at_once, count))


def gathered(rows: npt.NDArray[Item], at: npt.NDArray[np.int64]) -> npt.NDArray[Item]:
    """``rows[at]`` along the first axis; nothing is copied where ``at`` is a run of rows."""
    if len(at) and (np.diff(at) == 1).all():
        return rows[at[0] : at[-1] + 1]
    out = large((len(at), *rows.shape[1:]), rows.dtype.type)
    for part in parts(len(at), 4 * AT_ONCE):
        out[part] = rows[at[part]]
    return out
