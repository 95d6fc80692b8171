"""Solving the linear model over all modalities: ridge regression, all tags at once. Training only.

Least squares with a penalty has a closed form. It costs one factorisation of [D, D] however many
tags there are, needs no negatives, and holds from a handful of videos up.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse

from recall.large import parts
from recall.linear import LinearClassifier, dimensions
from recall.ragged import Ragged

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

PENALTY = 1.5
RARITY = 0.25
"""The penalty shrinks rare tags most: a tag of n videos is weighed by (1 + n) ** -RARITY."""
_LARGEST_DENSE = 32_000_000
_VIDEOS_AT_ONCE = 16_384


def train_linear(
    videos: F32,
    labels: Ragged[np.int32],
    tags: int,
    *,
    rows: I64 | None = None,
    rank: int | None = None,
    seed: int = 0,
) -> LinearClassifier:
    """Fit each tag's 0/1 labels by ``videos`` float32 [N, D], with PENALTY on the weights.

    With ``rows`` int64 [n], by those videos alone; ``labels`` are theirs. With a ``rank`` (by
    default :func:`dimensions`) below D, the best solution of that rank is taken (reduced-rank ridge
    regression; Mukherjee & Zhu 2011): a tag then keeps the sum of its videos' projected vectors.
    """
    width = videos.shape[1]
    spread = np.zeros((width, width), dtype=np.float32)
    rows = np.arange(len(videos)) if rows is None else rows
    total = np.zeros(width, dtype=np.float32)
    for part in parts(len(rows), _VIDEOS_AT_ONCE):
        some = videos[rows[part]]
        spread += some.T @ some
        total += some.sum(axis=0)
    spread[np.diag_indices(width)] += PENALTY
    factor = scipy.linalg.cholesky(spread, lower=True, overwrite_a=True, check_finite=False)
    held = (labels.values, np.repeat(rows, labels.lengths))
    holders = scipy.sparse.csr_matrix(
        (np.ones(len(labels.values), dtype=np.float32), held), shape=(tags, len(videos))
    )
    counts = np.bincount(labels.values, minlength=tags)
    share = (counts / max(len(rows), 1)).astype(np.float32)
    rank = rank or dimensions(tags, width)
    step = max(1, _LARGEST_DENSE // max(width, 1))

    def sums() -> Iterator[tuple[slice, F32]]:
        """float32 [T, D]: each tag's sum of its videos' vectors, less its share of all videos'."""
        for part in parts(tags, step):
            yield part, holders[part] @ videos - share[part, None] * total

    projection = None if rank == width else _projection(sums(), factor, rank)
    vectors = np.empty((tags, rank), dtype=np.float32)
    for part, of_tags in sums():
        if projection is None:
            vectors[part] = scipy.linalg.cho_solve((factor, True), of_tags.T, check_finite=False).T
        else:
            vectors[part] = of_tags @ projection
    vectors *= ((1 + counts) ** -RARITY).astype(np.float32)[:, None]
    some = videos[rows[:: 1 + len(rows) // _VIDEOS_AT_ONCE]]
    return LinearClassifier.build(projection, vectors, some, seed=seed)


def _projection(sums: Iterator[tuple[slice, F32]], factor: F32, rank: int) -> F32:
    """float32 [D, rank]: where the solutions of all tags spread most, in the penalty's own metric.

    ``factor`` is the lower triangle L of the penalised spread; the tags' solutions are L⁻ᵀ L⁻¹ Xᵀ Y
    (``sums`` are the rows of Yᵀ X) and the columns of L⁻¹ Xᵀ Y are cut to their principal
    components.
    """
    width = len(factor)
    between = np.zeros((width, width), dtype=np.float32)
    for _, of_tags in sums:
        white = scipy.linalg.solve_triangular(factor, of_tags.T, lower=True, check_finite=False)
        between += white @ white.T
    _, axes = scipy.linalg.eigh(between, subset_by_index=(width - rank, width - 1))
    projection: F32 = scipy.linalg.solve_triangular(
        factor, axes, lower=True, trans="T", check_finite=False
    ).astype(np.float32)
    return projection
