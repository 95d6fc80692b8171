"""Arrays that grow with the number of videos, kept out of memory when they are large.

A large array lies in a temporary file without a name (in TMPDIR, which should be on a disk). The
system holds as much of it in memory as there is room for and gives that up when asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from tempfile import TemporaryFile
from typing import TypeVar

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


def parts(count: int, at_once: int = AT_ONCE) -> Iterator[slice]:
    """``count`` rows, a few at a time."""
    for start in range(0, count, at_once):
        yield slice(start, min(start + at_once, count))


def gathered(rows: npt.NDArray[Item], at: npt.NDArray[np.int64]) -> npt.NDArray[Item]:
    """``rows[at]`` along the first axis."""
    out = large((len(at), *rows.shape[1:]), rows.dtype.type)
    for part in parts(len(at), 4 * AT_ONCE):
        out[part] = rows[at[part]]
    return out
