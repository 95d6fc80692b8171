"""Lists of different lengths in one array: labels, frames, tokens, posting lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
Value = TypeVar("Value", bound=np.generic)
Rounded = TypeVar("Rounded", np.float16, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Ragged(Generic[Value]):
    """List ``i`` is ``values[starts[i]:starts[i + 1]]``. ``starts`` int64 [N + 1]."""

    values: npt.NDArray[Value]
    starts: I64

    @classmethod
    def of(
        cls,
        lists: Sequence[npt.NDArray[Value]],
        dtype: type[Value],
        empty: npt.NDArray[Value] | None = None,
    ) -> Ragged[Value]:
        """Pack lists; ``empty`` gives the shape of an item where there may be no list at all."""
        starts = np.zeros(len(lists) + 1, dtype=np.int64)
        np.cumsum([len(item) for item in lists], out=starts[1:])
        none = np.zeros(0, dtype=dtype) if empty is None else empty
        values = np.concatenate([none, *lists]).astype(dtype, copy=False)
        return cls(values, starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, number: int) -> npt.NDArray[Value]:
        return self.values[self.starts[number] : self.starts[number + 1]]

    @property
    def lengths(self) -> I64:
        """int64 [N]: how long each list is."""
        return np.diff(self.starts)

    def positions(self, numbers: npt.NDArray[np.integer[Any]]) -> tuple[I64, I64]:
        """Where the items of these lists stand in ``values``, and the list each belongs to.

        The second array holds places in ``numbers``.
        """
        first = self.starts[numbers]
        lengths = self.starts[np.asarray(numbers) + 1] - first
        owner = np.repeat(np.arange(len(numbers)), lengths)
        before = np.cumsum(lengths) - lengths
        within = np.arange(int(lengths.sum())) - np.repeat(before, lengths)
        return np.repeat(first, lengths) + within, owner

    def take(self, numbers: npt.NDArray[np.integer[Any]]) -> Ragged[Value]:
        """The lists at ``numbers``, in that order."""
        at, owner = self.positions(numbers)
        starts = np.zeros(len(numbers) + 1, dtype=np.int64)
        np.cumsum(np.bincount(owner, minlength=len(numbers)), out=starts[1:])
        return Ragged(self.values[at], starts)

    def followed_by(self, other: Ragged[Value]) -> Ragged[Value]:
        """These lists, then those of ``other``."""
        starts = np.concatenate([self.starts, self.starts[-1] + other.starts[1:]])
        return Ragged(np.concatenate([self.values, other.values]), starts)

    def transposed(self: Ragged[np.int32], width: int) -> Ragged[np.int32]:
        """Of lists of numbers below ``width``: list ``j`` names the lists that hold ``j``."""
        owner = np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)
        order = np.argsort(self.values, kind="stable")
        starts = np.zeros(width + 1, dtype=np.int64)
        np.cumsum(np.bincount(self.values, minlength=width), out=starts[1:])
        return Ragged(owner[order], starts)

    def rounded(self: Ragged[np.float32]) -> Ragged[np.float16]:
        """The same lists in half precision."""
        return Ragged(self.values.astype(np.float16), self.starts)

    def means(self: Ragged[Rounded]) -> npt.NDArray[np.float32]:
        """float32 [N, D]: the mean item of each list; zeros for an empty one."""
        sums = _reduced(self, np.add)
        sums /= np.maximum(self.lengths, 1).astype(np.float32)[:, None]
        return sums

    def maxima(self: Ragged[Rounded]) -> npt.NDArray[np.float32]:
        """float32 [N, D]: the greatest of each dimension in each list; zeros for an empty one."""
        return _reduced(self, np.maximum)


def _reduced(lists: Ragged[Rounded], how: np.ufunc) -> npt.NDArray[np.float32]:
    out = np.zeros((len(lists), *lists.values.shape[1:]), dtype=np.float32)
    filled = np.flatnonzero(lists.lengths)
    if len(filled):
        out[filled] = how.reduceat(
            lists.values, lists.starts[:-1][filled], axis=0, dtype=np.float32
        )
    return out
