"""Training the linear model on words: one ridge regression a tag, all at once. Training only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse

from recall.ragged import Ragged
from recall.words import SparseRows, WordClassifier

F32 = npt.NDArray[np.float32]

PENALTY = 1.0
MOST_WEIGHTS = 3_000_000
_LARGEST_DENSE = 120_000_000
_STEPS = 25
_NEGLIGIBLE = 0.01


def train_words(
    rows: SparseRows, labels: Ragged[np.int32], terms: int, width: int
) -> WordClassifier:
    """Fit each tag's 0/1 labels by the words, least squares with PENALTY on the weights.

    Conjugate gradients (Hestenes & Stiefel 1952) on the normal equations, every tag in parallel; a
    vocabulary too large for that at once is taken in slices. Weights that hardly count are dropped,
    so that a model stays small: at most MOST_WEIGHTS.
    """
    texts = scipy.sparse.csr_matrix(
        (rows.weights, rows.terms.values, rows.terms.starts), shape=(len(rows), terms)
    )
    truth = scipy.sparse.csr_matrix(
        (np.ones(len(labels.values), dtype=np.float32), labels.values, labels.starts),
        shape=(len(labels), width),
    ).tocsc()
    bias = np.asarray(truth.sum(axis=0)).ravel() / max(len(labels), 1)
    slices = []
    step = max(1, _LARGEST_DENSE // max(terms, 1))
    for start in range(0, width, step):
        part = truth[:, start : start + step].toarray() - bias[None, start : start + step]
        weights = _ridge(texts, part.astype(np.float32))
        weights[np.abs(weights) < _NEGLIGIBLE] = 0.0
        slices.append(scipy.sparse.csr_matrix(weights))
    every = scipy.sparse.hstack(slices, format="csr") if slices else truth[:0].tocsr()
    if every.nnz > MOST_WEIGHTS:
        least = np.partition(np.abs(every.data), -MOST_WEIGHTS)[-MOST_WEIGHTS]
        every.data[np.abs(every.data) < least] = 0.0
        every.eliminate_zeros()
    every.sort_indices()
    return WordClassifier(
        Ragged(every.indices.astype(np.int32), every.indptr.astype(np.int64)),
        every.data.astype(np.float32),
        bias.astype(np.float32),
    )


def _ridge(texts: scipy.sparse.csr_matrix, targets: F32) -> F32:
    """Weights [F, V] that minimise |texts · weights - targets|² + PENALTY · |weights|²."""
    across = texts.T.tocsr()
    residual = (across @ targets).astype(np.float32)
    weights: F32 = np.zeros_like(residual)
    direction = residual.copy()
    size = np.einsum("fv,fv->v", residual, residual)
    for _ in range(_STEPS):
        moved = across @ (texts @ direction) + PENALTY * direction
        pace = size / np.maximum(np.einsum("fv,fv->v", direction, moved), 1e-20)
        weights += pace * direction
        residual -= pace * moved
        new_size = np.einsum("fv,fv->v", residual, residual)
        direction = residual + (new_size / np.maximum(size, 1e-20)) * direction
        size = new_size
        if float(np.sqrt(size.max(initial=0.0))) < 1e-3:
            break
    return weights
