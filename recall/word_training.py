"""Training the linear model on words: one ridge regression a tag, all at once. Training only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse

from recall.ragged import Ragged
from recall.words import SparseRows, WordClassifier

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

PENALTY = 1.0
MOST_WEIGHTS = 3_000_000
IN_FULL_UP_TO = 1_000_000_000
"""Terms times tags: above, a tag is given weights for its own terms alone."""
OWN_TERMS = 32
_LARGEST_DENSE = 120_000_000
_TAGS_AT_ONCE = 4_096
_STEPS = 25
_NEGLIGIBLE = 0.01


def train_words(
    rows: SparseRows,
    labels: Ragged[np.int32],
    terms: int,
    width: int,
    *,
    in_full_up_to: int = IN_FULL_UP_TO,
) -> WordClassifier:
    """Fit each tag's 0/1 labels by the words, least squares with PENALTY on the weights.

    Where terms × tags are more than ``in_full_up_to``, a tag has weights for the OWN_TERMS that
    tell most of it, and no others. Weights that hardly count are dropped, so that a model stays
    small: at most MOST_WEIGHTS.
    """
    texts = scipy.sparse.csr_matrix(
        (rows.weights, rows.terms.values, rows.terms.starts), shape=(len(rows), terms)
    )
    truth = scipy.sparse.csr_matrix(
        (np.ones(len(labels.values), dtype=np.float32), labels.values, labels.starts),
        shape=(len(labels), width),
    ).tocsc()
    bias: F64 = np.asarray(truth.sum(axis=0)).ravel() / max(len(labels), 1)
    solve = _by_own_terms if terms * width > in_full_up_to else _in_full
    every = solve(texts, truth, bias)
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


def _in_full(
    texts: scipy.sparse.csr_matrix, truth: scipy.sparse.csc_matrix, bias: F64
) -> scipy.sparse.csr_matrix:
    """Weights [F, V] over all terms, in slices of tags that hold neither memory nor time up."""
    width = truth.shape[1]
    slices = []
    step = max(1, _LARGEST_DENSE // max(*texts.shape, 1))
    for start in range(0, width, step):
        part = truth[:, start : start + step].toarray() - bias[None, start : start + step]
        weights = _ridge(texts, part.astype(np.float32))
        weights[np.abs(weights) < _NEGLIGIBLE] = 0.0
        slices.append(scipy.sparse.csr_matrix(weights))
    return scipy.sparse.hstack(slices, format="csr") if slices else truth[:0].tocsr()


def _by_own_terms(
    texts: scipy.sparse.csr_matrix, truth: scipy.sparse.csc_matrix, bias: F64
) -> scipy.sparse.csr_matrix:
    """Weights [F, V], for each tag over the terms that its own videos use more than others do.

    One small system a tag: no work grows with terms × tags.
    """
    spread = _Spread.of(texts)
    often = np.asarray(texts.sum(axis=0), dtype=np.float32).ravel()
    holders = truth.T.tocsr()
    held = np.flatnonzero(np.diff(holders.indptr))
    found: list[tuple[I64, I64, F32]] = [(held[:0], held[:0], np.zeros(0, dtype=np.float32))]
    for start in range(0, len(held), _TAGS_AT_ONCE):
        tags = held[start : start + _TAGS_AT_ONCE]
        shared = (holders[tags] @ texts).tocsr()
        tag = np.repeat(np.arange(len(tags)), np.diff(shared.indptr))
        excess = shared.data - bias[tags[tag]] * often[shared.indices]
        order = np.lexsort((shared.indices, -excess, tag))
        place = np.arange(len(order)) - shared.indptr[tag]  # sorted, each tag keeps its stretch
        kept = place < OWN_TERMS
        own = np.full((len(tags), OWN_TERMS), -1, dtype=np.int64)
        right = np.zeros(own.shape, dtype=np.float32)
        own[tag[kept], place[kept]] = shared.indices[order[kept]]
        right[tag[kept], place[kept]] = excess[order[kept]]
        left = spread.between(own)
        left[:, np.arange(OWN_TERMS), np.arange(OWN_TERMS)] += PENALTY
        weights = np.linalg.solve(left, right[:, :, None])[:, :, 0]
        there = (own >= 0) & (np.abs(weights) >= _NEGLIGIBLE)
        found.append((own[there], tags[np.nonzero(there)[0]], weights[there]))
    term, tag, weight = (np.concatenate(part) for part in zip(*found, strict=True))
    return scipy.sparse.csr_matrix((weight, (term, tag)), shape=(texts.shape[1], truth.shape[1]))


@dataclass(frozen=True, slots=True, eq=False)
class _Spread:
    """How terms go together: the sums over all texts of the products of two terms' weights.

    ``pairs`` int64 [P], ascending: first term · F + second; ``sums`` float32 [P].
    """

    pairs: I64
    sums: F32
    terms: int

    @classmethod
    def of(cls, texts: scipy.sparse.csr_matrix) -> _Spread:
        together = scipy.sparse.triu(texts.T.tocsr() @ texts, format="csr")
        together.sort_indices()
        terms = texts.shape[1]
        first = np.repeat(np.arange(terms, dtype=np.int64), np.diff(together.indptr))
        return cls(first * terms + together.indices, together.data.astype(np.float32), terms)

    def between(self, own: I64) -> F32:
        """float32 [T, K, K] of ``own`` [T, K], the terms of some tags; zeros where it is -1."""
        out = np.zeros((len(own), own.shape[1], own.shape[1]), dtype=np.float32)
        if not len(self.pairs):
            return out
        upper, lower = np.triu_indices(own.shape[1])
        a, b = own[:, upper], own[:, lower]
        wanted = np.minimum(a, b) * self.terms + np.maximum(a, b)
        at = np.minimum(np.searchsorted(self.pairs, wanted), len(self.pairs) - 1)
        found = (np.minimum(a, b) >= 0) & (self.pairs[at] == wanted)
        out[:, upper, lower] = np.where(found, self.sums[at], 0.0)
        out[:, lower, upper] = out[:, upper, lower]
        return out


def _ridge(texts: scipy.sparse.csr_matrix, targets: F32) -> F32:
    """Weights [F, V] that minimise |texts · weights - targets|² + PENALTY · |weights|².

    Conjugate gradients (Hestenes & Stiefel 1952) on the normal equations, every tag in parallel.
    """
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
