"""Micro-batches: what fits together runs together, and comes back in the order it came in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from encoders.features import I64


def by_length(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Indexes in batches of at most ``size``, neighbours in length, so that padding stays small."""
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def padded(rows: Sequence[I64]) -> tuple[I64, I64]:
    """Token ids and mask, int64 [B, L] each; 0 is padding in both."""
    ids = np.zeros((len(rows), max(len(row) for row in rows)), np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask
