"""Solving the linear model over all modalities: ridge regression, all tags at once. Training only.

Least squares with a penalty has a closed form. It costs one factorisation of [D, D] however many
tags there are, needs no negatives, and holds from a handful of videos up.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse

from recall.linear import LinearClassifier, dimensions
from recall.ragged import Ragged

F32 = npt.NDArray[np.float32]

PENALTY = 1.5
RARITY = 0.25
"""The penalty shrinks rare tags most: a tag of n videos is weighed by (1 + n) ** -RARITY."""
_LARGEST_DENSE = 32_000_000
_VIDEOS_AT_ONCE = 16_384


def train_linear(
    videos: F32, labels: Ragged[np.int32], tags: int, *, rank: int | None = None, seed: int = 0
) -> LinearClassifier:
    """Fit each tag's 0/1 labels by ``videos`` float32 [N, D], with PENALTY on the weights.

    With a ``rank`` (by default :func:`dimensions`) below D, the best solution of that rank is taken
    (reduced-rank ridge regression; Mukherjee & Zhu 2011): a tag then keeps the sum of its videos'
    projected vectors.
    """
    width = videos.shape[1]
    spread = np.zeros((width, width), dtype=np.float32)
    for start in range(0, len(videos), _VIDEOS_AT_ONCE):
        some = videos[start : start + _VIDEOS_AT_ONCE]
        spread += some.T @ some
    spread[np.diag_indices(width)] += PENALTY
    factor = scipy.linalg.cholesky(spread, lower=True, overwrite_a=True, check_finite=False)
    holders = scipy.sparse.csr_matrix(
        (np.ones(len(labels.values), dtype=np.float32), labels.values, labels.starts),
        shape=(len(labels), tags),
    ).T.tocsr()
    counts = np.bincount(labels.values, minlength=tags)
    share = (counts / max(len(videos), 1)).astype(np.float32)
    rank = rank or dimensions(tags, width)
    projection = None
    if rank == width:
        solved = scipy.linalg.cho_solve((factor, True), videos.T, check_finite=False).T
    else:
        projection = _projection(videos, holders, share, factor, rank)
        solved = videos @ projection
    vectors = np.empty((tags, rank), dtype=np.float32)
    for part in _slices(tags, width):
        vectors[part] = _sums(holders[part], share[part], solved)
    vectors *= ((1 + counts) ** -RARITY).astype(np.float32)[:, None]
    return LinearClassifier.build(projection, vectors, seed=seed)


def _projection(
    videos: F32, holders: scipy.sparse.csr_matrix, share: F32, factor: F32, rank: int
) -> F32:
    """float32 [D, rank]: where the solutions of all tags spread most, in the penalty's own metric.

    ``factor`` is the lower triangle L of the penalised spread; the tags' solutions are L⁻ᵀ L⁻¹ Xᵀ Y
    and the columns of L⁻¹ Xᵀ Y are cut to their principal components.
    """
    width = videos.shape[1]
    between = np.zeros((width, width), dtype=np.float32)
    for part in _slices(len(share), width):
        sums = _sums(holders[part], share[part], videos)
        white = scipy.linalg.solve_triangular(factor, sums.T, lower=True, check_finite=False)
        between += white @ white.T
    _, axes = scipy.linalg.eigh(between, subset_by_index=(width - rank, width - 1))
    projection: F32 = scipy.linalg.solve_triangular(
        factor, axes, lower=True, trans="T", check_finite=False
    ).astype(np.float32)
    return projection


def _sums(holders: scipy.sparse.csr_matrix, share: F32, vectors: F32) -> F32:
    """float32 [T, d]: each tag's sum of its videos' vectors, less its share of the whole sum."""
    sums: F32 = holders @ vectors - share[:, None] * vectors.sum(axis=0)
    return sums


def _slices(tags: int, width: int) -> list[slice]:
    step = max(1, _LARGEST_DENSE // max(width, 1))
    return [slice(start, start + step) for start in range(0, tags, step)]
